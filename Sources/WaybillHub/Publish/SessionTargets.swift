import GRDB
import WaybillModel
import WaybillPlan
import WaybillSessions

/// A store that a session is for, and where it stands.
struct SessionTarget {
    var store: StoreID
    /// What the store said last; nil when it has nothing, or when it shall get everything.
    var watermark: Watermark?
    /// The same in terms of `rows.db`; nil when its session is not of this hub's history.
    var base: Base?
    /// Where it stands, as `base`, also when it shall get everything.
    var standing: Base?

    var planned: PlanTarget { PlanTarget(store: store, base: base) }
}

/// Where a store will stand once what is on its way has arrived.
struct PendingBase {
    var watermark: Watermark
    var base: Base
    /// No attempt of the store has failed.
    var isUndisturbed: Bool
    var session: SessionID { watermark.session }
}

extension SessionBuilder {
    /// The active stores that a session is for, with the positions they last told.
    func sessionTargets(of job: JobID, _ request: SessionRequest) throws -> [SessionTarget] {
        let wanted = request.stores.map { Set($0.compactMap(StoreID.init)) }
        return try operations.read { db in
            let positions = try StoreRecord.positions(at: job, in: db)
            var known: [SessionID: Base?] = [:]
            var targets: [SessionTarget] = []
            for store in try StoreRecord.active(in: db) {
                if let wanted, !wanted.contains(store) { continue }
                var target = SessionTarget(store: store)
                if let mark = positions[store] {
                    if known[mark.session] == nil { known[mark.session] = try base(of: mark.session, in: db) }
                    target.standing = known[mark.session] ?? nil
                    if !request.isFull {
                        target.watermark = mark
                        target.base = target.standing
                    }
                }
                targets.append(target)
            }
            return targets
        }
    }

    /// Deliveries of the job that are on their way, and what a store will have after them.
    func pendingBases(
        of job: JobID, _ targets: [SessionTarget]
    ) throws -> [StoreID: PendingBase] {
        try operations.read { db in
            let newest = try OpenDelivery.newest(of: job, in: db)
            guard !newest.isEmpty else { return [:] }
            var known: [SessionID: Base?] = [:]
            var pending: [StoreID: PendingBase] = [:]
            for target in targets {
                guard let open = newest[target.store], open.isOnOffer else { continue }
                if known[open.session] == nil { known[open.session] = try base(of: open.session, in: db) }
                guard let base = known[open.session] ?? nil else { continue }
                pending[target.store] = PendingBase(
                    watermark: Watermark(version: open.version, session: open.session), base: base,
                    isUndisturbed: [.available, .requested, .downloaded].contains(open.status))
            }
            return pending
        }
    }

    private func base(of session: SessionID, in db: Database) throws -> Base? {
        try SessionRecord.find(session, in: db).map { Base(version: $0.version.number, token: $0.token) }
    }
}
