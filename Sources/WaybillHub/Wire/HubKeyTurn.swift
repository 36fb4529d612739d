import WaybillDatabase
import WaybillModel
import WaybillSessions
import WaybillSocket
import WaybillWire

/// Keys that stores replace while they work. Each step is a transaction of its own and durable before it is answered:
/// it changes whom the gatekeeper lets in, and must not be undone with the rest of a turn.
extension HubTurn {
    /// A message has come with a key of this store: the first one with a new key retires the old one.
    mutating func noteKey(_ userID: String, of store: StoreID, _ batch: inout Batch) {
        let now = parts.clock.now()
        switch keys.standing(of: userID) {
        case .next: use(userID, of: store, now: now, &batch)
        case .old(let since) where keys.shouldWarn(of: store, since: since, now: now):
            let message =
                "store \(store) still speaks with its old key: its home was restored or copied; "
                + "waybill store rotate-key \(store) gives the machine that is right a new one"
            parts.logger.error("ALARM: \(message)")
            leave(message, with: store, now: now, &batch)
        case .old, .present, nil: break
        }
    }

    private mutating func use(_ userID: String, of store: StoreID, now: Timestamp, _ batch: inout Batch) {
        guard let key = try? CurvePublicKey(z85: userID) else { return }
        let grace = Int64(parts.configuration.oldKeyHours) * 3_600_000
        do {
            let isUsed = try operations.write { db in
                let isUsed = try StoreKeys.use(key.bytes, of: store, at: now, grace: grace, in: db)
                if isUsed { try AuditLog.appendKey(key, "is its key now", of: store, at: now, in: db) }
                return isUsed
            }
            CrashPoint.storeKeyUsed.pass()
            guard isUsed else { return }
            keysChanged(of: store, now: now, &batch)
            parts.logger.info("store \(store) has gone over to its new key")
        } catch {
            // It stays good as the next one; the store's next message tries again.
            parts.logger.error("the new key of store \(store) could not be written down: \(error)")
        }
    }

    /// What a store says about keys, its own and the hub's.
    mutating func hear(_ notice: KeyNotice, of store: StoreID, from routing: RoutingID, _ batch: inout Batch) {
        if let key = notice.newKey {
            let answer = take(key, of: store, &batch)
            batch.sends.append(.letter(store, routing, .keyAnswer(answer)))
        }
        if let known = notice.knows, known == keyNews.next {
            let bytes = known.curve + known.signing
            guard desks[store]?.desk.record.knownHubKeys != bytes else { return }
            desks[store]?.desk.record.knownHubKeys = bytes
            batch.saves.append { try StoreKeys.noteKnown(bytes, by: store, in: $0) }
        }
    }

    private mutating func take(_ bytes: [UInt8], of store: StoreID, _ batch: inout Batch) -> KeyAnswer {
        let now = parts.clock.now()
        do {
            // Not a key that the whole world has the secret of.
            let key = try CurvePublicKey(bytes: bytes)
            try operations.write { db in
                let before = try StoreKeys.spare(of: store, in: db)
                try StoreKeys.offer(key.bytes, of: store, at: now, in: db)
                guard try StoreKeys.spare(of: store, in: db) != before else { return }
                try AuditLog.appendKey(key, "is good beside its present one", of: store, at: now, in: db)
            }
            CrashPoint.storeKeyKept.pass()
            keysChanged(of: store, now: now, &batch)
            parts.logger.info("store \(store) has a new key, which is good from now on beside the old one")
            return KeyAnswer(newKey: bytes, isAccepted: true)
        } catch let refusal as EnrolmentRefusal {
            parts.logger.warning("a new key of store \(store) was refused: \(refusal)")
            return KeyAnswer(newKey: bytes, isAccepted: false, reason: refusal.description)
        } catch let fault as SocketError {
            parts.logger.warning("a new key of store \(store) was refused: \(fault)")
            return KeyAnswer(newKey: bytes, isAccepted: false, reason: "\(fault)")
        } catch {
            parts.logger.error("a new key of store \(store) could not be written down: \(error)")
            return KeyAnswer(newKey: bytes, isAccepted: false, reason: "the hub could not write it down")
        }
    }

    /// Whom the hub lets in has changed, and stays so when the rest of the turn is undone.
    private mutating func keysChanged(of store: StoreID, now: Timestamp, _ batch: inout Batch) {
        storeChanged(store, now: now, &batch)
        guard let place = desks[store] else { return }
        batch.setBefore(at: place, place.desk.record)
        turnBefore?.batch.setBefore(at: place, place.desk.record)
    }

    /// Old keys whose time is over.
    mutating func endOldKeys(_ batch: inout Batch) {
        let now = parts.clock.now()
        guard let end = keys.nextEnd, end <= now else { return }
        do {
            for store in try operations.write({ try StoreKeys.endOld(at: now, in: $0) }) {
                parts.logger.info("the old key of store \(store) has ended")
                keysChanged(of: store, now: now, &batch)
            }
        } catch {
            parts.logger.error("old keys could not be ended in hub.db: \(error)")
        }
    }

    /// Logs why an enrolment was refused; somebody must hear of a code that was shown by two machines.
    mutating func noteRefusal(_ refusal: EnrolmentRefusal, _ message: ReceivedMessage, _ batch: inout Batch) {
        if enrolments.isWorthALine(at: parts.clock.now()) {
            parts.logger.warning("an enrolment was refused: \(refusal)")
        }
        guard refusal.isAlarm, let frame = message.frames.first,
            let request = try? WireEnrolRequest(serializedBytes: frame), let store = StoreID(request.store)
        else { return }
        let place = message.peerAddress.map { " at \($0)" } ?? ""
        let text =
            "the enrolment code of store \(store), used already, was shown by another machine\(place): "
            + "somebody has a copy of it"
        parts.logger.error("ALARM: \(text)")
        leave(text, with: store, now: parts.clock.now(), &batch)
    }

    /// Leaves a sentence with the store, for `store list`.
    private mutating func leave(_ text: String, with store: StoreID, now: Timestamp, _ batch: inout Batch) {
        batch.saves.append { try Enrolment.note(text, of: store, in: $0) }
        desks[store]?.desk.record.message = text
    }
}

extension HubTurn.Batch {
    /// The desk has this record even if the turn is undone.
    fileprivate mutating func setBefore(at place: DeskPlace, _ record: StoreRecord) {
        for index in before.indices where before[index].place === place { before[index].desk.record = record }
    }
}
