import Foundation

/// A file operation that the system refused: what was tried, on which path, and the system's own words.
public struct FileFault: Error, CustomStringConvertible {
    public let operation: String
    public let path: String
    public let code: Int32

    public init(_ operation: String, _ path: String, code: Int32 = errno) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// The disk, or the part of it that we may use, is full.
    public var isNoSpace: Bool { code == ENOSPC || code == EDQUOT }
    /// Too many files are open, here or on the machine: it says nothing about the file.
    public var isShortOfDescriptors: Bool { code == EMFILE || code == ENFILE }
    public var description: String { "cannot \(operation) \(path): \(String(cString: strerror(code)))" }
}

/// Files that are there whole or not at all, also after a power cut.
public enum DurableFile {
    /// Writes `bytes` so that `path` afterwards holds all of them or what it held before.
    ///
    /// Writes beside, syncs, renames and syncs the folder: without the last step the rename itself can be lost.
    /// - Parameter mode: permission bits from the first moment on; secrets are 0600.
    public static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws(FileFault) {
        let partial = path + ".partial"
        unlink(partial)
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw FileFault("create", partial) }
        defer { close(descriptor) }
        try writeAll(bytes, to: descriptor, path: partial)
        guard fsync(descriptor) == 0 else { throw FileFault("sync", partial) }
        try rename(partial, to: path)
    }

    /// Renames and makes the rename durable. The content must have been synced before.
    public static func rename(_ from: String, to path: String) throws(FileFault) {
        guard Foundation.rename(from, path) == 0 else { throw FileFault("rename \(from) to", path) }
        try syncFolder(of: path)
    }

    /// Makes the content of the file at `path` durable, whoever wrote it.
    public static func sync(_ path: String) throws(FileFault) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFault("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileFault("sync", path) }
    }

    /// Makes the entries of the folder that holds `path` durable.
    public static func syncFolder(of path: String) throws(FileFault) {
        let folder = (path as NSString).deletingLastPathComponent
        try sync(folder.isEmpty ? "." : folder)
    }

    /// Writes all of `bytes` at the descriptor's position.
    public static func writeAll(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(FileFault) {
        let outcome = bytes.withUnsafeBytes { bytes in
            Result { () throws(FileFault) in try writeAll(bytes, to: descriptor, path: path) }
        }
        try outcome.get()
    }

    /// The same for bytes that are somebody else's.
    public static func writeAll(
        _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String
    ) throws(FileFault) {
        var offset = 0
        while offset < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            let written = Foundation.write(descriptor, rest.baseAddress, rest.count)
            if written < 0 {
                if errno == EINTR { continue }
                throw FileFault("write", path)
            }
            offset += written
        }
    }

    /// All bytes of a file that must not be larger than `bytesMax`.
    public static func read(_ path: String, bytesMax: Int = 1 << 20) throws(FileFault) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFault("open", path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileFault("inspect", path) }
        guard status.st_size <= bytesMax else { throw FileFault("read (too large)", path, code: EFBIG) }
        return try read(descriptor, offset: 0, count: Int(status.st_size), path: path)
    }

    /// Up to `count` bytes from `offset` on; fewer only at the end of the file.
    public static func read(
        _ descriptor: Int32, offset: Int64, count: Int, path: String
    ) throws(FileFault) -> [UInt8] {
        var fault: FileFault?
        // Not zeroed first: most files are much shorter than what is asked for.
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            do throws(FileFault) {
                done = try read(descriptor, offset: offset, into: UnsafeMutableRawBufferPointer(buffer), path: path)
            } catch {
                fault = error
            }
        }
        if let fault { throw fault }
        return bytes
    }

    /// The same, to where the caller wants it.
    /// - Returns: how many bytes came; fewer than there is space only at the end of the file.
    public static func read(
        _ descriptor: Int32, offset: Int64, into space: UnsafeMutableRawBufferPointer, path: String
    ) throws(FileFault) -> Int {
        var done = 0
        while done < space.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: space[done...])
            let got = pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            if got > 0 {
                done += got
            } else if got == 0 {
                break
            } else if errno != EINTR {
                throw FileFault("read", path)
            }
        }
        return done
    }

    /// How much every disk says it has free, where that must not depend on the machine; nil in every real process.
    package static let freeBytesEverywhere = ThreadBound<Int64>()

    /// Free bytes for us on the file system that holds `path`.
    public static func freeBytes(at path: String) throws(FileFault) -> Int64 {
        if let bytes = freeBytesEverywhere.value { return bytes }
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { throw FileFault("inspect the disk of", path) }
        return Int64(status.f_bavail) * Int64(status.f_frsize)
    }

    /// Creates the folder and its parents where missing, with these permission bits.
    public static func createFolder(_ path: String, mode: mode_t = 0o755) throws(FileFault) {
        var status = stat()
        if stat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFDIR else { throw FileFault("use as a folder", path, code: ENOTDIR) }
            return
        }
        let parent = (path as NSString).deletingLastPathComponent
        if !parent.isEmpty, parent != path { try createFolder(parent) }
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw FileFault("create folder", path) }
    }
}
