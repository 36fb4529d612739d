import WaybillJobs
import WaybillModel

/// The life of a run: asked for, started, ended.
extension JobClock {
    // MARK: asking

    mutating func load(_ stores: Set<StoreID>, now: Timestamp, _ effects: inout [JobEffect]) {
        guard settings.isAutomatic else { return }
        for job in jobs where entries[job]?.job.triggers.isInitial == true {
            ask(job, .initial, RunScope(isFull: true, stores: stores), now: now, &effects)
        }
    }

    mutating func request(_ job: JobID, _ scope: RunScope, now: Timestamp, _ effects: inout [JobEffect]) {
        guard entries[job] != nil else { return }
        ask(job, .manual, scope, now: now, &effects)
    }

    /// Joins the request with one that waits already, or makes a run of it.
    ///
    /// What a person asks for is kept apart from what happens by itself: it starts also when the job is on hold or
    /// between two attempts.
    mutating func ask(
        _ job: JobID, _ cause: RunCause, _ scope: RunScope, now: Timestamp, _ effects: inout [JobEffect]
    ) {
        let waiting = open.values.filter {
            $0.job == job && $0.state != .running && !$0.isPublish && ($0.cause == .manual) == (cause == .manual)
        }
        if waiting.contains(where: { $0.scope.covers(scope) }) { return }
        if var same = waiting.first(where: { $0.scope.isFull == scope.isFull }) {
            same.scope.join(scope)
            keep(same, &effects)
            return
        }
        // A full one takes the place of the deltas that it stands for.
        for delta in waiting where scope.covers(delta.scope) && delta.startAfter == nil {
            finish(delta, .canceled, "a full run stands for it", now: now, &effects)
        }
        let isHeld = cause != .manual && entries[job]?.memory.hold != nil
        keep(
            JobRun(
                number: takeNumber(), job: job, cause: cause, scope: scope, state: isHeld ? .onHold : .ready,
                askedAt: now),
            &effects)
    }

    /// Its session is written down and queued by whoever publishes.
    mutating func publish(
        _ job: JobID, _ scope: RunScope, _ session: SessionID, now: Timestamp, _ effects: inout [JobEffect]
    ) {
        guard let entry = entries[job] else { return }
        var run = JobRun(
            number: takeNumber(), job: job, cause: .manual, scope: scope, state: .ready, askedAt: now,
            session: session, isPublish: true, seenBefore: entry.memory.seen)
        takeCareOfChanges(&run, &effects)
        keep(run, &effects)
    }

    private mutating func takeNumber() -> Int64 {
        defer { nextNumber += 1 }
        return nextNumber
    }

    // MARK: starting

    /// Starts what can be started, and says of the others what they wait for.
    mutating func advance(now: Timestamp, _ effects: inout [JobEffect]) {
        // The publisher takes its queue in order: of the sessions in it, the first is being made.
        let queued = open.values.filter { $0.isPublish && $0.state != .running }.sorted { $0.number < $1.number }
        for var run in queued {
            let state: RunState = isRunning(run.job) ? .waiting : isPublisherFree ? .running : .ready
            guard state != run.state else { continue }
            run.state = state
            if state == .running { run.startedAt = now }
            keep(run, &effects)
        }
        let candidates = open.values.filter { !$0.isPublish && ($0.state == .ready || $0.state == .waiting) }
            .sorted { ($0.cause == .manual ? 0 : 1, $0.number) < ($1.cause == .manual ? 0 : 1, $1.number) }
        for var run in candidates {
            let isTooEarly = run.startAfter.map { $0 > now } ?? false
            // A session that stands in the queue already has its turn before.
            let isBehind = isRunning(run.job) || open.values.contains { $0.job == run.job && $0.isPublish }
            if !isTooEarly, !isBehind, isPublisherFree {
                start(&run, now: now, &effects)
                continue
            }
            let state: RunState = isTooEarly || isBehind ? .waiting : .ready
            guard state != run.state else { continue }
            run.state = state
            keep(run, &effects)
        }
    }

    private func isRunning(_ job: JobID) -> Bool {
        open.values.contains { $0.job == job && $0.state == .running }
    }

    private var isPublisherFree: Bool {
        open.values.count { $0.state == .running } < settings.runsAtOnce
    }

    private mutating func start(_ run: inout JobRun, now: Timestamp, _ effects: inout [JobEffect]) {
        run.state = .running
        run.startedAt = now
        takeCareOfChanges(&run, &effects)
        open[run.number] = run
        effects.append(.start(run))
    }

    /// A run that is for all stores reads HQ's tables after it has begun, so it takes care of all changes so far.
    private mutating func takeCareOfChanges(_ run: inout JobRun, _ effects: inout [JobEffect]) {
        guard var entry = entries[run.job] else { return }
        run.seenBefore = entry.memory.seen
        guard run.scope.stores == nil else { return }
        entry.burst = nil
        if entry.memory.seen < head {
            entry.memory.seen = head
            effects.append(.remember(entry.memory))
        }
        entries[run.job] = entry
    }

    mutating func started(_ number: Int64, _ session: SessionID, _ effects: inout [JobEffect]) {
        guard var run = open[number] else { return }
        run.session = session
        keep(run, &effects)
    }

    // MARK: ending

    mutating func end(
        _ number: Int64, _ outcome: RunOutcome, _ jitter: Double, now: Timestamp, _ effects: inout [JobEffect]
    ) {
        guard let run = open[number], run.state == .running || run.isPublish else { return }
        switch outcome {
        case .made, .nothing:
            finish(run, .finished, outcome == .nothing ? "nothing to send" : "", now: now, &effects)
            settle(run, foundSomething: outcome == .made, now: now, &effects)
        case .failed(let why):
            finish(run, .failed, why, now: now, &effects)
            fallBack(run, why, jitter, now: now, &effects)
        case .canceled:
            finish(run, .canceled, "its session was canceled", now: now, &effects)
            restoreChanges(of: run, now: now, &effects)
        }
    }

