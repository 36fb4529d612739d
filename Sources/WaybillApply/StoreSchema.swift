import Foundation
import GRDB
import WaybillModel
import WaybillWire

/// Our own tables in a store's database. Everything that must be true together with the rows stands beside them,
/// so that a restored database carries its own truth.
enum StoreSchema {
    static func install(in db: Database) throws {
        try db.execute(
            sql: """
                -- store, database_id, counter, random, sequence: who this is and which life of it.
                CREATE TABLE IF NOT EXISTS _waybill_meta (
                    name TEXT PRIMARY KEY,
                    value NOT NULL
                ) WITHOUT ROWID;
                CREATE TABLE IF NOT EXISTS _waybill_watermark (
                    job TEXT PRIMARY KEY,
                    epoch INTEGER NOT NULL,
                    version INTEGER NOT NULL,
                    session TEXT NOT NULL,
                    applied_at INTEGER NOT NULL
                ) WITHOUT ROWID;
                -- What became of each run of a session: applied, or promised never to be.
                CREATE TABLE IF NOT EXISTS _waybill_outcome (
                    session TEXT NOT NULL,
                    run INTEGER NOT NULL,
                    job TEXT NOT NULL,
                    outcome TEXT NOT NULL CHECK (outcome IN ('applied', 'canceled')),
                    at INTEGER NOT NULL,
                    rows_changed INTEGER NOT NULL DEFAULT 0,
                    longest_lock_ms INTEGER NOT NULL DEFAULT 0,
                    PRIMARY KEY (session, run)
                ) WITHOUT ROWID;
                -- Reports that the hub has not acknowledged; a serialised Report of the protocol each.
                CREATE TABLE IF NOT EXISTS _waybill_outbox (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    counter INTEGER NOT NULL,
                    random INTEGER NOT NULL,
                    report BLOB NOT NULL
                );
                -- The tables that are ours to fill, and how they are declared.
                CREATE TABLE IF NOT EXISTS _waybill_table (
                    name TEXT PRIMARY KEY,
                    job TEXT NOT NULL,
                    declaration TEXT NOT NULL
                ) WITHOUT ROWID;
                """)
    }

    static func integer(_ name: String, in db: Database) throws -> Int64 {
        try Int64.fetchOne(db, sql: "SELECT value FROM _waybill_meta WHERE name = ?", arguments: [name]) ?? 0
    }

    static func set(_ name: String, _ value: some DatabaseValueConvertible, in db: Database) throws {
        try db.execute(
            sql:
                "INSERT INTO _waybill_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            arguments: [name, value])
    }

    static func incarnation(in db: Database) throws -> Incarnation {
        Incarnation(
            counter: try integer("counter", in: db), random: UInt64(bitPattern: try integer("random", in: db)))
    }

    static func watermark(of job: JobID, in db: Database) throws -> Watermark? {
        guard
            let row = try Row.fetchOne(
                db, sql: "SELECT epoch, version, session FROM _waybill_watermark WHERE job = ?",
                arguments: [job.rawValue]),
            let session = SessionID(row["session"])
        else { return nil }
        return Watermark(version: Version(epoch: row["epoch"], number: row["version"]), session: session)
    }

    /// Counts one durable change of this incarnation and puts its report into the outbox. Part of that change.
    static func report(
        session: SessionID, job: JobID, run: Int, attempt: Int, outcome: StoreOutcome, at: Timestamp,
        rowsChanged: Int64 = 0, longestLockMilliseconds: Int64 = 0, message: String = "", isTransient: Bool = false,
        watermark: Watermark? = nil, in db: Database
    ) throws -> StoreReport {
        let incarnation = try incarnation(in: db)
        let sequence = try integer("sequence", in: db) + 1
        try set("sequence", sequence, in: db)
        // The id is in the report, so the row comes first.
        try db.execute(
            sql: "INSERT INTO _waybill_outbox (counter, random, report) VALUES (?, ?, x'')",
            arguments: [incarnation.counter, Int64(bitPattern: incarnation.random)])
        let report = StoreReport(
            id: db.lastInsertedRowID, incarnation: incarnation, sequence: sequence, session: session, job: job,
            run: run,
            attempt: attempt, outcome: outcome, at: at, rowsChanged: rowsChanged,
            longestLockMilliseconds: longestLockMilliseconds, message: message, isTransient: isTransient,
            watermark: watermark)
        try save(report, in: db)
        return report
    }

    /// Writes a report's content anew: the lock it tells of is known only at its end.
    static func save(_ report: StoreReport, in db: Database) throws {
        try db.execute(
            sql: "UPDATE _waybill_outbox SET report = ? WHERE id = ?",
            arguments: [Data(try report.encoded()), report.id])
    }
}
