import WaybillModel

/// Forget whatever is old enough, now rather than within the hour.
public struct RetentionRequest: Codable, Hashable, Sendable {
    /// One age for everything, in place of the ages in `hub.yaml`.
    @Nullable public var olderThanSeconds: Int64?
    /// Only say what would go.
    public var dryRun: Bool

    /// Beyond a hundred years somebody has mistaken the unit.
    public static let secondsMax: Int64 = 100 * 366 * 86_400

    public init(olderThanSeconds: Int64? = nil, dryRun: Bool = false) {
        self.olderThanSeconds = olderThanSeconds
        self.dryRun = dryRun
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case olderThanSeconds, dryRun
    }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        olderThanSeconds = try container.decodeIfPresent(Int64.self, forKey: .olderThanSeconds)
        dryRun = try container.decodeIfPresent(Bool.self, forKey: .dryRun) ?? false
    }
}

/// What went, or would go.
public struct RetentionReply: Codable, Hashable, Sendable {
    /// What one kind of things came to.
    public struct Kind: Codable, Hashable, Sendable {
        /// `sessions`, `deliveries`, `packages`, `changes` (the change log), `history` (rows of the past), `staging`, …
        public var kind: String
        public var rows: Int64
        /// Of files: given back to the disk. Of rows: about so many, free for new rows in the same database.
        public var bytes: Int64

        public init(kind: String, rows: Int64, bytes: Int64) {
            self.kind = kind
            self.rows = rows
            self.bytes = bytes
        }
    }

    /// A store that gets everything next time, because what it needs was too old or too much to be kept.
    public struct FullLoad: Codable, Hashable, Sendable {
        public var store: StoreID
        public var job: JobID

        public init(store: StoreID, job: JobID) {
            self.store = store
            self.job = job
        }
    }

    public var dryRun: Bool
    public var kinds: [Kind]
    public var fullLoads: [FullLoad]
    public var tookMs: Int64
    /// What could not be done this time, one sentence each; the next run tries again.
    public var problems: [String]

    public init(
        dryRun: Bool, kinds: [Kind] = [], fullLoads: [FullLoad] = [], tookMs: Int64 = 0, problems: [String] = []
    ) {
        self.dryRun = dryRun
        self.kinds = kinds
        self.fullLoads = fullLoads
        self.tookMs = tookMs
        self.problems = problems
    }
}
