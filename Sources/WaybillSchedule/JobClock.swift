public import Foundation
public import WaybillJobs
public import WaybillModel

/// Decides when which job runs: all jobs of a hub, as a value.
///
/// `step` takes one event and says what is to be kept and what to be started; it reads no clock, draws no random
/// number and waits for nothing. Whoever drives it writes all effects of a step down in one transaction, and drops the
/// stepped copy when that fails. What is not kept is derived anew after a restart: which due times were missed, which
/// changes nobody has taken care of.
///
/// The rules: a job never runs twice at once, so its full and its delta runs never do either. Requests that wait are
/// joined, a full one for the same stores stands for a delta. Due times and changes that pass while a job runs, is on
/// hold or the hub is down make one run afterwards, not many.
public struct JobClock: Sendable {
    public let settings: JobClockSettings
    /// In the order of the catalogue.
    public internal(set) var jobs: [JobID] = []
    var entries: [JobID: Entry] = [:]
    /// Memories of jobs that are not in the catalogue now.
    var absent: [JobID: JobMemory]
    /// Runs that are not over, by number.
    public internal(set) var open: [Int64: JobRun]
    var nextNumber: Int64
    /// The newest version of HQ's change log that was heard of, and the newest of each table.
    public internal(set) var head: Int64
    var tables: [String: Int64] = [:]
    private var hasCatalogue = false

    /// A job of the catalogue, and where it stands.
    struct Entry: Sendable {
        var job: Job
        var memory: JobMemory
        var recurrences: [Recurrence]
        /// The next due time after `memory.handledUpTo`.
        var due: Timestamp?
        /// When the first and the last of the changes came that nobody has taken care of.
        var burst: (first: Timestamp, last: Timestamp)?

        var watched: [String] { job.triggers.online?.tables ?? job.inputs }

        mutating func findDue() { due = recurrences.compactMap { $0.next(after: memory.handledUpTo) }.min() }
    }

    /// What `hub.db` remembers. The jobs come with the first ``JobEvent/catalogue(_:)``.
    public init(settings: JobClockSettings, memories: [JobMemory], open: [JobRun], lastNumber: Int64) {
        self.settings = settings
        absent = Dictionary(memories.map { ($0.job, $0) }, uniquingKeysWith: { a, _ in a })
        self.open = Dictionary(open.map { ($0.number, $0) }, uniquingKeysWith: { a, _ in a })
        nextNumber = max(lastNumber, open.map(\.number).max() ?? 0) + 1
        head = memories.map(\.seen).max() ?? 0
    }

    /// Before the first catalogue: from where HQ's change log has to be read, for what is before every job has taken
    /// care of; nil when nothing is remembered.
    public var readFrom: Int64? { absent.values.map(\.seen).min() }

    /// Takes one event and says what is to be done about it.
    public mutating func step(_ event: JobEvent, now: Timestamp) -> [JobEffect] {
        var effects: [JobEffect] = []
        switch event {
        case .tick: break
        case .catalogue(let jobs): take(jobs, now: now, &effects)
        case .changed(let versions, let newHead): note(versions, newHead, now: now, &effects)
        case .logRestarted(let newHead): restartLog(newHead, now: now, &effects)
        case .enrolled(let stores): load(stores, now: now, &effects)
        case .requested(let job, let scope): request(job, scope, now: now, &effects)
        case .published(let job, let scope, let session): publish(job, scope, session, now: now, &effects)
        case .started(let number, let session): started(number, session, &effects)
        case .ended(let number, let outcome, let jitter): end(number, outcome, jitter, now: now, &effects)
        case .hold(let job, let reason): hold(job, reason, now: now, &effects)
        case .resume(let job): resume(job, now: now, &effects)
        }
        for job in jobs { notice(job, now: now, &effects) }
        advance(now: now, &effects)
        return effects
    }

    // MARK: the catalogue

