import Foundation
import GRDB
import Logging
import WaybillAdmin
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillSchedule
import WaybillSessions

/// The runner's state, and one turn of its loop.
///
/// A turn collects what has happened, lets a copy of the clock decide, writes all of it in one transaction, and only
/// then takes the copy for its own and tells others. When the writing fails nothing has happened: orders are refused,
/// everything else is seen again in the next turn.
struct JobTurn {
    struct Parts: Sendable {
        var hqPath: String
        var operations: Operations
        var queue: PublisherQueue
        var settings: JobClockSettings
        var jobs: [Job]
        var lookAtJobFiles: @Sendable () -> Void = {}
        var logger: Logger
    }

    private let parts: Parts
    private let watch: HeadquartersWatch
    private var clock: JobClock
    private var jobs: [Job]
    /// HQ's changes that could not be written down yet.
    private var unkept: [JobEvent] = []
    private var isInTrouble = false
    private var purgedAt: Timestamp?
    private var lookedAt: Timestamp?
    /// Turns in a row that have found the publisher without work.
    private var idleTurns = 0

    init(parts: Parts) throws {
        self.parts = parts
        clock = try parts.operations.read { db in
            JobClock(
                settings: parts.settings, memories: try JobMemory.all(in: db), open: try JobRun.open(in: db),
                lastNumber: try JobRun.lastNumber(in: db))
        }
        jobs = parts.jobs
        let head = try HeadquartersWatch(path: parts.hqPath, position: 0).head()
        watch = try HeadquartersWatch(path: parts.hqPath, position: clock.readFrom ?? head)
        // A job that is new begins with what is in HQ's tables now.
        unkept = [.changed([:], head: head), .catalogue(jobs)]
        if clock.head > head { unkept.append(.logRestarted(head: head)) }
    }

    /// Has the catalogue look at its files about once a second; it tells whoever wants to know of a change.
    private mutating func lookAtJobFiles() {
        let now = JobTurn.wallClock()
        if let last = lookedAt, now >= last, now - last < JobTurn.lookIntervalMilliseconds { return }
        lookedAt = now
        parts.lookAtJobFiles()
    }

    private static let lookIntervalMilliseconds: Int64 = 1000

    /// The wall clock itself, not the hub's steady one: who sets a wrong clock right expects schedules to follow.
    private static func wallClock() -> Timestamp {
        Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    }

    private mutating func forgetOldRuns() throws {
        let now = JobTurn.wallClock()
        if let last = purgedAt, now - last < JobTurn.purgeIntervalMilliseconds { return }
        purgedAt = now
        try parts.operations.write { db in
            _ = try JobRun.purge(before: now + -JobTurn.historyMilliseconds, in: db)
        }
    }

    /// A job that runs every minute leaves 130,000 lines in a quarter of a year.
    private static let historyMilliseconds: Int64 = 90 * 24 * 3_600_000
    private static let purgeIntervalMilliseconds: Int64 = 3_600_000

    /// What a turn collects.
    private struct Batch {
        var clock: JobClock
        var builds: [SessionID] = []
        var logs: [(text: String, isProblem: Bool)] = []
        var replies: [@Sendable () -> Void] = []
    }

    /// Whether a run's session is being made.
    var isBusy: Bool { clock.open.values.contains { $0.state == .running } }

    mutating func run(_ orders: [JobOrder]) {
        do {
            try turn(orders)
            isInTrouble = false
        } catch {
            if !isInTrouble { parts.logger.error("jobs cannot be run at the moment: \(error)") }
            isInTrouble = true
            for order in orders { order.refuse(error) }
        }
    }

