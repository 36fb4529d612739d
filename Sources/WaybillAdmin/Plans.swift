import WaybillModel

/// Ask what publishing would do.
public struct PlanRequest: Codable, Hashable, Sendable {
    /// None: every job.
    public var jobs: [JobID]
    /// As if all rows were sent, also to stores that are up to date.
    public var full: Bool
    /// None: every store.
    public var stores: [StoreID]

    public init(jobs: [JobID] = [], full: Bool = false, stores: [StoreID] = []) {
        self.jobs = jobs
        self.full = full
        self.stores = stores
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case jobs, full, stores
    }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        jobs = try container.decodeIfPresent([JobID].self, forKey: .jobs) ?? []
        full = try container.decodeIfPresent(Bool.self, forKey: .full) ?? false
        stores = try container.decodeIfPresent([StoreID].self, forKey: .stores) ?? []
    }
}

/// What publishing would do at this moment; nothing of it has been done.
public struct PlanReply: Codable, Hashable, Sendable {
    /// In the order of the request.
    public var jobs: [JobPlan]

    public init(jobs: [JobPlan]) {
        self.jobs = jobs
    }
}

/// One job of a plan.
public struct JobPlan: Codable, Hashable, Sendable {
    public var job: JobID
    /// The version that packages would lead to; nil when there is an `error`.
    @Nullable public var version: Int64?
    @Nullable public var epoch: Int64?
    /// Stores that would get something, in groups that one package would serve.
    public var audiences: [AudiencePlan]
    /// How many stores have it all already.
    public var noData: Int
    /// How many stores would get nothing because an earlier session has the very same rows for them.
    public var covered: Int
    /// Those earlier sessions: on their way, or awaiting approval.
    public var waitsFor: [SessionID]
    /// The session would be held back for approval.
    public var needsApproval: Bool
    /// Why the job could not be planned: one sentence.
    @Nullable public var error: String?

    public init(
        job: JobID, version: Version? = nil, audiences: [AudiencePlan] = [], noData: Int = 0, covered: Int = 0,
        waitsFor: [SessionID] = [], needsApproval: Bool = false, error: String? = nil
    ) {
        self.job = job
        self.version = version?.number
        self.epoch = version?.epoch
        self.audiences = audiences
        self.noData = noData
        self.covered = covered
        self.waitsFor = waitsFor
        self.needsApproval = needsApproval
        self.error = error
    }
}

/// Stores that would get the same package.
public struct AudiencePlan: Codable, Hashable, Sendable {
    public var stores: [StoreID]
    public var kind: PackageKind
    /// A first load, or one that cannot be compared with what the stores have: all rows count as added.
    public var isFirstLoad: Bool
    /// The package's compressed size, estimated from the length of the values in it; nothing is made to measure it.
    public var bytesEstimate: Int64
    /// Differences to what the stores have, also where everything would be sent. Every table of the job.
    public var tables: [TablePlan]
    /// Limits of the job that the change would exceed at these stores, each as `lose 412 of 500 rows of product …`.
    public var exceeds: [String]

    public init(
        stores: [StoreID], kind: PackageKind, isFirstLoad: Bool, bytesEstimate: Int64, tables: [TablePlan],
        exceeds: [String]
    ) {
        self.stores = stores
        self.kind = kind
        self.isFirstLoad = isFirstLoad
        self.bytesEstimate = bytesEstimate
        self.tables = tables
        self.exceeds = exceeds
    }
}

/// What would change in one store table.
public struct TablePlan: Codable, Hashable, Sendable {
    public var table: String
    public var added: Int64
    public var changed: Int64
    public var removed: Int64
    /// Rows that each of the stores has. nil when nothing or next to nothing of them would be removed: then they are
    /// not counted.
    @Nullable public var had: Int64?
    /// The biggest ones first; at most 10.
    public var priceMoves: [PriceMovePlan]
    /// Products that would disappear; at most 20, `removed` says how many there are.
    public var disappearing: [String]

    public init(
        table: String, added: Int64, changed: Int64, removed: Int64, had: Int64?, priceMoves: [PriceMovePlan],
        disappearing: [String]
    ) {
        self.table = table
        self.added = added
        self.changed = changed
        self.removed = removed
        self.had = had
        self.priceMoves = priceMoves
        self.disappearing = disappearing
    }
}

/// A price that would change.
public struct PriceMovePlan: Codable, Hashable, Sendable {
    /// The row, by the values of its key columns.
    public var key: [String]
    public var column: String
    /// In HQ's unit: a column whose name ends in `_e4` counts ten-thousandths, one in `_e6` millionths.
    public var before: Double
    public var after: Double
    /// Of what it was; nil when that was 0.
    @Nullable public var percent: Double?

    public init(key: [String], column: String, before: Double, after: Double, percent: Double?) {
        self.key = key
        self.column = column
        self.before = before
        self.after = after
        self.percent = percent
    }
}
