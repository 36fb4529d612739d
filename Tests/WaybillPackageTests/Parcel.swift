import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillWire

/// A folder that goes away with its test.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "waybill-\(UUID().uuidString)"
        try DurableFile.createFolder(path)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var files: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
}

/// A package as a test writes it down: sealed as the hub does, spoiled as nobody should.
struct Parcel {
    static let product = TableShape(
        name: "product",
        columns: [
            ColumnShape("product_id", .text), ColumnShape("name", .text, nullable: true),
            ColumnShape("grade", .integer),
        ],
        key: ["product_id"])

    var rows: [[(any DatabaseValueConvertible)?]] = [["1", "Tea", 1], ["2", nil, 2], ["3", "Čaj 🫖", 3]]
    var removed: [String] = ["9"]
    /// What is run on the file before it is sealed, instead of making and filling the tables when `isPlain` is off.
    var spoil = ""
    var isPlain = true

    func fill(_ path: String) throws {
        let queue = try DatabaseQueue()
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "ATTACH DATABASE ? AS made", arguments: [path])
            if isPlain {
                try PackageTables.create(Parcel.product, schema: "made", in: db)
                for row in rows {
                    try db.execute(sql: "INSERT INTO made.product VALUES (?, ?, ?)", arguments: StatementArguments(row))
                }
                for key in removed {
                    try db.execute(sql: "INSERT INTO made.product__removed VALUES (?)", arguments: [key])
                }
            }
            if !spoil.isEmpty { try db.execute(sql: spoil) }
            try db.execute(sql: "DETACH DATABASE made")
        }
        try queue.close()
    }

    func contents() throws -> PackageContents {
        let base = Watermark(version: Version(epoch: 1, number: 1), session: SessionID(number: 1, random: 1))
        return PackageContents(
            job: try #require(JobID("assortments")), session: SessionID(number: 2, random: 2),
            version: Version(epoch: 1, number: 2), kind: .delta, bases: [base],
            tables: [PackageTable(shape: Parcel.product, rows: Int64(rows.count), removed: Int64(removed.count))],
            created: Timestamp(milliseconds: 1))
    }

    func seal(in folder: String, key: SigningKey = SigningKey()) throws -> SealedPackage {
        let raw = folder + "/parcel.raw"
        defer { unlink(raw) }
        unlink(raw)
        try fill(raw)
        return try PackageSealer.seal(rawPath: raw, folder: folder, contents: try contents(), signingKey: key)
    }
}

/// Seals bytes that are no database: for what happens before anybody looks inside.
func sealBytes(_ bytes: [UInt8], in folder: String) throws -> SealedPackage {
    let raw = folder + "/bytes.raw"
    try DurableFile.write(bytes, to: raw)
    defer { unlink(raw) }
    return try PackageSealer.seal(
        rawPath: raw, folder: folder, contents: try Parcel().contents(), signingKey: SigningKey())
}

extension ChunkReader {
    /// An index beyond the file gives no bytes.
    func chunk(_ index: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: length(of: index))
        try bytes.withUnsafeMutableBytes { try read(index, into: $0) }
        return bytes
    }
}

/// Bytes that do not compress, always the same for one seed.
func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 33)
    }
}
