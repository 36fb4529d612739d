import GRDB
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions

/// Guard rails: whether somebody has to approve what a session would change.
extension SessionBuilder {
    /// Sessions of a job that are looked through for what a store was let have; older ones are long applied.
    private static let sessionsLookedAt = 200

    /// The limits of the job that the session would exceed, judged by the difference to what stores have, also where
    /// they would be sent everything.
    ///
    /// What a store was offered already, by a session within the limits or approved, is no news although the store has
    /// not applied it yet. What is held back is: so a second run cannot smuggle it through.
    ///
    /// - Parameter filled: for each of the draft's packages what was filled into it; nil before that.
    func excesses(of draft: SessionDraft, filled: [[FilledTable]]? = nil) throws -> [Excess] {
        guard draft.job.limits.areAny else { return [] }
        let isNet = !draft.request.isFull
        let found = try excesses(of: try netPlans(draft), filled: isNet ? filled : nil, draft)
        guard !found.isEmpty else { return [] }
        let concerned = Set(found.flatMap(\.stores))
        var accepted = try acceptedBases(draft, concerned)
        guard !accepted.isEmpty else { return found }
        let again = try rows.plan(
            draft.job, at: draft.derivation, for: accepted.map { PlanTarget(store: $0.key, base: $0.value) })
        // Of a past that is not kept any more: it cannot speak for anything.
        for plan in again.packages where plan.kind == .full { plan.stores.forEach { accepted[$0] = nil } }
        let others = found.compactMap { excess -> Excess? in
            var rest = excess
            rest.stores.removeAll { accepted[$0] != nil }
            return rest.stores.isEmpty ? nil : rest
        }
        return try others + excesses(of: again.packages, filled: nil, draft)
    }

    /// The draft's packages as differences to what the stores have: a session that sends everything changes no more
    /// than that.
    func netPlans(_ draft: SessionDraft) throws -> [PackagePlan] {
        guard draft.request.isFull else { return draft.packages }
        return try rows.plan(
            draft.job, at: draft.derivation,
            for: draft.targets.map { PlanTarget(store: $0.store, base: $0.standing) }
        ).packages
    }

    private func excesses(
        of plans: [PackagePlan], filled: [[FilledTable]]?, _ draft: SessionDraft
    ) throws -> [Excess] {
        try plans.enumerated().filter { $0.element.kind == .delta }.flatMap { place, plan in
            let impact =
                try filled.map { try rows.impact(of: plan, filled: $0[place], job: draft.job, at: draft.derivation) }
                ?? rows.impact(of: plan, job: draft.job, at: draft.derivation)
            return draft.job.limits.exceeded(by: impact, at: plan.stores)
        }
    }

    /// For those of the stores that were let have something newer than they have: what that is.
    private func acceptedBases(_ draft: SessionDraft, _ stores: Set<StoreID>) throws -> [StoreID: Base] {
        try operations.read { db in
            let sessions = try SessionRecord.letOut(
                draft.job.id, limit: SessionBuilder.sessionsLookedAt, in: db)
            var bases: [StoreID: Base] = [:]
            for target in draft.targets where stores.contains(target.store) {
                for session in sessions {
                    if let standing = target.standing, session.version.number <= standing.version { break }
                    guard let delivery = try DeliveryRecord.find(session.id, target.store, in: db),
                        !delivery.isNoData
                    else { continue }
                    // Called off is called off: the older session before it does not stand for it.
                    if delivery.cancelAskedAt == nil {
                        bases[target.store] = Base(version: session.version.number, token: session.token)
                    }
                    break
                }
            }
            return bases
        }
    }
}

extension Excess {
    /// Why a session is held back, in one sentence.
    static func reason(_ excesses: [Excess]) -> String {
        let merged = merged(excesses)
        guard let first = merged.first else { return "" }
        let more = merged.count - 1
        return first.sentence + (more > 0 ? "; \(more) more such change\(more == 1 ? "" : "s")" : "")
    }
}
