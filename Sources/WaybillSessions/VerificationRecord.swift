import Foundation
import GRDB
import WaybillModel

/// One verification of one job at one store, as it is kept.
public struct VerificationRecord: Hashable, Sendable {
    public enum Cause: String, Sendable {
        case asked, scheduled
        /// After a repair: whether all is well now.
        case repair
    }

    public enum Outcome: String, Sendable, CaseIterable {
        case ok
        case diverged
        /// It was diverged, was repaired, and is as it should be.
        case repaired
        case unknown
    }

    public var id: Int64
    public var store: StoreID
    public var job: JobID
    public var cause: Cause
    /// What differs shall be repaired.
    public var repairs: Bool
    /// How often it was repaired before, for this call.
    public var repairsMade: Int
    public var begunAt: Timestamp
    /// nil as long as it is going on.
    public var endedAt: Timestamp?
    public var outcome: Outcome?
    /// Where the store stood.
    public var watermark: Watermark?
    public var changed: Int64
    public var missing: Int64
    public var extra: Int64
    /// There may be more differences than were counted.
    public var isPartial: Bool
    public var message: String
    /// JSON, see the hub.
    public var findings: String
    /// Where the differences lie, JSON; what a repair is made of.
    public var ranges: String
    /// The session that repairs it.
    public var repairSession: SessionID?

    init?(_ row: Row) {
        guard let store = StoreID(row["store_id"]), let job = JobID(row["job"]) else { return nil }
        id = row["id"]
        self.store = store
        self.job = job
        cause = Cause(rawValue: row["cause"]) ?? .asked
        repairs = row["repairs"]
        repairsMade = row["repairs_made"]
        begunAt = Timestamp(milliseconds: row["begun_at"])
        endedAt = timestamp(row["ended_at"])
        outcome = (row["outcome"] as String?).flatMap(Outcome.init)
        if let session = (row["session"] as String?).flatMap(SessionID.init) {
            watermark = Watermark(version: Version(epoch: row["epoch"], number: row["version"]), session: session)
        }
        changed = row["changed"]
        missing = row["missing"]
        extra = row["extra"]
        isPartial = row["is_partial"]
        message = row["message"]
        findings = row["findings"]
        ranges = row["ranges"]
        repairSession = (row["repair_session"] as String?).flatMap(SessionID.init)
    }

