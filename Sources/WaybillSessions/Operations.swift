import Foundation
import GRDB
import WaybillDatabase
import WaybillModel

/// `hub.db`. Written by the hub's wire thread and, for session headers and stores, by its publisher and
/// administrators; every commit is durable before anything is answered.
public final class Operations: Sendable {
    public let pool: DatabasePool

    /// - Throws: ``DamagedOperations`` when SQLite finds a page that is not as it was written.
    public init(path: String) throws {
        pool = try OpenDatabase.pool(at: path, label: "hub")
        try check()
        try tellingOfMachine(path) { try OperationsSchema.migrator.migrate(pool) }
    }

    /// One durable transaction.
    public func write<T>(_ body: (Database) throws -> T) throws -> T {
        try tellingOfMachine(pool.path) { try pool.write(body) }
    }

    public func read<T>(_ body: (Database) throws -> T) throws -> T {
        try tellingOfMachine(pool.path) { try pool.read(body) }
    }

    /// The same for async callers: waits without blocking a thread of Swift's pool.
    public func reading<T: Sendable>(_ body: @Sendable @escaping (Database) throws -> T) async throws -> T {
        try await pool.read(body)
    }

    public func writing<T: Sendable>(_ body: @Sendable @escaping (Database) throws -> T) async throws -> T {
        try await pool.write(body)
    }
}

/// The header of a session as it is kept.
public struct SessionRecord: Hashable, Sendable {
    public var id: SessionID
    public var job: JobID
    /// `full` when it was asked for whole; else what its packages are: `full` only when all of them are.
    public var kind: PackageKind
    public var status: SessionStatus
    public var version: Version
    /// Of the derivation that it distributes.
    public var token: Int64
    public var createdAt: Timestamp
    /// Rows in its packages, each counted once however many stores share it.
    public var rows: Int64
    /// Compressed bytes of its packages, each counted once.
    public var bytes: Int64
    public var message: String
    public var request: SessionRequest
    /// Earlier sessions that bring some stores the very same rows and were on their way when this one was planned.
    public var waitsFor: [SessionID]
}

/// What somebody asked a session to do.
public struct SessionRequest: Hashable, Sendable, Codable {
    /// Everything, whatever the stores have.
    public var isFull: Bool
    /// Only these; nil for all.
    public var stores: [String]?
    /// Now, whatever the job's delivery window says.
    public var isUrgent: Bool
    /// A repair: of what this verification found.
    public var verification: Int64?

    public init(isFull: Bool, stores: [String]?, isUrgent: Bool = false, verification: Int64? = nil) {
        self.isFull = isFull
        self.stores = stores
        self.isUrgent = isUrgent
        self.verification = verification
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        isFull = try container.decode(Bool.self, forKey: .isFull)
        stores = try container.decodeIfPresent([String].self, forKey: .stores)
        // Not there in what an older hub has written.
        isUrgent = try container.decodeIfPresent(Bool.self, forKey: .isUrgent) ?? false
        verification = try container.decodeIfPresent(Int64.self, forKey: .verification)
    }
}

extension SessionRecord {
    init?(_ row: Row) {
        guard let id = SessionID(row["id"]), let job = JobID(row["job"]),
            let status = SessionStatus(rawValue: row["status"])
        else { return nil }
        self.id = id
        self.job = job
        self.kind = PackageKind(rawValue: row["kind"]) ?? .delta
        self.status = status
        self.version = Version(epoch: row["epoch"], number: row["version"])
        self.token = row["token"]
        self.createdAt = Timestamp(milliseconds: row["created_at"])
        self.rows = row["rows"]
        self.bytes = row["bytes"]
        self.message = row["message"]
        let request = try? JSONDecoder().decode(SessionRequest.self, from: Data((row["request"] as String).utf8))
        self.request = request ?? SessionRequest(isFull: false, stores: nil)
        waitsFor = (row["waits_for"] as String).split(separator: " ").compactMap { SessionID(String($0)) }
    }

