public import WaybillModel

/// Why a job runs.
public enum RunCause: String, Sendable, CaseIterable {
    /// An administrator asked for it.
    case manual
    case schedule
    /// A table that the job watches has changed.
    case online
    /// A store has enrolled.
    case initial
    /// The run before has failed.
    case retry
}

/// Where a run of a job stands.
public enum RunState: String, Sendable, CaseIterable {
    /// May start as soon as the publisher is free.
    case ready = "Ready"
    /// For another run of the same job to end, or for the time of the next attempt.
    case waiting = "Waiting"
    /// Its session is being made.
    case running = "Running"
    /// Its session is made, or there was nothing to send.
    case finished = "Finished"
    case failed = "Failed"
    /// Until somebody resumes the job.
    case onHold = "OnHold"
    case canceled = "Canceled"

    /// Nothing more happens to the run.
    public var isFinal: Bool {
        switch self {
        case .finished, .failed, .canceled: true
        case .ready, .waiting, .running, .onHold: false
        }
    }
}

/// What a run shall bring to which stores.
public struct RunScope: Hashable, Sendable {
    /// Everything, whatever the stores have.
    public var isFull: Bool
    /// Only these; nil for all.
    public var stores: Set<StoreID>?

    public init(isFull: Bool = false, stores: Set<StoreID>? = nil) {
        self.isFull = isFull
        self.stores = stores
    }

    /// Whether who gets this gets all of `other`.
    public func covers(_ other: RunScope) -> Bool {
        guard isFull || !other.isFull else { return false }
        guard let stores else { return true }
        return other.stores.map { $0.isSubset(of: stores) } ?? false
    }

    /// Takes in what another request of the same kind asks for.
    mutating func join(_ other: RunScope) {
        stores = stores.flatMap { mine in other.stores.map { mine.union($0) } }
    }
}

/// One run of a job: it makes one session.
public struct JobRun: Hashable, Sendable {
    /// Grows from run to run.
    public var number: Int64
    public var job: JobID
    public var cause: RunCause
    public var scope: RunScope
    public var state: RunState
    /// 1 and up; the attempts of a run and of those that repeat it because it failed.
    public var attempt: Int
    public var askedAt: Timestamp
    /// Not before; nil for at once.
    public var startAfter: Timestamp?
    public var startedAt: Timestamp?
    public var finishedAt: Timestamp?
    /// The session that it makes; known since its start, and for `isPublish` since it was asked for.
    public var session: SessionID?
    public var message: String
    /// Asked for by somebody who was given the session's name at once: the session stands in the publisher's queue
    /// already, so the run cannot be joined with another.
    public var isPublish: Bool
    /// How far of HQ's change log had been taken care of when the run began: what a failed run falls back to.
    public var seenBefore: Int64

    public init(
        number: Int64, job: JobID, cause: RunCause, scope: RunScope, state: RunState, attempt: Int = 1,
        askedAt: Timestamp, startAfter: Timestamp? = nil, startedAt: Timestamp? = nil, finishedAt: Timestamp? = nil,
        session: SessionID? = nil, message: String = "", isPublish: Bool = false, seenBefore: Int64 = 0
    ) {
        self.number = number
        self.job = job
        self.cause = cause
        self.scope = scope
        self.state = state
        self.attempt = attempt
        self.askedAt = askedAt
        self.startAfter = startAfter
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.session = session
        self.message = message
        self.isPublish = isPublish
        self.seenBefore = seenBefore
    }
}

/// What is remembered of a job from run to run, and over restarts of the hub.
public struct JobMemory: Hashable, Sendable {
    public var job: JobID
    /// Why the job is on hold; nil when it is not.
    public var hold: String?
    /// Its schedule is not followed until a table that it reads changes.
    public var isAsleep: Bool
    /// Scheduled runs in a row that found nothing.
    public var idleRuns: Int
    /// All due times up to here have been taken care of.
    public var handledUpTo: Timestamp
    /// The schedules that `handledUpTo` speaks of, as text: those of another definition were never missed.
    public var schedules: String
    /// All of HQ's changes up to this version have been taken care of.
    public var seen: Int64

    public init(
        job: JobID, hold: String? = nil, isAsleep: Bool = false, idleRuns: Int = 0, handledUpTo: Timestamp,
        schedules: String, seen: Int64
    ) {
        self.job = job
        self.hold = hold
        self.isAsleep = isAsleep
        self.idleRuns = idleRuns
        self.handledUpTo = handledUpTo
        self.schedules = schedules
        self.seen = seen
    }
}

/// How a run has ended.
public enum RunOutcome: Hashable, Sendable {
    /// Its session has something for some store.
    case made
    case nothing
    case failed(String)
    case canceled
}
