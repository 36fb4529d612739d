import WaybillModel

/// One store table that a job fills, and the queries that say what stands in it and who sees which rows.
///
/// `rows` gives a relation (scope, columns of the table…): a row belongs to exactly one *scope*, and its key is
/// unique within the scope. `members` gives (store_id, scope): a store sees the rows of all its scopes. What a store
/// must hold is therefore the union of its scopes, and stores with the same scopes share everything: explosion,
/// package, file. Two scopes that one store can see never hold the same key.
///
/// Both queries run on HQ's tables by their plain names, in one read transaction of `hq.db`, after the job's
/// `prepare` statements. They must depend on nothing but those tables: no clock, no random.
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

    public var table: TableShape
    /// SELECT whose first column is `scope` and whose others are named as the table's columns.
    public var rows: String
    /// SELECT store_id, scope.
    public var members: String
    /// For columns that were renamed: the name before, by the name now.
    public var formerNames: [String: String]
    public var policy: Policy
    public var removal: Removal
    /// How long a till that writes may be kept waiting by this table's rows; nil for what the store has configured.
    public var lockBudgetMilliseconds: Int?
    /// The column that holds a price, for the plan and for ``ChangeLimits/maxPriceChangePercent``.
    public var priceColumn: String?
    public var explanation: Explanation

    public init(
        table: TableShape, rows: String, members: String, formerNames: [String: String] = [:],
        policy: Policy = .delta, removal: Removal = .delete, lockBudgetMilliseconds: Int? = nil,
        priceColumn: String? = nil, explanation: Explanation = Explanation()
    ) {
        self.table = table
        self.rows = rows
        self.members = members
        self.formerNames = formerNames
        self.policy = policy
        self.removal = removal
        self.lockBudgetMilliseconds = lockBudgetMilliseconds
        self.priceColumn = priceColumn
        self.explanation = explanation
    }
}

/// What HQ distributes in one go: an ordered list of subjobs that become visible at a store together.
public struct Job: Sendable, Equatable {
    public var id: JobID
    /// One line for listings.
    public var title: String
    /// HQ tables that `prepare`, `rows` and `members` read. A committed change to one of them makes the job due.
    public var inputs: [String]
    /// Statements that fill TEMP tables for the subjobs, run in order; each creates one `TEMP` table or index.
    public var prepare: [String]
    /// The TEMP tables that `prepare` creates, dropped afterwards.
    public var temporaryTables: [String]
    public var subjobs: [Subjob]
    /// Jobs that a store applies before this one, when both are on their way to it.
    public var follows: [JobID]
    public var triggers: JobTriggers
    public var runPolicy: RunPolicy
    public var limits: ChangeLimits
    public var deliveryWindow: DeliveryWindow?
    /// Failed attempts of a store, for reasons that waiting does not heal, until its delivery is suspended.
    public var tryCount: Int
    /// Where the definition stands: a file's name in `HOME/jobs`, or nil for one that is part of the hub.
    public var file: String?

    public init(
        id: JobID, title: String, inputs: [String], prepare: [String], temporaryTables: [String], subjobs: [Subjob],
        follows: [JobID] = [], triggers: JobTriggers = JobTriggers(), runPolicy: RunPolicy = RunPolicy(),
        limits: ChangeLimits = ChangeLimits(), deliveryWindow: DeliveryWindow? = nil, tryCount: Int = Limits.tryCount,
        file: String? = nil
    ) {
        self.id = id
        self.title = title
        self.inputs = inputs
        self.prepare = prepare
        self.temporaryTables = temporaryTables
        self.subjobs = subjobs
        self.follows = follows
        self.triggers = triggers
        self.runPolicy = runPolicy
        self.limits = limits
        self.deliveryWindow = deliveryWindow
        self.tryCount = tryCount
        self.file = file
    }
}
