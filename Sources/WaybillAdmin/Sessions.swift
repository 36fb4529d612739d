import WaybillModel

/// What a session's packages are.
public enum SessionKind: String, Codable, Sendable, CaseIterable {
    case delta
    case full
    /// Some audiences get a delta, others all of it.
    case mixed
}

/// A download session as one line of the session list.
public struct SessionSummary: Codable, Hashable, Sendable {
    public var id: SessionID
    public var job: JobID
    /// The roll-up over header and deliveries: a raw value of `SessionStatus` or `DeliveryStatus`.
    public var status: String
    /// nil while the packages are not made, and when there is nothing to send.
    @Nullable public var kind: SessionKind?
    /// The number of the version that its packages lead to; compares within one `epoch`. nil until it is known.
    @Nullable public var version: Int64?
    @Nullable public var epoch: Int64?
    public var createdAt: UTCTime
    /// Rows to be sent, over all deliveries: a package counts once for each store that it is for.
    public var rows: Int64
    /// Compressed bytes to be sent, over all deliveries.
    public var bytes: Int64
    /// Of `bytes`, what stores have fetched.
    public var bytesDone: Int64
    /// How many deliveries are in which status; statuses without any are left out.
    public var deliveries: [String: Int]
    /// One plain sentence, for instance why the packages could not be made.
    @Nullable public var message: String?
    /// Earlier sessions that bring the very same rows and are still on their way to some stores: these have NoData
    /// here, and are up to date once those sessions have arrived.
    public var waitsFor: [SessionID]
    /// Rows that stores have put into quarantine instead, over all deliveries.
    public var exceptions: Int
    /// How many deliveries have not come forward for longer than is usual.
    public var stalled: Int

    public init(
        id: SessionID, job: JobID, status: String, kind: SessionKind?, version: Version?, createdAt: UTCTime,
        rows: Int64, bytes: Int64, bytesDone: Int64, deliveries: [String: Int], message: String?,
        waitsFor: [SessionID] = [], exceptions: Int = 0, stalled: Int = 0
    ) {
        self.id = id
        self.job = job
        self.status = status
        self.kind = kind
        self.version = version?.number
        self.epoch = version?.epoch
        self.createdAt = createdAt
        self.rows = rows
        self.bytes = bytes
        self.bytesDone = bytesDone
        self.deliveries = deliveries
        self.message = message
        self.waitsFor = waitsFor
        self.exceptions = exceptions
        self.stalled = stalled
    }

    /// How many deliveries the session has.
    public var deliveriesCount: Int { deliveries.values.reduce(0, +) }

    /// How many of them nothing more will happen to.
    public var deliveriesFinal: Int {
        deliveries.reduce(0) { $0 + (DeliveryStatus(rawValue: $1.key)?.isFinal == true ? $1.value : 0) }
    }

    /// How many of them have failed.
    public var deliveriesFailed: Int {
        deliveries.reduce(0) { $0 + (DeliveryStatus(rawValue: $1.key)?.isFailure == true ? $1.value : 0) }
    }
}

/// One store's part of a session.
public struct DeliveryDetail: Codable, Hashable, Sendable {
    public var store: StoreID
    public var status: DeliveryStatus
    @Nullable public var kind: PackageKind?
    public var rows: Int64
    /// Compressed size of the package.
    public var bytes: Int64
    /// Of `bytes`, what the store has fetched, as far as the hub has heard.
    public var bytesDone: Int64
    @Nullable public var requestedAt: UTCTime?
    @Nullable public var downloadedAt: UTCTime?
    @Nullable public var appliedAt: UTCTime?
    /// Attempts of the present run.
    public var attempts: Int
    /// Milliseconds of the longest write lock that the apply held on the store's database.
    @Nullable public var longestLockMs: Int64?
    /// One plain sentence, in the agent's words where it is about a failure.
    @Nullable public var message: String?
    /// 1, and one more for each rerun.
    public var run: Int
    /// A cancel waits for the store's answer.
    public var cancelRequested: Bool
    /// Nothing happens before the job's delivery window opens; the message says when.
    public var waitsForWindow: Bool
    /// Rows that the store has put into quarantine instead.
    public var exceptions: Int
    /// nil while it is within its time.
    @Nullable public var stalled: StalledDetail?

    public init(
        store: StoreID, status: DeliveryStatus, kind: PackageKind?, rows: Int64, bytes: Int64, bytesDone: Int64,
        requestedAt: UTCTime?, downloadedAt: UTCTime?, appliedAt: UTCTime?, attempts: Int, longestLockMs: Int64?,
        message: String?, run: Int, cancelRequested: Bool, waitsForWindow: Bool = false,
        exceptions: Int = 0, stalled: StalledDetail? = nil
    ) {
        self.store = store
        self.status = status
        self.kind = kind
        self.rows = rows
        self.bytes = bytes
        self.bytesDone = bytesDone
        self.requestedAt = requestedAt
        self.downloadedAt = downloadedAt
        self.appliedAt = appliedAt
        self.attempts = attempts
        self.longestLockMs = longestLockMs
        self.message = message
        self.run = run
        self.cancelRequested = cancelRequested
        self.waitsForWindow = waitsForWindow
        self.exceptions = exceptions
        self.stalled = stalled
    }
}

