import CZstd
import Crypto
import Foundation
import WaybillDatabase
import WaybillModel
import WaybillWire

/// What the planner knows of a package before it is a file.
public struct PackageContents: Sendable {
    public var job: JobID
    public var session: SessionID
    public var version: Version
    public var kind: PackageKind
    public var bases: [Watermark]
    public var tables: [PackageTable]
    public var created: Timestamp
    public var lockBudgetMilliseconds: Int?

    public init(
        job: JobID, session: SessionID, version: Version, kind: PackageKind, bases: [Watermark], tables: [PackageTable],
        created: Timestamp, lockBudgetMilliseconds: Int? = nil
    ) {
        self.job = job
        self.session = session
        self.version = version
        self.kind = kind
        self.bases = bases
        self.tables = tables
        self.created = created
        self.lockBudgetMilliseconds = lockBudgetMilliseconds
    }
}

/// A package on disk, with its signed description.
public struct SealedPackage: Sendable {
    public var id: PackageID
    public var manifest: Manifest
    public var manifestBytes: [UInt8]
    public var signature: [UInt8]
    public var path: String
}

/// Bounds of packing.
enum PackageLimits {
    /// Read and written at a time: large enough for zstd, small enough that memory does not depend on the package.
    static let pieceBytes = 1 << 20
    /// Level 3: 17 MB of 58 in a third of a second; higher levels cost more than a store's line gives back.
    static let compressionLevel: Int32 = 3
    /// log2 of the window that decompression may use: 128 MiB, far above what level 3 asks for.
    static let windowLogMax: Int32 = 27
}

/// Turns a filled SQLite file into a sealed package: compressed, hashed, signed, durable under its own name.
public enum PackageSealer {
    /// - Parameter rawPath: the SQLite file; it is left where it is.
    /// - Parameter folder: where the sealed file goes, named by its hash.
    public static func seal(
        rawPath: String, folder: String, contents: PackageContents, signingKey: SigningKey
    ) throws -> SealedPackage {
        let partial = folder + "/" + (rawPath as NSString).lastPathComponent + ".partial"
        defer { unlink(partial) }
        let (rawHash, rawBytes) = try compress(rawPath, to: partial)
        // Chunk hashes need the chunk size, which needs the compressed size; so they are a second pass, over a file
        // that is still in the page cache and is hashed at a gigabyte a second.
        let hashes = try hashChunks(partial)
        let manifest = Manifest(
            job: contents.job, session: contents.session, version: contents.version, kind: contents.kind,
            bases: contents.bases, tables: contents.tables, created: contents.created,
            lockBudgetMilliseconds: contents.lockBudgetMilliseconds, id: hashes.whole, bytes: hashes.bytes,
            chunkBytes: hashes.chunkBytes, chunkHashes: hashes.chunks, rawSHA256: rawHash, rawBytes: rawBytes)
        let bytes = try manifest.encoded()
        try checkAsAgentsDo(bytes)
        let path = folder + "/" + hashes.whole.hex + ".zst"
        try DurableFile.sync(partial)
        try DurableFile.rename(partial, to: path)
        return SealedPackage(
            id: hashes.whole, manifest: manifest, manifestBytes: bytes, signature: try signingKey.sign(manifest: bytes),
            path: path)
    }

    /// What every agent would refuse is refused here, before it is offered to one.
    private static func checkAsAgentsDo(_ manifest: [UInt8]) throws {
        // It travels in one message, like a chunk.
        guard manifest.count <= Limits.chunkBytesMax else {
            throw PackageFault.failed(
                "the package's description has \(manifest.count) bytes; \(Limits.chunkBytesMax) are the limit: "
                    + "the job has too many tables or columns")
        }
        do { _ = try Manifest(decoding: manifest) } catch {
            throw PackageFault.failed("stores would refuse the package: \(error)")
        }
    }

    private static func compress(_ rawPath: String, to path: String) throws -> (hash: PackageID, bytes: Int64) {
        let input = try InputFile(rawPath)
        let output = try OutputFile(path)
        guard let stream = ZSTD_createCStream() else { throw PackageFault.failed("zstd could not be started") }
        defer { ZSTD_freeCStream(stream) }
        ZSTD_CCtx_setParameter(stream, ZSTD_c_compressionLevel, PackageLimits.compressionLevel)
        ZSTD_CCtx_setParameter(stream, ZSTD_c_checksumFlag, 1)
        var hasher = SHA256()
        var bytes: Int64 = 0
        var space = [UInt8](repeating: 0, count: ZSTD_CStreamOutSize())
        var isLast = false
        while !isLast {
            let piece = try input.next(PackageLimits.pieceBytes)
            isLast = piece.count < PackageLimits.pieceBytes
            hasher.update(data: piece)
            bytes += Int64(piece.count)
            let directive = isLast ? ZSTD_e_end : ZSTD_e_continue
            try piece.withUnsafeBytes { pieceBytes in
                var source = ZSTD_inBuffer(src: pieceBytes.baseAddress, size: pieceBytes.count, pos: 0)
                var left = 0
                repeat {
                    try space.withUnsafeMutableBytes { spaceBytes in
                        var target = ZSTD_outBuffer(dst: spaceBytes.baseAddress, size: spaceBytes.count, pos: 0)
                        left = ZSTD_compressStream2(stream, &target, &source, directive)
                        guard ZSTD_isError(left) == 0 else {
                            throw PackageFault.failed("zstd: \(String(cString: ZSTD_getErrorName(left)))")
                        }
                        try output.write(UnsafeRawBufferPointer(rebasing: spaceBytes[..<target.pos]))
                    }
                } while isLast ? left != 0 : source.pos < source.size
            }
        }
        guard let hash = PackageID(Array(hasher.finalize())) else { throw PackageFault.failed("SHA-256 failed") }
        return (hash, bytes)
    }

    /// The chunk size of a package: the smallest that keeps its hashes few enough for one manifest.
    static func chunkBytes(forPackageOf bytes: Int64) -> Int {
        var chunkBytes = Limits.chunkBytesMin
        while Int64(chunkBytes) * Int64(Limits.chunksMax) < bytes { chunkBytes *= 2 }
        return chunkBytes
    }

    private struct Hashes {
        var whole: PackageID
        var bytes: Int64
        var chunkBytes: Int
        var chunks: [PackageID]
    }

    private static func hashChunks(_ path: String) throws -> Hashes {
        let input = try InputFile(path)
        let bytes = try input.size()
        guard bytes <= Limits.packageBytesMax else {
            throw PackageFault.failed("the package has \(bytes) bytes; \(Limits.packageBytesMax) are the limit")
        }
        let chunkBytes = PackageSealer.chunkBytes(forPackageOf: bytes)
        var whole = SHA256()
        var chunks: [PackageID] = []
        while true {
            let chunk = try input.next(chunkBytes)
            if chunk.isEmpty { break }
            whole.update(data: chunk)
            chunks.append(sha256(chunk))
        }
        guard let id = PackageID(Array(whole.finalize())) else { throw PackageFault.failed("SHA-256 failed") }
        return Hashes(whole: id, bytes: bytes, chunkBytes: chunkBytes, chunks: chunks)
    }
}

/// The SHA-256 of some bytes.
func sha256(_ bytes: [UInt8]) -> PackageID {
    // A SHA-256 has 32 bytes, always; the fallback is unreachable.
    PackageID(Array(SHA256.hash(data: bytes))) ?? zeroHash
}

private let zeroHash = PackageID(hex: String(repeating: "0", count: 64)).unsafelyUnwrapped
