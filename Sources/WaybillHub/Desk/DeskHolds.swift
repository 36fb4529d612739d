import WaybillModel
import WaybillSessions
import WaybillWire

/// What a store may not have yet, although it is there: windows, and jobs that come before.
extension Desk {
    /// Why the store may not have the delivery now; nil when it may.
    func hold(on delivery: Delivery, now: Timestamp) -> String? {
        guard !delivery.ignoresWindow, let window = settings.rules[delivery.job]?.window else { return nil }
        // A store that never told its clock is taken to have the hub's.
        let storeOffset = window.clock == .store ? utcOffsetMinutes : nil
        let clock = WallClock(at: now, utcOffsetMinutes: storeOffset ?? hubUTCOffsetMinutes)
        guard !window.window.contains(clock) else { return nil }
        let opening = window.window.nextOpening(after: clock)
        return "\(Delivery.windowNote), from \(opening) \(storeOffset == nil ? "hub" : "store") time"
    }

    /// Offers and held deliveries, each job after those that it follows, else oldest session first.
    mutating func choose(
        now: Timestamp, _ effects: inout [DeskEffect]
    ) -> (offers: [HubLetter.Offer], held: [HubLetter.Held]) {
        var offers: [HubLetter.Offer] = []
        var held: [HubLetter.Held] = []
        // Jobs of which a package is being made, and those that are failing at the store.
        var unready: Set<JobID> = []
        var failing: [Delivery] = []
        for delivery in targets() {
            if let why = hold(on: delivery, now: now) {
                held.append(HubLetter.Held(session: delivery.session, run: delivery.run, job: delivery.job))
                note(why, on: delivery, &effects)
                continue
            }
            let follows = settings.rules[delivery.job]?.follows ?? []
            guard let package = fittingPackage(of: delivery, &effects) else {
                // A package that could not be made holds nothing back: nobody knows for how long.
                if !unprepared.contains(delivery.session) { unready.insert(delivery.job) }
                continue
            }
            // What has begun goes on.
            if !delivery.isGranted, !follows.isDisjoint(with: unready) { continue }
            if delivery.status.isFailure { failing.append(delivery) }
            let before = delivery.status == .available ? failing.first { follows.contains($0.job) } : nil
            note(before.map { "comes after session \($0.session) of job \($0.job)" } ?? "", on: delivery, &effects)
            offers.append(
                HubLetter.Offer(
                    session: delivery.session, run: delivery.run, job: delivery.job, bytes: package.bytes,
                    attempt: delivery.nextAttempt, follows: follows.sorted()))
        }
        return (offers, held)
    }

    private mutating func note(_ text: String, on delivery: Delivery, _ effects: inout [DeskEffect]) {
        guard var noted = deliveries[delivery.session], noted.note != text else { return }
        noted.note = text
        deliveries[delivery.session] = noted
        effects.append(.saveDelivery(noted))
    }
}
