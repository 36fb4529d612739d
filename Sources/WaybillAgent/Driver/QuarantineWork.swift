import WaybillApply
import WaybillModel

extension Worker {
    /// One order of the hub's. Where it cannot be carried out now (a till holds the lock), the hub repeats it.
    func carryOut(_ order: QuarantineOrder, _ ledger: StoreDatabase) {
        do {
            let before = try ledger.quarantine()
            let after = try ledger.carryOut(order, at: parts.clock.now())
            if !before.ordersDone.contains(order.id) {
                parts.logger.info(
                    "quarantine: \(order.action.rawValue) as ordered; \(before.total) rows before, \(after.total) now")
            }
            post(.quarantineRead(after, try ledger.storedState()))
        } catch {
            parts.logger.error("rows in quarantine could not be worked on (\(order.action.rawValue)): \(error)")
        }
    }
}
