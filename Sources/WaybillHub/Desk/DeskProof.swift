import WaybillModel
import WaybillWire

extension Desk {
    /// A question is not kept for a store that is away: whoever asks repeats it for as long as the answer matters.
    mutating func examine(_ question: HubLetter.Examine, now: Timestamp, _ effects: inout [DeskEffect]) {
        guard let peer, isOnline(at: now) else {
            effects.append(.answerExamine(isSent: false))
            return
        }
        effects.append(.send(peer.routing, .examine(question)))
        effects.append(.answerExamine(isSent: true))
    }
}

extension HubTurn {
    mutating func examine(
        _ store: StoreID, _ question: HubLetter.Examine, now: Timestamp, _ batch: inout Batch,
        _ reply: @escaping @Sendable (Bool) -> Void
    ) {
        var isSent = false
        withDesk(of: store, &batch) { desk in
            let effects = desk.step(.examine(question), now: now)
            for case .answerExamine(let answer) in effects { isSent = answer }
            return effects
        }
        batch.replies.append { [isSent] in reply(isSent) }
    }
}
