import WaybillModel

/// SQL that a person wrote, and where, so that a fault in it can be shown at its line.
public struct SQLText: Sendable, Equatable, ExpressibleByStringLiteral, CustomStringConvertible {
    public var text: String
    /// Line of the job file on which it begins; 0 for none.
    public var line: Int

    public init(_ text: String, line: Int = 0) {
        self.text = text
        self.line = line
    }

    public init(stringLiteral value: String) { self.init(value) }
    public var description: String { text }
}

/// Which store sees which rows: a row belongs to one *scope*, a store sees the rows of all its scopes.
///
/// Stores with the same scopes share everything: explosion, package, file. Two scopes that one store can see never
/// hold the same key.
public enum StoreRule: Sendable, Equatable {
    case everyStore
    /// The value of this column of the subjob's query is the row's scope; the query gives (store, scope) pairs.
    case column(String, members: SQLText)

    /// The rule for a column that holds the store's id itself.
    public static func storeColumn(_ column: String) -> StoreRule {
        .column(column, members: "SELECT store_id, store_id FROM store")
    }
}

/// One store table that a job fills, and the queries that say what stands in it and who sees which rows.
///
/// The queries run on HQ's tables by their plain names, in one read transaction of `hq.db`, and may read the job's
/// ``PrepareTable``s. They must depend on nothing but those tables: no clock, no random.
public struct Subjob: Sendable, Equatable {
    /// How rows reach a store that has the table already.
    public enum Policy: String, Sendable, CaseIterable {
        /// What differs.
        case delta
        /// The whole table, whenever anything in it differs: what a technician changed there is put right with it.
        case full
    }

    /// What becomes of a store's row that HQ's query does not give any more.
    public enum Removal: String, Sendable, CaseIterable {
        case delete
        /// It stays, as it was sent last.
        case keep
    }

    /// Rows are left out when the day in `column` lies more than `afterDays` days back.
    public struct Expiry: Sendable, Equatable {
        public var column: String
        public var afterDays: Int
        /// The first day that is kept, `YYYY-MM-DD`; set by ``Job/at(_:)``, which makes the definition of a job
        /// another one each day. nil: nothing expires.
        public var firstDay: String?

        public init(column: String, afterDays: Int, firstDay: String? = nil) {
            self.column = column
            self.afterDays = afterDays
            self.firstDay = firstDay
        }
    }

    public var table: TableShape
    /// SELECT with columns named as the table's, in any order, and the one that `stores` names.
    public var query: SQLText
    public var stores: StoreRule
    /// A condition on the query's columns.
    public var filter: SQLText?
    public var expiry: Expiry?
    /// Tables of the same job whose rows, as they now stand (`now_TABLE`), this one's queries read.
    public var after: [String]
    /// The slice by which a part of the table can be worked out, and the column that holds its values.
    public var slice: SliceColumn?
    /// Columns of an index on `now_TABLE`, for queries that look rows up by others than scope and key.
    public var index: [String]
    /// For columns that were renamed: the name before, by the name now.
    public var formerNames: [String: String]
    public var policy: Policy
    public var removal: Removal
    /// How long a till that writes may be kept waiting by this table's rows; nil for what the store has configured.
    public var lockBudgetMilliseconds: Int?
    /// The column that holds a price, for the plan and for ``ChangeLimits/maxPriceChangePercent``.
    public var priceColumn: String?
    public var explanation: Explanation
    /// Columns that hold the key of a row of another table of the job: that table, by column. At a store that cannot
    /// take the one row, the other waits for it.
    public var references: [String: String] = [:]
    /// Line of the job file on which it begins; 0 for none.
    public var line: Int

    public init(
        table: TableShape, query: SQLText, stores: StoreRule, filter: SQLText? = nil, expiry: Expiry? = nil,
        after: [String] = [], slice: SliceColumn? = nil, index: [String] = [], formerNames: [String: String] = [:],
        policy: Policy = .delta, removal: Removal = .delete, lockBudgetMilliseconds: Int? = nil,
        priceColumn: String? = nil, explanation: Explanation = Explanation(), line: Int = 0
    ) {
        self.table = table
        self.query = query
        self.stores = stores
        self.filter = filter
        self.expiry = expiry
        self.after = after
        self.slice = slice
        self.index = index
        self.formerNames = formerNames
        self.policy = policy
        self.removal = removal
        self.lockBudgetMilliseconds = lockBudgetMilliseconds
        self.priceColumn = priceColumn
        self.explanation = explanation
        self.line = line
    }

