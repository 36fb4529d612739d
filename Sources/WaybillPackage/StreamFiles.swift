import Foundation
import WaybillDatabase

/// A file read from its beginning to its end, or at any place.
final class InputFile {
    let path: String
    private let descriptor: Int32
    private var offset: Int64 = 0

    init(_ path: String) throws(FileFault) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw FileFault("open", path) }
    }

    deinit { close(descriptor) }

    func size() throws(FileFault) -> Int64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileFault("inspect", path) }
        return Int64(status.st_size)
    }

    /// The next `count` bytes, fewer at the end.
    func next(_ count: Int) throws(FileFault) -> [UInt8] {
        let bytes = try read(at: offset, count: count)
        offset += Int64(bytes.count)
        return bytes
    }

    func read(at offset: Int64, count: Int) throws(FileFault) -> [UInt8] {
        try DurableFile.read(descriptor, offset: offset, count: count, path: path)
    }
}

/// A new file written from its beginning on.
final class OutputFile {
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(FileFault) {
        self.path = path
        unlink(path)
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard descriptor >= 0 else { throw FileFault("create", path) }
    }

    deinit { close(descriptor) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(FileFault) {
        try DurableFile.writeAll(bytes, to: descriptor, path: path)
    }

    func sync() throws(FileFault) {
        guard fsync(descriptor) == 0 else { throw FileFault("sync", path) }
    }
}

/// Chunks of a sealed package, for the hub.
public final class ChunkReader {
    private let file: InputFile
    private let chunkBytes: Int

    public init(path: String) throws(FileFault) {
        file = try InputFile(path)
        chunkBytes = PackageSealer.chunkBytes(forPackageOf: try file.size())
    }

    /// - Throws: ``FileFault``; an index beyond the file gives no bytes.
    public func chunk(_ index: Int) throws(FileFault) -> [UInt8] {
        try file.read(at: Int64(index) * Int64(chunkBytes), count: chunkBytes)
    }
}
