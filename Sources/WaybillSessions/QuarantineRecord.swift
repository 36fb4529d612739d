import GRDB
import WaybillModel

/// What stores have said of their quarantine, and what was ordered to be done about it.
///
/// A copy of each store's own list, so that it can be read while the store is away: each list that arrives takes the
/// place of the one before.
public struct QuarantineRecord: Hashable, Sendable {
    public var store: StoreID
    public var revision: UInt64
    /// Rows in quarantine there; there may be fewer entries.
    public var total: Int
    public var entries: [QuarantineEntry]
    /// nil when the store never said anything.
    public var toldAt: Timestamp?
    /// Orders that the store has not carried out yet.
    public var openOrders: [Order]

    public struct Order: Hashable, Sendable {
        public var order: QuarantineOrder
        public var askedAt: Timestamp
    }

    static func createTables(in db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE quarantine (
                    store_id TEXT PRIMARY KEY,
                    revision INTEGER NOT NULL,
                    total INTEGER NOT NULL,
                    told_at INTEGER NOT NULL
                ) WITHOUT ROWID;
                CREATE TABLE quarantine_entry (
                    store_id TEXT NOT NULL,
                    place INTEGER NOT NULL,
                    job TEXT NOT NULL,
                    table_name TEXT NOT NULL,
                    key TEXT NOT NULL,
                    kind TEXT NOT NULL,
                    detail TEXT NOT NULL,
                    has_older_row INTEGER NOT NULL,
                    session TEXT NOT NULL,
                    epoch INTEGER NOT NULL,
                    version INTEGER NOT NULL,
                    since INTEGER NOT NULL,
                    attempts INTEGER NOT NULL,
                    PRIMARY KEY (store_id, place)
                ) WITHOUT ROWID;
                -- What shall be done at a store, until its list says that it was.
                CREATE TABLE quarantine_order (
                    place INTEGER PRIMARY KEY AUTOINCREMENT,
                    id TEXT NOT NULL UNIQUE,
                    store_id TEXT NOT NULL,
                    action TEXT NOT NULL,
                    job TEXT,
                    table_name TEXT,
                    key TEXT,
                    asked_at INTEGER NOT NULL
                );
                CREATE INDEX quarantine_order_by_store ON quarantine_order (store_id, place);
                ALTER TABLE delivery ADD COLUMN exceptions INTEGER NOT NULL DEFAULT 0;
                -- Sums for the session list: the few deliveries that have any.
                CREATE INDEX delivery_exceptions ON delivery (session, exceptions) WHERE exceptions > 0;
                """)
    }

    /// Writes a store's list down in place of the one before.
    public static func save(_ report: QuarantineReport, of store: StoreID, at now: Timestamp, in db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO quarantine (store_id, revision, total, told_at) VALUES (?, ?, ?, ?)",
            arguments: [store.rawValue, Int64(bitPattern: report.revision), report.total, now.milliseconds])
        // Primary key prefix.
        try db.execute(sql: "DELETE FROM quarantine_entry WHERE store_id = ?", arguments: [store.rawValue])
        for (place, entry) in report.entries.prefix(QuarantineLimits.entriesMax).enumerated() {
            try db.execute(
                sql: """
                    INSERT INTO quarantine_entry (
                        store_id, place, job, table_name, key, kind, detail, has_older_row, session, epoch, version,
                        since, attempts
                    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    store.rawValue, place, entry.job.rawValue, entry.table, entry.key, entry.kind.rawValue,
                    entry.detail, entry.hasOlderRow, entry.session.rawValue, entry.version.epoch,
                    entry.version.number, entry.since.milliseconds, entry.attempts,
                ])
        }
        for id in report.ordersDone {
            // Unique.
            try db.execute(
                sql: "DELETE FROM quarantine_order WHERE id = ? AND store_id = ?", arguments: [id, store.rawValue])
        }
    }

    /// Stores that have rows in quarantine or an open order, or the one that is asked for.
    public static func list(store: StoreID?, job: JobID?, in db: Database) throws -> [QuarantineRecord] {
        // All of it: a handful of stores, with at most ``QuarantineLimits/entriesMax`` entries each.
        let names = try String.fetchAll(
            db,
            sql: """
                SELECT store_id FROM quarantine WHERE total > 0 AND (:store IS NULL OR store_id = :store)
                UNION SELECT store_id FROM quarantine_order WHERE :store IS NULL OR store_id = :store
                ORDER BY store_id
                """, arguments: ["store": store?.rawValue])
        return try names.compactMap(StoreID.init).map { store in
            var record = try find(store, in: db)
            if let job {
                record.entries.removeAll { $0.job != job }
                record.openOrders.removeAll { $0.order.job.map { $0 != job } ?? false }
            }
            return record
        }
    }

    public static func find(_ store: StoreID, in db: Database) throws -> QuarantineRecord {
        // Asked for each store when a hub starts.
        let head = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT * FROM quarantine WHERE store_id = ?"), arguments: [store.rawValue])
        let entries = try Row.fetchAll(
            db.cachedStatement(sql: "SELECT * FROM quarantine_entry WHERE store_id = ? ORDER BY place"),
            arguments: [store.rawValue])
        return QuarantineRecord(
            store: store, revision: head.map { UInt64(bitPattern: $0["revision"]) } ?? 0, total: head?["total"] ?? 0,
            entries: entries.compactMap(entry), toldAt: timestamp(head?["told_at"]),
            openOrders: try openOrders(of: store, in: db))
    }

    private static func entry(_ row: Row) -> QuarantineEntry? {
        guard let job = JobID(row["job"]), let kind = QuarantineKind(rawValue: row["kind"]),
            let session = SessionID(row["session"])
        else { return nil }
        return QuarantineEntry(
            job: job, table: row["table_name"], key: row["key"], kind: kind, detail: row["detail"],
            hasOlderRow: row["has_older_row"], session: session,
            version: Version(epoch: row["epoch"], number: row["version"]),
            since: Timestamp(milliseconds: row["since"]), attempts: row["attempts"])
    }

    // MARK: orders

    /// Open orders of one store: more are refused, because nobody needs them.
    public static let openOrdersMax = 16

    public static func add(_ order: QuarantineOrder, for store: StoreID, at now: Timestamp, in db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO quarantine_order (id, store_id, action, job, table_name, key, asked_at)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                order.id, store.rawValue, order.action.rawValue, order.job?.rawValue, order.table, order.key,
                now.milliseconds,
            ])
    }

    /// Oldest first. Index quarantine_order_by_store.
    public static func openOrders(of store: StoreID, in db: Database) throws -> [Order] {
        try Row.fetchAll(
            db.cachedStatement(sql: "SELECT * FROM quarantine_order WHERE store_id = ? ORDER BY place"),
            arguments: [store.rawValue]
        ).compactMap { row in
            QuarantineOrder.Action(rawValue: row["action"]).map { action in
                Order(
                    order: QuarantineOrder(
                        id: row["id"], action: action, job: (row["job"] as String?).flatMap(JobID.init),
                        table: row["table_name"], key: row["key"]),
                    askedAt: Timestamp(milliseconds: row["asked_at"]))
            }
        }
    }

    /// A store that takes no part any more: nothing is known of it and nothing ordered.
    public static func forget(_ store: StoreID, in db: Database) throws {
        for table in ["quarantine", "quarantine_entry", "quarantine_order"] {
            try db.execute(sql: "DELETE FROM \(table) WHERE store_id = ?", arguments: [store.rawValue])
        }
    }

    // MARK: sums

    /// Rows in quarantine, by store; those that have none are left out.
    public static func totals(in db: Database) throws -> [StoreID: Int] {
        var totals: [StoreID: Int] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT store_id, total FROM quarantine WHERE total > 0") {
            if let store = StoreID(row["store_id"]) { totals[store] = row["total"] }
        }
        return totals
    }

    /// Primary key.
    public static func total(of store: StoreID, in db: Database) throws -> Int {
        try Int.fetchOne(db, sql: "SELECT total FROM quarantine WHERE store_id = ?", arguments: [store.rawValue]) ?? 0
    }
}
