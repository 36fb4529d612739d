import GRDB
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions

/// What a session would consist of, before anything is made or written: the common part of publishing and of a dry run.
struct SessionDraft {
    var job: Job
    var request: SessionRequest
    var derivation: Derivation
    var targets: [SessionTarget]
    /// The packages to make.
    var packages: [PackagePlan]
    /// Stores that have it all already.
    var noData: [StoreID]
    /// Stores that an earlier session brings the very same rows, and that session: it is on its way, or awaits
    /// approval.
    var covered: [StoreID: SessionID] = [:]
    /// What is on its way to stores.
    var pending: [StoreID: PendingBase] = [:]
    /// How stores with something on their way would get from there to here.
    var onTheirWay: [PackagePlan] = []
    /// Those of the earlier sessions that await approval.
    var awaiting: Set<SessionID> = []
    /// Nothing was asked of the stores: they were all served with these rows at an earlier run, and none has moved since.
    var isSettled = false

    func covering(_ more: [StoreID: SessionID]) -> SessionDraft {
        var draft = self
        draft.covered.merge(more) { first, _ in first }
        return draft
    }

    /// Where a covered store's rows are, in words.
    func place(of other: SessionID) -> String {
        awaiting.contains(other) ? "awaits approval in session \(other)" : "on its way in session \(other)"
    }
}

extension SessionBuilder {
    /// Derives the job's rows and plans packages for the stores that a request is for.
    ///
    /// - Parameter asksStores: even when nothing can have changed for any of them.
    func draft(_ job: Job, _ request: SessionRequest, asksStores: Bool = false) throws -> SessionDraft {
        let derivation = try rows.derive(job)
        // HQ's tables have changed, what the job makes of them has not: stores that were served then are so now.
        if let before = derivation.sameRowsAs, settled[job.id]?.token == before {
            settled[job.id]?.token = derivation.token
        }
        let isForAll = !request.isFull && request.stores == nil
        let generation = try operations.read { try Reach.generation(in: $0) }
        if isForAll, !asksStores, try isSettled(derivation, generation) {
            return SessionDraft(
                job: job, request: request, derivation: derivation, targets: [], packages: [], noData: [],
                isSettled: true)
        }
        let targets = try sessionTargets(of: job.id, request)
        let plan = try rows.plan(job, at: derivation, for: targets.map(\.planned))
        var draft = SessionDraft(
            job: job, request: request, derivation: derivation, targets: targets, packages: plan.packages,
            noData: plan.noData)
        guard !request.isFull else { return draft }
        // What is on its way with the very same rows is left to arrive; replacing it would only cost the line.
        let pending = try pendingBases(of: job.id, targets)
        if !pending.isEmpty {
            let onTheirWay = try rows.plan(
                job, at: derivation, for: pending.map { PlanTarget(store: $0.key, base: $0.value.base) })
            draft.pending = pending
            draft.onTheirWay = onTheirWay.packages
            if !request.isUrgent {
                let arriving = onTheirWay.noData.filter { pending[$0]?.isUndisturbed == true }
                draft.covered = arriving.reduce(into: [:]) { $0[$1] = pending[$1]?.session }
                draft.packages = draft.packages.compactMap { $0.without(Set(arriving)) }
            }
        }
        try leaveToHeldSessions(&draft)
        if isForAll, !targets.isEmpty, draft.packages.isEmpty, pending.isEmpty {
            settled[job.id] = Settled(token: derivation.token, generation: generation)
        }
        return draft
    }

    /// A state in which no store lacked anything of a job.
    struct Settled {
        var token: Int64
        var generation: Int64
    }

    /// So a run that finds nothing costs the same for three stores and for ten thousand.
    private func isSettled(_ derivation: Derivation, _ generation: Int64) throws -> Bool {
        guard let settled = settled[derivation.job], settled.token == derivation.token,
            settled.generation == generation
        else { return false }
        return try operations.read { try !Reach.isAnythingOpen(of: derivation.job, in: $0) }
    }

    /// Nothing has changed since a session was held back: asking for approval once is enough. A store that lacks
    /// everything is not left waiting for it.
    private func leaveToHeldSessions(_ draft: inout SessionDraft) throws {
        let (job, token) = (draft.job.id, draft.derivation.token)
        let held = try operations.read { db in
            try HeldSession.awaiting(job, in: db).filter { $0.token == token }.flatMap { session in
                try HeldSession.deliveries(of: session, in: db).filter { !$0.isNoData }
            }
        }
        guard !held.isEmpty else { return }
        let sessions = Dictionary(held.map { ($0.store, $0.session) }, uniquingKeysWith: { _, newer in newer })
        draft.packages = draft.packages.compactMap { plan in
            guard plan.kind == .delta else { return plan }
            let waiting = plan.stores.filter { sessions[$0] != nil }
            for store in waiting {
                draft.covered[store] = sessions[store]
                if let session = sessions[store] { draft.awaiting.insert(session) }
            }
            return plan.without(Set(waiting))
        }
    }
}
