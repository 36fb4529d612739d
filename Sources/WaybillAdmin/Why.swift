import WaybillModel

/// Asks why a store has rows of a table, or has not.
public struct WhyRequest: Hashable, Sendable {
    public var store: StoreID
    public var table: String
    /// Values of the key's columns in their order, or as `column=value`; as typed.
    public var key: [String]

    public init(store: StoreID, table: String, key: [String]) {
        self.store = store
        self.table = table
        self.key = key
    }
}

/// A value of a row. A blob is a text of hexadecimal digits.
public enum RowValue: Codable, Hashable, Sendable, CustomStringConvertible {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let number = try? container.decode(Int64.self) {
            self = .integer(number)
        } else {
            self = .real(try container.decode(Double.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .integer(let number): try container.encode(number)
        case .real(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        }
    }

    /// As people write it: without quotation marks.
    public var description: String {
        switch self {
        case .null: "null"
        case .integer(let number): String(number)
        case .real(let number): String(number)
        case .text(let text): text
        }
    }
}

/// How a row stands between HQ and a store.
public enum WhyState: String, Codable, Sendable, CaseIterable {
    /// The store has it, and nothing about it is to change.
    case present
    /// The store has it; another value is on its way, or comes with the next run.
    case changing
    /// The store has it; its removal is on its way, or comes with the next run.
    case leaving
    /// The store keeps it although HQ's query does not give it any more: so the job says.
    case kept
    /// The job's last run gives it; the store has not applied it yet.
    case onItsWay = "on_its_way"
    /// HQ's tables give it; the job has not run since.
    case notRun = "not_run"
    /// The store has no such row and gets none.
    case absent
    /// HQ gives it; what the store has cannot be told.
    case unknown
    /// It lies in quarantine at the store, which has refused it, or has not let it go.
    case inQuarantine = "in_quarantine"
}

/// What a store has said last of a row in its quarantine.
public struct WhyQuarantine: Codable, Hashable, Sendable {
    /// `refused`, `depends` or `kept`, as in the list.
    public var kind: String
    /// SQLite's own words, or what it waits for.
    public var detail: String
    /// What that means for the tills.
    public var consequence: String
    /// The session that brought it last.
    public var session: SessionID
    public var since: UTCTime

    public init(kind: String, detail: String, consequence: String, session: SessionID, since: UTCTime) {
        self.kind = kind
        self.detail = detail
        self.consequence = consequence
        self.session = session
        self.since = since
    }
}

/// A session's part in the life of a row at a store.
public struct WhyDelivery: Codable, Hashable, Sendable {
    public var session: SessionID
    /// The session's status when it has no delivery for the store.
    public var status: String
    @Nullable public var run: Int64?
    public var createdAt: UTCTime
    @Nullable public var requestedAt: UTCTime?
    @Nullable public var downloadedAt: UTCTime?
    @Nullable public var appliedAt: UTCTime?
    @Nullable public var message: String?
    /// Not so when it may have been a session before this one, of which nothing is kept.
    public var exact: Bool

    public init(
        session: SessionID, status: String, run: Int64?, createdAt: UTCTime, requestedAt: UTCTime? = nil,
        downloadedAt: UTCTime? = nil, appliedAt: UTCTime? = nil, message: String? = nil, exact: Bool = true
    ) {
        self.session = session
        self.status = status
        self.run = run
        self.createdAt = createdAt
        self.requestedAt = requestedAt
        self.downloadedAt = downloadedAt
        self.appliedAt = appliedAt
        self.message = message
        self.exact = exact
    }
}

/// Why a row is there or is not.
public struct WhyReason: Codable, Hashable, Sendable {
    public var reason: String
    /// Which HQ row, in words; null when no single row is the reason.
    @Nullable public var source: String?
    /// The same in parts, where it is known.
    @Nullable public var table: String?
    public var key: [RowValue]
    /// The newest change to that row in HQ's change log, as long as it is kept.
    @Nullable public var changedVersion: Int64?
    /// The first session of the job that was built after that change; the log itself knows no times. null: no session
    /// has been built since.
    @Nullable public var changedBeforeSession: SessionID?
    @Nullable public var changedBefore: UTCTime?

    public init(
        reason: String, source: String? = nil, table: String? = nil, key: [RowValue] = [], changedVersion: Int64? = nil,
        changedBeforeSession: SessionID? = nil, changedBefore: UTCTime? = nil
    ) {
        self.reason = reason
        self.source = source
        self.table = table
        self.key = key
        self.changedVersion = changedVersion
        self.changedBeforeSession = changedBeforeSession
        self.changedBefore = changedBefore
    }
}

/// One row of the answer.
public struct WhyRow: Codable, Hashable, Sendable {
    public var state: WhyState
    /// One sentence.
    public var answer: String
    /// In the order of the table's key.
    public var key: [RowValue]
    /// What the store has, in the order of the table's columns; null for nothing.
    @Nullable public var values: [RowValue]?
    /// What HQ gives it, when that is another row, or one that the store has not.
    @Nullable public var coming: [RowValue]?
    /// What the store sees the row through, and the column of the job's query that says so.
    @Nullable public var scope: String?
    @Nullable public var scopeColumn: String?
    /// The HQ version of the run since which the store is to have the row as it is.
    @Nullable public var sinceVersion: Int64?
    @Nullable public var broughtBy: WhyDelivery?
    /// The session that brings or takes away what is to come.
    @Nullable public var pending: WhyDelivery?
    /// The session that took away a row which the store had before.
    @Nullable public var removedBy: WhyDelivery?
    /// When it lies in quarantine there: then the store has not ``values``, but what that says.
    @Nullable public var quarantine: WhyQuarantine?
    /// The main reason first.
    public var reasons: [WhyReason]

    public init(
        state: WhyState, answer: String, key: [RowValue], values: [RowValue]? = nil, coming: [RowValue]? = nil,
        scope: String? = nil, scopeColumn: String? = nil, sinceVersion: Int64? = nil, broughtBy: WhyDelivery? = nil,
        pending: WhyDelivery? = nil, removedBy: WhyDelivery? = nil, quarantine: WhyQuarantine? = nil,
        reasons: [WhyReason] = []
    ) {
        self.state = state
        self.answer = answer
        self.key = key
        self.values = values
        self.coming = coming
        self.scope = scope
        self.scopeColumn = scopeColumn
        self.sinceVersion = sinceVersion
        self.broughtBy = broughtBy
        self.pending = pending
        self.removedBy = removedBy
        self.quarantine = quarantine
        self.reasons = reasons
    }
}

/// Why a store has rows of a table, or has not.
public struct WhyReply: Codable, Hashable, Sendable {
    /// The answer in one sentence.
    public var answer: String
    public var store: StoreID
    public var job: JobID
    public var table: String
    /// The table's columns and key, in the order of the values of each row.
    public var columns: [String]
    public var keyColumns: [String]
    /// The session that the store last said it has applied for the job, and its HQ version.
    @Nullable public var atSession: SessionID?
    @Nullable public var atVersion: Int64?
    /// HQ version of the job's last run.
    @Nullable public var lastRunVersion: Int64?
    /// HQ, or the job, has changed since.
    public var changedSince: Bool
    /// Why a run of the job would fail now.
    @Nullable public var fault: String?
    /// At most 20.
    public var rows: [WhyRow]
    public var more: Bool
    /// When there is no row.
    public var reasons: [WhyReason]

    public init(
        answer: String, store: StoreID, job: JobID, table: String, columns: [String], keyColumns: [String],
        atSession: SessionID?, atVersion: Int64?, lastRunVersion: Int64?, changedSince: Bool, fault: String? = nil,
        rows: [WhyRow], more: Bool = false, reasons: [WhyReason] = []
    ) {
        self.answer = answer
        self.store = store
        self.job = job
        self.table = table
        self.columns = columns
        self.keyColumns = keyColumns
        self.atSession = atSession
        self.atVersion = atVersion
        self.lastRunVersion = lastRunVersion
        self.changedSince = changedSince
        self.fault = fault
        self.rows = rows
        self.more = more
        self.reasons = reasons
    }
}
