import GRDB
import WaybillAdmin
import WaybillJobs
import WaybillModel
import WaybillSessions

/// Dry runs and approvals as administrators command them.
extension HubBackend {
    func plan(_ request: PlanRequest) async throws -> PlanReply {
        try await checkNames(jobs: request.jobs, stores: request.stores, in: try await jobSet())
        let publisher = publisher
        return await withCheckedContinuation { continuation in
            publisher.plan(request) { continuation.resume(returning: $0) }
        }
    }

    /// Refuses names that nobody has, before anything is begun.
    func checkNames(jobs: [JobID], stores: [StoreID], in set: JobSet) async throws {
        for job in jobs where set.job(job) == nil { throw unknownJob(job, in: set) }
        try await operations.reading { db in
            for store in stores where try StoreRecord.find(store, in: db) == nil {
                throw AdminError.notFound("there is no store \(store); add it with: waybill store add \(store)")
            }
        }
    }

    func approve(_ reference: SessionReference) async throws -> ApproveReply {
        let session = try await operations.reading { db in
            let session = try find(reference, in: db)
            if session.status != .awaitingApproval { throw try refusal(session, in: db) }
            return session.id
        }
        let offered = await withCheckedContinuation { continuation in
            wire.post(AuditTicket.audited(.approve(session) { continuation.resume(returning: $0) }))
        }
        if let offered { return ApproveReply(session: session, stores: offered) }
        // Somebody else was faster, or a newer session was.
        throw try await operations.reading { db in try refusal(try find(.id(session), in: db), in: db) }
    }

    /// Why a session cannot be approved, and what to do instead.
    private func refusal(_ session: SessionRecord, in db: Database) throws -> AdminError {
        let status = RollUp.status(session.status, try SessionList.rollUp(session.id, in: db))
        let what = "session \(session.id) does not await approval: it "
        if session.status == .started { return .conflict(what + "is still being made") }
        if session.status == .awaitingApproval { return .failed("session \(session.id) could not be approved") }
        guard let held = try HeldSession.find(session.id, in: db) else {
            return .conflict(what + "stayed within the limits of job \(session.job) and is \(status)")
        }
        if let at = held.approvedAt { return .conflict(what + "was approved at \(UTCTime(at)) and is \(status)") }
        if session.status == .canceled {
            return .conflict(what + "was canceled; publish the job again: waybill publish \(session.job)")
        }
        return .conflict(what + "was \(session.message)")
    }

    /// A session that nobody has approved cannot be rerun: that would offer it.
    func refuseRerunOfHeld(_ session: SessionRecord, in db: Database) throws {
        guard let held = try HeldSession.find(session.id, in: db), held.approvedAt == nil else { return }
        throw AdminError.conflict(
            session.status == .awaitingApproval
                ? "session \(session.id) awaits approval; let it go with: waybill session approve \(session.id.number)"
                : "session \(session.id) was never approved; publish the job again: waybill publish \(session.job)")
    }

    func approval(_ session: SessionRecord, in db: Database) throws -> ApprovalDetail? {
        guard let held = try HeldSession.find(session.id, in: db) else { return nil }
        let stores = try HeldSession.deliveries(of: session, in: db).filter { !$0.isNoData }.map(\.store)
        return ApprovalDetail(
            reason: held.reason, heldAt: UTCTime(held.heldAt), approvedAt: held.approvedAt.map(UTCTime.init),
            stores: stores)
    }
}
