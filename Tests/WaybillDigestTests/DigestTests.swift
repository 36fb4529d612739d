import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillDigest
import WaybillModel

/// Sums over rows as SQLite stores them.
@Suite struct DigestTests {
    private func database(_ sql: String = "") throws -> DatabaseQueue {
        let queue = try DatabaseQueue()
        try queue.write { db in
            try DigestFunctions.add(to: db)
            try db.execute(sql: sql)
        }
        return queue
    }

    private func digest(_ queue: DatabaseQueue, _ select: String) throws -> TableDigest {
        try queue.read { db in
            let row = try #require(try Row.fetchOne(db, sql: select))
            return try #require(TableDigest(count: row[0], bytes: row[1] as Data))
        }
    }

    private func digest(ofRow values: String) throws -> TableDigest {
        try digest(try database(), "SELECT count(*), waybill_digest(\(values)) FROM (SELECT 1)")
    }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The values of PROTOCOL.md, worked out with another program.
    @Test func aRowHasTheDigestThatTheProtocolNames() throws {
        let expected = "716e22c59d0f9872485149176f3255c4793252a06908880c1fee1da0f03f5197"
        #expect(Self.hex(try digest(ofRow: "7, 'a', NULL").bytes) == expected)
    }

    /// Values that some way through text or numbers would make alike.
    static let traps = [
        "NULL", "''", "x''", "0", "0.0", "'0'", "'0123'", "123", "'123'", "x'313233'", "9223372036854775807",
        "-9223372036854775808", "9223372036854775806", "9007199254740993", "9007199254740992.0", "1e308 * 10",
        "-1e308 * 10", "'a'", "CAST(x'610062' AS TEXT)", "CAST(x'6100' AS TEXT)", "CAST(x'ff' AS TEXT)",
        "CAST(x'efbfbd' AS TEXT)", "CAST(x'eda080' AS TEXT)", "x'610062'", "'\u{e9}'", "'e\u{301}'", "' 12 '", "'12'",
        "1.0000000000000002", "1.0", "1",
    ]

    @Test func noTwoValuesAreTakenForEachOther() throws {
        var seen: [TableDigest: String] = [:]
        for trap in Self.traps {
            let made = try digest(ofRow: "'k', \(trap)")
            #expect(seen[made] == nil, "\(trap) and \(seen[made] ?? "")")
            seen[made] = trap
        }
        // Where one value ends and the next begins is part of it.
        #expect(try digest(ofRow: "'ab', 'c'") != digest(ofRow: "'a', 'bc'"))
        #expect(try digest(ofRow: "'a', NULL") != digest(ofRow: "'a'"))
    }

    /// What SQLite itself makes of a value when it stores it is the same wherever it is stored: in a table with other
    /// columns, other order, and after a copy.
    @Test func everyStoredValueHasTheSameDigestAtBothEnds() throws {
        let columns = "i INTEGER, r REAL, t TEXT, b BLOB"
        let queue = try database(
            """
            CREATE TABLE hq (_scope TEXT, k TEXT, \(columns), _born INTEGER, PRIMARY KEY (_scope, k)) WITHOUT ROWID;
            CREATE TABLE store (b BLOB, t TEXT, k TEXT PRIMARY KEY, r REAL, i INTEGER) WITHOUT ROWID;
            """)
        let values = Self.traps + ["-0.0", "0.0 * -1", "5", "(SELECT 9e999 - 9e999)"]
        try queue.write { db in
            for (number, value) in values.enumerated() {
                try db.execute(
                    sql: """
                        INSERT INTO hq VALUES ('s', 'k\(number)', \(value), \(value), \(value), \(value), 1)
                        """)
            }
            try db.execute(sql: "INSERT INTO store (k, i, r, t, b) SELECT k, i, r, t, b FROM hq ORDER BY k DESC")
        }
        let select = "SELECT count(*), waybill_digest(k, i, r, t, b) FROM"
        let there = try digest(queue, "\(select) store")
        #expect(try digest(queue, "\(select) hq") == there)
        #expect(there.count == Int64(values.count))
        // Scope by scope, it is the same sum.
        let parts = try ["k < 'k2'", "k >= 'k2'"].map { try digest(queue, "\(select) store WHERE \($0)") }
        #expect(parts[0] + parts[1] == there)
        // Each single byte counts.
        try queue.write { try $0.execute(sql: "UPDATE store SET t = CAST(x'6101' AS TEXT) WHERE k = 'k19'") }
        #expect(try digest(queue, "\(select) store") != there)
    }

