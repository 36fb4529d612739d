import WaybillModel
import WaybillSessions

/// What a turn of the wire thread has decided and not written yet.
///
/// Whoever looks something up in the same turn must find it here before `hub.db` is asked, which still says what was
/// true before. Else a request that comes right after a cancel is granted, and of two reports the second undoes the
/// first.
struct Unwritten {
    private var deliveries: [SessionID: [StoreID: Delivery]] = [:]
    /// Sessions called off as a whole.
    private var canceled: Set<SessionID> = []
    /// Sessions that awaited approval before this turn.
    private var approved: Set<SessionID> = []

    mutating func note(_ delivery: Delivery) { deliveries[delivery.session, default: [:]][delivery.store] = delivery }

    mutating func note(_ session: SessionID, isCanceled: Bool) {
        if isCanceled { canceled.insert(session) } else { canceled.remove(session) }
    }

    func delivery(_ session: SessionID, _ store: StoreID) -> Delivery? { deliveries[session]?[store] }

    mutating func noteApproved(_ session: SessionID) { approved.insert(session) }

    func isApproved(_ session: SessionID) -> Bool { approved.contains(session) }

    func isCanceled(_ session: SessionID) -> Bool { canceled.contains(session) }

    /// The deliveries of a session as they will be: those that are stored, and instead of them or besides those here.
    func deliveries(of session: SessionID, over stored: [Delivery]) -> [Delivery] {
        guard let newer = deliveries[session] else { return stored }
        return (stored.filter { newer[$0.store] == nil } + newer.values).sorted { $0.store < $1.store }
    }
}
