import Foundation

/// Orders waiting for a thread of the hub's that works on a clock of its own: anyone adds, that one thread takes.
///
/// Unchecked, because NSCondition guards the fields: they are touched between lock and unlock only.
final class Inbox<Order: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var orders: [Order] = []
    private var isStopping = false

    /// Never waits.
    /// - Parameter waitingMax: the order is left out when so many wait already.
    /// - Returns: false when the order was not taken, because of that or because the hub is stopping.
    @discardableResult
    func add(_ order: Order, waitingMax: Int = .max) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        guard !isStopping, orders.count < waitingMax else { return false }
        orders.append(order)
        condition.signal()
        return true
    }

    /// The orders that have come, waiting a while for one; nil once the hub stops.
    func next(milliseconds: Int) -> [Order]? {
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

    /// What nobody took before the stop.
    func leave() -> [Order] {
        condition.lock()
        defer { condition.unlock() }
        defer { orders = [] }
        return orders
    }
}
