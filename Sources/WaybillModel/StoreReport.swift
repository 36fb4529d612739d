/// What a store did with a delivery.
public enum StoreOutcome: String, Sendable, CaseIterable {
    case requested
    case downloaded
    case downloadFailed
    case applyFailed
    /// Committed in the store's database together with the rows and the watermark.
    case applied
    /// The store has promised, durably, never to apply this run of the session.
    case canceled
}

/// What a store tells the hub about one delivery; kept in the store's outbox until the hub has it on disk.
public struct StoreReport: Hashable, Sendable {
    /// Names the report within the incarnation that wrote it.
    public var id: Int64
    public var incarnation: Incarnation
    /// Durable changes of the store's database in that incarnation, this one included.
    public var sequence: Int64
    public var session: SessionID
    public var job: JobID
    /// 1 for the first run of the delivery; one more for each rerun.
    public var run: Int
    /// 1 for the first attempt of a run; one more after each failure.
    public var attempt: Int
    public var outcome: StoreOutcome
    /// By the store's clock; for people, never for order.
    public var at: Timestamp
    /// Rows written and removed at the store; only with `applied`.
    public var rowsChanged: Int64
    /// The longest write lock held on the store's database; only with `applied`.
    public var longestLockMilliseconds: Int64
    /// One plain sentence for the session list, or empty; at most ``Limits/reportTextBytesMax`` bytes.
    public var message: String
    /// Waiting can help (no space, no line, a locked database): such a failure does not use up the try count.
    public var isTransient: Bool
    /// Where the store stands for the job afterwards; only with `applied`.
    public var watermark: Watermark?
    /// Rows of the session that the store did not take and has put into quarantine; only with `applied`.
    public var exceptions: Int

    public init(
        id: Int64, incarnation: Incarnation, sequence: Int64, session: SessionID, job: JobID, run: Int, attempt: Int,
        outcome: StoreOutcome, at: Timestamp, rowsChanged: Int64 = 0, longestLockMilliseconds: Int64 = 0,
        message: String = "", isTransient: Bool = false, watermark: Watermark? = nil,
        exceptions: Int = 0
    ) {
        self.id = id
        self.incarnation = incarnation
        self.sequence = sequence
        self.session = session
        self.job = job
        self.run = run
        self.attempt = attempt
        self.outcome = outcome
        self.at = at
        self.rowsChanged = rowsChanged
        self.longestLockMilliseconds = longestLockMilliseconds
        self.message = message
        self.isTransient = isTransient
        self.watermark = watermark
        self.exceptions = exceptions
    }

    /// The report's name for acknowledging.
    public var name: ReportName { ReportName(incarnation: incarnation, id: id) }
}

/// Names one report for ever: ids start again in a restored database, incarnations do not.
public struct ReportName: Hashable, Sendable {
    public var incarnation: Incarnation
    public var id: Int64

    public init(incarnation: Incarnation, id: Int64) {
        self.incarnation = incarnation
        self.id = id
    }
}