    static func createTables(in db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE verification (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    store_id TEXT NOT NULL,
                    job TEXT NOT NULL,
                    cause TEXT NOT NULL CHECK (cause IN ('asked', 'scheduled', 'repair')),
                    repairs INTEGER NOT NULL DEFAULT 0,
                    repairs_made INTEGER NOT NULL DEFAULT 0,
                    begun_at INTEGER NOT NULL,
                    ended_at INTEGER,
                    outcome TEXT CHECK (outcome IN ('ok', 'diverged', 'repaired', 'unknown')),
                    -- Where the store stood.
                    epoch INTEGER,
                    version INTEGER,
                    session TEXT,
                    changed INTEGER NOT NULL DEFAULT 0,
                    missing INTEGER NOT NULL DEFAULT 0,
                    extra INTEGER NOT NULL DEFAULT 0,
                    is_partial INTEGER NOT NULL DEFAULT 0,
                    message TEXT NOT NULL DEFAULT '',
                    findings TEXT NOT NULL DEFAULT '[]',
                    ranges TEXT NOT NULL DEFAULT '{}',
                    repair_session TEXT
                );
                -- The newest of a store and job.
                CREATE INDEX verification_newest ON verification (store_id, job, id);
                -- Those that are going on.
                CREATE INDEX verification_open ON verification (id) WHERE ended_at IS NULL;
                CREATE INDEX verification_repairing ON verification (id)
                    WHERE outcome = 'diverged' AND repair_session IS NOT NULL;
                """)
    }

    /// Verifications of a store and job that are kept: the newest, and the last that was good.
    static let keptMax = 20

    /// Asks for a verification; the one that is going on already, if there is one.
    public static func ask(
        _ store: StoreID, _ job: JobID, cause: Cause, repairs: Bool, repairsMade: Int = 0, at now: Timestamp,
        in db: Database
    ) throws -> VerificationRecord? {
        // Index verification_newest.
        let open = try Int64.fetchOne(
            db, sql: "SELECT id FROM verification WHERE store_id = ? AND job = ? AND ended_at IS NULL ORDER BY id",
            arguments: [store.rawValue, job.rawValue])
        if let open {
            if repairs { try db.execute(sql: "UPDATE verification SET repairs = 1 WHERE id = ?", arguments: [open]) }
            return try find(open, in: db)
        }
        try db.execute(
            sql: """
                INSERT INTO verification (store_id, job, cause, repairs, repairs_made, begun_at)
                VALUES (?, ?, ?, ?, ?, ?)
                """,
            arguments: [store.rawValue, job.rawValue, cause.rawValue, repairs, repairsMade, now.milliseconds])
        let id = db.lastInsertedRowID
        try db.execute(
            sql: """
                DELETE FROM verification WHERE store_id = :store AND job = :job AND ended_at IS NOT NULL AND id <= (
                    SELECT id FROM verification WHERE store_id = :store AND job = :job
                    ORDER BY id DESC LIMIT 1 OFFSET \(keptMax))
                    AND id <> ifnull((
                        SELECT max(id) FROM verification
                        WHERE store_id = :store AND job = :job AND outcome IN ('ok', 'repaired')), 0)
                """,
            arguments: ["store": store.rawValue, "job": job.rawValue])
        return try find(id, in: db)
    }

    public static func find(_ id: Int64, in db: Database) throws -> VerificationRecord? {
        try Row.fetchOne(db, sql: "SELECT * FROM verification WHERE id = ?", arguments: [id]).flatMap(
            VerificationRecord.init)
    }

    /// Those that are going on or wait for their turn, oldest first. Index verification_open.
    /// - Parameter stores: whose verifications are left out.
    public static func unfinished(
        besides stores: Set<StoreID> = [], limit: Int = .max, in db: Database
    ) throws -> [VerificationRecord] {
        let names = stores.map(\.rawValue)
        let marks = databaseQuestionMarks(count: names.count)
        return try Row.fetchAll(
            db,
            sql: """
                SELECT * FROM verification WHERE ended_at IS NULL AND store_id NOT IN (\(marks)) ORDER BY id LIMIT ?
                """,
            arguments: StatementArguments(names) + [limit]
        ).compactMap(VerificationRecord.init)
    }

    public func save(in db: Database) throws {
        try db.execute(
            sql: """
                UPDATE verification SET ended_at = ?, outcome = ?, epoch = ?, version = ?, session = ?, changed = ?,
                    missing = ?, extra = ?, is_partial = ?, message = ?, findings = ?, ranges = ?, repair_session = ?
                WHERE id = ?
                """,
            arguments: [
                endedAt?.milliseconds, outcome?.rawValue, watermark?.version.epoch, watermark?.version.number,
                watermark?.session.rawValue, changed, missing, extra, isPartial, message, findings, ranges,
                repairSession?.rawValue, id,
            ])
    }

    /// The newest verification of each job of a store that has come to a result, and the newest that was good.
    public static func standings(
        of store: StoreID, in db: Database
    ) throws -> [JobID: (newest: VerificationRecord, good: VerificationRecord?)] {
        // Index verification_newest; a few rows for each job.
        let rows = try Row.fetchAll(
            db, sql: "SELECT * FROM verification WHERE store_id = ? AND outcome <> 'unknown' ORDER BY job, id",
            arguments: [store.rawValue])
        var standings: [JobID: (newest: VerificationRecord, good: VerificationRecord?)] = [:]
        for record in rows.compactMap(VerificationRecord.init) {
            let good = record.isGood ? record : standings[record.job]?.good
            standings[record.job] = (record, good)
        }
        return standings
    }

    public var isGood: Bool { outcome == .ok || outcome == .repaired }

    /// Stores and jobs whose newest verification that came to a result found a difference.
    public static func diverged(in db: Database) throws -> [VerificationRecord] {
        // One step of index verification_newest for each store and job.
        try Row.fetchAll(
            db,
            sql: """
                SELECT * FROM verification WHERE outcome = 'diverged' AND id = (
                    SELECT max(newest.id) FROM verification AS newest
                    WHERE newest.store_id = verification.store_id AND newest.job = verification.job
                        AND newest.outcome <> 'unknown')
                ORDER BY store_id, job
                """
        ).compactMap(VerificationRecord.init)
    }

    /// When each job of each store was last begun to be verified, and last with a result.
    public static func lastBegun(
        in db: Database
    ) throws -> [StoreID: [JobID: (any: Timestamp, conclusive: Timestamp?)]] {
        var last: [StoreID: [JobID: (any: Timestamp, conclusive: Timestamp?)]] = [:]
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT store_id, job, max(begun_at) AS begun,
                    max(begun_at) FILTER (WHERE outcome IN ('ok', 'repaired', 'diverged')) AS conclusive
                FROM verification GROUP BY store_id, job
                """)
        for row in rows {
            guard let store = StoreID(row["store_id"]), let job = JobID(row["job"]) else { continue }
            last[store, default: [:]][job] = (
                Timestamp(milliseconds: row["begun"]), timestamp(row["conclusive"])
            )
        }
        return last
    }
}

