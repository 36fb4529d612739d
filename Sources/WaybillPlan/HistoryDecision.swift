import WaybillModel

/// A store that needs rows of the past: it stands at this version of a job, or a delivery to it leads there.
public struct HistoryHold: Hashable, Sendable {
    public var store: StoreID
    public var job: JobID
    public var base: Base

    public init(store: StoreID, job: JobID, base: Base) {
        self.store = store
        self.job = job
        self.base = base
    }
}

/// What is known of a job's past when it is decided how much of it goes.
public struct JobPast: Hashable, Sendable {
    public var job: JobID
    /// The version of the derivation at hand.
    public var current: Int64
    /// Versions below it cannot be told any more.
    public var floor: Int64
    /// Up to where in the change log the derivation at hand is known to be good.
    public var unchangedTo: Int64
    /// What was current when changes became too old to be kept for anybody; nil when nothing known is that old.
    public var currentAtCutoff: Int64?
    /// What was current when changes became old enough to go when nobody needs them; nil likewise.
    public var currentAtGrace: Int64?
    /// How many rows died at which version, by version.
    public var died: [Died]
    /// Versions that stores need, as far as they can be told at all.
    public var holds: [HistoryHold]

    public struct Died: Hashable, Sendable {
        public var version: Int64
        public var rows: Int64

        public init(version: Int64, rows: Int64) {
            self.version = version
            self.rows = rows
        }
    }

    public init(job: JobID, current: Int64, floor: Int64, unchangedTo: Int64) {
        self.job = job
        self.current = current
        self.floor = floor
        self.unchangedTo = unchangedTo
        died = []
        holds = []
    }
}

/// The same of the change log, which all jobs share.
public struct LogPast: Hashable, Sendable {
    /// The newest version; its row stays for ever.
    public var head: Int64
    public var headAtCutoff: Int64?
    public var headAtGrace: Int64?

    public init(head: Int64, headAtCutoff: Int64? = nil, headAtGrace: Int64? = nil) {
        self.head = head
        self.headAtCutoff = headAtCutoff
        self.headAtGrace = headAtGrace
    }
}

/// How much of the past goes. Pure: the same facts, the same decision.
public struct HistoryDecision: Hashable, Sendable {
    /// The new floor of each job; the old one where nothing goes.
    public var floors: [JobID: Int64]
    /// Rows of the change log up to this version go; 0 for none.
    public var logUpTo: Int64
    /// Stores that will get everything because what they need is too old or too much.
    public var fullLoads: [HistoryHold]

    public init(_ jobs: [JobPast], log: LogPast, rowsMax: Int64) {
        floors = [:]
        fullLoads = []
        let sizeFloors = HistoryDecision.floorsBySize(jobs, rowsMax: rowsMax)
        var needed = log.head
        for past in jobs {
            let floor = HistoryDecision.floor(past, bySize: sizeFloors[past.job] ?? past.floor)
            floors[past.job] = floor
            fullLoads += past.holds.filter { $0.base.version < floor }
            let slowest = past.holds.map(\.base.version).filter { $0 >= floor }.min() ?? past.current
            // A store that is up to date needs of the log no more than the derivation itself does.
            needed = min(needed, slowest < past.current ? slowest : max(past.current, past.unchangedTo))
        }
        fullLoads.sort { ($0.job, $0.store) < ($1.job, $1.store) }
        let inPeace = min(needed, log.headAtGrace ?? 0)
        logUpTo = max(0, min(log.head - 1, max(inPeace, log.headAtCutoff ?? 0, log.head - rowsMax)))
    }

    private static func floor(_ past: JobPast, bySize: Int64) -> Int64 {
        let needed = past.holds.map(\.base.version).min() ?? past.current
        let inPeace = min(needed, past.currentAtGrace ?? past.floor)
        return min(past.current, max(past.floor, inPeace, past.currentAtCutoff ?? past.floor, bySize))
    }

    /// The lowest floors at which no more than `rowsMax` rows of the past are kept: the oldest go first, of all jobs.
    private static func floorsBySize(_ jobs: [JobPast], rowsMax: Int64) -> [JobID: Int64] {
        let newestFirst = jobs.flatMap { past in past.died.map { (past.job, $0) } }
            .sorted { ($0.1.version, $0.0) > ($1.1.version, $1.0) }
        var kept: Int64 = 0
        var floors: [JobID: Int64] = [:]
        for (job, died) in newestFirst {
            kept += died.rows
            if kept > rowsMax { floors[job] = max(floors[job] ?? 0, died.version) }
        }
        return floors
    }
}