    private mutating func turn(_ orders: [JobOrder]) throws {
        try forgetOldRuns()
        lookAtJobFiles()
        for case .catalogue(let list) in orders {
            jobs = list
            unkept.append(.catalogue(list))
        }
        do {
            if let event = try watch.look() { unkept.append(event) }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {}
        let (enrolled, ends) = try parts.operations.read { db in
            let enrolled = try StoresToLoad.find(in: db)
            return (enrolled, try endings(in: db))
        }
        let now = JobTurn.wallClock()
        if orders.isEmpty, unkept.isEmpty, enrolled.isEmpty, ends.isEmpty {
            var idle = clock
            // Nearly always nothing is to be done, and then nothing is written.
            if idle.step(.tick, now: now).isEmpty {
                clock = idle
                return
            }
        }
        let batch = try parts.operations.write { db in
            var batch = Batch(clock: clock)
            for event in unkept + ends { try step(event, now, &batch, in: db) }
            if !enrolled.isEmpty {
                try StoresToLoad.note(enrolled, in: db)
                try step(.enrolled(enrolled), now, &batch, in: db)
            }
            for order in orders { try obey(order, now, &batch, in: db) }
            try step(.tick, now, &batch, in: db)
            return batch
        }
        clock = batch.clock
        unkept = []
        for session in batch.builds { parts.queue.add(.build(session)) }
        for log in batch.logs { parts.logger.log(level: log.isProblem ? .warning : .info, "\(log.text)") }
        for reply in batch.replies { reply() }
    }

    /// Steps the clock and writes down what it wants kept.
    private func step(_ event: JobEvent, _ now: Timestamp, _ batch: inout Batch, in db: Database) throws {
        for effect in batch.clock.step(event, now: now) {
            switch effect {
            case .save(let run): try run.save(in: db)
            case .remember(let memory): try memory.save(in: db)
            case .log(let text, let isProblem): batch.logs.append((text, isProblem))
            case .start(let run):
                let session = try createSession(run.job, run.scope, now, &batch, in: db)
                let cause = "\(run.cause.rawValue)\(run.attempt > 1 ? ", attempt \(run.attempt)" : "")"
                batch.logs.append(("job \(run.job) runs (\(cause)): session \(session)", false))
                try step(.started(run: run.number, session), now, &batch, in: db)
            }
        }
    }

    private func createSession(
        _ job: JobID, _ scope: RunScope, isUrgent: Bool = false, _ now: Timestamp, _ batch: inout Batch,
        in db: Database
    ) throws -> SessionID {
        let request = SessionRequest(
            isFull: scope.isFull, stores: scope.stores?.sorted().map(\.rawValue), isUrgent: isUrgent)
        let session = try SessionRecord.create(
            job: job, request: request, at: now, random: UInt64.random(in: .min ... .max), in: db)
        batch.builds.append(session)
        return session
    }

    // MARK: sessions that are being made

    /// Sessions of runs that have left `Started`.
    private mutating func endings(in db: Database) throws -> [JobEvent] {
        idleTurns = parts.queue.isIdle ? idleTurns + 1 : 0
        return try clock.open.values.sorted { $0.number < $1.number }.compactMap { run in
            guard let id = run.session, run.state == .running || run.isPublish,
                let outcome = try outcome(of: id, in: db)
            else { return nil }
            return .ended(run: run.number, outcome, jitter: Double.random(in: 0...1))
        }
    }

    private func outcome(of id: SessionID, in db: Database) throws -> RunOutcome? {
        // A hub that took its building up again has given it another name.
        guard let session = try SessionRecord.named(id, in: db) else {
            return .failed("session \(id) is no longer kept")
        }
        switch session.status {
        case .started:
            let isLost = idleTurns > JobTurn.lostTurns
            return isLost ? .failed("what had been made of session \(id) could not be written to hub.db") : nil
        case .noData: return .nothing
        case .createFailed: return .failed(session.message)
        case .canceled: return .canceled
        default: return .made
        }
    }

    /// So long may a session still be `Started` while the publisher has nothing to do: half a minute in turns of a run,
    /// where the wire thread needs milliseconds to write it down.
    private static let lostTurns = 30_000 / JobRunner.busyTickMilliseconds

    // MARK: orders

    private func obey(_ order: JobOrder, _ now: Timestamp, _ batch: inout Batch, in db: Database) throws {
        switch order {
        case .catalogue: break  // taken in before
        case .publish(let wanted, let scope, let isUrgent, let reply):
            var published: [JobOrder.Published] = []
            for job in wanted {
                let session = try createSession(job, scope, isUrgent: isUrgent, now, &batch, in: db)
                try step(.published(job, scope, session), now, &batch, in: db)
                published.append(
                    JobOrder.Published(job: job, session: session, hold: batch.clock.status(of: job)?.hold))
            }
            batch.replies.append { [published] in reply(.success(published)) }
        case .run(let job, let scope, let reply):
            try step(.requested(job, scope), now, &batch, in: db)
            let run = batch.clock.request(of: job, scope)
            batch.replies.append { reply(run.map { .success($0) } ?? .failure(unknown(job))) }
        case .hold(let job, let reason, let reply):
            try step(.hold(job, reason: reason), now, &batch, in: db)
            answer(job, batch.clock, reply, &batch)
        case .resume(let job, let reply):
            guard batch.clock.status(of: job)?.hold != nil || batch.clock.status(of: job) == nil else {
                let error = AdminError.conflict("job \(job) is not on hold")
                return batch.replies.append { reply(.failure(error)) }
            }
            try step(.resume(job), now, &batch, in: db)
            answer(job, batch.clock, reply, &batch)
        case .standings(let reply):
            let all = batch.clock.standings
            batch.replies.append { reply(.success(all)) }
        }
    }

    private func answer(
        _ job: JobID, _ clock: JobClock, _ reply: @escaping JobOrder.Reply<JobStanding>, _ batch: inout Batch
    ) {
        let standing = clock.status(of: job)
        batch.replies.append { reply(standing.map { .success($0) } ?? .failure(unknown(job))) }
    }
}

private func unknown(_ job: JobID) -> AdminError { .notFound("there is no job '\(job)'") }
