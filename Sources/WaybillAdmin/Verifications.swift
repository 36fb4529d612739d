import WaybillModel

/// Verify that stores have what jobs define for them.
public struct VerifyRequest: Codable, Hashable, Sendable {
    /// None: every store that is enrolled.
    public var stores: [StoreID]
    /// None: every job.
    public var jobs: [JobID]
    /// Send what differs.
    public var repair: Bool

    public init(stores: [StoreID] = [], jobs: [JobID] = [], repair: Bool = false) {
        self.stores = stores
        self.jobs = jobs
        self.repair = repair
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case stores, jobs, repair
    }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        stores = try container.decodeIfPresent([StoreID].self, forKey: .stores) ?? []
        jobs = try container.decodeIfPresent([JobID].self, forKey: .jobs) ?? []
        repair = try container.decodeIfPresent(Bool.self, forKey: .repair) ?? false
    }
}

/// One row in which a store and HQ differ.
public struct VerificationFinding: Codable, Hashable, Sendable {
    public var table: String
    /// `changed`, `missing` (at the store) or `extra` (HQ has it not).
    public var difference: String
    /// The key's values as text, by column.
    public var key: [String: String]
    /// The same in a person's words: `item_id = 'A', unit = 'pcs'`.
    public var row: String
    /// In a changed row: what differs.
    public var columns: [Column]

    /// A column that differs. Blobs in hexadecimal digits, long values cut.
    public struct Column: Codable, Hashable, Sendable {
        public var column: String
        @Nullable public var hq: String?
        @Nullable public var store: String?

        public init(column: String, hq: String?, store: String?) {
            self.column = column
            self.hq = hq
            self.store = store
        }
    }

    public init(table: String, difference: String, key: [String: String], row: String, columns: [Column] = []) {
        self.table = table
        self.difference = difference
        self.key = key
        self.row = row
        self.columns = columns
    }
}

/// Where a store stood when a job was last found to be as it should be there.
public struct VerifiedValue: Codable, Hashable, Sendable {
    public var version: Int64
    public var session: SessionID
    public var at: UTCTime

    public init(version: Int64, session: SessionID, at: UTCTime) {
        self.version = version
        self.session = session
        self.at = at
    }
}

/// One verification of one job at one store.
public struct VerificationSummary: Codable, Hashable, Sendable {
    public var id: Int64
    public var store: StoreID
    public var job: JobID
    /// `running`, `ok`, `diverged`, `repaired` or `unknown`.
    public var outcome: String
    /// A session is on its way that repairs it; it is verified again after that.
    public var repairing: Bool
    /// `asked`, `scheduled` or `repair`.
    public var cause: String
    public var begunAt: UTCTime
    @Nullable public var endedAt: UTCTime?
    /// Where the store stood.
    @Nullable public var version: Int64?
    @Nullable public var session: SessionID?
    public var changed: Int64
    public var missing: Int64
    public var extra: Int64
    /// There may be more differences than these counts say.
    public var partial: Bool
    @Nullable public var repairSession: SessionID?
    @Nullable public var message: String?
    /// The last time before this one that all was well: what differs was changed after it. null: never.
    @Nullable public var goodBefore: UTCTime?
    /// The first of the rows that differ.
    public var findings: [VerificationFinding]

    public init(
        id: Int64, store: StoreID, job: JobID, outcome: String, repairing: Bool, cause: String, begunAt: UTCTime,
        endedAt: UTCTime?, version: Int64?, session: SessionID?, changed: Int64, missing: Int64, extra: Int64,
        partial: Bool, repairSession: SessionID?, message: String?, goodBefore: UTCTime?,
        findings: [VerificationFinding]
    ) {
        self.id = id
        self.store = store
        self.job = job
        self.outcome = outcome
        self.repairing = repairing
        self.cause = cause
        self.begunAt = begunAt
        self.endedAt = endedAt
        self.version = version
        self.session = session
        self.changed = changed
        self.missing = missing
        self.extra = extra
        self.partial = partial
        self.repairSession = repairSession
        self.message = message
        self.goodBefore = goodBefore
        self.findings = findings
    }

    /// Nothing more will come of it by itself.
    public var isOver: Bool { outcome != "running" && !repairing }
    /// The store has what the job defines.
    public var isGood: Bool { outcome == "ok" || outcome == "repaired" }
}

public struct VerifyReply: Codable, Hashable, Sendable {
    public var verifications: [VerificationSummary]

    public init(verifications: [VerificationSummary]) {
        self.verifications = verifications
    }
}
