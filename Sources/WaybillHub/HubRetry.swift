import WaybillAdmin
import WaybillModel
import WaybillSessions

extension HubBackend {
    func retry(_ reference: SessionReference, _ request: RetryRequest) async throws -> RetryReply {
        let (session, deliveries) = try await operations.reading { db in
            let session = try find(reference, in: db)
            return (session, try DeliveryRecord.all(of: session.id, in: db))
        }
        for store in request.stores where !deliveries.contains(where: { $0.store == store }) {
            throw AdminError.notFound("session \(session.id) has no delivery for store \(store)")
        }
        // Without names: those that wait for it.
        let chosen =
            request.stores.isEmpty
            ? deliveries.filter { $0.status == .suspended }.map(\.store) : request.stores
        let refusals = await withCheckedContinuation { continuation in
            wire.post(AuditTicket.audited(.retry(session.id, stores: chosen) { continuation.resume(returning: $0) }))
        }
        return RetryReply(
            session: session.id,
            stores: refusals.sorted { $0.key < $1.key }.map { store, refusal in
                RetryReply.Store(
                    store: store, accepted: refusal == nil, message: refusal ?? "offered again, with its tries anew")
            })
    }
}
