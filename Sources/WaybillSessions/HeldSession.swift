import GRDB
import WaybillModel

/// A session that was held back because it exceeds a limit of its job: why, and what became of it.
///
/// Its deliveries lie apart from all others until somebody approves it, so nothing that serves stores can see them:
/// no desk loads them, no store counts as behind for their sake.
public struct HeldSession: Hashable, Sendable {
    /// One sentence: which store would lose or get what, and the limit.
    public var reason: String
    public var heldAt: Timestamp
    /// nil while nobody has approved it, and for good when it was canceled or overtaken.
    public var approvedAt: Timestamp?

    static func createTables(in db: Database) throws {
        try db.execute(
            sql: """
                -- Sessions that were held back, approved or not.
                CREATE TABLE approval (
                    session INTEGER PRIMARY KEY,
                    reason TEXT NOT NULL,
                    held_at INTEGER NOT NULL,
                    approved_at INTEGER
                );
                -- What stores will be offered once the session is approved.
                CREATE TABLE held_delivery (
                    session INTEGER NOT NULL,
                    store_id TEXT NOT NULL,
                    package TEXT,
                    is_no_data INTEGER NOT NULL,
                    note TEXT NOT NULL,
                    PRIMARY KEY (session, store_id)
                ) WITHOUT ROWID;
                -- The few sessions of a job that wait, among all that it ever had.
                CREATE INDEX session_awaiting ON session (job, number) WHERE status = 'AwaitingApproval';
                -- Whoever forgets a session forgets this with it.
                CREATE TRIGGER approval_forgotten AFTER DELETE ON session BEGIN
                    DELETE FROM approval WHERE session = OLD.number;
                    DELETE FROM held_delivery WHERE session = OLD.number;
                END;
                """)
    }

    /// Writes a session down as awaiting approval, with what its stores would get. Its message is the reason.
    public static func hold(
        _ session: SessionRecord, _ deliveries: [Delivery], at now: Timestamp, in db: Database
    ) throws {
        var held = session
        held.status = .awaitingApproval
        try held.save(in: db)
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO approval (session, reason, held_at) VALUES (?, ?, ?)")
            .execute(arguments: [session.id.number, session.message, now.milliseconds])
        for delivery in deliveries {
            try db.cachedStatement(
                sql: """
                    INSERT OR REPLACE INTO held_delivery (session, store_id, package, is_no_data, note)
                    VALUES (?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [
                session.id.number, delivery.store.rawValue, delivery.package?.id.hex, delivery.isNoData,
                delivery.note,
            ])
        }
    }

    /// Whether the session was ever held back, and why.
    public static func find(_ session: SessionID, in db: Database) throws -> HeldSession? {
        try Row.fetchOne(
            db.cachedStatement(sql: "SELECT * FROM approval WHERE session = ?"), arguments: [session.number]
        ).map { row in
            HeldSession(
                reason: row["reason"], heldAt: Timestamp(milliseconds: row["held_at"]),
                approvedAt: timestamp(row["approved_at"]))
        }
    }

    /// What stores will be offered once the session is approved, by store.
    public static func deliveries(of session: SessionRecord, in db: Database) throws -> [Delivery] {
        // Primary key prefix (session).
        let rows = try Row.fetchAll(
            db.cachedStatement(sql: "SELECT * FROM held_delivery WHERE session = ? ORDER BY store_id"),
            arguments: [session.id.number])
        var packages: [String: PackageRef] = [:]
        return try rows.compactMap { row in
            guard let store = StoreID(row["store_id"]) else { return nil }
            var delivery = Delivery(
                session: session.id, store: store, job: session.job, version: session.version, package: nil,
                isNoData: row["is_no_data"])
            if let hex = row["package"] as String?, let id = PackageID(hex: hex) {
                if packages[hex] == nil { packages[hex] = try PackageRecord.find(id, in: db) }
                delivery.package = packages[hex]
            }
            delivery.note = row["note"]
            return delivery
        }
    }

    /// What the held deliveries add up to.
    public static func volume(_ session: SessionID, in db: Database) throws -> (rows: Int64, bytes: Int64) {
        // Primary key prefix (session); package by its key.
        let row = try Row.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT sum(package.rows) AS rows, sum(package.bytes) AS bytes
                    FROM held_delivery AS held JOIN package ON package.id = held.package
                    WHERE held.session = ?
                    """),
            arguments: [session.number])
        return (row?["rows"] ?? 0, row?["bytes"] ?? 0)
    }

