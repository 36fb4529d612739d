import WaybillModel
import WaybillSessions
import WaybillWire

/// What the hub's own side wants of a store: a new session, a cancel, a rerun.
extension Desk {
    /// Takes a new delivery in and lets it take the place of older ones that are still under way.
    mutating func offer(_ given: Delivery, now: Timestamp, _ effects: inout [DeskEffect]) {
        var delivery = given
        // A store that is away has no say in it; people shall see all the same what it would wait for.
        if !delivery.isNoData, let why = hold(on: delivery, now: now) { delivery.note = why }
        effects.append(.saveDelivery(delivery))
        guard !delivery.isNoData else { return }
        for older in deliveries.values.sorted(by: { $0.session.number < $1.session.number })
        where older.job == delivery.job && older.session.number < delivery.session.number && !older.status.isFinal {
            var superseded = older
            superseded.supersededBy = delivery.session
            deliveries[older.session] = superseded
            effects.append(.saveDelivery(superseded))
        }
        deliveries[delivery.session] = delivery
        welcome(now: now, &effects)
    }

    mutating func prepared(
        _ session: SessionID, _ outcome: Preparation, now: Timestamp, _ effects: inout [DeskEffect]
    ) {
        let start = preparing.removeValue(forKey: session)
        guard var delivery = deliveries[session], delivery.isOnOffer else { return }
        switch outcome {
        case .package(let package):
            delivery.package = package
            delivery.note = ""
            made[session] = start
            unprepared.remove(session)
        case .covered(let why):
            delivery.isNoData = true
            delivery.note = why
        case .failed(let why):
            // Shown, and tried again at the store's next hello.
            delivery.note = why
            unprepared.insert(session)
            effects.append(.log("store \(record.id), session \(session): \(why)", isProblem: true))
        }
        deliveries[session] = delivery
        effects.append(.saveDelivery(delivery))
        // What follows may have waited for it. After a failure the next hello asks again, and no sooner.
        if case .failed = outcome { return }
        welcome(now: now, &effects)
    }

    mutating func cancel(_ given: Delivery, reason: String, now: Timestamp, _ effects: inout [DeskEffect]) {
        var delivery = deliveries[given.session] ?? given
        let answer = delivery.cancel(reason: reason, at: now)
        deliveries[delivery.session] = delivery
        effects.append(.saveDelivery(delivery))
        effects.append(.answerCancel(answer))
        if delivery.awaitsCancelAnswer, let peer {
            let order = HubLetter.CancelOrder(session: delivery.session, job: delivery.job, run: delivery.run)
            effects.append(.send(peer.routing, .cancel(order)))
        }
    }

    mutating func rerun(_ given: Delivery, now: Timestamp, _ effects: inout [DeskEffect]) {
        var delivery = deliveries[given.session] ?? given
        if let refusal = rerunRefusal(delivery) {
            effects.append(.answerRerun(refusal: refusal))
            return
        }
        delivery.rerun(package: nil)
        deliveries[delivery.session] = delivery
        preparing[delivery.session] = nil
        made[delivery.session] = nil
        effects.append(.saveDelivery(delivery))
        effects.append(.answerRerun(refusal: nil))
        if peer != nil {
            welcome(now: now, &effects)
        } else {
            prepare(delivery, &effects)
        }
    }

    mutating func retry(_ given: Delivery, now: Timestamp, _ effects: inout [DeskEffect]) {
        var delivery = deliveries[given.session] ?? given
        if let refusal = retryRefusal(delivery) {
            effects.append(.answerRetry(refusal: refusal))
            return
        }
        delivery.retry()
        deliveries[delivery.session] = delivery
        effects.append(.saveDelivery(delivery))
        effects.append(.answerRetry(refusal: nil))
        welcome(now: now, &effects)
    }

    private func retryRefusal(_ delivery: Delivery) -> String? {
        switch delivery.status {
        case .suspended: rerunRefusal(delivery)
        case .downloadFailed, .applyFailed: "it is \(delivery.status.rawValue) and tried again by itself"
        case .available, .requested, .downloaded: "it is \(delivery.status.rawValue) and on its way already"
        case .applied, .canceled, .superseded, .noData:
            "it is \(delivery.status.rawValue), not Suspended; rerun the session or publish instead"
        }
    }

    /// A rerun never takes a store back: what is newer, applied or on its way, stands.
    private func rerunRefusal(_ delivery: Delivery) -> String? {
        if delivery.isOnOffer { return "it is \(delivery.status.rawValue) and on its way already" }
        if delivery.awaitsCancelAnswer { return "the store has not answered the cancel yet" }
        let newer = deliveries.values.first {
            $0.job == delivery.job && $0.session.number > delivery.session.number
                && ($0.isOnOffer || $0.awaitsCancelAnswer)
        }
        if let newer, newer.isOnOffer { return "session \(newer.session), which is newer, is on its way" }
        // It may turn out to have been applied.
        if let newer { return "the store has not answered the cancel of session \(newer.session), which is newer" }
        if hasNewer(than: delivery), let position = positions[delivery.job] {
            return "the store has applied session \(position.session), which is newer; publish instead"
        }
        return nil
    }

    mutating func recordChanged(_ record: StoreRecord, _ effects: inout [DeskEffect]) {
        let isNewMachine = isAnotherMachine(record)
        if let peer, record.state != .active {
            effects.append(
                .send(peer.routing, .refused(reason: "store \(record.id) is \(record.state.rawValue) at the hub")))
        }
        self.record = withContact(record)
        forgetQuarantine(&effects)
        if isNewMachine || record.state != .active {
            peer = nil
            granted = []
            made = [:]
            progress = nil
            utcOffsetMinutes = nil
            positions = record.state == .active ? [:] : positions
        }
    }
}
