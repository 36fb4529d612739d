import WaybillModel

extension QuarantineKind: Codable {}
extension QuarantineOrder.Action: Codable {}

/// Which rows in quarantine to list.
public struct QuarantineFilter: Hashable, Sendable {
    public var store: StoreID?
    public var job: JobID?

    public init(store: StoreID? = nil, job: JobID? = nil) {
        self.store = store
        self.job = job
    }
}

/// One row in a store's quarantine.
public struct QuarantinedRow: Codable, Hashable, Sendable {
    public var job: JobID
    public var table: String
    /// Values of the key columns, with commas between them.
    public var key: String
    public var kind: QuarantineKind
    /// What it means for the tills, in plain words.
    public var reason: String
    /// SQLite's words, or what the row waits for.
    public var detail: String
    /// The store still has an older row of the key.
    public var hasOlderRow: Bool
    /// The session that brought it last.
    public var session: SessionID
    public var version: Int64
    /// By the store's clock.
    public var since: UTCTime
    public var attempts: Int

    public init(
        job: JobID, table: String, key: String, kind: QuarantineKind, reason: String, detail: String,
        hasOlderRow: Bool, session: SessionID, version: Int64, since: UTCTime, attempts: Int
    ) {
        self.job = job
        self.table = table
        self.key = key
        self.kind = kind
        self.reason = reason
        self.detail = detail
        self.hasOlderRow = hasOlderRow
        self.session = session
        self.version = version
        self.since = since
        self.attempts = attempts
    }
}

/// An order that a store has not carried out yet.
public struct OpenQuarantineOrder: Codable, Hashable, Sendable {
    public var id: String
    public var action: QuarantineOrder.Action
    @Nullable public var job: JobID?
    @Nullable public var table: String?
    @Nullable public var key: String?
    public var askedAt: UTCTime

    public init(
        id: String, action: QuarantineOrder.Action, job: JobID?, table: String?, key: String?, askedAt: UTCTime
    ) {
        self.id = id
        self.action = action
        self.job = job
        self.table = table
        self.key = key
        self.askedAt = askedAt
    }
}

/// A store's quarantine, as the store last told it.
public struct StoreQuarantine: Codable, Hashable, Sendable {
    public var store: StoreID
    /// All rows in quarantine there; `entries` are at most the first 200, and only those asked for.
    public var rows: Int
    @Nullable public var toldAt: UTCTime?
    public var entries: [QuarantinedRow]
    public var openOrders: [OpenQuarantineOrder]

    public init(
        store: StoreID, rows: Int, toldAt: UTCTime?, entries: [QuarantinedRow], openOrders: [OpenQuarantineOrder]
    ) {
        self.store = store
        self.rows = rows
        self.toldAt = toldAt
        self.entries = entries
        self.openOrders = openOrders
    }
}

/// Try rows in quarantine again, or forget them.
public struct QuarantineRequest: Codable, Hashable, Sendable {
    public var action: QuarantineOrder.Action
    /// None: every store that has rows in quarantine.
    public var stores: [StoreID]
    /// nil for all.
    public var job: JobID?
    public var table: String?
    public var key: String?

    public init(
        action: QuarantineOrder.Action, stores: [StoreID] = [], job: JobID? = nil, table: String? = nil,
        key: String? = nil
    ) {
        self.action = action
        self.stores = stores
        self.job = job
        self.table = table
        self.key = key
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case action, stores, job, table, key
    }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        action = try container.decode(QuarantineOrder.Action.self, forKey: .action)
        stores = try container.decodeIfPresent([StoreID].self, forKey: .stores) ?? []
        job = try container.decodeIfPresent(JobID.self, forKey: .job)
        table = try container.decodeIfPresent(String.self, forKey: .table)
        key = try container.decodeIfPresent(String.self, forKey: .key)
    }
}

/// What has become of an order, store by store. The store does it later: see the list's `open_orders`.
public struct QuarantineReply: Codable, Hashable, Sendable {
    public struct Store: Codable, Hashable, Sendable {
        public var store: StoreID
        public var accepted: Bool
        /// The order's id while it is open.
        @Nullable public var order: String?
        /// Why not; or what happens next.
        public var message: String

        public init(store: StoreID, accepted: Bool, order: String?, message: String) {
            self.store = store
            self.accepted = accepted
            self.order = order
            self.message = message
        }
    }

    public var stores: [Store]

    public init(stores: [Store]) { self.stores = stores }
}
