import GRDB
import WaybillAdmin
import WaybillModel
import WaybillSessions

/// The stores' quarantines as administrators see and command them.
extension HubBackend {
    func quarantine(_ filter: QuarantineFilter) async throws -> [StoreQuarantine] {
        try await operations.reading { db in
            if let store = filter.store { try checkStore(store, in: db) }
            return try QuarantineRecord.list(store: filter.store, job: filter.job, in: db).map(StoreQuarantine.init)
        }
    }

    func orderQuarantine(_ request: QuarantineRequest) async throws -> QuarantineReply {
        let (stores, orders) = try await operations.reading { db in
            for store in request.stores { try checkStore(store, in: db) }
            let chosen =
                request.stores.isEmpty ? try QuarantineRecord.totals(in: db).keys.sorted() : request.stores
            var orders: [StoreID: QuarantineOrder] = [:]
            for store in chosen {
                orders[store] = QuarantineOrder(
                    id: "\(clock.now().milliseconds)-\(String(UInt64.random(in: .min ... .max), radix: 16))",
                    action: request.action, job: request.job, table: request.table, key: request.key)
            }
            return (chosen, orders)
        }
        let refusals = await withCheckedContinuation { continuation in
            wire.post(.quarantine(orders) { continuation.resume(returning: $0) })
        }
        return QuarantineReply(
            stores: stores.map { store in
                let refusal = refusals[store] ?? "store \(store) is not known"
                return QuarantineReply.Store(
                    store: store, accepted: refusal == nil, order: refusal == nil ? orders[store]?.id : nil,
                    message: refusal ?? "ordered; the store does it when it is next heard of")
            })
    }

    private func checkStore(_ store: StoreID, in db: Database) throws {
        guard try StoreRecord.find(store, in: db) != nil else {
            throw AdminError.notFound("there is no store \(store); see: waybill store list")
        }
    }
}

extension StoreQuarantine {
    init(_ record: QuarantineRecord) {
        self.init(
            store: record.store, rows: record.total, toldAt: record.toldAt.map(UTCTime.init),
            entries: record.entries.map { entry in
                QuarantinedRow(
                    job: entry.job, table: entry.table, key: entry.key, kind: entry.kind,
                    reason: entry.consequence, detail: entry.detail, hasOlderRow: entry.hasOlderRow,
                    session: entry.session, version: entry.version.number, since: UTCTime(entry.since),
                    attempts: entry.attempts)
            },
            openOrders: record.openOrders.map { open in
                OpenQuarantineOrder(
                    id: open.order.id, action: open.order.action, job: open.order.job, table: open.order.table,
                    key: open.order.key, askedAt: UTCTime(open.askedAt))
            })
    }
}
