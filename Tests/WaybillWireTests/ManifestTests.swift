import Foundation
import Testing
import WaybillModel

@testable import WaybillWire

/// A delta of two tables and three chunks; tests change one thing about it.
func sampleManifest() throws -> Manifest {
    let base = Watermark(
        version: Version(epoch: 1, number: 41), session: try #require(SessionID("7-00000000002a")))
    let product = TableShape(
        name: "product",
        columns: [
            ColumnShape("product_id", .text), ColumnShape("weight", .real, nullable: true),
            ColumnShape("picture", .blob, nullable: true), ColumnShape("grade", .integer),
        ],
        key: ["product_id"])
    let price = TableShape(
        name: "price", columns: [ColumnShape("zone", .text), ColumnShape("product_id", .text)],
        key: ["zone", "product_id"])
    return Manifest(
        job: try #require(JobID("prices")), session: try #require(SessionID("8-0123456789ab")),
        version: Version(epoch: 1, number: 42), kind: .delta, bases: [base],
        tables: [
            PackageTable(shape: product, rows: 3, removed: 1), PackageTable(shape: price, rows: 0, removed: 0),
        ],
        created: Timestamp(milliseconds: 1_700_000_000_123), id: try hash(1), bytes: 300_000, chunkBytes: 131_072,
        chunkHashes: [try hash(2), try hash(3), try hash(4)], rawSHA256: try hash(5), rawBytes: 900_000)
}

func hash(_ fill: UInt8) throws -> PackageID { try #require(PackageID([UInt8](repeating: fill, count: 32))) }

@Suite struct ManifestTests {
    @Test func aManifestComesBackAsItWas() throws {
        let manifest = try sampleManifest()
        #expect(try Manifest(decoding: try manifest.encoded()) == manifest)
    }

    @Test func whatAJobSaysAboutItsTablesComesBackAsItWas() throws {
        var manifest = try sampleManifest()
        manifest.tables[0].formerNames = ["weight": "mass", "grade": "class"]
        manifest.lockBudgetMilliseconds = 20
        #expect(try Manifest(decoding: try manifest.encoded()) == manifest)
        manifest.tables[1].isWhole = true
        manifest.tables[1].keepsRows = true
        #expect(try Manifest(decoding: try manifest.encoded()) == manifest)
    }

    /// Agents that know only format 1 go on with every job that does not need more.
    @Test func theFormatIsTheOldestThatSaysItAll() throws {
        var manifest = try sampleManifest()
        manifest.tables[0].formerNames = ["weight": "mass"]
        manifest.lockBudgetMilliseconds = 20
        #expect(try WireManifest(serializedBytes: try manifest.encoded()).format == 1)
        manifest.tables[1].isWhole = true
        #expect(try WireManifest(serializedBytes: try manifest.encoded()).format == 2)
        manifest.tables[1].isWhole = false
        manifest.tables[1].keepsRows = true
        #expect(try WireManifest(serializedBytes: try manifest.encoded()).format == 2)
        manifest.tables[1].ranges = [
            KeyRange(lower: [.text([0, 0xff]), .integer(.min)], upper: [.blob([1]), .real(2)])
        ]
        #expect(try WireManifest(serializedBytes: try manifest.encoded()).format == 3)
        #expect(try Manifest(decoding: try manifest.encoded()) == manifest)
    }

    @Test func aLockBudgetBeyondAllPatienceIsCut() throws {
        var manifest = try sampleManifest()
        manifest.lockBudgetMilliseconds = 1_000_000
        let read = try Manifest(decoding: try manifest.encoded())
        #expect(read.lockBudgetMilliseconds == Limits.lockBudgetMillisecondsMax)
    }

    @Test func theSameManifestHasTheSameBytes() throws {
        #expect(try sampleManifest().encoded() == sampleManifest().encoded())
    }

    @Test func theLastChunkIsWhatIsLeft() throws {
        let manifest = try sampleManifest()
        #expect((0..<3).map(manifest.chunkLength) == [131_072, 131_072, 37_856])
    }

    /// Each of these is something the hub's own code would not write, and that an agent must not believe.
    static let spoilers: [(String, @Sendable (inout WireManifest) -> Void)] = [
        ("format", { $0.format = 4 }),
        ("a repair in an older format", { $0.tables[1].ranges = [WireKeyRange()] }),
        (
            "a repair that removes rows",
            {
                $0.format = 3; $0.tables[0].ranges = [WireKeyRange()]
            }
        ),
        (
            "a repair of a whole table",
            {
                $0.format = 3; $0.tables[1].whole = true; $0.tables[1].ranges = [WireKeyRange()]
            }
        ),
        (
            "a range of too few values",
            {
                var range = WireKeyRange()
                range.lower = [WireKeyValue.with { $0.integer = 1 }]
                $0.format = 3; $0.tables[1].ranges = [range]
            }
        ),
        (
            "too many ranges",
            {
                $0.format = 3; $0.tables[1].ranges = Array(repeating: WireKeyRange(), count: 257)
            }
        ),
        ("no format", { $0.format = 0 }),
        ("table of a newer format", { $0.tables[1].whole = true }),
        ("another table of a newer format", { $0.tables[1].keeps = true }),
        (
            "whole table that removes",
            {
                $0.format = 2; $0.tables[0].whole = true
            }
        ),
        (
            "kept rows that are removed",
            {
                $0.format = 2; $0.tables[0].keeps = true
            }
        ),
        (
            "whole table of a full package",
            {
                $0.format = 2; $0.kind = .full; $0.bases = []
                $0.tables[0].removed = 0; $0.tables[1].whole = true
            }
        ),
        ("former name", { $0.tables[0].columns[1].formerName = "we ight" }),
        ("job", { $0.job = "" }),
        ("session", { $0.session = "8" }),
        ("kind", { $0.kind = .unspecified }),
        ("unknown kind", { $0.kind = .UNRECOGNIZED(9) }),
        ("delta without base", { $0.bases = [] }),
        (
            "full with base",
            {
                $0.kind = .full; $0.tables[0].removed = 0
            }
        ),
        (
            "full that removes",
            {
                $0.kind = .full; $0.bases = []
            }
        ),
        ("too many bases", { $0.bases = Array(repeating: $0.bases[0], count: Limits.basesMax + 1) }),
        ("base of another job", { $0.bases[0].job = "assortments" }),
        ("base without session", { $0.bases[0].session = "" }),
        ("no tables", { $0.tables = [] }),
        ("too many tables", { $0.tables = Array(repeating: $0.tables[0], count: Limits.tablesMax + 1) }),
        ("same table twice", { $0.tables.append($0.tables[0]) }),
        ("same table in capitals", { $0.tables[1].name = "PRODUCT" }),
        ("table like the keys of another", { $0.tables[1].name = "product__removed" }),
        ("table name", { $0.tables[0].name = "a\"; DROP TABLE product; --" }),
        ("one of SQLite's tables", { $0.tables[0].name = "sqlite_master" }),
        ("one of our tables", { $0.tables[0].name = "_waybill_meta" }),
        ("column name", { $0.tables[0].columns[1].name = "we ight" }),
        ("column twice", { $0.tables[0].columns[1].name = "grade" }),
        ("column type", { $0.tables[0].columns[1].type = .unspecified }),
        ("no columns", { $0.tables[0].columns = [] }),
        ("too many columns", { $0.tables[0].columns = Array(repeating: $0.tables[0].columns[0], count: 201) }),
        ("no key", { $0.tables[0].key = [] }),
        ("key that is no column", { $0.tables[0].key = ["barcode"] }),
        ("nullable key", { $0.tables[0].key = ["weight"] }),
        ("negative rows", { $0.tables[0].rows = -1 }),
        ("negative removals", { $0.tables[0].removed = -1 }),
        ("hash too short", { $0.sha256.removeLast() }),
        ("raw hash missing", { $0.rawSha256 = Data() }),
        ("chunk hash too long", { $0.chunkSha256[1].append(0) }),
        ("chunk missing", { $0.chunkSha256.removeLast() }),
        ("chunk too many", { $0.chunkSha256.append($0.chunkSha256[0]) }),
        ("no chunk size", { $0.chunkBytes = 0 }),
        ("chunk size", { $0.chunkBytes = UInt32(Limits.chunkBytesMax) + 1 }),
        (
            "no bytes",
            {
                $0.bytes = 0; $0.chunkSha256 = []
            }
        ),
        ("negative bytes", { $0.bytes = -1 }),
        ("bytes beyond the limit", { $0.bytes = Limits.packageBytesMax + 1 }),
        ("bytes that overflow", { $0.bytes = .max }),
        ("raw bytes", { $0.rawBytes = Limits.rawBytesMax + 1 }),
        ("no raw bytes", { $0.rawBytes = 0 }),
    ]

    @Test(arguments: spoilers.indices) func whatCannotBeIsRefused(_ index: Int) throws {
        let (name, spoil) = ManifestTests.spoilers[index]
        var wire = try WireManifest(serializedBytes: try sampleManifest().encoded())
        spoil(&wire)
        let bytes: [UInt8] = try wire.serializedBytes()
        #expect(throws: ManifestFault.self, "\(name)") { try Manifest(decoding: bytes) }
    }

    @Test func mutilatedManifestsAreRefusedOrReadNeverACrash() throws {
        let original = try sampleManifest().encoded()
        var random = SplitMix(seed: 20_240_807)
        var refused = 0
        for _ in 0..<10_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
                case 2: bytes.insert(UInt8.random(in: .min ... .max, using: &random), at: place)
                default: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...40, using: &random)))
                }
                if bytes.isEmpty { bytes = [0] }
            }
            do {
                let manifest = try Manifest(decoding: bytes)
                // What is believed keeps its promises: all lengths can be computed, all names can be quoted.
                #expect(
                    manifest.chunkHashes.indices.allSatisfy {
                        (1...Limits.chunkBytesMax).contains(manifest.chunkLength($0))
                    })
                #expect(manifest.tables.allSatisfy { $0.shape.fault == nil })
            } catch {
                refused += 1
            }
        }
        #expect(refused > 5_000)
    }
}
