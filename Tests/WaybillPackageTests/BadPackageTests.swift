import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel
import WaybillWire

@testable import WaybillPackage

@Suite struct BadPackageTests {
    /// Unpacks and looks inside, as an agent does.
    private func accept(_ sealed: SealedPackage, manifest: Manifest? = nil, in scratch: Scratch) throws {
        let raw = scratch.path + "/out.raw"
        let manifest = manifest ?? sealed.manifest
        try PackageFile.unpack(compressedPath: sealed.path, manifest: manifest, to: raw)
        try PackageFile.check(rawPath: raw, manifest: manifest)
    }

    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "accepted"
        } catch let fault as PackageFault {
            #expect(!fault.isTransient)
            return fault.description
        } catch {
            return "\(error)"
        }
    }

    // MARK: what is inside

    static let spoilers: [(String, String)] = [
        ("CREATE TABLE made.extra (x)", "'extra', which was not declared"),
        ("CREATE VIEW made.extra AS SELECT 1", "'extra', which was not declared"),
        ("CREATE INDEX made.extra ON product (name)", "'extra', which was not declared"),
        ("CREATE TRIGGER made.extra AFTER INSERT ON product BEGIN SELECT 1; END", "'extra', which was not declared"),
        ("CREATE VIRTUAL TABLE made.extra USING fts5(x)", "'extra"),
        ("DROP TABLE made.product__removed", "table product__removed is missing"),
        ("DROP TABLE made.product", "table product is missing"),
        ("ALTER TABLE made.product ADD COLUMN spare TEXT", "'product', which was not declared"),
        ("ALTER TABLE made.product ADD COLUMN twice AS (grade * 2)", "'product', which was not declared"),
        ("ALTER TABLE made.product RENAME COLUMN grade TO class", "'product', which was not declared"),
        (
            "DROP TABLE made.product; CREATE VIEW made.product AS SELECT '1' AS product_id",
            "view 'product', which was not"
        ),
        ("DELETE FROM made.product WHERE grade = 2", "table product has 2 rows, 3 were declared"),
        ("INSERT INTO made.product__removed VALUES ('10')", "table product__removed has 2 rows, 1 were declared"),
    ]

    @Test(arguments: spoilers.indices) func aPackageWithAnythingElseInsideIsRefused(_ index: Int) throws {
        let (spoil, reason) = BadPackageTests.spoilers[index]
        let scratch = try Scratch()
        let sealed = try Parcel(spoil: spoil).seal(in: scratch.path)
        let words = refusal { try accept(sealed, in: scratch) }
        #expect(words.contains(reason), "\(spoil): \(words)")
    }

    @Test func aTableOfTheRightNameAndWrongDeclarationIsRefused() throws {
        let scratch = try Scratch()
        // A rowid table lets a key stand twice.
        let sealed = try Parcel(
            spoil: """
                CREATE TABLE made.product (product_id TEXT, name TEXT, grade INTEGER);
                CREATE TABLE made.product__removed (product_id TEXT);
                """, isPlain: false
        ).seal(in: scratch.path)
        #expect(refusal { try accept(sealed, in: scratch) }.contains("not declared"))
    }

    @Test func aNullWhereThereMayBeNoneIsRefused() throws {
        let scratch = try Scratch()
        let spoil = """
            CREATE TABLE made.product (product_id TEXT NOT NULL, name TEXT, grade INTEGER, PRIMARY KEY (product_id)) WITHOUT ROWID;
            CREATE TABLE made."product__removed" ("product_id" TEXT NOT NULL, PRIMARY KEY ("product_id")) WITHOUT ROWID;
            INSERT INTO made.product VALUES ('1', NULL, NULL), ('2', NULL, 1), ('3', NULL, 1);
            INSERT INTO made.product__removed VALUES ('9');
            PRAGMA made.writable_schema = ON;
            UPDATE made.sqlite_schema SET sql = 'STATEMENT' WHERE name = 'product';
            PRAGMA made.writable_schema = OFF;
            """.replacing("STATEMENT", with: PackageTables.createStatement(Parcel.product, name: "product"))
        let sealed = try Parcel(spoil: spoil, isPlain: false).seal(in: scratch.path)
        #expect(refusal { try accept(sealed, in: scratch) }.contains("NULL value in product.grade"))
    }

    @Test func bytesThatAreNoDatabaseAreRefused() throws {
        let scratch = try Scratch()
        let sealed = try sealBytes(noise(8192), in: scratch.path)
        #expect(refusal { try accept(sealed, in: scratch) }.contains("SQLite cannot read it"))
    }

    @Test func aDatabaseWithADamagedPageIsRefused() throws {
        let scratch = try Scratch()
        let raw = scratch.path + "/damaged.raw"
        var parcel = Parcel()
        parcel.rows = (100_000..<102_000).map { (number: Int) in ["\(number)", "name \(number)", number] }
        try parcel.fill(raw)
        var bytes = try DurableFile.read(raw)
        // The header of a page in the middle: not a kind of page that there is.
        bytes[8 * 4096] = 0x77
        try DurableFile.write(bytes, to: raw)
        let sealed = try PackageSealer.seal(
            rawPath: raw, folder: scratch.path, contents: try parcel.contents(), signingKey: SigningKey())
        #expect(refusal { try accept(sealed, in: scratch) }.contains("SQLite"))
    }

    // MARK: what it is wrapped in

    @Test func everyFlippedByteIsNoticedBeforeUnpacking() throws {
        let scratch = try Scratch()
        let sealed = try Parcel().seal(in: scratch.path)
        let bytes = try DurableFile.read(sealed.path)
        for place in bytes.indices {
            var other = bytes
            other[place] ^= 0x20
            try other.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: sealed.path)) }
            #expect(refusal { try accept(sealed, in: scratch) }.contains("the hash of chunk 0 is not the"))
        }
        #expect(try scratch.files == ["\(sealed.id.hex).zst"])
    }

    @Test func aFileThatIsCutShortIsRefused() throws {
        let scratch = try Scratch()
        let sealed = try Parcel().seal(in: scratch.path)
        #expect(truncate(sealed.path, off_t(sealed.manifest.bytes - 1)) == 0)
        #expect(refusal { try accept(sealed, in: scratch) }.contains("its size is not the declared one"))
    }

    @Test func aFrameThatEndsEarlyIsRefused() throws {
        let scratch = try Scratch()
        let sealed = try sealBytes(noise(100_000), in: scratch.path)
        let half = Array(try DurableFile.read(sealed.path).prefix(50_000))
        #expect(
            refusal { try accept(try wrap(half, like: sealed, in: scratch), in: scratch) }.contains(
                "less than declared"))
    }

    @Test func whatIsNotZstdIsRefused() throws {
        let scratch = try Scratch()
        let sealed = try sealBytes(noise(1000), in: scratch.path)
        #expect(refusal { try accept(try wrap(noise(1000), like: sealed, in: scratch), in: scratch) }.contains("zstd"))
    }

    @Test func aSmallFileThatUnpacksToMoreThanDeclaredIsStopped() throws {
        let scratch = try Scratch()
        let sealed = try sealBytes([UInt8](repeating: 0, count: 32 << 20), in: scratch.path)
        #expect(sealed.manifest.bytes < 10_000)
        var manifest = sealed.manifest
        manifest.rawBytes = 4096
        #expect(refusal { try accept(sealed, manifest: manifest, in: scratch) }.contains("more than declared"))
        #expect(try scratch.files == ["\(sealed.id.hex).zst"])
    }

    @Test func aPackageThatUnpacksToLessThanDeclaredIsRefused() throws {
        let scratch = try Scratch()
        let sealed = try Parcel().seal(in: scratch.path)
        var manifest = sealed.manifest
        manifest.rawBytes += 1
        #expect(refusal { try accept(sealed, manifest: manifest, in: scratch) }.contains("less than declared"))
    }

    @Test func contentOfAnotherHashIsRefused() throws {
        let scratch = try Scratch()
        let sealed = try Parcel().seal(in: scratch.path)
        var manifest = sealed.manifest
        manifest.rawSHA256 = manifest.id
        #expect(refusal { try accept(sealed, manifest: manifest, in: scratch) }.contains("another hash"))
        #expect(try scratch.files == ["\(sealed.id.hex).zst"])
    }

    @Test func aMissingFileIsAFileFaultAndMayHeal() throws {
        let scratch = try Scratch()
        let sealed = try Parcel().seal(in: scratch.path)
        unlink(sealed.path)
        do {
            try PackageFile.unpack(
                compressedPath: sealed.path, manifest: sealed.manifest, to: scratch.path + "/out.raw")
            Issue.record("unpacked what is not there")
        } catch {
            #expect(error.isTransient)
        }
    }

    /// A package of these compressed bytes whose outer hash is right: what only somebody with the hub's key could make.
    private func wrap(_ compressed: [UInt8], like sealed: SealedPackage, in scratch: Scratch) throws -> SealedPackage {
        var other = sealed
        other.path = scratch.path + "/other.zst"
        try DurableFile.write(compressed, to: other.path)
        other.id = sha256(compressed)
        other.manifest.id = other.id
        other.manifest.bytes = Int64(compressed.count)
        (other.manifest.chunkBytes, other.manifest.chunkHashes) = (compressed.count, [other.id])
        return other
    }
}
