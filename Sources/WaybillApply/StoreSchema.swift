import Foundation
import GRDB
import WaybillModel
import WaybillPackage
import WaybillWire

/// Our own tables in a store's database. Everything that must be true together with the rows stands beside them,
/// so that a restored database carries its own truth.
enum StoreSchema {
    static func install(in db: Database) throws {
        try db.execute(
            sql: """
                -- store, counter, random, sequence: who this is and which life of it.
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
                    message TEXT NOT NULL DEFAULT '',
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
                    name TEXT PRIMARY KEY COLLATE NOCASE,
                    job TEXT NOT NULL,
                    declaration TEXT NOT NULL
                ) WITHOUT ROWID;
                """)
        // Databases that were made before there was anything to say.
        if try !db.columns(in: "_waybill_outcome").contains(where: { $0.name == "message" }) {
            try db.execute(sql: "ALTER TABLE _waybill_outcome ADD COLUMN message TEXT NOT NULL DEFAULT ''")
        }
        try QuarantineSchema.install(in: db)
    }

    // MARK: meta

    static func integer(_ name: String, in db: Database) throws -> Int64 {
        try Int64.fetchOne(db.cachedStatement(sql: "SELECT value FROM _waybill_meta WHERE name = ?"), arguments: [name])
            ?? 0
    }