    /// Begins a session with a number and a name of its own, status `Started`.
    public static func create(
        job: JobID, request: SessionRequest, at now: Timestamp, random: UInt64, in db: Database
    ) throws -> SessionID {
        // The number comes from AUTOINCREMENT; the name needs it, so the row is written in two steps.
        try db.cachedStatement(
            sql: """
                INSERT INTO session (id, job, kind, status, created_at, request) VALUES (?, ?, ?, 'Started', ?, ?)
                """
        ).execute(arguments: [
            "new-\(random)", job.rawValue, request.isFull ? PackageKind.full.rawValue : PackageKind.delta.rawValue,
            now.milliseconds, String(decoding: try JSONEncoder().encode(request), as: UTF8.self),
        ])
        let id = SessionID(number: db.lastInsertedRowID, random: random)
        try db.cachedStatement(sql: "UPDATE session SET id = ? WHERE number = ?").execute(arguments: [
            id.rawValue, id.number,
        ])
        return id
    }

    public static func find(_ id: SessionID, in db: Database) throws -> SessionRecord? {
        try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM session WHERE id = ?"), arguments: [id.rawValue])
            .flatMap(SessionRecord.init)
    }

    public static func find(number: Int64, in db: Database) throws -> SessionRecord? {
        try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM session WHERE number = ?"), arguments: [number])
            .flatMap(SessionRecord.init)
    }

    /// The session that has this name, or had it before its building was taken up again: what people ask for.
    public static func named(_ id: SessionID, in db: Database) throws -> SessionRecord? {
        // Primary key.
        try Row.fetchOne(
            db.cachedStatement(sql: "SELECT * FROM session WHERE number = ? AND (id = ? OR former_id = ?)"),
            arguments: [id.number, id.rawValue, id.rawValue]
        ).flatMap(SessionRecord.init)
    }

    /// Sessions left `Started` by a hub that ended while building.
    public static func unfinished(in db: Database) throws -> [SessionRecord] {
        try Row.fetchAll(db.cachedStatement(sql: "SELECT * FROM session WHERE status = 'Started' ORDER BY number"))
            .compactMap(SessionRecord.init)
    }

    /// Those, each under a new name; the first name of each stays known.
    ///
    /// This may be a restored copy of `hub.db`, and the session may have been built and applied under its name before.
    /// What is built now is something else, and a name must not stand for both.
    public static func takeUpUnfinished(random: () -> UInt64, in db: Database) throws -> [SessionRecord] {
        try unfinished(in: db).map { session in
            var renamed = session
            renamed.id = SessionID(number: session.id.number, random: random())
            try db.cachedStatement(sql: "UPDATE session SET id = ?, former_id = ifnull(former_id, ?) WHERE number = ?")
                .execute(arguments: [renamed.id.rawValue, session.id.rawValue, session.id.number])
            return renamed
        }
    }

    public func save(in db: Database) throws {
        try db.cachedStatement(
            sql: """
                UPDATE session SET kind = ?, status = ?, epoch = ?, version = ?, token = ?, rows = ?, bytes = ?, message = ?,
                    waits_for = ?
                WHERE id = ?
                """
        ).execute(arguments: [
            kind.rawValue, status.rawValue, version.epoch, version.number, token, rows, bytes, message,
            waitsFor.map(\.rawValue).joined(separator: " "), id.rawValue,
        ])
    }

    /// Notes that a session could not be built, unless it was called off meanwhile.
    public static func fail(_ id: SessionID, _ reason: String, in db: Database) throws {
        try db.cachedStatement(
            sql: "UPDATE session SET status = 'CreateFailed', message = ? WHERE id = ? AND status = 'Started'"
        ).execute(arguments: [reason, id.rawValue])
    }

    /// The newest version that any session is of; nil when none has come so far.
    public static func newestVersion(in db: Database) throws -> Version? {
        // All of the table, once at the start of a hub.
        let row = try Row.fetchOne(
            db.cachedStatement(
                sql: "SELECT epoch, version FROM session WHERE epoch > 0 ORDER BY epoch DESC, version DESC LIMIT 1"))
        return row.map { Version(epoch: $0[0], number: $0[1]) }
    }
}

/// A line of the session list.
public struct SessionLine: Sendable {
    public var session: SessionRecord
    /// What its deliveries add up to.
    public var tally: SessionTally
    /// What its packages are.
    public var kinds: Set<PackageKind>
    /// How many deliveries show which status.
    public var deliveries: [DeliveryStatus: Int] { tally.deliveries }
}

/// What to list.
public struct SessionQuery: Sendable {
    public var job: String?
    /// A header's status, or one that at least one delivery shows.
    public var status: String?
    public var since: Timestamp?
    public var includesNoData: Bool
    /// Lines at most, newest first.
    public var limit: Int
    /// Only sessions of these numbers; nil for no such wish.
    public var only: [Int64]?

