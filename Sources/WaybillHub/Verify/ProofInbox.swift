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

/// Orders waiting for the thread that verifies: the wire thread and administrators add, one thread takes.
///
/// Unchecked, because NSCondition guards the fields: they are touched between lock and unlock only.
final class ProofInbox: @unchecked Sendable {
    /// Answers of stores that wait at most. Beyond it new ones are dropped: whoever asked asks again.
    private static let digestsMax = 1024

    private let condition = NSCondition()
    private var orders: [ProofOrder] = []
    private var isStopping = false

    /// Never waits.
    func post(_ order: ProofOrder) {
        condition.lock()
        defer { condition.unlock() }
        guard !isStopping else { return }
        if case .digests = order, orders.count >= ProofInbox.digestsMax { return }
        orders.append(order)
        condition.signal()
    }

    /// The orders that have come, waiting a while for one; nil once the hub stops.
    func next(milliseconds: Int) -> [ProofOrder]? {
        condition.lock()
        defer { condition.unlock() }
        let deadline = Date(timeIntervalSinceNow: Double(milliseconds) / 1000)
        while orders.isEmpty, !isStopping, condition.wait(until: deadline) {}
        guard !isStopping else { return nil }
        defer { orders = [] }
        return orders
    }

    func stop() {
        condition.lock()
        defer { condition.unlock() }
        isStopping = true
        condition.broadcast()
    }
}
