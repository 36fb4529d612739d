import Foundation
import GRDB
import Testing
import WaybillCapture
import WaybillDatabase

/// Whoever writes, with whatever SQL: the keys that changed are in the log.
@Suite struct CaptureTests {
    private func headquarters() throws -> DatabaseQueue {
        let queue = try DatabaseQueue()
        try queue.write { try HQSchema.install(in: $0) }
        return queue
    }

    private func keys(after version: Int64, in db: Database) throws -> [String] {
        try String.fetchAll(
            db,
            sql: """
                SELECT s.table_name || ':' || c.k1 || coalesce('/' || c.k2, '') FROM _waybill_change AS c
                JOIN _waybill_subject AS s ON s.id = c.subject WHERE c.version > ? ORDER BY c.version
                """, arguments: [version])
    }

    @Test func insertsUpdatesAndDeletesAreNotedByKey() throws {
        try headquarters().write { db in
            let start = try ChangeLog.head(in: db)
            try db.execute(
                sql: """
                    INSERT INTO legal_entity VALUES ('LE', 'EUR'), ('LX', 'USD');
                    UPDATE legal_entity SET currency = 'CHF' WHERE legal_entity_id = 'LE';
                    DELETE FROM legal_entity WHERE legal_entity_id = 'LX';
                    INSERT INTO address (country) VALUES ('AT');
                    """)
            #expect(
                try keys(after: start, in: db)
                    == ["legal_entity:LE", "legal_entity:LX", "legal_entity:LE", "legal_entity:LX", "address:AT/"])
            #expect(try ChangeLog.tablesChanged(after: start, in: db) == ["legal_entity", "address"])
            #expect(try ChangeLog.tablesChanged(after: try ChangeLog.head(in: db), in: db).isEmpty)
        }
    }

    @Test func aChangedKeyIsNotedAsItWasAndAsItIs() throws {
        try headquarters().write { db in
            try db.execute(sql: "INSERT INTO legal_entity VALUES ('OLD', 'EUR')")
            let start = try ChangeLog.head(in: db)
            try db.execute(sql: "UPDATE legal_entity SET legal_entity_id = 'NEW'")
            #expect(try keys(after: start, in: db) == ["legal_entity:OLD", "legal_entity:NEW"])
        }
    }

    @Test func whatIsRolledBackWasNeverThere() throws {
        let queue = try headquarters()
        let start = try queue.read { try ChangeLog.head(in: $0) }
        try queue.inTransaction { db in
            try db.execute(sql: "INSERT INTO legal_entity VALUES ('LE', 'EUR')")
            return .rollback
        }
        #expect(try queue.read { try ChangeLog.head(in: $0) } == start)
    }

    @Test func aMarkLiftsTheVersionAboveAnyThatWasUsed() throws {
        try headquarters().write { db in
            #expect(try ChangeLog.mark(atLeast: 500, in: db) == 501)
            try db.execute(sql: "INSERT INTO legal_entity VALUES ('LE', 'EUR')")
            #expect(try ChangeLog.head(in: db) == 502)
        }
    }

    @Test func installingAgainChangesNothing() throws {
        try headquarters().write { db in
            try db.execute(sql: "INSERT INTO legal_entity VALUES ('LE', 'EUR')")
            let head = try ChangeLog.head(in: db)
            try HQSchema.install(in: db)
            try db.execute(sql: "UPDATE legal_entity SET currency = 'CHF'")
            #expect(try ChangeLog.head(in: db) == head + 1)
        }
    }

    @Test(arguments: [
        "INSERT INTO legal_entity VALUES ('', 'EUR')",
        "INSERT INTO assortment VALUES ('A', 'a', 'maybe', '2026-01-01', NULL)",
        "INSERT INTO assortment VALUES ('A', 'a', 'draft', '2026-02-30', NULL)",
        "INSERT INTO exchange_rate VALUES ('EUR', 'USD', '2026-01-01', -1)",
        "INSERT INTO exchange_rate VALUES ('EUR', 'USD', '2026-01-01', 'dear')",
        "INSERT INTO product_release VALUES ('P', 'LE', 1, 2)", "INSERT INTO price_group VALUES ('G', 'g', 1.5)",
    ])
    func whatNoRuleCouldUseIsRefusedWhoeverWritesIt(sql: String) throws {
        #expect(throws: DatabaseError.self) { try headquarters().write { try $0.execute(sql: sql) } }
    }
}
