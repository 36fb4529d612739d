import GRDB
import Logging
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions
import WaybillSocket

/// The quiet thread that verifies: what administrators ask for, and what the jobs' schedules do.
final class Verifier: Sendable {
    /// Milliseconds between two looks at the clock.
    private static let tickMilliseconds = 250

    private let parts: VerifyTurn.Parts
    private let state = Guarded()

    /// Set once at the start and read once at the stop, by the same service.
    private final class Guarded: @unchecked Sendable { var loop: LoopThread? }

    init(parts: VerifyTurn.Parts) { self.parts = parts }

    /// After the publisher, which makes `rows.db`.
    func start() throws {
        let slot = Handover(try VerifyTurn(parts: parts))
        let inbox = parts.inbox
        state.loop = try LoopThread("hub-verify") {
            guard var turn = slot.take() else { return }
            while let orders = inbox.next(milliseconds: Verifier.tickMilliseconds) { turn.run(orders) }
        }
    }

    func stop() {
        parts.inbox.stop()
        state.loop?.join()
    }

    /// Says that there is something to do. Never waits.
    func wake() { parts.inbox.post(.wake) }
}

/// The state of the thread that verifies, and one turn of it. What is asked for stands in `hub.db`, so a hub that starts
/// anew begins again what was not finished.
struct VerifyTurn {
    struct Parts: Sendable {
        var home: HubHome
        var operations: Operations
        var jobs: JobCatalogue
        var queue: PublisherQueue
        var inbox: ProofInbox
        var clock: HubClock
        var isAutomatic: Bool
        var logger: Logger
        /// Hands an order to the wire thread.
        var post: @Sendable (HubOrder) -> Void
    }

    /// Stores that are asked at the same time: HQ's side is done one after the other anyway.
    static let activeMax = 16
    /// Waiting ones that are looked at to find that many stores: each has a few jobs.
    private static let waitingMax = 256
    /// How often one call repairs a store that differs again afterwards.
    static let repairsMax = 3
    /// Milliseconds between two looks for what is due, and for repairs that have arrived.
    private static let lookMilliseconds: Int64 = 1_000
    private static let scheduleMilliseconds: Int64 = 30_000

    private let parts: Parts
    private let audit: RowsAudit
    private let clock: VerifyClock
    private var active: [Int64: (record: VerificationRecord, proof: Proof)] = [:]
    private var isMoreWaiting = true
    private var lookedAt: Timestamp?
    private var scheduledAt: Timestamp

    init(parts: Parts) throws {
        self.parts = parts
        audit = try RowsAudit(path: parts.home.rowsDatabase)
        let now = parts.clock.now()
        clock = VerifyClock(startedAt: now)
        scheduledAt = now
    }

    mutating func run(_ orders: [ProofOrder]) {
        let now = parts.clock.now()
        do {
            for order in orders { try take(order, now) }
            for id in active.keys.sorted() { try step(id, .tick, now) }
            if lookedAt.map({ now - $0 >= VerifyTurn.lookMilliseconds }) ?? true {
                lookedAt = now
                isMoreWaiting = true
                try followRepairs(now)
            }
            if parts.isAutomatic, now - scheduledAt >= VerifyTurn.scheduleMilliseconds {
                scheduledAt = now
                try schedule(now)
            }
            if isMoreWaiting { try beginWaiting(now) }
        } catch {
            // What was not written stands in hub.db as it was; it is looked at again with the next turn.
            parts.logger.error("verifying was interrupted: \(error)")
        }
    }

    private mutating func take(_ order: ProofOrder, _ now: Timestamp) throws {
        switch order {
        case .wake: isMoreWaiting = true
        case .asked(let id, let step, let isSent): try self.step(id, .asked(step: step, isSent: isSent), now)
        case .digests(let store, let digests):
            // A store answers for itself only, whatever id it names.
            guard active[digests.id]?.record.store == store else { return }
            try step(digests.id, .digests(digests), now)
        }
    }

    // MARK: one verification

    private mutating func beginWaiting(_ now: Timestamp) throws {
        let room = VerifyTurn.activeMax - active.count
        guard room > 0 else { return }
        // A store works on one question at a time, so its jobs are verified one after the other.
        var busy = Set(active.values.map(\.record.store))
        let waiting = try parts.operations.read { [busy] in
            try VerificationRecord.unfinished(besides: busy, limit: VerifyTurn.waitingMax, in: $0)
        }
        let next = waiting.filter { busy.insert($0.store).inserted }.prefix(room)
        isMoreWaiting = next.count == room
        for record in next {
            guard let job = parts.jobs.known.job(record.job) else {
                try end(record, .init(outcome: .unknown, message: "there is no job \(record.job) any more"), now)
                continue
            }
            active[record.id] = (record, Proof(id: record.id, store: record.store, job: job))
            try step(record.id, .begin, now)
        }
    }

