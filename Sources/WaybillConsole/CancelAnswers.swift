import WaybillAdmin
import WaybillModel

extension CancelReply {
    /// A store's answer is still to come.
    public var isWaiting: Bool { stores.contains { $0.answer == .pending } }

    /// Takes the answers that have come since.
    public mutating func update(from session: SessionDetail) {
        let deliveries = Dictionary(session.deliveries.map { ($0.store, $0) }) { first, _ in first }
        for index in stores.indices where stores[index].answer == .pending {
            guard let delivery = deliveries[stores[index].store], delivery.status.isFinal else { continue }
            stores[index].answer =
                switch delivery.status {
                case .applied: .tooLate
                case .canceled: .revoked
                default: .alreadyFinal
                }
            stores[index].at = delivery.appliedAt
            stores[index].message = delivery.message ?? ""
        }
    }
}
