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

    func read(at offset: Int64, into space: UnsafeMutableRawBufferPointer) throws(FileFault) {
        guard try DurableFile.read(descriptor, offset: offset, into: space, path: path) == space.count else {
            throw FileFault("read (it has become shorter)", path, code: EIO)
        }
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
}

/// Chunks of a sealed package, for the hub.
public final class ChunkReader {
    private let file: InputFile
    private let size: Int64
    private let chunkBytes: Int

    public init(path: String) throws(FileFault) {
        file = try InputFile(path)
        size = try file.size()
        chunkBytes = PackageSealer.chunkBytes(forPackageOf: size)
    }

    /// Bytes of a chunk; 0 for one beyond the file.
    public func length(of index: Int) -> Int {
        guard index >= 0, Int64(index) <= size / Int64(chunkBytes) else { return 0 }
        return Int(min(Int64(chunkBytes), size - Int64(index) * Int64(chunkBytes)))
    }

    /// Reads a chunk to where the caller wants it.
    /// - Parameter space: of its length.
    /// - Throws: ``FileFault``, also when the file has become shorter.
    public func read(_ index: Int, into space: UnsafeMutableRawBufferPointer) throws(FileFault) {
        try file.read(at: Int64(index) * Int64(chunkBytes), into: space)
    }
}
