import WaybillModel
import WaybillSessions
import WaybillWire

/// What the hub knows of a store's quarantine, and wants done about it.
///
/// A hello names the content of the store's list. When the hub's copy has another name it asks; when there are open
/// orders it repeats them, and each answer is the list. So whatever letter is lost, the next hello makes it good.
public struct DeskQuarantine: Sendable, Hashable {
    /// Names the list that `hub.db` has.
    public var revision: UInt64
    public var openOrders: [QuarantineOrder]

    public init(revision: UInt64 = 0, openOrders: [QuarantineOrder] = []) {
        self.revision = revision
        self.openOrders = openOrders
    }
}

extension Desk {
    /// - Parameter revision: nil for an agent that knows of no quarantine.
    mutating func greetQuarantine(_ revision: UInt64?, _ effects: inout [DeskEffect]) {
        guard let revision, let peer else { return }
        for order in quarantine.openOrders { effects.append(.send(peer.routing, .quarantineOrder(order))) }
        guard revision != quarantine.revision else { return }
        if revision == 0 {
            take(QuarantineReport(), &effects)
        } else if quarantine.openOrders.isEmpty {
            effects.append(.send(peer.routing, .quarantineOrder(nil)))
        }
    }

    /// The store's list, whatever the hub had before.
    mutating func take(_ report: QuarantineReport, _ effects: inout [DeskEffect]) {
        let isNews = quarantine.revision != report.revision
        let before = quarantine
        quarantine.revision = report.revision
        quarantine.openOrders.removeAll { report.ordersDone.contains($0.id) }
        guard isNews || before != quarantine else { return }
        effects.append(.saveQuarantine(report))
        guard isNews else { return }
        let rows = report.total == 1 ? "1 row" : "\(report.total) rows"
        effects.append(.log("store \(record.id) has \(rows) in quarantine", isProblem: report.total > 0))
    }

    mutating func order(_ order: QuarantineOrder, _ effects: inout [DeskEffect]) {
        guard record.state == .active else {
            return effects.append(
                .answerQuarantineOrder(refusal: "store \(record.id) is \(record.state.rawValue)"))
        }
        guard quarantine.openOrders.count < QuarantineRecord.openOrdersMax else {
            return effects.append(
                .answerQuarantineOrder(
                    refusal: "\(QuarantineRecord.openOrdersMax) orders wait for the store already"))
        }
        quarantine.openOrders.append(order)
        effects.append(.saveQuarantineOrder(order))
        effects.append(.answerQuarantineOrder(refusal: nil))
        if let peer { effects.append(.send(peer.routing, .quarantineOrder(order))) }
    }

    /// A store that is retired has no quarantine any more, as far as the hub is concerned; a new machine says its own.
    mutating func forgetQuarantine(_ effects: inout [DeskEffect]) {
        guard record.state == .retired else { return }
        quarantine = DeskQuarantine()
        effects.append(.forgetQuarantine)
    }
}
