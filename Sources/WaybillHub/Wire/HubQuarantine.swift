import GRDB
import WaybillModel
import WaybillSessions

/// Quarantine in the turns of the wire thread.
extension HubTurn {
    /// Gives each store its order. Replies with why not, by store; nil for an order that will be carried out.
    mutating func order(
        _ orders: [StoreID: QuarantineOrder], now: Timestamp, _ batch: inout Batch,
        _ reply: @escaping @Sendable ([StoreID: String?]) -> Void
    ) {
        var refusals: [StoreID: String?] = [:]
        for (store, order) in orders.sorted(by: { $0.key < $1.key }) {
            withDesk(of: store, &batch) { desk in
                let effects = desk.step(.quarantineOrder(order), now: now)
                for case .answerQuarantineOrder(let refusal) in effects { refusals[store] = refusal }
                return effects
            }
        }
        batch.replies.append { [refusals] in reply(refusals) }
    }

    /// What the desk's effects on the quarantine write into `hub.db`.
    static func save(
        _ effect: DeskEffect, of store: StoreID, at now: Timestamp
    ) -> ((Database) throws -> Void)? {
        switch effect {
        case .saveQuarantine(let report):
            { try QuarantineRecord.save(report, of: store, at: now, in: $0) }
        case .saveQuarantineOrder(let order):
            { try QuarantineRecord.add(order, for: store, at: now, in: $0) }
        case .forgetQuarantine:
            { try QuarantineRecord.forget(store, in: $0) }
        default: nil
        }
    }
}

extension DeskQuarantine {
    /// As `hub.db` has it.
    init(of store: StoreID, in db: Database) throws {
        let record = try QuarantineRecord.find(store, in: db)
        self.init(revision: record.revision, openOrders: record.openOrders.map(\.order))
    }
}
