/// What is kept, and for how long. An age is a promise of what is still there, and a limit of what it may cost.
///
/// Nothing that is in use goes by its age: a session with an open delivery, one that a store stands at, and the package
/// of an open delivery stay however old they are. Rows of the past and the change log are the exception: they are kept
/// for as long as the slowest store needs them, but no longer than ``changesDays``, and no more than ``changesRowsMax``.
/// A store that comes back later gets everything, which always works.
public struct RetentionPolicy: Hashable, Sendable {
    /// Days that a finished session stays in the list, with what each store said. Default 90: a quarter's questions.
    public var sessionsDays: Int
    /// Days that a package stays after its session was made when no open delivery needs it. Default 7: long enough to
    /// look into what was sent; a rerun makes a package of its own.
    public var packagesDays: Int
    /// Days that a store may be away and still get only what changed. Default 30: a closed season, a renovation.
    public var changesDays: Int
    /// Days that finished rows of imports stay in staging. Default 30.
    public var stagingDays: Int
    /// Rows of the change log, and rows of the past of all jobs, whichever is more: beyond it the oldest go, whoever
    /// needs them. Default 20 million: 1 to 3 GB each.
    public var changesRowsMax: Int64

    /// Hours that changes stay although every store has them: a store that is restored from last night's backup still
    /// gets only what changed, and `why` can still show the change.
    public static let graceHours = 24
    /// Days that may be asked for: beyond ten years somebody has mistaken the unit.
    public static let daysMax = 3650
    /// Fewer rows than this would turn an ordinary day's changes into full loads.
    public static let changesRowsFloor: Int64 = 100_000

    public init(
        sessionsDays: Int = 90, packagesDays: Int = 7, changesDays: Int = 30, stagingDays: Int = 30,
        changesRowsMax: Int64 = 20_000_000
    ) {
        self.sessionsDays = sessionsDays
        self.packagesDays = packagesDays
        self.changesDays = changesDays
        self.stagingDays = stagingDays
        self.changesRowsMax = changesRowsMax
    }

    /// The moments before which things may go.
    /// - Parameter olderThanSeconds: one age for everything, in place of the settings.
    public func cutoffs(at now: Timestamp, olderThanSeconds: Int64? = nil) -> RetentionCutoffs {
        func before(_ days: Int) -> Timestamp { now + -(olderThanSeconds ?? Int64(days) * 86_400) * 1000 }
        let grace = min(olderThanSeconds ?? .max, Int64(RetentionPolicy.graceHours) * 3600)
        return RetentionCutoffs(
            now: now, sessions: before(sessionsDays), packages: before(packagesDays), changes: before(changesDays),
            grace: now + -grace * 1000, staging: before(stagingDays), changesRowsMax: changesRowsMax)
    }
}

/// The moments before which things may go, worked out once for a run.
public struct RetentionCutoffs: Hashable, Sendable {
    public var now: Timestamp
    public var sessions: Timestamp
    public var packages: Timestamp
    /// What was out of date by then goes, whoever needs it.
    public var changes: Timestamp
    /// What was out of date by then goes when nobody needs it.
    public var grace: Timestamp
    public var staging: Timestamp
    public var changesRowsMax: Int64
}