    /// Sessions of the job that await approval, oldest first. Index session_awaiting.
    public static func awaiting(_ job: JobID, in db: Database) throws -> [SessionRecord] {
        try Row.fetchAll(
            db.cachedStatement(
                sql: "SELECT * FROM session WHERE job = ? AND status = 'AwaitingApproval' ORDER BY number"),
            arguments: [job.rawValue]
        ).compactMap(SessionRecord.init)
    }

    /// How many sessions of all jobs await approval.
    public static func awaitingCount(in db: Database) throws -> Int {
        // The whole of index session_awaiting, which is short.
        try Int.fetchOne(db.cachedStatement(sql: "SELECT count(*) FROM session WHERE status = 'AwaitingApproval'")) ?? 0
    }

    /// Ends the waiting of stores: from now on their deliveries are ordinary ones, which the caller saves.
    public static func release(_ stores: [StoreID], of session: SessionID, in db: Database) throws {
        for store in stores {
            try db.cachedStatement(sql: "DELETE FROM held_delivery WHERE session = ? AND store_id = ?").execute(
                arguments: [session.number, store.rawValue])
        }
    }

    /// Makes the session an ordinary one.
    public static func approve(_ session: SessionID, at now: Timestamp, in db: Database) throws {
        guard var record = try SessionRecord.find(session, in: db), record.status == .awaitingApproval else { return }
        record.status = .available
        record.message = ""
        try record.save(in: db)
        try db.cachedStatement(sql: "UPDATE approval SET approved_at = ? WHERE session = ?").execute(arguments: [
            now.milliseconds, session.number,
        ])
        try db.cachedStatement(sql: "DELETE FROM held_delivery WHERE session = ?").execute(arguments: [session.number])
    }

    /// Lets a newer session take the place of those of its job that still wait, at the stores that it is for.
    ///
    /// It was planned from what the stores have, which is without the held ones; so it contains as much of them as HQ
    /// still says. `deliveries` are the newer session's, empty when it has no data for anybody. A store that gets
    /// nothing now because a held session with the very same rows waits for it, keeps waiting.
    public static func supersede(by newer: SessionRecord, _ deliveries: [Delivery], in db: Database) throws {
        let supplied = Set(deliveries.filter { !$0.isNoData }.map(\.store))
        let concerned = newer.request.stores.map { Set($0.compactMap(StoreID.init)) }
        for older in try awaiting(newer.job, in: db) where older.id.number < newer.id.number {
            let isSame = newer.waitsFor.contains(older.id)
            let held = try HeldSession.deliveries(of: older, in: db)
            let ended = held.filter { delivery in
                (concerned?.contains(delivery.store) ?? true) && (!isSame || supplied.contains(delivery.store))
            }
            for var delivery in ended {
                if !delivery.isNoData { delivery.supersededBy = newer.id }
                try DeliveryRecord.save(delivery, in: db)
            }
            try release(ended.map(\.store), of: older.id, in: db)
            guard ended.count == held.count else { continue }
            var record = older
            record.status = .available
            record.message = "never approved: session \(newer.id) is newer and has what HQ says now"
            try record.save(in: db)
        }
    }
}

extension SessionRecord {
    /// The newest sessions of a job that were offered to stores, newest first: neither canceled nor held back for good.
    public static func letOut(_ job: JobID, limit: Int, in db: Database) throws -> [SessionRecord] {
        // Index session_by_job, backwards; approval by its key.
        try Row.fetchAll(
            db.cachedStatement(
                sql: """
                    SELECT * FROM session
                    WHERE job = ? AND status = 'Available' AND NOT EXISTS (
                        SELECT 1 FROM approval WHERE approval.session = session.number AND approved_at IS NULL)
                    ORDER BY number DESC LIMIT ?
                    """),
            arguments: [job.rawValue, limit]
        ).compactMap(SessionRecord.init)
    }
}
