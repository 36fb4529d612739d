import Foundation
import WaybillModel
import WaybillWire

/// What the thread that verifies hears of.
enum ProofOrder: Sendable {
    /// Verifications stand in `hub.db` that were not begun.
    case wake
    /// Whether a question has gone out.
    case asked(id: Int64, step: Int, isSent: Bool)
    case digests(StoreID, AgentLetter.Digests)
}

/// Orders for the thread that verifies: from the wire thread and from administrators.
typealias ProofInbox = Inbox<ProofOrder>

extension Inbox<ProofOrder> {
    /// Answers of stores that wait at most. Beyond it new ones are dropped: whoever asked asks again.
    private static var digestsMax: Int { 1024 }

    /// Never waits.
    func post(_ order: ProofOrder) {
        if case .digests = order { add(order, waitingMax: Self.digestsMax) } else { add(order) }
    }
}
