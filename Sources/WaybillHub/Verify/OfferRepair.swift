import WaybillModel
import WaybillSessions

extension HubTurn {
    /// Offers a session that repairs one store, unless something newer of the job is on its way there: a repair takes
    /// nothing's place, not even that of what awaits approval.
    /// - Returns: false for a session that is no repair.
    mutating func offerRepair(
        _ session: SessionRecord, _ deliveries: [Delivery], now: Timestamp, _ batch: inout Batch
    ) -> Bool {
        guard session.request.verification != nil, !session.request.isFull else { return false }
        var session = session
        for delivery in deliveries {
            withDesk(of: delivery.store, &batch) { desk in
                var delivery = delivery
                if let why = desk.repairRefusal(delivery) {
                    delivery.isNoData = true
                    delivery.note = why
                    session.status = .noData
                    session.message += "; not sent: \(why)"
                }
                return desk.step(.offered(delivery), now: now)
            }
        }
        batch.saves.append { [session] in try session.save(in: $0) }
        if session.status == .available { batch.sends.append(.announcement(session.job, session.id)) }
        return true
    }
}

extension Desk {
    /// Why a repair must not go out now: it was made for where the store stood.
    func repairRefusal(_ repair: Delivery) -> String? {
        if let other = deliveries.values.first(where: { $0.job == repair.job && $0.isOnOffer }) {
            return "session \(other.session) is on its way"
        }
        guard let package = repair.package, package.fits(positions[repair.job]) else {
            return repair.isNoData ? nil : "the store has moved on"
        }
        return nil
    }
}
