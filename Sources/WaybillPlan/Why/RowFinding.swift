import GRDB
import WaybillJobs
import WaybillModel

/// A question about rows of one table at one store.
public struct RowQuestion: Sendable {
    /// Rows that one answer tells about: as many as a person reads.
    public static let rowsMax = 20

    /// As it is now; see ``WaybillJobs/Job/at(_:)``.
    public var job: Job
    public var subjob: Subjob
    public var store: StoreID
    public var key: RowKey
    /// Where the store stands; nil when it has nothing that counts.
    public var base: Base?
    /// `YYYY-MM-DD` of UTC.
    public var today: String

    public init(job: Job, subjob: Subjob, store: StoreID, key: RowKey, base: Base?, today: String) {
        self.job = job
        self.subjob = subjob
        self.store = store
        self.key = key
        self.base = base
        self.today = today
    }
}

/// Why a row is there or is not, as one of the job's explanations says.
public struct RowReason: Sendable, Equatable {
    /// In words: which row of which HQ table, or another text of the job's. nil when no single row is the reason.
    public var source: String?
    /// That HQ row, when the source names one.
    public var table: String?
    public var key: [DatabaseValue]
    public var reason: String
    /// The newest change to that row that HQ's change log still has.
    public var changedVersion: Int64?

    public init(
        source: String?, table: String? = nil, key: [DatabaseValue] = [], reason: String, changedVersion: Int64? = nil
    ) {
        self.source = source
        self.table = table
        self.key = key
        self.reason = reason
        self.changedVersion = changedVersion
    }
}

/// One key at one store: what the store has, what the job's last run gave, and what HQ's tables give now.
public struct RowFinding: Sendable, Equatable {
    /// In the order of the table's key.
    public var key: [DatabaseValue]
    /// What the store has, as far as HQ knows; nil when it has no such row, or when nobody can tell.
    public var held: RowSpan?
    /// What the job's last run gave it.
    public var derived: RowSpan?
    /// What a run would give it now, in the order of the table's columns.
    public var next: [DatabaseValue]?
    /// The newest row under this key that the store had, or was to have, before.
    public var before: RowSpan?
    public var reasons: [RowReason]

    public init(
        key: [DatabaseValue], held: RowSpan? = nil, derived: RowSpan? = nil, next: [DatabaseValue]? = nil,
        before: RowSpan? = nil, reasons: [RowReason] = []
    ) {
        self.key = key
        self.held = held
        self.derived = derived
        self.next = next
        self.before = before
        self.reasons = reasons
    }
}

/// The answer to a ``RowQuestion``.
public struct RowFindings: Sendable, Equatable {
    /// The version of the job's last run; nil when it has not run, or not as it is defined now.
    public var derivedVersion: Int64?
    /// The version at which the store stands, when its rows at that version can be told.
    public var heldVersion: Int64?
    /// HQ's tables, or the job's definition, have changed since the last run.
    public var isStale: Bool
    /// Why a run over the tables as they are would fail; ``RowFinding/next`` is then not known.
    public var nextFault: String?
    /// In the order of the key. Empty: the store has no such row and gets none.
    public var rows: [RowFinding]
    /// There are more than ``RowQuestion/rowsMax``.
    public var hasMore: Bool
    /// For a question without rows.
    public var reasons: [RowReason]

    public init(
        derivedVersion: Int64?, heldVersion: Int64?, isStale: Bool, nextFault: String? = nil, rows: [RowFinding],
        hasMore: Bool = false, reasons: [RowReason] = []
    ) {
        self.derivedVersion = derivedVersion
        self.heldVersion = heldVersion
        self.isStale = isStale
        self.nextFault = nextFault
        self.rows = rows
        self.hasMore = hasMore
        self.reasons = reasons
    }
}
