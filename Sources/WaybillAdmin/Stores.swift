import WaybillModel

public enum StoreState: String, Codable, Sendable, CaseIterable {
    /// Enrolled.
    case active
    /// Added; its agent has not enrolled yet.
    case pending
    /// Its agent is not let in any more.
    case retired
}

/// What a store has applied for a job, in JSON.
public struct WatermarkValue: Codable, Hashable, Sendable {
    public var version: Int64
    public var epoch: Int64
    public var session: SessionID

    public init(_ watermark: Watermark) {
        version = watermark.version.number
        epoch = watermark.version.epoch
        session = watermark.session
    }
}

/// A store as one line of the store list.
public struct StoreSummary: Codable, Hashable, Sendable {
    public var store: StoreID
    public var state: StoreState
    /// Its agent was heard of within the time in which it must say something.
    public var online: Bool
    @Nullable public var lastSeen: UTCTime?
    @Nullable public var agentVersion: String?
    /// By job.
    public var watermarks: [String: WatermarkValue]
    /// Jobs for which a session waits that the store has not applied.
    public var behind: [JobID]
    /// Free bytes on the disk of the store's database, as the agent last said.
    @Nullable public var freeBytes: Int64?
    /// By job: where the store stood when all of it was last found to be as it should be.
    public var verifiedThrough: [String: VerifiedValue] = [:]
    /// Jobs of which rows were found to differ when they were last verified.
    public var diverged: [JobID] = []
    /// One plain sentence when something about the store needs a person.
    @Nullable public var message: String?
    /// Rows that it could not take, as it last said.
    public var quarantined: Int
    /// When the enrolment code that has not been used yet ends, or has ended; null when there is none.
    @Nullable public var codeExpiresAt: UTCTime?

    public init(
        store: StoreID, state: StoreState, online: Bool, lastSeen: UTCTime?, agentVersion: String?,
        watermarks: [JobID: Watermark], behind: [JobID], freeBytes: Int64?, message: String?,
        quarantined: Int = 0
    ) {
        self.store = store
        self.state = state
        self.online = online
        self.lastSeen = lastSeen
        self.agentVersion = agentVersion
        self.watermarks = watermarks.reduce(into: [:]) { $0[$1.key.rawValue] = WatermarkValue($1.value) }
        self.behind = behind
        self.freeBytes = freeBytes
        self.message = message
        self.quarantined = quarantined
        codeExpiresAt = nil
    }
}

/// What one session brought, or will bring, to a store.
public struct StoreDelivery: Codable, Hashable, Sendable {
    public var session: SessionID
    public var job: JobID
    public var createdAt: UTCTime
    public var status: DeliveryStatus
    @Nullable public var kind: PackageKind?
    public var rows: Int64
    public var bytes: Int64
    @Nullable public var appliedAt: UTCTime?
    @Nullable public var message: String?

    public init(
        session: SessionID, job: JobID, createdAt: UTCTime, status: DeliveryStatus, kind: PackageKind?, rows: Int64,
        bytes: Int64, appliedAt: UTCTime?, message: String?
    ) {
        self.session = session
        self.job = job
        self.createdAt = createdAt
        self.status = status
        self.kind = kind
        self.rows = rows
        self.bytes = bytes
        self.appliedAt = appliedAt
        self.message = message
    }
}

/// A store with its last deliveries: the keys of ``StoreSummary``, and `deliveries`.
public struct StoreDetail: Codable, Hashable, Sendable {
    public var summary: StoreSummary
    /// The newest ones, newest first.
    public var deliveries: [StoreDelivery]

    public init(summary: StoreSummary, deliveries: [StoreDelivery]) {
        self.summary = summary
        self.deliveries = deliveries
    }

    private enum CodingKeys: String, CodingKey {
        case deliveries
    }

    public init(from decoder: any Decoder) throws {
        summary = try StoreSummary(from: decoder)
        deliveries = try decoder.container(keyedBy: CodingKeys.self).decode([StoreDelivery].self, forKey: .deliveries)
    }

    public func encode(to encoder: any Encoder) throws {
        try summary.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(deliveries, forKey: .deliveries)
    }
}

public struct StoreAddRequest: Codable, Hashable, Sendable {
    public var store: StoreID
    /// How long the code is good for; nil for as long as the hub's configuration says.
    @Nullable public var validForSeconds: Int64?

    /// Seconds that a code may be good for.
    public static let validity: ClosedRange<Int64> = 60...(365 * 86_400)

    public init(store: StoreID, validForSeconds: Int64? = nil) {
        self.store = store
        self.validForSeconds = validForSeconds
    }
}

/// The one-time code with which a store's agent enrols.
public struct StoreAdded: Codable, Hashable, Sendable {
    public var store: StoreID
    public var code: String
    public var expiresAt: UTCTime

    public init(store: StoreID, code: String, expiresAt: UTCTime) {
        self.store = store
        self.code = code
        self.expiresAt = expiresAt
    }
}