    /// After a run that has done its work.
    private mutating func settle(
        _ run: JobRun, foundSomething: Bool, now: Timestamp, _ effects: inout [JobEffect]
    ) {
        for other in open.values.sorted(by: { $0.number < $1.number })
        where other.job == run.job && other.cause == .retry && !other.isPublish && run.scope.covers(other.scope) {
            finish(other, .canceled, "run \(run.number) has done it", now: now, &effects)
        }
        guard var entry = entries[run.job] else { return }
        if foundSomething {
            wake(&entry, now: now, &effects)
        } else if run.cause == .schedule {
            entry.memory.idleRuns += 1
            let limit = entry.job.runPolicy.sleepAfter
            // Where rows expire, the day changes what stores must have, and no table does.
            let isByDay = entry.job.subjobs.contains { $0.expiry != nil }
            if limit > 0, !isByDay, entry.memory.idleRuns >= limit, newest(of: entry.job.inputs) <= entry.memory.seen {
                entry.memory.isAsleep = true
                let times = "\(entry.memory.idleRuns) scheduled runs in a row"
                effects.append(
                    .log("job \(run.job) sleeps until a table changes: \(times) found nothing", isProblem: false))
            }
            effects.append(.remember(entry.memory))
        }
        entries[run.job] = entry
    }

    /// After an attempt that failed: the next one, or on hold.
    ///
    /// Nobody repeats by himself what a person has asked for: the person is told. Changes that the run had taken upon
    /// itself are open again.
    private mutating func fallBack(
        _ run: JobRun, _ why: String, _ jitter: Double, now: Timestamp, _ effects: inout [JobEffect]
    ) {
        guard var entry = entries[run.job] else { return }
        guard run.cause != .manual, settings.isAutomatic else {
            return restoreChanges(of: run, now: now, &effects)
        }
        let policy = entry.job.runPolicy
        let isLast = policy.attempts > 0 && run.attempt >= policy.attempts
        var retry = JobRun(
            number: takeNumber(), job: run.job, cause: .retry, scope: run.scope, state: .waiting,
            attempt: run.attempt + 1, askedAt: now)
        retry.startAfter = now + JobClock.pause(before: retry.attempt, policy, jitter)
        if isLast {
            let reason = "\(run.attempt == 1 ? "an attempt" : "\(run.attempt) attempts") failed, the last one: \(why)"
            entry.memory.hold = reason
            entries[run.job] = entry
            effects.append(.remember(entry.memory))
            effects.append(.log("job \(run.job) is on hold: \(reason)", isProblem: true))
        }
        if entry.memory.hold != nil {
            retry.state = .onHold
            retry.startAfter = nil
        }
        keep(retry, &effects)
    }

    /// What a run that came to nothing leaves to do is found again by the trigger that watches for changes.
    private mutating func restoreChanges(of run: JobRun, now: Timestamp, _ effects: inout [JobEffect]) {
        guard settings.isAutomatic, var entry = entries[run.job], entry.job.triggers.online != nil,
            run.scope.stores == nil, run.seenBefore < entry.memory.seen
        else { return }
        entry.memory.seen = run.seenBefore
        if newest(of: entry.watched) > run.seenBefore { entry.burst = (now, now) }
        entries[run.job] = entry
        effects.append(.remember(entry.memory))
    }

    /// Milliseconds: doubled with each attempt up to the longest, then between half and all of it, so that jobs which
    /// failed together do not come back together.
    static func pause(before attempt: Int, _ policy: RunPolicy, _ jitter: Double) -> Int64 {
        let longest = Double(max(policy.waitSeconds, policy.longestWaitSeconds)) * 1000
        let doubled =
            Double(policy.waitSeconds) * 1000 * Double(sign: .plus, exponent: min(attempt - 2, 30), significand: 1)
        let share = 0.5 + 0.5 * min(max(jitter, 0), 1)
        return Int64(min(longest, doubled) * share)
    }

    // MARK: hold and resume

    mutating func hold(_ job: JobID, _ reason: String, now: Timestamp, _ effects: inout [JobEffect]) {
        guard var entry = entries[job] else { return }
        entry.memory.hold = reason
        entries[job] = entry
        effects.append(.remember(entry.memory))
        for var run in waiting(of: job) where run.state != .onHold {
            run.state = .onHold
            run.startAfter = nil
            keep(run, &effects)
        }
    }

    mutating func resume(_ job: JobID, now: Timestamp, _ effects: inout [JobEffect]) {
        guard var entry = entries[job], entry.memory.hold != nil else { return }
        entry.memory.hold = nil
        entries[job] = entry
        effects.append(.remember(entry.memory))
        for var run in waiting(of: job) where run.state == .onHold {
            run.state = .ready
            run.attempt = 1
            keep(run, &effects)
        }
    }

    /// Runs of the job that nobody has asked for and that have not begun.
    private func waiting(of job: JobID) -> [JobRun] {
        open.values.filter { $0.job == job && $0.cause != .manual && $0.state != .running }
            .sorted { $0.number < $1.number }
    }

    // MARK: keeping

    private mutating func keep(_ run: JobRun, _ effects: inout [JobEffect]) {
        open[run.number] = run
        effects.append(.save(run))
    }

    mutating func finish(
        _ run: JobRun, _ state: RunState, _ message: String, now: Timestamp, _ effects: inout [JobEffect]
    ) {
        var run = run
        run.state = state
        run.message = message
        run.finishedAt = now
        run.startAfter = nil
        open[run.number] = nil
        effects.append(.save(run))
    }
}
