import GRDB
import WaybillModel

/// A session's part in the life of a row at a store.
public struct RowDelivery: Sendable, Equatable {
    public var session: SessionID
    public var createdAt: Timestamp
    /// The session's own status, as it is written down.
    public var sessionStatus: String
    public var sessionMessage: String
    public var delivery: Delivery?
    /// Not so when it may have been a session before this one, of which nothing is kept.
    public var isExact: Bool

    public init(
        session: SessionID, createdAt: Timestamp, sessionStatus: String, sessionMessage: String, delivery: Delivery?,
        isExact: Bool
    ) {
        self.session = session
        self.createdAt = createdAt
        self.sessionStatus = sessionStatus
        self.sessionMessage = sessionMessage
        self.delivery = delivery
        self.isExact = isExact
    }
}

/// Which sessions brought, bring or took away what HQ had at a version. Of one store and one job.
public struct RowDeliveries {
    let store: StoreID
    let job: JobID
    let db: Database

    public init(store: StoreID, job: JobID, db: Database) {
        self.store = store
        self.job = job
        self.db = db
    }

    /// The first session that the store applied and that holds what HQ had at `version`; with `before`, one that does
    /// not yet hold what HQ had then.
    public func applied(since version: Int64, before: Int64 = .max) throws -> RowDelivery? {
        // Index session_by_job, in the order of the numbers; delivery by its primary key.
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT session.* FROM session
                CROSS JOIN delivery ON delivery.session = session.number AND delivery.store_id = :store
                WHERE session.job = :job AND session.version >= :version AND session.version < :before
                    AND delivery.status = 'Applied'
                ORDER BY session.number LIMIT 1
                """,
            arguments: ["store": store.rawValue, "job": job.rawValue, "version": version, "before": before])
        guard var found = try row.flatMap(rowDelivery) else { return nil }
        found.isExact = try isExact(found, version)
        return found
    }

    /// The newest session that holds what HQ had at `version`, and the store's part in it, if it has one.
    public func pending(since version: Int64) throws -> RowDelivery? {
        // Index session_by_job backwards. What was nothing new for the store brought it nothing.
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT session.* FROM session
                LEFT JOIN delivery ON delivery.session = session.number AND delivery.store_id = :store
                WHERE session.job = :job AND session.version >= :version AND session.status <> 'NoData'
                    AND ifnull(delivery.status, '') NOT IN ('NoData', 'Superseded')
                ORDER BY delivery.status IS NULL AND session.status = 'Available', session.number DESC LIMIT 1
                """,
            arguments: ["store": store.rawValue, "job": job.rawValue, "version": version])
        return try row.flatMap(rowDelivery)
    }

    /// The job's sessions that were built, oldest first: version, name and time.
    public func built() throws -> [(version: Int64, session: SessionID, createdAt: Timestamp)] {
        // Index session_by_job.
        let rows = try Row.fetchAll(
            db,
            sql: "SELECT id, version, created_at FROM session WHERE job = ? AND version > 0 ORDER BY number",
            arguments: [job.rawValue])
        return rows.compactMap { row in
            SessionID(row["id"]).map { (row["version"], $0, Timestamp(milliseconds: row["created_at"])) }
        }
    }

    private func rowDelivery(_ row: Row) throws -> RowDelivery? {
        guard let session = SessionID(row["id"]) else { return nil }
        return RowDelivery(
            session: session, createdAt: Timestamp(milliseconds: row["created_at"]), sessionStatus: row["status"],
            sessionMessage: row["message"], delivery: try DeliveryRecord.find(session, store, in: db), isExact: true)
    }

    /// A delta from a version before surely brought what came at `version`. Of another package that is known only
    /// while every session of the store's is kept.
    private func isExact(_ found: RowDelivery, _ version: Int64) throws -> Bool {
        if let package = found.delivery?.package, package.kind == .delta,
            package.bases.allSatisfy({ $0.version.number < version })
        {
            return true
        }
        let oldest = try Row.fetchOne(db, sql: "SELECT number, created_at FROM session ORDER BY number LIMIT 1")
        if oldest?["number"] == 1 { return true }
        let enrolledAt = try Int64.fetchOne(
            db, sql: "SELECT enrolled_at FROM store WHERE store_id = ?", arguments: [store.rawValue])
        guard let enrolledAt, let oldestAt: Int64 = oldest?["created_at"] else { return false }
        return oldestAt < enrolledAt
    }
}
