import GRDB
import WaybillAdmin
import WaybillModel
import WaybillSchedule
import WaybillSessions

/// Runs of jobs as administrators see and command them.
extension HubBackend {
    func run(_ job: JobID, _ request: JobRunRequest) async throws -> JobRunLine {
        try await known(job)
        try await operations.reading { db in
            for store in request.stores where try StoreRecord.find(store, in: db) == nil {
                throw AdminError.notFound("there is no store \(store); add it with: waybill store add \(store)")
            }
        }
        let scope = RunScope(isFull: request.full, stores: request.stores.isEmpty ? nil : Set(request.stores))
        return JobRunLine(try await ordered { .run(job, scope, reply: $0) })
    }

    func jobRun(_ job: JobID, _ number: Int64) async throws -> JobRunLine {
        let run = try await operations.reading { db in try JobRun.find(number, in: db) }
        guard let run, run.job == job else { throw AdminError.notFound("job \(job) has no run \(number)") }
        return JobRunLine(run)
    }

    func jobRuns(_ job: JobID, limit: Int) async throws -> [JobRunLine] {
        let runs = try await operations.reading { db in try JobRun.history(of: job, limit: limit, in: db) }
        // A job that is gone keeps its history.
        if runs.isEmpty { try await known(job) }
        return runs.map(JobRunLine.init)
    }

    func hold(_ job: JobID, _ request: JobHoldRequest) async throws -> JobSummary {
        try await known(job)
        let reason = request.reason.map { $0.isEmpty ? "held" : $0 } ?? "held"
        return try await summary(job, try await ordered { .hold(job, reason: reason, reply: $0) })
    }

    func resume(_ job: JobID) async throws -> JobSummary {
        try await known(job)
        return try await summary(job, try await ordered { .resume(job, reply: $0) })
    }

    func standings() async throws -> [JobID: JobStanding] { try await ordered { .standings(reply: $0) } }

    /// Hands an order to the runner's thread and waits for its reply.
    func ordered<Value: Sendable>(_ order: (@escaping JobOrder.Reply<Value>) -> JobOrder) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            runner.post(order { continuation.resume(with: $0) })
        }
    }

    private func known(_ job: JobID) async throws {
        let set = try await jobSet()
        guard set.job(job) != nil else { throw unknownJob(job, in: set) }
    }

    private func summary(_ id: JobID, _ standing: JobStanding) async throws -> JobSummary {
        let set = try await jobSet()
        guard let job = set.job(id) else { throw unknownJob(id, in: set) }
        return try await operations.reading { db in try summary(job, [], standing, in: db) }
    }
}

extension JobRunLine {
    init(_ run: JobRun) {
        self.init(
            run: run.number, job: run.job, cause: run.cause.rawValue, full: run.scope.isFull,
            stores: run.scope.stores?.sorted(), state: run.state.rawValue, attempt: run.attempt,
            askedAt: UTCTime(run.askedAt), startAfter: run.startAfter.map(UTCTime.init),
            startedAt: run.startedAt.map(UTCTime.init), finishedAt: run.finishedAt.map(UTCTime.init),
            session: run.session, message: run.message.isEmpty ? nil : run.message)
    }
}
