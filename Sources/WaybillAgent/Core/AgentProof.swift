import WaybillModel
import WaybillWire

/// The question about the store's tables that is being answered, and the newest one that came meanwhile.
///
/// The hub asks again when an answer is late, so a question that is being worked on is not begun anew; and it has
/// nothing to do with answers to older questions, so only the newest waits.
struct ProofWork: Sendable {
    var current: HubLetter.Examine?
    var next: HubLetter.Examine?
}

extension AgentCore {
    mutating func examine(_ question: HubLetter.Examine, _ effects: inout [AgentEffect]) {
        if proof.current == question { return }
        guard proof.current == nil else {
            proof.next = question
            return
        }
        proof.current = question
        effects.append(.examine(question))
    }

    mutating func examined(_ digests: AgentLetter.Digests, _ effects: inout [AgentEffect]) {
        proof.current = nil
        // Without a line the answer is lost, like any letter: the hub asks again.
        if isConnected { effects.append(.send(letter(.digests(digests)))) }
        guard let next = proof.next else { return }
        proof.next = nil
        examine(next, &effects)
    }
}
