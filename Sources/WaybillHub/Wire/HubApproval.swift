import WaybillModel
import WaybillSessions

/// Sessions that await approval, on the wire thread: it alone offers, so it alone decides what a session has become
/// when an approval and a cancel arrive together.
extension HubTurn {
    /// Offers a held session to its stores, as if it had been made just now.
    mutating func approve(
        _ session: SessionID, now: Timestamp, _ batch: inout Batch, _ reply: @escaping @Sendable ([StoreID]?) -> Void
    ) {
        guard let held = heldDeliveries(of: session, batch.unwritten) else {
            return batch.replies.append { reply(nil) }
        }
        var offered: [StoreID] = []
        for delivery in held.deliveries {
            withDesk(of: delivery.store, &batch) { desk in
                // A store that was retired while the session waited has no use for it.
                guard desk.record.state == .active else { return [] }
                if !delivery.isNoData { offered.append(delivery.store) }
                return desk.step(.offered(delivery), now: now)
            }
        }
        batch.unwritten.noteApproved(session)
        batch.saves.append { try HeldSession.approve(session, at: now, in: $0) }
        batch.sends.append(.announcement(held.job, session))
        parts.logger.info("session \(session) was approved and is offered to \(offered.count) stores")
        batch.replies.append { [offered] in reply(offered) }
    }

    /// Calls off what no store was ever offered; the answer is known at once.
    mutating func cancelHeld(
        _ session: SessionID, _ stores: [StoreID]?, reason: String, now: Timestamp, _ batch: inout Batch
    ) -> [StoreID: CancelAnswer] {
        guard let held = heldDeliveries(of: session, batch.unwritten) else { return [:] }
        let isChosen = { (delivery: Delivery) in stores?.contains(delivery.store) ?? true }
        // Nobody is left to approve it for: it ends, whichever way the last one was called off.
        let isOver = !held.deliveries.contains { !$0.isNoData && !isChosen($0) }
        var answers: [StoreID: CancelAnswer] = [:]
        var released: [StoreID] = []
        for var delivery in held.deliveries where isOver || isChosen(delivery) {
            if isChosen(delivery) { answers[delivery.store] = delivery.cancel(reason: reason, at: now) }
            released.append(delivery.store)
            batch.unwritten.note(delivery)
            batch.saves.save(delivery, over: nil)
        }
        batch.saves.append { [released] in try HeldSession.release(released, of: session, in: $0) }
        if isOver {
            batch.unwritten.note(session, isCanceled: true)
            batch.saves.append { db in
                guard var record = try SessionRecord.find(session, in: db) else { return }
                record.status = .canceled
                record.message = reason
                try record.save(in: db)
            }
        }
        return answers
    }

    /// What still awaits approval, seen with all that this turn has decided already; nil when nothing does.
    private mutating func heldDeliveries(of session: SessionID, _ unwritten: Unwritten) -> (
        job: JobID, deliveries: [Delivery]
    )? {
        guard !unwritten.isCanceled(session), !unwritten.isApproved(session) else { return nil }
        do {
            return try operations.read { db in
                guard let record = try SessionRecord.find(session, in: db), record.status == .awaitingApproval else {
                    return nil
                }
                let deliveries = try HeldSession.deliveries(of: record, in: db)
                return (record.job, deliveries.filter { unwritten.delivery(session, $0.store) == nil })
            }
        } catch {
            parts.logger.error("hub.db could not be read: \(error)")
            return nil
        }
    }
}
