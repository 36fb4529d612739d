import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel
import WaybillWire

@testable import WaybillPackage

/// Packages as somebody with the hub's signing key might make them, and what a store does about it.
@Suite struct HostilePackageTests {
    private func refusal(_ sealed: SealedPackage, _ manifest: Manifest? = nil, in scratch: Scratch) -> String {
        let raw = scratch.path + "/out.raw"
        let manifest = manifest ?? sealed.manifest
        do throws(PackageFault) {
            try PackageFile.unpack(compressedPath: sealed.path, manifest: manifest, to: raw)
            try PackageFile.check(rawPath: raw, manifest: manifest)
            return "accepted"
        } catch {
            #expect(!error.isTransient)
            return error.description
        }
    }

    private static let removed = """
        CREATE TABLE made."product__removed" ("product_id" TEXT NOT NULL, PRIMARY KEY ("product_id")) WITHOUT ROWID;
        INSERT INTO made.product__removed VALUES ('9');
        """

    /// The declared table with something more in its declaration.
    private static func product(_ columns: String, _ options: String = "WITHOUT ROWID") -> String {
        removed + "CREATE TABLE made.product (\(columns), PRIMARY KEY (product_id)) \(options);"
            + "INSERT INTO made.product (product_id, name, grade) VALUES ('1', 'Tea', 1), ('2', 'x', 2), ('3', 'y', 3);"
    }

    @Test(arguments: [
        product("product_id TEXT NOT NULL, name TEXT, grade INTEGER NOT NULL CHECK (grade > 0)"),
        product("product_id TEXT NOT NULL COLLATE NOCASE, name TEXT, grade INTEGER NOT NULL"),
        product("product_id TEXT NOT NULL, name TEXT DEFAULT (hex(randomblob(9))), grade INTEGER NOT NULL"),
        product("product_id TEXT NOT NULL, name TEXT, grade INTEGER NOT NULL, v AS (abs(grade)) VIRTUAL"),
        product("product_id TEXT NOT NULL, name TEXT, grade INTEGER NOT NULL, v AS (abs(grade)) STORED"),
        product("product_id TEXT NOT NULL, name TEXT, grade INTEGER NOT NULL", ""),
        product("product_id TEXT NOT NULL, name TEXT, grade INTEGER NOT NULL", "STRICT, WITHOUT ROWID"),
        product("product_id TEXT NOT NULL, name TEXT, grade INTEGER NOT NULL ON CONFLICT REPLACE"),
    ]) func aDeclarationThatSaysMoreIsRefused(spoil: String) throws {
        let scratch = try Scratch()
        let sealed = try Parcel(spoil: spoil, isPlain: false).seal(in: scratch.path)
        #expect(refusal(sealed, in: scratch).contains("which was not declared"))
    }

    @Test(arguments: [
        "ANALYZE made", "CREATE VIRTUAL TABLE made.r USING rtree(id, a, b)",
        "CREATE TABLE made.counted (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE TABLE made.\"_waybill_watermark\" (job)", "CREATE TABLE made.hidden (x, y)",
        "CREATE UNIQUE INDEX made.one ON product (grade)",
    ]) func whateverElseLiesInThePackageIsRefused(spoil: String) throws {
        let scratch = try Scratch()
        let sealed = try Parcel(spoil: spoil).seal(in: scratch.path)
        #expect(refusal(sealed, in: scratch).contains("which was not declared"))
    }

    @Test func aStatementThatIsNotTheTablesOwnIsRefused() throws {
        let scratch = try Scratch()
        // What stands in the schema is right, and what SQLite makes of the file is not: the root page is another table's.
        let spoil = """
            PRAGMA made.writable_schema = ON;
            UPDATE made.sqlite_schema SET rootpage =
                (SELECT rootpage FROM made.sqlite_schema WHERE name = 'product__removed') WHERE name = 'product';
            PRAGMA made.writable_schema = OFF;
            """
        let sealed = try Parcel(spoil: spoil).seal(in: scratch.path)
        #expect(refusal(sealed, in: scratch) != "accepted")
    }

    @Test func tenGigabytesOfZerosAreStoppedAtTheDeclaredSize() throws {
        let scratch = try Scratch()
        // 80 frames of 128 MiB, each of some 12 KB.
        let frame = try sealBytes([UInt8](repeating: 0, count: 128 << 20), in: scratch.path)
        let one = try DurableFile.read(frame.path)
        let bomb = [UInt8](Array(repeating: one, count: 80).joined())
        #expect(bomb.count < 2 << 20)
        var sealed = frame
        sealed.path = scratch.path + "/bomb.zst"
        try DurableFile.write(bomb, to: sealed.path)
        var manifest = sealed.manifest
        manifest.id = sha256(bomb)
        manifest.bytes = Int64(bomb.count)
        (manifest.chunkBytes, manifest.chunkHashes) = (bomb.count, [manifest.id])
        manifest.rawBytes = 4 << 20
        #expect(refusal(sealed, manifest, in: scratch).contains("it unpacks to more than declared"))
        #expect(try scratch.files.allSatisfy { $0.hasSuffix(".zst") }, "nothing of it is left")
    }

    @Test func aManifestCannotDeclareMoreThanTheLimit() throws {
        let scratch = try Scratch()
        var manifest = try Parcel().seal(in: scratch.path).manifest
        manifest.rawBytes = Limits.rawBytesMax + 1
        #expect(throws: ManifestFault.self) { try Manifest(decoding: try manifest.encoded()) }
        manifest.rawBytes = .max
        #expect(throws: ManifestFault.self) { try Manifest(decoding: try manifest.encoded()) }
    }

    @Test func chunksOfAnotherPackageDoNotGoIn() throws {
        let scratch = try Scratch()
        let mine = try sealBytes(noise(400_000, seed: 1), in: scratch.path)
        let other = try sealBytes(noise(400_000, seed: 2), in: scratch.path)
        #expect(mine.manifest.chunkHashes.count > 2)
        let file = try IncomingFile.open(folder: scratch.path, manifest: mine.manifest)
        let foreign = try ChunkReader(path: other.path)
        let own = try ChunkReader(path: mine.path)
        #expect(try !file.write(try foreign.chunk(1), at: 1))
        // Nor does a chunk of the same package at another place.
        #expect(try !file.write(try own.chunk(0), at: 1))
        #expect(file.held == [Bool](repeating: false, count: mine.manifest.chunkHashes.count))
        #expect(try file.write(try own.chunk(1), at: 1))
    }

    @Test func aChunkBeyondTheEndIsRefused() throws {
        let scratch = try Scratch()
        let sealed = try sealBytes(noise(1000), in: scratch.path)
        let file = try IncomingFile.open(folder: scratch.path, manifest: sealed.manifest)
        #expect(try !file.write([1], at: 1))
        #expect(try !file.write([1], at: .max))
        #expect(try !file.write([1], at: -1))
    }
}