    private mutating func take(_ list: [Job], now: Timestamp, _ effects: inout [JobEffect]) {
        var before = entries
        // What is there when a hub starts for the first time is no change to anything.
        let isFirst = before.isEmpty && absent.isEmpty
        entries = [:]
        jobs = list.map(\.id)
        for job in list {
            let schedules = "\(job.triggers.schedules)"
            let known = before[job.id]?.memory ?? absent[job.id]
            // Of an online job that is new nothing has been sent: also to a hub that dies before it has run.
            let isNews = known == nil && !isFirst && job.triggers.online != nil
            var memory =
                known ?? JobMemory(job: job.id, handledUpTo: now, schedules: schedules, seen: isNews ? 0 : head)
            // Another definition may find something; whether it is another is not known to a hub that starts.
            if memory.isAsleep, before[job.id]?.job != job {
                memory.isAsleep = false
                memory.idleRuns = 0
                memory.handledUpTo = max(memory.handledUpTo, now)
            }
            // Due times of another schedule, or of days when the job was not there, were not missed.
            if memory.schedules != schedules || (hasCatalogue && before[job.id] == nil) {
                memory.handledUpTo = max(memory.handledUpTo, now)
                memory.schedules = schedules
            }
            var recurrences: [Recurrence] = []
            for schedule in job.triggers.schedules where settings.isAutomatic {
                do throws(ScheduleFault) {
                    recurrences.append(try Recurrence(schedule, hubZone: settings.zone))
                } catch {
                    effects.append(.log("job \(job.id): its schedule: \(error); it is left out", isProblem: true))
                }
            }
            var burst = before[job.id]?.burst
            // Without inputs its queries do not fit HQ's tables; once they do, it is looked at again.
            if burst == nil, memory.seen == 0, job.triggers.online != nil, !job.inputs.isEmpty { burst = (now, now) }
            var entry = Entry(job: job, memory: memory, recurrences: recurrences, burst: burst)
            entry.findDue()
            entries[job.id] = entry
            absent[job.id] = nil
            before[job.id] = nil
            if memory != known { effects.append(.remember(memory)) }
        }
        for (job, gone) in before { absent[job] = gone.memory }
        hasCatalogue = true
        for run in open.values where entries[run.job] == nil && run.state != .running && !run.isPublish {
            finish(run, .canceled, "there is no job \(run.job) any more", now: now, &effects)
        }
        for job in jobs { lookForChanges(job, now: now, &effects) }
    }

    // MARK: changes at headquarters

    private mutating func note(
        _ versions: [String: Int64], _ newHead: Int64, now: Timestamp, _ effects: inout [JobEffect]
    ) {
        head = max(head, newHead)
        for (table, version) in versions { tables[table] = max(version, tables[table] ?? 0) }
        for job in jobs {
            guard let entry = entries[job] else { continue }
            let isNews = versions.contains { entry.watched.contains($0.key) && $0.value > entry.memory.seen }
            if isNews, let first = entry.burst?.first { entries[job]?.burst = (first, now) }
            lookForChanges(job, now: now, &effects)
        }
    }

    /// Begins a burst where a watched table has changed, and wakes a job that sleeps.
    private mutating func lookForChanges(_ job: JobID, now: Timestamp, _ effects: inout [JobEffect]) {
        guard var entry = entries[job] else { return }
        if entry.memory.isAsleep, newest(of: entry.job.inputs) > entry.memory.seen {
            wake(&entry, now: now, &effects)
        }
        if entry.burst == nil, entry.job.triggers.online != nil, newest(of: entry.watched) > entry.memory.seen {
            entry.burst = (now, now)
        }
        entries[job] = entry
    }

    /// The log is another one, of a database from a backup: all that is in it may be news, also to a hub that is
    /// started again before the runs have begun.
    private mutating func restartLog(_ newHead: Int64, now: Timestamp, _ effects: inout [JobEffect]) {
        head = newHead
        tables = [:]
        for job in jobs {
            guard var entry = entries[job] else { continue }
            for table in entry.job.inputs { tables[table] = newHead }
            entry.memory.seen = 0
            entries[job] = entry
            effects.append(.remember(entry.memory))
        }
        for job in jobs { lookForChanges(job, now: now, &effects) }
    }

    func newest(of names: [String]) -> Int64 { names.compactMap { tables[$0] }.max() ?? 0 }

    func wake(_ entry: inout Entry, now: Timestamp, _ effects: inout [JobEffect]) {
        guard entry.memory.isAsleep || entry.memory.idleRuns > 0 else { return }
        if entry.memory.isAsleep {
            entry.memory.handledUpTo = max(entry.memory.handledUpTo, now)
            entry.findDue()
        }
        entry.memory.isAsleep = false
        entry.memory.idleRuns = 0
        effects.append(.remember(entry.memory))
    }

    // MARK: what has come to pass by itself

    /// Due times are not repeated when the clock is set back a little, as in autumn. When it is set back by more than a
    /// day, it was wrong before, and nothing would fall due until it is that late again.
    private static let setBackMilliseconds: Int64 = 25 * 3_600_000

