import CZstd
import Crypto
import Foundation
import WaybillDatabase
import WaybillModel
import WaybillWire

/// A package on its way from its compressed file to the SQLite file inside, chunk after chunk: as far as it has been
/// fetched, while the rest is still being fetched.
///
/// No chunk is decompressed before its hash is right. What comes out is counted and stops at the declared size, so that
/// a small file cannot fill a disk. Belongs to one thread.
public final class Unpacking {
    public let package: PackageID
    /// Chunks that are unpacked, from the first on.
    public private(set) var chunks = 0

    private let manifest: Manifest
    private let rawPath: String
    private let input: InputFile
    private let output: OutputFile
    private let stream: OpaquePointer
    private var compressedHash = SHA256()
    private var rawHash = SHA256()
    private var total: Int64 = 0
    private var isFrameOpen = true
    private var space: [UInt8]

    private var partial: String { rawPath + ".partial" }

    /// - Parameter compressedPath: of the file that the chunks are stored in, each at its place.
    /// - Throws: also when that file is not there.
    public init(compressedPath: String, manifest: Manifest, to rawPath: String) throws(PackageFault) {
        do {
            input = try InputFile(compressedPath)
            output = try OutputFile(rawPath + ".partial")
        } catch {
            throw .file(error)
        }
        guard let stream = ZSTD_createDStream() else { throw .failed("zstd could not be started") }
        ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, PackageLimits.windowLogMax)
        self.stream = stream
        package = manifest.id
        self.manifest = manifest
        self.rawPath = rawPath
        // Most packages are a few pages; what does not keep to its word fills the space and is asked for more.
        space = [UInt8](
            repeating: 0, count: Int(min(Int64(PackageLimits.pieceBytes), max(1, manifest.rawBytes))))
    }

    deinit {
        ZSTD_freeDStream(stream)
        // Gone already where it was finished.
        unlink(partial)
    }

    /// Unpacks the chunks up to this one, which must be stored. After a fault the unpacking is of no more use.
    public func advance(to end: Int) throws(PackageFault) {
        try telling {
            while chunks < min(end, manifest.chunkHashes.count) {
                let chunk = try input.read(
                    at: Int64(chunks) * Int64(manifest.chunkBytes), count: manifest.chunkLength(chunks))
                guard chunk.count == manifest.chunkLength(chunks) else {
                    throw PackageFault.refused("its size is not the declared one")
                }
                guard sha256(chunk) == manifest.chunkHashes[chunks] else {
                    throw PackageFault.refused("the hash of chunk \(chunks) is not the declared one")
                }
                compressedHash.update(data: chunk)
                try decompress(chunk)
                chunks += 1
            }
        }
    }

    /// Gives the file its name, when all of it is what the manifest says. It is not synced: after a power cut the package
    /// is unpacked anew.
    public func finish() throws(PackageFault) {
        try telling {
            guard try input.size() == manifest.bytes else {
                throw PackageFault.refused("its size is not the declared one")
            }
            guard PackageID(Array(compressedHash.finalize())) == manifest.id else {
                throw PackageFault.refused("its hash is not the declared one")
            }
            guard !isFrameOpen, total == manifest.rawBytes else {
                throw PackageFault.refused("it unpacks to less than declared")
            }
            guard PackageID(Array(rawHash.finalize())) == manifest.rawSHA256 else {
                throw PackageFault.refused("its content has another hash than declared")
            }
            guard rename(partial, rawPath) == 0 else { throw FileFault("rename \(partial) to", rawPath) }
        }
    }

    /// Whatever goes wrong is a fault of the package, of its file or of ours.
    private func telling(_ body: () throws -> Void) throws(PackageFault) {
        do {
            try body()
        } catch let fault as PackageFault {
            throw fault
        } catch let fault as FileFault {
            throw .file(fault)
        } catch {
            throw .failed("the package could not be unpacked: \(error)")
        }
    }

    private func decompress(_ chunk: [UInt8]) throws {
        try chunk.withUnsafeBytes { chunkBytes in
            var source = ZSTD_inBuffer(src: chunkBytes.baseAddress, size: chunkBytes.count, pos: 0)
            var isSpaceFull = false
            repeat {
                try space.withUnsafeMutableBytes { spaceBytes in
                    var target = ZSTD_outBuffer(dst: spaceBytes.baseAddress, size: spaceBytes.count, pos: 0)
                    let left = ZSTD_decompressStream(stream, &target, &source)
                    guard ZSTD_isError(left) == 0 else {
                        throw PackageFault.refused("zstd: \(String(cString: ZSTD_getErrorName(left)))")
                    }
                    isFrameOpen = left != 0
                    isSpaceFull = target.pos == spaceBytes.count
                    total += Int64(target.pos)
                    guard total <= manifest.rawBytes else {
                        throw PackageFault.refused("it unpacks to more than declared")
                    }
                    let unpacked = UnsafeRawBufferPointer(rebasing: spaceBytes[..<target.pos])
                    rawHash.update(bufferPointer: unpacked)
                    try output.write(unpacked)
                }
                // A frame that ends just where the space is full is done: asked again without input, zstd would begin to
                // wait for another one.
            } while source.pos < source.size || (isSpaceFull && isFrameOpen)
        }
    }
}