    public init(job: String? = nil, status: String? = nil, since: Timestamp? = nil, includesNoData: Bool, limit: Int) {
        self.job = job
        self.status = status
        self.since = since
        self.includesNoData = includesNoData
        self.limit = limit
    }
}

public enum SessionList {
    /// The newest sessions that the filter lets through, newest first, each with its roll-up.
    public static func lines(_ filter: SessionQuery, in db: Database) throws -> [SessionLine] {
        // Walks the table backwards by its rowid and stops at the limit; the key of session_tally answers the EXISTS.
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT * FROM session
                WHERE (:job IS NULL OR job = :job)
                    AND (:since IS NULL OR created_at >= :since)
                    AND (:only IS NULL OR number IN (SELECT value FROM json_each(:only)))
                    AND (:all OR :status = 'NoData' OR status <> 'NoData')
                    AND (:status IS NULL OR status = :status OR EXISTS (
                        SELECT 1 FROM session_tally AS tally
                        WHERE tally.session = session.number AND tally.status = :status AND tally.deliveries > 0))
                ORDER BY number DESC
                LIMIT :limit
                """,
            arguments: [
                "job": filter.job, "since": filter.since?.milliseconds, "all": filter.includesNoData,
                "status": filter.status, "limit": filter.limit,
                "only": filter.only.map(\.jsonArray),
            ])
        return try lines(of: rows.compactMap(SessionRecord.init), in: db)
    }

    /// The lines of these sessions, in their order.
    public static func lines(of sessions: [SessionRecord], in db: Database) throws -> [SessionLine] {
        let numbers = sessions.map(\.id.number)
        let tallies = try SessionTally.find(numbers, in: db)
        let kinds = try PackageRecord.kinds(of: numbers, in: db)
        return sessions.map { session in
            SessionLine(
                session: session, tally: tallies[session.id.number] ?? SessionTally(),
                kinds: kinds[session.id.number] ?? [])
        }
    }

    /// Counts by status.
    public static func rollUp(_ id: SessionID, in db: Database) throws -> [DeliveryStatus: Int] {
        try SessionTally.find([id.number], in: db)[id.number]?.deliveries ?? [:]
    }

    /// A store's newest deliveries, newest first.
    public static func newest(of store: StoreID, limit: Int, in db: Database) throws -> [(Delivery, SessionRecord)] {
        // Walks sessions backwards; delivery by its primary key.
        let rows = try Row.fetchAll(
            db.cachedStatement(
                sql: """
                    SELECT session.* FROM session
                    WHERE EXISTS (SELECT 1 FROM delivery WHERE delivery.session = session.number AND delivery.store_id = ?)
                    ORDER BY number DESC LIMIT ?
                    """),
            arguments: [store.rawValue, limit])
        return try rows.compactMap { row in
            guard let session = SessionRecord(row), let delivery = try DeliveryRecord.find(session.id, store, in: db)
            else { return nil }
            return (delivery, session)
        }
    }

    /// Jobs of which each store has an open delivery: it is behind in them.
    public static func behind(in db: Database) throws -> [StoreID: Set<JobID>] {
        var behind: [StoreID: Set<JobID>] = [:]
        // Index delivery_open.
        for row in try Row.fetchAll(db.cachedStatement(sql: "SELECT store_id, job FROM delivery WHERE is_open")) {
            if let store = StoreID(row["store_id"]), let job = JobID(row["job"]) {
                behind[store, default: []].insert(job)
            }
        }
        return behind
    }

    /// Sessions with a delivery that is not final, or that are being built.
    public static func runningCount(in db: Database) throws -> Int {
        try Int.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT (SELECT count(DISTINCT session) FROM delivery WHERE is_open)
                        + (SELECT count(*) FROM session WHERE status = 'Started')
                    """)) ?? 0
    }

    /// The newest failures, for `status`.
    public static func failures(limit: Int, in db: Database) throws -> [Delivery] {
        // Index delivery_failed, backwards.
        let rows = try Row.fetchAll(
            db.cachedStatement(
                sql: """
                    SELECT session_id, store_id FROM delivery
                    WHERE status IN ('DownloadFailed', 'ApplyFailed', 'Suspended')
                    ORDER BY session DESC LIMIT ?
                    """),
            arguments: [limit])
        return try rows.compactMap { row in
            guard let session = SessionID(row["session_id"]), let store = StoreID(row["store_id"]) else { return nil }
            return try DeliveryRecord.find(session, store, in: db)
        }
    }
}
