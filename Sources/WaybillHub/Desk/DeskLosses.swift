import WaybillModel
import WaybillSessions

extension Desk {
    /// The hub's copy of a package is damaged or gone. What it was made from is not: another one is made, from where
    /// the store stands.
    mutating func packageLost(_ package: PackageID, now: Timestamp, _ effects: inout [DeskEffect]) {
        granted.remove(package)
        for var delivery in deliveries.values.sorted(by: { $0.session.number < $1.session.number })
        where delivery.package?.id == package && delivery.isOnOffer {
            delivery.package = nil
            delivery.note = "the hub's copy of the package was damaged; it is being made anew"
            deliveries[delivery.session] = delivery
            effects.append(.saveDelivery(delivery))
            prepare(delivery, &effects)
        }
    }
}
