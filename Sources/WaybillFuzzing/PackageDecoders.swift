import Crypto
import Foundation
import GRDB
import Synchronization
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillWire

/// Packages whose outer hash is right: what only somebody with the hub's signing key could send.
extension FuzzedDecoder {
    /// The SQLite file inside.
    static func package() throws -> FuzzedDecoder {
        let bench = try PackageBench()
        return FuzzedDecoder(name: "package", kind: .bytes, corpus: [bench.raw]) { try bench.look(into: $0) }
    }

    /// The compressed file around it.
    static func packageStream() throws -> FuzzedDecoder {
        let bench = try PackageBench()
        return FuzzedDecoder(name: "package-stream", kind: .bytes, corpus: [bench.compressed]) {
            try bench.unpack($0)
        }
    }
}

/// A real package, and a folder in memory for damaged ones. Goes away with the last decoder that uses it.
private final class PackageBench: Sendable {
    private static let table = TableShape(
        name: "product", columns: [ColumnShape("product_id", .text), ColumnShape("grade", .integer, nullable: true)],
        key: ["product_id"])

    let raw: [UInt8]
    let compressed: [UInt8]
    private let sealed: SealedPackage
    private let folder: String

    init() throws {
        // In memory where that is possible: what is written and synced a thousand times a second wears a disk out.
        let root = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        folder = root + "/waybill-fuzz-\(UInt64.random(in: .min ... .max))"
        try DurableFile.createFolder(folder, mode: 0o700)
        let path = folder + "/whole.raw"
        let queue = try DatabaseQueue()
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "ATTACH DATABASE ? AS made; PRAGMA made.page_size = 512", arguments: [path])
            try PackageTables.create(PackageBench.table, schema: "made", in: db)
            for number in 1...60 {
                try db.execute(sql: "INSERT INTO made.product VALUES (?, ?)", arguments: ["product \(number)", number])
            }
            try db.execute(sql: "DETACH DATABASE made")
        }
        try queue.close()
        let base = Watermark(version: Version(epoch: 1, number: 1), session: SessionID(number: 1, random: 1))
        let contents = PackageContents(
            job: Samples.job, session: SessionID(number: 2, random: 2), version: Version(epoch: 1, number: 2),
            kind: .delta, bases: [base], tables: [PackageTable(shape: PackageBench.table, rows: 60, removed: 0)],
            created: Timestamp(milliseconds: 1))
        sealed = try PackageSealer.seal(
            rawPath: path, folder: folder, contents: contents, signingKey: SigningKey())
        raw = try DurableFile.read(path)
        compressed = try DurableFile.read(sealed.path)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// - Returns: whether it would be applied.
    func look(into bytes: [UInt8]) throws -> Bool {
        let path = folder + "/damaged.raw"
        guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else { return false }
        do { try PackageFile.check(rawPath: path, manifest: sealed.manifest) } catch let fault {
            try expect(!fault.isTransient, "a damaged package is tried again: \(fault)")
            return false
        }
        return true
    }

    func unpack(_ bytes: [UInt8]) throws -> Bool {
        let path = folder + "/damaged.zst"
        let target = folder + "/unpacked.raw"
        guard FileManager.default.createFile(atPath: path, contents: Data(bytes)),
            let id = PackageID(Array(SHA256.hash(data: bytes)))
        else { return false }
        var manifest = sealed.manifest
        manifest.id = id
        manifest.bytes = Int64(bytes.count)
        (manifest.chunkBytes, manifest.chunkHashes) = (max(1, bytes.count), [id])
        defer { unlink(target) }
        do { try PackageFile.unpack(compressedPath: path, manifest: manifest, to: target) } catch {
            try expect(access(target, F_OK) != 0, "a refused package was left unpacked")
            try expect(access(target + ".partial", F_OK) != 0, "half of a refused package was left")
            return false
        }
        try expect(try DurableFile.read(target) == raw, "it was taken with another content")
        return true
    }
}
