import WaybillModel

/// Run a job when it is its turn.
public struct JobRunRequest: Codable, Hashable, Sendable {
    /// Send all rows, also to stores that are up to date.
    public var full: Bool
    /// None: every store.
    public var stores: [StoreID]

    public init(full: Bool = false, stores: [StoreID] = []) {
        self.full = full
        self.stores = stores
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case full, stores
    }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        full = try container.decodeIfPresent(Bool.self, forKey: .full) ?? false
        stores = try container.decodeIfPresent([StoreID].self, forKey: .stores) ?? []
    }
}

/// Keep a job from starting by itself.
public struct JobHoldRequest: Codable, Hashable, Sendable {
    @Nullable public var reason: String?

    public init(reason: String? = nil) {
        self.reason = reason
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case reason
    }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        reason = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(String.self, forKey: .reason)
    }
}

/// One run of a job.
public struct JobRunLine: Codable, Hashable, Sendable {
    public var run: Int64
    public var job: JobID
    /// manual, schedule, online, initial, retry.
    public var cause: String
    public var full: Bool
    /// null: all.
    @Nullable public var stores: [StoreID]?
    /// Ready, Waiting, Running, Finished, Failed, OnHold, Canceled.
    public var state: String
    public var attempt: Int
    public var askedAt: UTCTime
    /// Not before: the wait after an attempt that failed.
    @Nullable public var startAfter: UTCTime?
    @Nullable public var startedAt: UTCTime?
    /// When its session was made; the stores apply it in their own time.
    @Nullable public var finishedAt: UTCTime?
    @Nullable public var session: SessionID?
    @Nullable public var message: String?

    public static let finalStates: Set = ["Finished", "Failed", "Canceled"]

    public init(
        run: Int64, job: JobID, cause: String, full: Bool, stores: [StoreID]?, state: String, attempt: Int,
        askedAt: UTCTime, startAfter: UTCTime? = nil, startedAt: UTCTime? = nil, finishedAt: UTCTime? = nil,
        session: SessionID? = nil, message: String? = nil
    ) {
        self.run = run
        self.job = job
        self.cause = cause
        self.full = full
        self.stores = stores
        self.state = state
        self.attempt = attempt
        self.askedAt = askedAt
        self.startAfter = startAfter
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.session = session
        self.message = message
    }
}
