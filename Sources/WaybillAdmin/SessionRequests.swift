import WaybillModel

/// Run jobs now.
public struct PublishRequest: Codable, Hashable, Sendable {
    /// None: every job.
    public var jobs: [JobID]
    /// Send all rows, also to stores that are up to date.
    public var full: Bool
    /// None: every store.
    public var stores: [StoreID]
    /// Whatever the jobs' delivery windows say.
    public var now: Bool

    public init(jobs: [JobID] = [], full: Bool = false, stores: [StoreID] = [], now: Bool = false) {
        self.jobs = jobs
        self.full = full
        self.stores = stores
        self.now = now
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case jobs, full, stores, now
    }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        jobs = try container.decodeIfPresent([JobID].self, forKey: .jobs) ?? []
        full = try container.decodeIfPresent(Bool.self, forKey: .full) ?? false
        stores = try container.decodeIfPresent([StoreID].self, forKey: .stores) ?? []
        now = try container.decodeIfPresent(Bool.self, forKey: .now) ?? false
    }
}

/// The sessions that a publish has started, one for each job, in the order of the jobs.
public struct PublishReply: Codable, Hashable, Sendable {
    public struct Session: Codable, Hashable, Sendable {
        public var id: SessionID
        public var job: JobID
        /// As in ``SessionSummary/status``; `Started` while the packages are being made.
        public var status: String
        @Nullable public var message: String?

        public init(id: SessionID, job: JobID, status: String, message: String? = nil) {
            self.id = id
            self.job = job
            self.status = status
            self.message = message
        }
    }

    public var sessions: [Session]

    public init(sessions: [Session]) {
        self.sessions = sessions
    }
}

/// Call deliveries of a session off.
public struct CancelRequest: Codable, Hashable, Sendable {
    /// None: every store of the session.
    public var stores: [StoreID]
    /// Kept with the deliveries as their message.
    @Nullable public var reason: String?

    public init(stores: [StoreID] = [], reason: String? = nil) {
        self.stores = stores
        self.reason = reason
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case stores, reason
    }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        stores = try container.decodeIfPresent([StoreID].self, forKey: .stores) ?? []
        reason = try container.decodeIfPresent(String.self, forKey: .reason)
    }
}

/// What a cancel has come to, store by store.
public struct CancelReply: Codable, Hashable, Sendable {
    public enum Answer: String, Codable, Sendable, CaseIterable {
        /// The store never applied it and never will.
        case revoked
        /// The store has been asked; its answer will be `revoked` or `too_late`.
        case pending
        /// The store had applied it, at `at`.
        case tooLate = "too_late"
        /// Nothing was left to call off: the delivery had been canceled, superseded or had no data.
        case alreadyFinal = "already_final"
    }

    public struct Store: Codable, Hashable, Sendable {
        public var store: StoreID
        public var answer: Answer
        @Nullable public var at: UTCTime?
        public var message: String

        public init(store: StoreID, answer: Answer, at: UTCTime? = nil, message: String = "") {
            self.store = store
            self.answer = answer
            self.at = at
            self.message = message
        }
    }

    public var session: SessionID
    public var stores: [Store]

    public init(session: SessionID, stores: [Store]) {
        self.session = session
        self.stores = stores
    }
}

/// Offer a session to stores again.
public struct RerunRequest: Codable, Hashable, Sendable {
    /// None: every store whose delivery can run again.
    public var stores: [StoreID]

    public init(stores: [StoreID] = []) {
        self.stores = stores
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case stores
    }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        stores = try container.decodeIfPresent([StoreID].self, forKey: .stores) ?? []
    }
}

public struct RerunReply: Codable, Hashable, Sendable {
    public struct Store: Codable, Hashable, Sendable {
        public var store: StoreID
        public var accepted: Bool
        /// Why not; or what happens next.
        public var message: String

        public init(store: StoreID, accepted: Bool, message: String = "") {
            self.store = store
            self.accepted = accepted
            self.message = message
        }
    }

    public var session: SessionID
    public var stores: [Store]

    public init(session: SessionID, stores: [Store]) {
        self.session = session
        self.stores = stores
    }
}

/// Forget finished sessions.
public struct PurgeRequest: Codable, Hashable, Sendable {
    /// Sessions created longer ago than this and finished at every store.
    public var olderThanSeconds: Int64

    public init(olderThanSeconds: Int64) {
        self.olderThanSeconds = olderThanSeconds
    }
}

public struct PurgeReply: Codable, Hashable, Sendable {
    public var sessions: Int
    public var packages: Int
    public var bytesFreed: Int64

    public init(sessions: Int, packages: Int, bytesFreed: Int64) {
        self.sessions = sessions
        self.packages = packages
        self.bytesFreed = bytesFreed
    }
}
