import GRDB
import Logging
import WaybillModel
import WaybillSessions
import WaybillWire

/// What the hub's own side asks of a turn.
extension HubTurn {
    mutating func obey(_ order: HubOrder, _ batch: inout Batch) {
        let now = parts.clock.now()
        switch order {
        case .offer(let session, let sealed, let deliveries, let reply):
            // Lost, it would leave the session `Started` for as long as the hub runs.
            guard offer(session, sealed, deliveries, now: now, &batch) else { return batch.postponed.append(order) }
            batch.replies.append(reply)
        case .createFailed(let session, let reason):
            batch.saves.append { try SessionRecord.fail(session, reason, in: $0) }
        case .prepared(let session, let store, let outcome, let sealed):
            if let sealed { batch.saves.append { try sealed.save(in: $0) } }
            withDesk(of: store, &batch) { $0.step(.prepared(session, outcome), now: now) }
        case .approve(let session, let reply): approve(session, now: now, &batch, reply)
        case .cancel(let session, let stores, let reason, let reply):
            var answers = cancelHeld(session, stores, reason: reason, now: now, &batch)
            for delivery in deliveries(of: session, stores, batch.unwritten) where answers[delivery.store] == nil {
                withDesk(of: delivery.store, &batch) { desk in
                    let effects = desk.step(.cancel(delivery, reason: reason), now: now)
                    for case .answerCancel(let answer) in effects { answers[delivery.store] = answer }
                    return effects
                }
            }
            if stores == nil {
                batch.unwritten.note(session, isCanceled: true)
                batch.saves.append { db in
                    guard var record = try SessionRecord.find(session, in: db) else { return }
                    record.status = .canceled
                    record.message = reason
                    try record.save(in: db)
                }
            }
            batch.replies.append { [answers] in reply(answers) }
        case .rerun(let session, let stores, let reply):
            var refusals: [StoreID: String?] = [:]
            for delivery in deliveries(of: session, stores, batch.unwritten) {
                withDesk(of: delivery.store, &batch) { desk in
                    let effects = desk.step(.rerun(delivery), now: now)
                    for case .answerRerun(let refusal) in effects { refusals[delivery.store] = refusal }
                    return effects
                }
            }
            if refusals.values.contains(where: { $0 == nil }) {
                batch.unwritten.note(session, isCanceled: false)
                batch.saves.append { db in
                    guard var record = try SessionRecord.find(session, in: db), record.status == .canceled else {
                        return
                    }
                    record.status = .available
                    record.message = ""
                    try record.save(in: db)
                }
            }
            batch.replies.append { [refusals] in reply(refusals) }
        case .retry(let session, let stores, let reply):
            var refusals: [StoreID: String?] = [:]
            for delivery in deliveries(of: session, stores, batch.unwritten) {
                withDesk(of: delivery.store, &batch) { desk in
                    let effects = desk.step(.retry(delivery), now: now)
                    for case .answerRetry(let refusal) in effects { refusals[delivery.store] = refusal }
                    return effects
                }
            }
            batch.replies.append { [refusals] in reply(refusals) }
        case .examine(let store, let question, let reply): examine(store, question, now: now, &batch, reply)
        case .quarantine(let orders, let reply): self.order(orders, now: now, &batch, reply)
        case .packageLost(let package, let store):
            withDesk(of: store, &batch) { $0.step(.packageLost(package), now: now) }
        case .rules(let rules): self.rules = rules
        case .audited(let record, let order):
            batch.saves.append(record)
            obey(order, &batch)
        case .storeChanged(let store): storeChanged(store, now: now, &batch)
        case .contacts(let reply):
            var contacts: [StoreID: HubOrder.Contact] = [:]
            for (store, place) in desks {
                let desk = place.desk
                contacts[store] = HubOrder.Contact(
                    isOnline: desk.isOnline(at: now), lastHeard: desk.peer?.lastHeard, progress: desk.progress,
                    freeBytes: desk.freeBytes, stages: desk.stages.entries)
            }
            batch.replies.append { [contacts] in reply(contacts) }
        }
    }

    /// - Returns: false when `hub.db` could not be read.
    private mutating func offer(
        _ session: SessionRecord, _ sealed: [SealedRecord], _ deliveries: [Delivery], now: Timestamp,
        _ batch: inout Batch
    ) -> Bool {
        // Called off while it was being built: its deliveries are not made at all.
        do {
            let now = try operations.read { try SessionRecord.find(session.id, in: $0)?.status }
            guard now != .canceled, !batch.unwritten.isCanceled(session.id) else { return true }
        } catch {
            parts.logger.error("session \(session.id) could not be looked up in hub.db: \(error)")
            return false
        }
        for record in sealed { batch.saves.append { try record.save(in: $0) } }
        if offerRepair(session, deliveries, now: now, &batch) { return true }
        batch.saves.append { try HeldSession.supersede(by: session, deliveries, in: $0) }
        if session.status == .awaitingApproval {
            batch.saves.append { try HeldSession.hold(session, deliveries, at: now, in: $0) }
            return true
        }
        batch.saves.append { try session.save(in: $0) }
        for delivery in deliveries {
            withDesk(of: delivery.store, &batch) { $0.step(.offered(delivery), now: now) }
        }
        if session.status == .available { batch.sends.append(.announcement(session.job, session.id)) }
        return true
    }

    private mutating func deliveries(of session: SessionID, _ stores: [StoreID]?, _ unwritten: Unwritten) -> [Delivery]
    {
        do {
            let stored = try operations.read { try DeliveryRecord.all(of: session, in: $0) }
            return unwritten.deliveries(of: session, over: stored).filter { stores?.contains($0.store) ?? true }
        } catch {
            parts.logger.error("hub.db could not be read: \(error)")
            return []
        }
    }

    /// Takes a store's record anew: before an enrolment is answered, for the agent may connect the moment it has it.
    mutating func storeChanged(_ store: StoreID, now: Timestamp, _ batch: inout Batch) {
        let found: StoreRecord?
        do { found = try operations.read { try StoreRecord.find(store, in: $0) } } catch {
            // Forgotten, it would keep a store that has just enrolled out, and one that was retired in.
            if !unread.contains(store) { unread.append(store) }
            return parts.logger.error("store \(store) could not be loaded from hub.db: \(error)")
        }
        guard let record = found else { return }
        for key in keys.update(record) { transport.shutOut(key) }
        for (key, name) in EnrolledKeys.allowList([record]) {
            transport.admit(key, as: name)
        }
        withDesk(of: store, &batch) { $0.step(.recordChanged(record), now: now) }
    }

    mutating func readAgain(_ batch: inout Batch) {
        let stores = unread
        unread = []
        for store in stores { storeChanged(store, now: parts.clock.now(), &batch) }
    }
}

extension SealedRecord {
    func save(in db: Database) throws {
        try PackageRecord.save(package, session: session, manifest: manifest, signature: signature, in: db)
    }
}
