import WaybillAdmin
import WaybillModel

/// Rows that stores could not take, as lines.
public enum QuarantineViews {
    public static func list(_ stores: [StoreQuarantine], now: Timestamp, _ screen: Screen) -> [String] {
        let rows = stores.flatMap { store in store.entries.map { (store.store, $0) } }
        var lines: [String] = []
        if rows.isEmpty {
            lines = ["nothing is in quarantine"]
        } else {
            var table = TextTable("STORE", "JOB", "TABLE", "KEY", "KIND", "SINCE", ">TRIES", "?SESSION", "WHY")
            for (store, row) in rows {
                table.add(
                    .init(store.rawValue), .init(row.job.rawValue), .init(row.table), .init(row.key),
                    .init(row.kind.rawValue, row.kind == .refused ? .bad : .warning),
                    .init(Humane.age(row.since, now: now)), .init(Humane.count(row.attempts)),
                    .init(row.session.rawValue), .init("\(row.detail); \(row.reason)"))
            }
            lines = table.lines(screen)
        }
        for store in stores {
            for order in store.openOrders {
                let what = [order.job?.rawValue, order.table, order.key].compactMap(\.self).joined(separator: " ")
                lines.append(
                    screen.line(
                        TerminalText.plain(
                            "store \(store.store) has yet to \(order.action.rawValue) "
                                + "\(what.isEmpty ? "all of it" : what), asked \(Humane.age(order.askedAt, now: now))"),
                        .warning))
            }
        }
        return lines
    }

    public static func ordered(_ reply: QuarantineReply, isDone: Bool, _ screen: Screen) -> [String] {
        guard !reply.stores.isEmpty else { return ["nothing is in quarantine at any store"] }
        var table = TextTable("STORE", "ANSWER", "MESSAGE")
        for store in reply.stores {
            let isStoreDone = isDone && store.accepted
            table.add(
                .init(store.store.rawValue),
                isStoreDone
                    ? .init("done", .good) : store.accepted ? .init("ordered", .warning) : .init("refused", .bad),
                .init(isStoreDone ? "see: waybill quarantine list" : store.message))
        }
        return table.lines(screen)
    }

    /// What is said of sessions that stores have applied, but for some rows.
    public static func notes(_ sessions: [SessionSummary]) -> [String] {
        sessions.filter { $0.exceptions > 0 }.map { session in
            "session \(session.id) of job \(session.job) is applied but for \(Humane.count(session.exceptions, "row")) "
                + "in quarantine; see: waybill quarantine list"
        }
    }

    /// A line of the hub's state, when there is anything to say.
    static func summary(_ stores: HubStatus.Stores, _ screen: Screen) -> [String] {
        guard stores.quarantinedRows > 0 else { return [] }
        let rows = Humane.count(stores.quarantinedRows, "row")
        let places = Humane.count(stores.quarantined, "store")
        return [screen.line("refused   \(rows) in quarantine at \(places); see: waybill quarantine list", .warning)]
    }

    static func cell(_ store: StoreSummary) -> TextTable.Cell {
        store.quarantined > 0 ? .init(Humane.count(store.quarantined, "row"), .warning) : .init("-")
    }
}
