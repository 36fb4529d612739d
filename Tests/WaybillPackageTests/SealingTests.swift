import Crypto
import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel
import WaybillWire

@testable import WaybillPackage

@Suite struct SealingTests {
    @Test func aSealedPackageUnpacksToTheSameDatabase() throws {
        let scratch = try Scratch()
        let sealed = try Parcel().seal(in: scratch.path)
        #expect(try scratch.files == ["\(sealed.id.hex).zst"])
        let raw = scratch.path + "/out.raw"
        try PackageFile.unpack(compressedPath: sealed.path, manifest: sealed.manifest, to: raw)
        try PackageFile.check(rawPath: raw, manifest: sealed.manifest)
        let queue = try DatabaseQueue(path: raw)
        let rows = try queue.read {
            try String.fetchAll($0, sql: "SELECT product_id || coalesce(name, '-') FROM product")
        }
        #expect(rows == ["1Tea", "2-", "3Čaj 🫖"])
        #expect(try queue.read { try String.fetchAll($0, sql: "SELECT * FROM product__removed") } == ["9"])
    }

    @Test func whatIsSignedIsTheManifest() throws {
        let scratch = try Scratch()
        let key = SigningKey()
        let sealed = try Parcel().seal(in: scratch.path, key: key)
        let opened = try key.verifyingKey.openManifest(sealed.manifestBytes, signature: sealed.signature)
        #expect(opened == sealed.manifest)
        #expect(opened.id == sealed.id)
    }

    @Test func theSameRowsGiveTheSamePackage() throws {
        let scratch = try Scratch()
        #expect(try Parcel().seal(in: scratch.path).id == Parcel().seal(in: scratch.path).id)
    }

    @Test func keyColumnsMayStandAnywhere() throws {
        let shape = TableShape(
            name: "pair",
            columns: [ColumnShape("x", .real, nullable: true), ColumnShape("a", .text), ColumnShape("b", .integer)],
            key: ["b", "a"])
        #expect(
            PackageTables.createStatement(shape, name: "pair") == """
                CREATE TABLE "pair" ("x" REAL, "a" TEXT NOT NULL, "b" INTEGER NOT NULL, PRIMARY KEY ("b", "a")) WITHOUT ROWID
                """)
        let scratch = try Scratch()
        let raw = scratch.path + "/pair.raw"
        let queue = try DatabaseQueue(path: raw)
        try queue.write { db in
            try PackageTables.create(shape, schema: "main", in: db)
            try db.execute(sql: "INSERT INTO pair (x, a, b) VALUES (NULL, 'y', 1), (1, 'z', 2)")
        }
        try queue.close()
        var contents = try Parcel().contents()
        contents.tables = [PackageTable(shape: shape, rows: 2, removed: 0)]
        let sealed = try PackageSealer.seal(
            rawPath: raw, folder: scratch.path, contents: contents, signingKey: SigningKey())
        try PackageFile.check(rawPath: raw, manifest: sealed.manifest)
    }

    @Test func aStoresTableHasItsKeyFirstAndPassesEveryCheck() throws {
        let shape = TableShape(
            name: "pair",
            columns: [ColumnShape("x", .real, nullable: true), ColumnShape("a", .text), ColumnShape("b", .integer)],
            key: ["b", "a"])
        let statement = """
            CREATE TABLE "pair" ("b" INTEGER NOT NULL, "a" TEXT NOT NULL, "x" REAL, PRIMARY KEY ("b", "a")) WITHOUT ROWID
            """
        #expect(PackageTables.storeStatement(shape, name: "pair") == statement)
        let verdict = try DatabaseQueue().write { db in
            try db.execute(sql: PackageTables.storeStatement(shape, name: "pair", schema: "main"))
            try db.execute(sql: "INSERT INTO pair (x, a, b) VALUES (NULL, 'y', 1)")
            return try String.fetchAll(db, sql: "SELECT sql FROM sqlite_schema")
                + String.fetchAll(db, sql: "PRAGMA integrity_check")
        }
        #expect(verdict == [statement, "ok"])
    }

    @Test(arguments: [0, 1, 4096, 1 << 20, (1 << 20) + 1, 2 << 20, 3 << 20])
    func anySizeComesBack(_ size: Int) throws {
        let scratch = try Scratch()
        for bytes in [noise(size), [UInt8](repeating: 7, count: size)] {
            guard size > 0 else {
                // Nothing at all is no database, and stores would say so.
                #expect(throws: PackageFault.self) { try sealBytes(bytes, in: scratch.path) }
                continue
            }
            let sealed = try sealBytes(bytes, in: scratch.path)
            let raw = scratch.path + "/out.raw"
            try PackageFile.unpack(compressedPath: sealed.path, manifest: sealed.manifest, to: raw)
            #expect(try DurableFile.read(raw, bytesMax: 4 << 20) == bytes)
        }
    }

    @Test func chunksGrowWithThePackage() {
        let smallest = Int64(Limits.chunkBytesMin) * Int64(Limits.chunksMax)
        #expect(PackageSealer.chunkBytes(forPackageOf: 1) == Limits.chunkBytesMin)
        #expect(PackageSealer.chunkBytes(forPackageOf: smallest) == Limits.chunkBytesMin)
        #expect(PackageSealer.chunkBytes(forPackageOf: smallest + 1) == 2 * Limits.chunkBytesMin)
        #expect(PackageSealer.chunkBytes(forPackageOf: Limits.packageBytesMax) == Limits.chunkBytesMax)
    }

    @Test func chunksAreThePackageInPieces() throws {
        let scratch = try Scratch()
        let sealed = try sealBytes(noise(300_000), in: scratch.path)
        let reader = try ChunkReader(path: sealed.path)
        #expect(sealed.manifest.chunkHashes.count == 3)
        var all: [UInt8] = []
        for index in sealed.manifest.chunkHashes.indices {
            let chunk = try reader.chunk(index)
            #expect(chunk.count == sealed.manifest.chunkLength(index))
            #expect(PackageID(Array(SHA256.hash(data: chunk))) == sealed.manifest.chunkHashes[index])
            all += chunk
        }
        #expect(PackageID(Array(SHA256.hash(data: all))) == sealed.id)
        #expect(try reader.chunk(3).isEmpty)
    }

    @Test func whatStoresWouldRefuseIsNotSealed() throws {
        let scratch = try Scratch()
        let raw = scratch.path + "/parcel.raw"
        try Parcel().fill(raw)
        var contents = try Parcel().contents()
        contents.bases = []
        #expect(throws: PackageFault.self) {
            try PackageSealer.seal(rawPath: raw, folder: scratch.path, contents: contents, signingKey: SigningKey())
        }
        #expect(try scratch.files == ["parcel.raw"])
    }
}