/// A session with its deliveries: the keys of ``SessionSummary``, but `deliveries` holds them one by one.
public struct SessionDetail: Codable, Hashable, Sendable {
    public var summary: SessionSummary
    /// By store.
    public var deliveries: [DeliveryDetail]
    /// nil for a session that stayed within its job's limits.
    public var approval: ApprovalDetail?

    /// - Parameter summary: its `deliveries` are counted anew from `deliveries`.
    public init(summary: SessionSummary, deliveries: [DeliveryDetail], approval: ApprovalDetail? = nil) {
        self.summary = summary
        self.deliveries = deliveries
        self.approval = approval
        self.summary.deliveries = SessionDetail.counts(deliveries)
    }

    private enum CodingKeys: String, CodingKey {
        case id, job, status, kind, version, epoch, createdAt, rows, bytes, bytesDone, deliveries, message, waitsFor
        case approval, exceptions, stalled
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let epoch = try container.decodeIfPresent(Int64.self, forKey: .epoch)
        let number = try container.decodeIfPresent(Int64.self, forKey: .version)
        let deliveries = try container.decode([DeliveryDetail].self, forKey: .deliveries)
        summary = SessionSummary(
            id: try container.decode(SessionID.self, forKey: .id),
            job: try container.decode(JobID.self, forKey: .job),
            status: try container.decode(String.self, forKey: .status),
            kind: try container.decodeIfPresent(SessionKind.self, forKey: .kind),
            version: epoch.flatMap { epoch in number.map { Version(epoch: epoch, number: $0) } },
            createdAt: try container.decode(UTCTime.self, forKey: .createdAt),
            rows: try container.decode(Int64.self, forKey: .rows),
            bytes: try container.decode(Int64.self, forKey: .bytes),
            bytesDone: try container.decode(Int64.self, forKey: .bytesDone),
            deliveries: SessionDetail.counts(deliveries),
            message: try container.decodeIfPresent(String.self, forKey: .message),
            waitsFor: try container.decode([SessionID].self, forKey: .waitsFor),
            exceptions: try container.decodeIfPresent(Int.self, forKey: .exceptions) ?? 0,
            stalled: try container.decodeIfPresent(Int.self, forKey: .stalled) ?? 0)
        self.deliveries = deliveries
        approval = try container.decodeIfPresent(ApprovalDetail.self, forKey: .approval)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(summary.id, forKey: .id)
        try container.encode(summary.job, forKey: .job)
        try container.encode(summary.status, forKey: .status)
        try container.encode(summary.kind, forKey: .kind)
        try container.encode(summary.version, forKey: .version)
        try container.encode(summary.epoch, forKey: .epoch)
        try container.encode(summary.createdAt, forKey: .createdAt)
        try container.encode(summary.rows, forKey: .rows)
        try container.encode(summary.bytes, forKey: .bytes)
        try container.encode(summary.bytesDone, forKey: .bytesDone)
        try container.encode(deliveries, forKey: .deliveries)
        try container.encode(summary.message, forKey: .message)
        try container.encode(summary.waitsFor, forKey: .waitsFor)
        try container.encode(approval, forKey: .approval)
        try container.encode(summary.exceptions, forKey: .exceptions)
        try container.encode(summary.stalled, forKey: .stalled)
    }

    private static func counts(_ deliveries: [DeliveryDetail]) -> [String: Int] {
        deliveries.reduce(into: [:]) { $0[$1.status.rawValue, default: 0] += 1 }
    }
}

/// Which sessions to list; newest first.
public struct SessionFilter: Hashable, Sendable {
    /// More sessions than this are never listed in one answer.
    public static let limitMax = 10_000
    public static let limitDefault = 200

    public var job: JobID?
    /// As in ``SessionSummary/status``.
    public var status: String?
    /// Created at this moment or later.
    public var since: UTCTime?
    /// Also sessions with status NoData.
    public var includesNoData: Bool
    public var limit: Int
    /// Only sessions with a stalled delivery.
    public var isStalled = false

    public init(
        job: JobID? = nil, status: String? = nil, since: UTCTime? = nil, includesNoData: Bool = false,
        limit: Int = SessionFilter.limitDefault
    ) {
        self.job = job
        self.status = status
        self.since = since
        self.includesNoData = includesNoData
        self.limit = limit
    }

    /// Every value that ``SessionSummary/status`` can have.
    public static var statuses: [String] {
        let headers = SessionStatus.allCases.map(\.rawValue)
        return headers + DeliveryStatus.allCases.map(\.rawValue).filter { !headers.contains($0) }
    }
}

/// How an administrator names a session: by its whole id, or by its number alone.
public enum SessionReference: Hashable, Sendable, CustomStringConvertible {
    case id(SessionID)
    case number(Int64)

    /// nil when `text` is neither `42` nor `42-9f3c1b2e55aa`.
    public init?(_ text: String) {
        if let id = SessionID(text) {
            self = .id(id)
        } else if let number = Int64(text), number > 0, String(number) == text {
            self = .number(number)
        } else {
            return nil
        }
    }

    public var description: String {
        switch self {
        case .id(let id): id.rawValue
        case .number(let number): String(number)
        }
    }
}