extension VerificationRecord {
    /// Those that differ and that a session follows, without another look since.
    public static func repairing(in db: Database) throws -> [VerificationRecord] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT * FROM verification
                -- Index verification_repairing.
                WHERE outcome = 'diverged' AND repair_session IS NOT NULL AND NOT EXISTS (
                    -- Index verification_newest.
                    SELECT 1 FROM verification AS later
                    WHERE later.store_id = verification.store_id AND later.job = verification.job
                        AND later.id > verification.id)
                ORDER BY id
                """
        ).compactMap(VerificationRecord.init)
    }

    /// Verifications, newest first.
    /// - Parameters: stores, jobs: empty for all.
    public static func list(
        stores: [StoreID], jobs: [JobID], since: Int64, limit: Int, in db: Database
    ) throws -> [VerificationRecord] {
        // The table backwards by its rowid, as far as the limit.
        let rows = try Row.fetchCursor(
            db, sql: "SELECT * FROM verification WHERE id >= ? ORDER BY id DESC", arguments: [since])
        var found: [VerificationRecord] = []
        while found.count < limit, let row = try rows.next() {
            guard let record = VerificationRecord(row), stores.isEmpty || stores.contains(record.store),
                jobs.isEmpty || jobs.contains(record.job)
            else { continue }
            found.append(record)
        }
        return found
    }

    /// When all was well last before this one.
    public func goodBefore(in db: Database) throws -> Timestamp? {
        // Index verification_newest, backwards.
        timestamp(
            try Int64.fetchOne(
                db,
                sql: """
                    SELECT begun_at FROM verification
                    WHERE store_id = ? AND job = ? AND id < ? AND outcome IN ('ok', 'repaired')
                    ORDER BY id DESC LIMIT 1
                    """,
                arguments: [store.rawValue, job.rawValue, id]))
    }

    /// Whether a session is on its way to repair it and it will be verified again.
    public func isRepairing(in db: Database) throws -> Bool {
        guard outcome == .diverged, repairSession != nil else { return false }
        let newest = try Int64.fetchOne(
            db, sql: "SELECT max(id) FROM verification WHERE store_id = ? AND job = ?",
            arguments: [store.rawValue, job.rawValue])
        return newest == id
    }
}
