import Logging
import WaybillModel
import WaybillSessions
import WaybillSocket
import WaybillWire

/// What agents say.
extension HubTurn {
    mutating func hear(_ message: ReceivedMessage, _ batch: inout Batch) {
        guard let routing = message.routingID else { return }
        let store: StoreID
        switch keys.holder(of: message.userID ?? "") {
        case .store(let holder):
            store = holder
            noteKey(message.userID ?? "", of: store, &batch)
        case .former(let former):
            parts.logger.warning("a key that store \(former) no longer has was used, and refused")
            let reason = "this key of store \(former) is no longer enrolled"
            return batch.sends.append(.letter(nil, routing, .refused(reason: reason)))
        case .nobody:
            // The gatekeeper lets nobody in without a name; whatever this is, it gets no answer.
            return parts.logger.warning("a message without a store's identity was dropped")
        }
        let letter: AgentLetter
        do {
            guard message.frames.count == 1, let frame = message.frames.first, !message.isTruncated else {
                throw LetterFault("a message must be one frame")
            }
            letter = try AgentLetter(decoding: frame)
        } catch let fault as LetterFault where fault.isOfNewerKind {
            parts.logger.debug("store \(store) sent something that was ignored: \(fault)")
            return
        } catch {
            parts.logger.warning("store \(store) sent something that was refused: \(error)")
            batch.sends.append(.letter(store, routing, .refused(reason: "\(error)")))
            return
        }
        let now = parts.clock.now()
        if putOff(letter, message, of: store, now: now, &batch) { return }
        guard let place = place(of: store) else { return }
        let known: [Delivery]
        do { known = try deliveries(namedIn: letter, to: place.desk, batch.unwritten) } catch {
            // Better no answer than one that takes a known session for an unknown one.
            return parts.logger.error("hub.db could not be read: \(error)")
        }
        let admission = place.allowance.admits(
            letter, of: store, beside: place.desk.positions,
            isKnown: { session in
                place.desk.deliveries[session] != nil || known.contains { $0.session == session }
            }, now: now)
        if let complaint = admission.complaint { parts.logger.warning("\(complaint)") }
        guard admission.isAdmitted else { return }
        withDesk(at: place, of: store, &batch) { desk in
            desk.step(.letter(letter, routing: routing.bytes, known: known), now: now)
        }
    }

    /// Deliveries that the letter is about and the desk does not have at hand.
    private mutating func deliveries(
        namedIn letter: AgentLetter, to desk: borrowing Desk, _ unwritten: borrowing Unwritten
    ) throws -> [Delivery] {
        var known: [Delivery] = []
        for session in letter.sessions(beside: desk.positions) where desk.deliveries[session] == nil {
            let store = desk.record.id
            if let delivery = unwritten.delivery(session, store) {
                known.append(delivery)
            } else if let delivery = try operations.read({ try DeliveryRecord.find(session, store, in: $0) }) {
                known.append(delivery)
            }
        }
        return known
    }
}

extension AgentLetter {
    /// Sessions that the letter names and a decision may need; `positions` is what is known of the store already.
    func sessions(beside positions: [JobID: Watermark]) -> [SessionID] {
        switch body {
        case .hello(let hello): hello.watermarks.filter { positions[$0.key] != $0.value }.map(\.value.session)
        case .chunkRequest, .quarantine, .keys: []
        case .request(let session, _, _): [session]
        case .reports(let reports):
            // Mostly of one, and never many.
            reports.reduce(into: []) { if !$0.contains($1.session) { $0.append($1.session) } }
        case .digests: []
        }
    }
}
