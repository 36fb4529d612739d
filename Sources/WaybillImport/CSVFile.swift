import Foundation
import WaybillDatabase

/// Reads a CSV file from disk, chunk by chunk.
enum CSVFile {
    /// Bytes read at a time: few system calls, and small beside everything else.
    private static let chunkBytes = 256 * 1024
    /// Bytes of one file: what a table of the largest chains takes several times over. More is the wrong file.
    static let fileBytesMax: Int64 = 16 * 1024 * 1024 * 1024

    /// The size of a regular file that we may read.
    /// - Throws: ``FileFault`` when it is absent, not ours to read, no regular file, or over ``fileBytesMax``.
    static func size(of path: String) throws(FileFault) -> Int64 {
        let descriptor = try open(path)
        defer { close(descriptor) }
        return try size(descriptor, path)
    }

    /// Calls `take` for each record of the file and `progress` with the bytes read so far after each chunk.
    /// - Throws: ``FileFault`` when the file cannot be read, and what the two closures throw.
    static func read(
        _ path: String, separator: UInt8 = UInt8(ascii: ","), take: (borrowing CSVRecord) throws -> Void,
        progress: (_ bytesRead: Int64) throws -> Void
    ) throws {
        let descriptor = try open(path)
        defer { close(descriptor) }
        _ = try size(descriptor, path)
        var parser = CSVParser(separator: separator)
        var chunk = [UInt8](repeating: 0, count: chunkBytes)
        var bytesRead: Int64 = 0
        while true {
            let count = chunk.withUnsafeMutableBytes { Foundation.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileFault("read", path)
            }
            if count == 0 { break }
            try chunk.withUnsafeBufferPointer { whole in
                try parser.feed(UnsafeBufferPointer(rebasing: whole[..<count]), take: take)
            }
            bytesRead += Int64(count)
            try progress(bytesRead)
        }
        try parser.finish(take: take)
    }

    /// Never waits: opening a pipe without a writer would, for ever, if the flag were not set.
    private static func open(_ path: String) throws(FileFault) -> Int32 {
        let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileFault("open", path) }
        return descriptor
    }

    private static func size(_ descriptor: Int32, _ path: String) throws(FileFault) -> Int64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileFault("inspect", path) }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw FileFault("read", path, code: EISDIR) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw FileFault("read (no regular file)", path, code: EINVAL) }
        guard status.st_size <= fileBytesMax else { throw FileFault("read (over 16 GiB)", path, code: EFBIG) }
        return Int64(status.st_size)
    }
}
