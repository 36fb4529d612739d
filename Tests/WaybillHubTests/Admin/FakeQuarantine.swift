import WaybillAdmin
import WaybillModel

/// One row of S1 is in quarantine; orders for S2 are refused.
extension FakeBackend {
    func leaveOrdersOpen() { leavesOrdersOpen = true }

    func quarantine(_ filter: QuarantineFilter) async throws -> [StoreQuarantine] {
        ["S1"].compactMap(StoreID.init).filter { filter.store == nil || filter.store == $0 }.map { store in
            StoreQuarantine(
                store: store, rows: 1, toldAt: FakeBackend.time,
                entries: [
                    QuarantinedRow(
                        job: SampleNames.job, table: "product", key: "P1", kind: .refused,
                        reason: "the store has no such row", detail: "UNIQUE constraint failed: product.name",
                        hasOlderRow: false, session: FakeBackend.first, version: 17, since: FakeBackend.time,
                        attempts: 2)
                ],
                openOrders: [
                    OpenQuarantineOrder(
                        id: leavesOrdersOpen ? "2-b" : "1-a", action: .retry, job: nil, table: "product", key: nil,
                        askedAt: FakeBackend.time)
                ])
        }
    }

    func orderQuarantine(_ request: QuarantineRequest) async throws -> QuarantineReply {
        quarantineOrders.append(request)
        let stores = request.stores.isEmpty ? ["S1"].compactMap(StoreID.init) : request.stores
        return QuarantineReply(
            stores: stores.map { store in
                let isKnown = store.rawValue == "S1"
                return .init(
                    store: store, accepted: isKnown, order: isKnown ? "2-b" : nil,
                    message: isKnown ? "ordered" : "store \(store) is retired")
            })
    }
}