    @Test func noRowsAddUpToNothing() throws {
        let queue = try database("CREATE TABLE t (a)")
        #expect(try digest(queue, "SELECT count(*), waybill_digest(a) FROM t") == TableDigest())
    }

    @Test func theDigestsOfRowsAddUpToThatOfTheTable() throws {
        let queue = try database("CREATE TABLE t (a); INSERT INTO t VALUES (1), ('x'), (NULL), (2.5), (x'00')")
        let sum = try queue.read { db in
            try Data.fetchAll(db, sql: "SELECT waybill_row_digest(a) FROM t")
                .reduce(TableDigest()) { $0 + (TableDigest(count: 1, bytes: $1) ?? TableDigest()) }
        }
        #expect(try digest(queue, "SELECT count(*), waybill_digest(a) FROM t") == sum)
    }

    // MARK: keys

    @Test func aKeyComesBackAsItIsStored() throws {
        let keys: [KeyValue] = [
            .integer(.min), .integer(.max), .integer(0), .real(-1.5), .real(.infinity), .real(1e-300), .text([]),
            .text(Array("a'b".utf8)), .text([0x61, 0, 0x62]), .text([0xff]), .blob([]), .blob([0, 255]),
        ]
        let queue = try database("CREATE TABLE t (k PRIMARY KEY, n INTEGER)")
        try queue.write { db in
            for (number, key) in keys.enumerated() {
                let range = KeyRange(lower: [key])
                let literal = KeyCondition.sql(range, columns: ["k"]).replacing("k >= ", with: "", maxReplacements: 1)
                try db.execute(sql: "INSERT INTO t VALUES (\(literal), \(number))")
            }
            let rows = try Row.fetchAll(db, sql: "SELECT n, \(KeyCondition.selected(["k"])) FROM t ORDER BY k")
            #expect(rows.map { KeyCondition.key(in: $0, from: 1, count: 1)[0] } == keys.sorted())
            #expect(rows.count == keys.count)
        }
    }

    @Test func rangesCutATableWithoutGapOrOverlap() throws {
        let queue = try database(
            """
            CREATE TABLE t (a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
            WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 499)
            INSERT INTO t SELECT CAST(x'61' || char(n / 50) AS TEXT), n % 50 FROM n;
            """)
        try queue.read { db in
            let ends: [[KeyValue]] = [
                [.text([0x61, 0]), .integer(7)], [.text([0x61, 3]), .integer(0)], [.text([0x61, 3, 0]), .integer(0)],
                [.text([0x62]), .integer(-1)],
            ]
            var total: Int64 = 0
            var lower: [KeyValue]?
            for upper in ends.map(Optional.some) + [nil] {
                let condition = KeyCondition.sql(KeyRange(lower: lower, upper: upper), columns: ["a", "b"])
                total += try Int64.fetchOne(db, sql: "SELECT count(*) FROM t WHERE \(condition)") ?? -1
                let plan = try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN SELECT count(*) FROM t WHERE \(condition)")
                #expect(plan.allSatisfy { ($0["detail"] as String).contains("SEARCH") }, "\(plan)")
                lower = upper
            }
            #expect(total == 500)
        }
    }

    @Test func joinedRangesStayWithinTheLimitAndLoseNothing() {
        let ranges = (0..<10).map { KeyRange(lower: [.integer($0 * 10)], upper: [.integer($0 * 10 + 5)]) }
        #expect(ranges.shuffled().joined(limit: 10) == ranges)
        #expect((ranges + [KeyRange(lower: [.integer(5)], upper: [.integer(10)])]).joined(limit: 20).count == 9)
        let few = ranges.joined(limit: 3)
        #expect(few.count <= 3)
        #expect(few.first?.lower == [.integer(0)] && few.last?.upper == [.integer(95)])
        #expect([KeyRange(upper: [.integer(3)]), KeyRange(lower: [.integer(2)])].joined(limit: 5) == [.all])
    }
}