    /// A subjob whose `rows` give a column `scope`, and whose `members` give (store_id, scope).
    public init(
        table: TableShape, rows: String, members: String, formerNames: [String: String] = [:],
        policy: Policy = .delta, removal: Removal = .delete, lockBudgetMilliseconds: Int? = nil,
        priceColumn: String? = nil, explanation: Explanation = Explanation()
    ) {
        self.init(
            table: table, query: SQLText(rows), stores: .column("scope", members: SQLText(members)),
            formerNames: formerNames, policy: policy, removal: removal,
            lockBudgetMilliseconds: lockBudgetMilliseconds, priceColumn: priceColumn, explanation: explanation)
    }
}

/// A column of a subjob's table that holds the values of a ``Slice``.
public struct SliceColumn: Sendable, Equatable {
    public var slice: String
    public var column: String

    public init(slice: String, column: String) {
        self.slice = slice
        self.column = column
    }
}

/// Values (products, lines, …) for each of which a job's rows can be worked out without the others.
///
/// Makes the cost of a run follow the change: when every change since the last run is to a table in `touched`, the
/// values that these queries give are all that is worked out. The job's queries read them from the temporary table
/// `slice_NAME`, whose one column is named as the first in `all`, or `value`.
public struct Slice: Sendable, Equatable {
    /// The key of ``touched`` for a query that holds for whatever table has changed.
    public static let any = "any"

    public var name: String
    /// All values, for runs over everything. nil: no query reads `slice_NAME`; the framework alone does.
    public var all: SQLText?
    /// By HQ table: the values that its changed rows concern, by what they said before or say now. The queries read
    /// `changed_TABLE`: both versions of all changed rows when the job remembers the table, else their keys.
    public var touched: [String: SQLText]

    public init(name: String, all: SQLText?, touched: [String: SQLText]) {
        self.name = name
        self.all = all
        self.touched = touched
    }
}

/// A temporary table that a job fills before its subjobs, for one run.
public struct PrepareTable: Sendable, Equatable {
    public var name: String
    public var query: SQLText
    /// Columns of its index; empty where every reader scans the table.
    public var index: [String]

    public init(name: String, query: SQLText, index: [String] = []) {
        self.name = name
        self.query = query
        self.index = index
    }
}

/// What HQ distributes in one go: an ordered list of subjobs that become visible at a store together.
public struct Job: Sendable, Equatable {
    public var id: JobID
    /// One line for listings.
    public var title: String
    /// HQ tables that the queries read. A committed change to one of them makes the job due.
    public var inputs: [String]
    /// Temporary tables, filled in this order.
    public var prepare: [PrepareTable]
    public var subjobs: [Subjob]
    public var slices: [Slice]
    /// HQ tables whose rows are kept as they were at the last run, because what a changed row said before matters.
    public var remembered: [String]
    /// Jobs that a store applies before this one, when both are on their way to it.
    public var follows: [JobID]
    public var triggers: JobTriggers
    public var runPolicy: RunPolicy
    public var limits: ChangeLimits
    public var deliveryWindow: DeliveryWindow?
    /// Failed attempts of a store, for reasons that waiting does not heal, until its delivery is suspended; 0: never.
    public var tryCount: Int
    /// Whether and how often stores are verified by themselves.
    public var verification: VerificationPolicy
    /// Where the definition stands: a file's name in `HOME/jobs`, or nil for one that comes with the hub.
    public var file: String?

    public init(
        id: JobID, title: String, inputs: [String], prepare: [PrepareTable] = [], subjobs: [Subjob],
        slices: [Slice] = [], remembered: [String] = [], follows: [JobID] = [],
        triggers: JobTriggers = JobTriggers(), runPolicy: RunPolicy = RunPolicy(),
        limits: ChangeLimits = ChangeLimits(), deliveryWindow: DeliveryWindow? = nil, tryCount: Int = Limits.tryCount,
        verification: VerificationPolicy = VerificationPolicy(), file: String? = nil
    ) {
        self.id = id
        self.title = title
        self.inputs = inputs
        self.prepare = prepare
        self.subjobs = subjobs
        self.slices = slices
        self.remembered = remembered
        self.follows = follows
        self.triggers = triggers
        self.runPolicy = runPolicy
        self.limits = limits
        self.deliveryWindow = deliveryWindow
        self.tryCount = tryCount
        self.verification = verification
        self.file = file
    }
}
