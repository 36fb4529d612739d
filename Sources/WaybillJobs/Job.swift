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
    public var table: TableShape
    /// SELECT whose first column is `scope` and whose others are named as the table's columns.
    public var rows: String
    /// SELECT store_id, scope.
    public var members: String

    public init(table: TableShape, rows: String, members: String) {
        self.table = table
        self.rows = rows
        self.members = members
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

    public init(
        id: JobID, title: String, inputs: [String], prepare: [String], temporaryTables: [String], subjobs: [Subjob]
    ) {
        self.id = id
        self.title = title
        self.inputs = inputs
        self.prepare = prepare
        self.temporaryTables = temporaryTables
        self.subjobs = subjobs
    }
}