    static func set(_ name: String, _ value: some DatabaseValueConvertible, in db: Database) throws {
        try db.cachedStatement(
            sql:
                "INSERT INTO _waybill_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        ).execute(arguments: [name, value])
    }

    static func incarnation(in db: Database) throws -> Incarnation {
        Incarnation(
            counter: try integer("counter", in: db), random: UInt64(bitPattern: try integer("random", in: db)))
    }

    // MARK: watermarks and tables

    static func watermark(of job: JobID, in db: Database) throws -> Watermark? {
        guard
            let row = try Row.fetchOne(
                db.cachedStatement(sql: "SELECT epoch, version, session FROM _waybill_watermark WHERE job = ?"),
                arguments: [job.rawValue]),
            let session = SessionID(row["session"])
        else { return nil }
        return Watermark(version: Version(epoch: row["epoch"], number: row["version"]), session: session)
    }

    static func set(_ watermark: Watermark, of job: JobID, at: Timestamp, in db: Database) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO _waybill_watermark (job, epoch, version, session, applied_at) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (job) DO UPDATE SET epoch = excluded.epoch, version = excluded.version,
                    session = excluded.session, applied_at = excluded.applied_at
                """
        ).execute(arguments: [
            job.rawValue, watermark.version.epoch, watermark.version.number, watermark.session.rawValue,
            at.milliseconds,
        ])
    }

    /// Notes that a table is filled by a job, and how it is declared.
    ///
    /// A job that had the table before loses its watermark, because its rows are not all there any more. So a job can
    /// be renamed at HQ; and two jobs that fill one table show as full loads without end, not as wrong rows.
    static func own(_ shape: TableShape, job: JobID, in db: Database) throws {
        try db.cachedStatement(
            sql: """
                DELETE FROM _waybill_watermark
                WHERE job <> ? AND job = (SELECT job FROM _waybill_table WHERE name = ?)
                """
        ).execute(arguments: [job.rawValue, shape.name])
        try db.cachedStatement(
            sql: """
                INSERT INTO _waybill_table (name, job, declaration) VALUES (?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET job = excluded.job, declaration = excluded.declaration
                """
        ).execute(arguments: [shape.name, job.rawValue, PackageTables.storeStatement(shape, name: shape.name)])
    }

    // MARK: outcomes

    /// What became of one run of a session: applied, or promised never to be.
    struct Outcome {
        var isApplied: Bool
        var at: Timestamp
        var rowsChanged: Int64 = 0
        var longestLockMilliseconds: Int64 = 0
        var message = ""
        /// Rows that went into quarantine instead.
        var exceptions = 0

        init(
            isApplied: Bool, at: Timestamp, rowsChanged: Int64 = 0, longestLockMilliseconds: Int64 = 0,
            message: String = "", exceptions: Int = 0
        ) {
            self.isApplied = isApplied
            self.at = at
            self.rowsChanged = rowsChanged
            self.longestLockMilliseconds = longestLockMilliseconds
            self.message = message
            self.exceptions = exceptions
        }

        init(row: Row) {
            isApplied = row["outcome"] == "applied"
            at = Timestamp(milliseconds: row["at"])
            rowsChanged = row["rows_changed"]
            longestLockMilliseconds = row["longest_lock_ms"]
            message = row["message"]
            exceptions = row["exceptions"]
        }
    }

    static func outcome(of session: SessionID, run: Int, in db: Database) throws -> Outcome? {
        try Row.fetchOne(
            db.cachedStatement(sql: "SELECT * FROM _waybill_outcome WHERE session = ? AND run = ?"),
            arguments: [session.rawValue, run]
        ).map(Outcome.init(row:))
    }

    /// How the session was applied in whichever run, noted down for this run as well: once said, the answer stays.
    static func appliedOutcome(of session: SessionID, run: Int, job: JobID, in db: Database) throws -> Outcome? {
        var known = try Row.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT * FROM _waybill_outcome WHERE session = ? AND outcome = 'applied'
                    ORDER BY run = ? DESC, run DESC LIMIT 1
                    """),
            arguments: [session.rawValue, run]
        ).map(Outcome.init(row:))
        if known == nil {
            known = try Row.fetchOne(
                db.cachedStatement(sql: "SELECT applied_at FROM _waybill_watermark WHERE job = ? AND session = ?"),
                arguments: [job.rawValue, session.rawValue]
            ).map { Outcome(isApplied: true, at: Timestamp(milliseconds: $0["applied_at"])) }
        }
        if let known, try outcome(of: session, run: run, in: db) == nil {
            try save(known, of: session, run: run, job: job, in: db)
        }
        return known
    }

    static func save(_ outcome: Outcome, of session: SessionID, run: Int, job: JobID, in db: Database) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO _waybill_outcome (
                    session, run, job, outcome, at, rows_changed, longest_lock_ms, message, exceptions
                ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (session, run) DO UPDATE SET outcome = excluded.outcome, at = excluded.at,
                    rows_changed = excluded.rows_changed, longest_lock_ms = excluded.longest_lock_ms,
                    message = excluded.message, exceptions = excluded.exceptions
                """
        ).execute(arguments: [
            session.rawValue, run, job.rawValue, outcome.isApplied ? "applied" : "canceled",
            outcome.at.milliseconds, outcome.rowsChanged, outcome.longestLockMilliseconds, outcome.message,
            outcome.exceptions,
        ])
    }

    // MARK: reports

    /// As much of a text as a report may hold, cut between characters.
    static func reportText(_ text: String) -> String {
        var text = text
        while text.utf8.count > Limits.reportTextBytesMax { text.removeLast() }
        return text
    }

    /// Counts one durable change of this incarnation and puts its report into the outbox. Part of that change.
    static func report(
        session: SessionID, job: JobID, run: Int, attempt: Int, outcome: StoreOutcome, at: Timestamp,
        rowsChanged: Int64 = 0, longestLockMilliseconds: Int64 = 0, message: String = "", isTransient: Bool = false,
        watermark: Watermark? = nil, exceptions: Int = 0, in db: Database
    ) throws -> StoreReport {
        let incarnation = try incarnation(in: db)
        let sequence = try integer("sequence", in: db) + 1
        try set("sequence", sequence, in: db)
        // The id is in the report, so the row comes first.
        try db.cachedStatement(sql: "INSERT INTO _waybill_outbox (counter, random, report) VALUES (?, ?, x'')").execute(
            arguments: [incarnation.counter, Int64(bitPattern: incarnation.random)])
        let report = StoreReport(
            id: db.lastInsertedRowID, incarnation: incarnation, sequence: sequence, session: session, job: job,
            run: run,
            attempt: attempt, outcome: outcome, at: at, rowsChanged: rowsChanged,
            longestLockMilliseconds: longestLockMilliseconds, message: message, isTransient: isTransient,
            watermark: watermark, exceptions: exceptions)
        try db.cachedStatement(sql: "UPDATE _waybill_outbox SET report = ? WHERE id = ?").execute(arguments: [
            Data(try report.encoded()), report.id,
        ])
        return report
    }
}