    /// Makes a run of due times that have come and of changes that have settled.
    private mutating func notice(_ job: JobID, now: Timestamp, _ effects: inout [JobEffect]) {
        guard settings.isAutomatic, var entry = entries[job], entry.memory.hold == nil else { return }
        // While the job runs, both keep; they are one run afterwards.
        guard !open.values.contains(where: { $0.job == job && $0.state == .running }) else { return }
        if entry.memory.handledUpTo - now > JobClock.setBackMilliseconds, !entry.recurrences.isEmpty {
            entry.memory.handledUpTo = now
            entry.findDue()
            effects.append(.remember(entry.memory))
            entries[job] = entry
        }
        if let due = entry.due, due <= now {
            entry.memory.handledUpTo = now
            entry.findDue()
            effects.append(.remember(entry.memory))
            entries[job] = entry
            if !entry.memory.isAsleep { ask(job, .schedule, RunScope(), now: now, &effects) }
        }
        if let online = entry.job.triggers.online, let burst = entry.burst {
            // The clock may have been set back since.
            let hasSettled = now - burst.last >= Int64(online.settleMilliseconds) || now < burst.first
            let hasWaited = now - burst.first >= Int64(online.longestWaitMilliseconds)
            guard hasSettled || hasWaited else { return }
            // It becomes a run now; whether that starts at once or waits, it will see these changes.
            entries[job]?.burst = nil
            ask(job, .online, RunScope(), now: now, &effects)
        }
    }

    // MARK: for people

    public var standings: [JobID: JobStanding] {
        Dictionary(jobs.compactMap { job in status(of: job).map { (job, $0) } }, uniquingKeysWith: { a, _ in a })
    }

    /// The open run that brings what somebody has just asked for.
    public func request(of job: JobID, _ scope: RunScope) -> JobRun? {
        open.values.filter { $0.job == job && $0.cause == .manual && !$0.isPublish && $0.scope.covers(scope) }
            .max { $0.number < $1.number }
    }

    /// How a job stands; nil when there is no such job.
    public func status(of job: JobID) -> JobStanding? {
        guard let entry = entries[job] else { return nil }
        let runs = open.values.filter { $0.job == job }
        var state = JobStanding.State.idle
        if runs.contains(where: { $0.state == .running }) {
            state = .running
        } else if entry.memory.hold != nil {
            state = .onHold
        } else if runs.contains(where: { $0.state == .ready || $0.state == .waiting }) {
            state = .waiting
        } else if entry.memory.isAsleep {
            state = .asleep
        }
        let retry = runs.compactMap { $0.state == .waiting ? $0.startAfter : nil }.min()
        let due = entry.memory.isAsleep ? nil : entry.due
        let next = entry.memory.hold == nil ? [retry, due].compactMap { $0 }.min() : nil
        return JobStanding(job: job, state: state, hold: entry.memory.hold, nextRunAt: next)
    }
}

/// What the clock is told once.
public struct JobClockSettings: Sendable {
    /// false: jobs run only when somebody asks for it.
    public var isAutomatic: Bool
    /// For schedules that name no zone.
    public var zone: TimeZone
    /// Runs that are started before another has ended. There is one publisher, so more than one would only mean that
    /// a queue grows where nobody sees it.
    public var runsAtOnce: Int

    public init(isAutomatic: Bool = true, zone: TimeZone, runsAtOnce: Int = 1) {
        self.isAutomatic = isAutomatic
        self.zone = zone
        self.runsAtOnce = runsAtOnce
    }
}

public enum JobEvent: Sendable {
    /// Time has passed.
    case tick
    /// These are the jobs now.
    case catalogue([Job])
    /// HQ's tables have changed: the newest version of each, and of all.
    case changed([String: Int64], head: Int64)
    /// HQ's change log ends before where it ended.
    case logRestarted(head: Int64)
    /// Stores have enrolled, for the first time or as a new machine.
    case enrolled(Set<StoreID>)
    /// An administrator wants a run, and can wait for its turn.
    case requested(JobID, RunScope)
    /// An administrator has been given a session, which stands in the publisher's queue.
    case published(JobID, RunScope, SessionID)
    /// The session of a run that `.start` asked for.
    case started(run: Int64, SessionID)
    /// - jitter: a random number from 0 to 1.
    case ended(run: Int64, RunOutcome, jitter: Double)
    case hold(JobID, reason: String)
    case resume(JobID)
}

public enum JobEffect: Hashable, Sendable {
    // Durable, all of a step in one transaction.
    case save(JobRun)
    case remember(JobMemory)
    /// Begin the session of this run; it is told with ``JobEvent/started(run:_:)`` within the same transaction.
    case start(JobRun)
    /// For the hub's log; `isProblem` above routine.
    case log(String, isProblem: Bool)
}

/// How a job stands.
public struct JobStanding: Hashable, Sendable {
    public enum State: String, Sendable, CaseIterable {
        /// Nothing is to be done.
        case idle = "Idle"
        case waiting = "Waiting"
        case running = "Running"
        case onHold = "OnHold"
        /// Until a table that it reads changes.
        case asleep = "Asleep"
    }

    public var job: JobID
    public var state: State
    /// Why it is on hold.
    public var hold: String?
    /// Of its schedule, or of the next attempt; nil when only a change or a person starts it.
    public var nextRunAt: Timestamp?
}
