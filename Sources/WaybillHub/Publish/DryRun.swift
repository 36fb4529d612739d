import WaybillAdmin
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions

/// Dry run: derives and plans as publishing would, and tells instead of making anything.
extension SessionBuilder {
    func plan(_ request: PlanRequest) -> PlanReply {
        let set = jobs.current
        let wanted = request.jobs.isEmpty ? set.jobs.map(\.id) : request.jobs
        let sessionRequest = SessionRequest(
            isFull: request.full, stores: request.stores.isEmpty ? nil : request.stores.map(\.rawValue))
        return PlanReply(
            jobs: wanted.map { id in
                // A job that cannot be planned says so; the others are planned nevertheless.
                do {
                    guard let job = set.job(id)?.at(clock.now()) else {
                        return JobPlan(job: id, error: "there is no job \(id)")
                    }
                    return try plan(job, sessionRequest)
                } catch {
                    return JobPlan(job: id, error: "\(error)")
                }
            })
    }

    private func plan(_ job: Job, _ request: SessionRequest) throws -> JobPlan {
        let draft = try draft(job, request, asksStores: true)
        let excesses = try excesses(of: draft)
        let net = try netPlans(draft)
        let sizes = try sizesOfFullPackages(draft)
        var audiences = try net.map { plan in
            try audience(plan, draft, excesses, bytes: plan.stores.first.flatMap { sizes[$0] })
        }
        if request.isFull {
            // Stores that have it all would be sent it once more; nothing would change there.
            let known = Set(net.flatMap(\.stores))
            for package in draft.packages {
                guard let rest = package.without(known), let store = rest.stores.first else { continue }
                audiences.append(unchanged(rest.stores, job, bytes: sizes[store] ?? 0))
            }
        }
        // Many deltas turn out to be without any net difference: those are not made.
        let isEmpty = { (audience: AudiencePlan) in
            audience.kind == .delta && audience.tables.allSatisfy { $0.added + $0.changed + $0.removed == 0 }
        }
        let idle = audiences.filter(isEmpty).reduce(0) { $0 + $1.stores.count }
        return JobPlan(
            job: job.id, version: draft.derivation.version, audiences: audiences.filter { !isEmpty($0) },
            noData: idle + (request.isFull ? 0 : draft.noData.count - draft.noData.count { draft.covered[$0] != nil }),
            covered: draft.covered.count, waitsFor: Set(draft.covered.values).sorted { $0.number < $1.number },
            needsApproval: !excesses.isEmpty)
    }

    private func audience(
        _ plan: PackagePlan, _ draft: SessionDraft, _ excesses: [Excess], bytes: Int64?
    ) throws -> AudiencePlan {
        let impact = try rows.impact(of: plan, job: draft.job, at: draft.derivation)
        let stores = Set(plan.stores)
        return AudiencePlan(
            stores: plan.stores, kind: draft.request.isFull ? .full : plan.kind, isFirstLoad: plan.kind == .full,
            bytesEstimate: bytes ?? impact.bytesEstimate, tables: impact.tables.map(TablePlan.init),
            exceeds: excesses.filter { !stores.isDisjoint(with: $0.stores) }.map(\.change))
    }

    private func unchanged(_ stores: [StoreID], _ job: Job, bytes: Int64) -> AudiencePlan {
        AudiencePlan(
            stores: stores, kind: .full, isFirstLoad: false, bytesEstimate: bytes,
            tables: job.subjobs.map {
                TablePlan(
                    table: $0.table.name, added: 0, changed: 0, removed: 0, had: nil, priceMoves: [], disappearing: [])
            }, exceeds: [])
    }

    /// Where everything would be sent: the estimated size of each store's package.
    private func sizesOfFullPackages(_ draft: SessionDraft) throws -> [StoreID: Int64] {
        guard draft.request.isFull else { return [:] }
        var sizes: [StoreID: Int64] = [:]
        for package in draft.packages {
            let bytes = try rows.impact(of: package, job: draft.job, at: draft.derivation).bytesEstimate
            for store in package.stores { sizes[store] = bytes }
        }
        return sizes
    }
}

extension TablePlan {
    init(_ impact: TableImpact) {
        self.init(
            table: impact.table, added: impact.added, changed: impact.changed, removed: impact.removed,
            had: impact.had,
            priceMoves: impact.priceMoves.map {
                PriceMovePlan(
                    key: $0.key, column: $0.column, before: $0.before, after: $0.after, percent: $0.percent)
            }, disappearing: impact.disappearing)
    }
}
