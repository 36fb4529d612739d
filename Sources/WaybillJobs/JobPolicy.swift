/// What becomes of a run that failed, and of one that finds nothing.
public struct RunPolicy: Sendable, Equatable {
    /// Failed attempts before the job is put on hold; 0 for no limit.
    public var attempts: Int
    /// The wait before the second attempt; doubled for each further one, with jitter.
    public var waitSeconds: Int
    public var longestWaitSeconds: Int
    /// After so many scheduled runs in a row that found nothing the job sleeps until a table it reads changes;
    /// 0 for never.
    public var sleepAfter: Int

    public init(attempts: Int = 5, waitSeconds: Int = 30, longestWaitSeconds: Int = 3600, sleepAfter: Int = 5) {
        self.attempts = attempts
        self.waitSeconds = waitSeconds
        self.longestWaitSeconds = longestWaitSeconds
        self.sleepAfter = sleepAfter
    }
}

/// Guard rails: what a session may change at a store before somebody has to approve it. nil for no limit.
///
/// The defaults let a season's change of range and a sale pass, and stop an emptied table and a slipped decimal point.
public struct ChangeLimits: Sendable, Equatable {
    /// Rows of one table removed at one store, in percent of those it had.
    public var maxRemovedPercent: Double?
    /// Removals of up to so many rows of a table are never held back: in a small table one row is many percent.
    public var removedRowsFree: Int64
    /// Change of one row's price column (``Subjob/priceColumn``), in percent of what it was.
    public var maxPriceChangePercent: Double?
    /// Rows added, changed and removed at one store by a delta, over all tables.
    public var maxRows: Int64?

    public init(
        maxRemovedPercent: Double? = 30, removedRowsFree: Int64 = 100, maxPriceChangePercent: Double? = 80,
        maxRows: Int64? = 5_000_000
    ) {
        self.maxRemovedPercent = maxRemovedPercent
        self.removedRowsFree = removedRowsFree
        self.maxPriceChangePercent = maxPriceChangePercent
        self.maxRows = maxRows
    }
}

/// Queries on HQ's tables that tell a person why a row is at a store, or why it is not.
///
/// Each is a SELECT of two columns: `source`, which row of which HQ table, in words or, so that its last change can be
/// found, as `json_array('TABLE', KEY…)`, or NULL; and `reason`, one sentence. The first row is the main reason.
/// Parameters: `:store`, `:today` (`YYYY-MM-DD` of UTC) and, by their names, the columns of the row for `present`,
/// those of the key for `absent`, where a column that was not asked for is NULL. They run in one read transaction,
/// after no `prepare`.
public struct Explanation: Sendable, Equatable {
    public var present: SQLText?
    public var absent: SQLText?

    public init(present: SQLText? = nil, absent: SQLText? = nil) {
        self.present = present
        self.absent = absent
    }
}
