import WaybillModel
import WaybillSocket
import WaybillWire

/// Hellos that come faster than they can be taken in.
extension HubTurn {
    /// Whether the letter is a hello that has to wait.
    mutating func putOff(
        _ letter: AgentLetter, _ message: ReceivedMessage, of store: StoreID, now: Timestamp, _ batch: inout Batch
    ) -> Bool {
        guard case .hello(let hello) = letter.body, !batch.takesEveryHello, let routing = message.routingID else {
            return false
        }
        let usual = Int64(desks.count / max(1, parts.configuration.helloSeconds))
        admission.rate = max(HelloLimits.rateMin, HelloLimits.surplus * usual)
        let isKeepable = (message.frames.first?.count ?? .max) <= HelloLimits.bytesMax
        switch admission.admit(message, of: store, isKeepable: isKeepable, now: now) {
        case .takeNow: return false
        case .later: return true
        case .askAgain(let wait):
            // An agent that does not know this would take an empty Welcome for the end of all offers; it hears nothing,
            // and says Hello again when its interval is over.
            guard hello.activity != nil else { return true }
            let welcome = HubLetter.Welcome(
                hubRun: parts.hubRun, hubTime: now, offers: [], cancels: [],
                helloSeconds: parts.configuration.helloSeconds, pace: HubLetter.Pace(retryAfterMilliseconds: wait))
            batch.sends.append(.letter(store, routing, .welcome(welcome)))
            return true
        }
    }

    /// Takes in hellos whose turn has come.
    mutating func takePutOffHellos(_ batch: inout Batch) {
        guard admission.waitingCount > 0 else { return }
        batch.takesEveryHello = true
        for message in admission.due(now: parts.clock.now()) { hear(message, &batch) }
        batch.takesEveryHello = false
    }
}