    private mutating func step(_ id: Int64, _ event: Proof.Event, _ now: Timestamp) throws {
        var events = [event]
        while !events.isEmpty, var (record, proof) = active[id] {
            let effects = proof.step(events.removeFirst(), now: now)
            active[id] = (record, proof)
            for effect in effects {
                switch effect {
                case .ask(let question):
                    let inbox = parts.inbox
                    parts.post(
                        .examine(record.store, question) { isSent in
                            inbox.post(.asked(id: id, step: question.step, isSent: isSent))
                        })
                case .sum(let mark):
                    answer(&events) { .summed(try target(record, mark).flatMap { try audit.digests($0) }) }
                case .expect(let mark, let suspects):
                    answer(&events) {
                        .expected(try target(record, mark).flatMap { try audit.expectations(suspects, $0) })
                    }
                case .end(let verdict):
                    active[id] = nil
                    isMoreWaiting = true
                    // It may have been asked to repair meanwhile.
                    record.repairs =
                        try parts.operations.read { try VerificationRecord.find(id, in: $0)?.repairs } ?? record.repairs
                    try end(record, verdict, now)
                    if active.isEmpty { try audit.rest() }
                }
            }
        }
    }

    /// What HQ has to say; a verification that HQ's side cannot be worked out for ends with the reason.
    private func answer(_ events: inout [Proof.Event], _ work: () throws -> Proof.Event) {
        do { events.append(try work()) } catch { events.append(.failed("\(error)")) }
    }

    /// nil when the hub does not know the session that brought the store there.
    private func target(_ record: VerificationRecord, _ mark: Watermark) throws -> AuditTarget? {
        guard let job = parts.jobs.known.job(record.job)?.at(parts.clock.now()),
            let session = try parts.operations.read({ try SessionRecord.find(mark.session, in: $0) }),
            session.version == mark.version, session.job == record.job
        else { return nil }
        return AuditTarget(
            job: job, store: record.store, base: Base(version: session.version.number, token: session.token))
    }

    // MARK: results

    private func end(_ given: VerificationRecord, _ verdict: Proof.Verdict, _ now: Timestamp) throws {
        var record = given
        let session = try parts.operations.write { db in
            let verdict = verdict.excusing(try QuarantineRecord.find(record.store, in: db).entries, of: record.job)
            record.take(verdict, job: parts.jobs.known.job(record.job), at: now)
            let session = try repair(&record, verdict, now, in: db)
            try record.save(in: db)
            return session
        }
        let what = "store \(record.store), job \(record.job): \(record.text)"
        parts.logger.log(level: record.outcome == .diverged ? .warning : .info, "verification \(record.id) of \(what)")
        if let session { parts.queue.add(.build(session)) }
    }

    /// Begins the session that repairs, if that is wanted and possible, in the transaction of the result itself.
    private func repair(
        _ record: inout VerificationRecord, _ verdict: Proof.Verdict, _ now: Timestamp, in db: Database
    ) throws -> SessionID? {
        guard record.outcome == .diverged, record.repairs else { return nil }
        guard record.repairsMade < VerifyTurn.repairsMax else {
            record.note("it was repaired \(record.repairsMade) times and differs again: somebody goes on changing it")
            return nil
        }
        let open = try DeliveryRecord.open(of: record.store, in: db).last { $0.job == record.job && $0.isOnOffer }
        if let open {
            record.repairSession = open.session
            record.note("session \(open.session) is on its way; it is verified again after that")
            return nil
        }
        let request = SessionRequest(
            isFull: verdict.needsFullLoad, stores: [record.store.rawValue], verification: record.id)
        let session = try SessionRecord.create(
            job: record.job, request: request, at: now, random: UInt64.random(in: .min ... .max), in: db)
        record.repairSession = session
        return session
    }

    /// A repair that has come to its end, whichever, is followed by another look.
    private func followRepairs(_ now: Timestamp) throws {
        let repairing = try parts.operations.read { try VerificationRecord.repairing(in: $0) }
        for record in repairing {
            guard let id = record.repairSession else { continue }
            try parts.operations.write { db in
                // A hub that was started anew has built it under another name.
                let session = try SessionRecord.named(id, in: db)
                let delivery = try DeliveryRecord.find(session?.id ?? id, record.store, in: db)
                guard delivery?.isOpen != true, session?.status != .started, session?.status != .awaitingApproval else {
                    return
                }
                if session?.status == .createFailed {
                    var failed = record
                    failed.repairSession = nil
                    failed.note("the repair failed: \(session?.message ?? "")")
                    return try failed.save(in: db)
                }
                _ = try VerificationRecord.ask(
                    record.store, record.job, cause: .repair, repairs: true, repairsMade: record.repairsMade + 1,
                    at: now, in: db)
            }
        }
    }

    // MARK: schedule

    private func schedule(_ now: Timestamp) throws {
        let jobs = parts.jobs.known.jobs.filter { $0.verification.everySeconds != nil }
        guard !jobs.isEmpty else { return }
        let wishes = try parts.operations.read { db in
            let last = try VerificationRecord.lastBegun(in: db)
            return try StoreRecord.all(in: db).filter { $0.state == .active }.flatMap { store in
                let positions = try StoreRecord.positions(of: store.id, in: db)
                return jobs.filter { positions[$0.id] != nil }.map { job in
                    (
                        job,
                        VerifyClock.Wish(
                            store: store.id, job: job.id,
                            everyMilliseconds: Int64(job.verification.everySeconds ?? 0) * 1000,
                            begun: last[store.id]?[job.id]?.any, conclusive: last[store.id]?[job.id]?.conclusive)
                    )
                }
            }
        }
        let due = wishes.filter { clock.isDue($0.1, now: now) }
        guard !due.isEmpty else { return }
        try parts.operations.write { db in
            for (job, wish) in due {
                _ = try VerificationRecord.ask(
                    wish.store, wish.job, cause: .scheduled, repairs: job.verification.repairs, at: now, in: db)
            }
        }
    }
}
