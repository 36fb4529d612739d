import WaybillAdmin
import WaybillModel

/// Stores as lines.
public enum StoreViews {
    public static func list(_ stores: [StoreSummary], now: Timestamp, _ screen: Screen) -> [String] {
        guard !stores.isEmpty else { return ["no stores: add one with waybill store add ID"] }
        var table = TextTable(
            "STORE", "STATE", "LAST SEEN", "?AGENT", "BEHIND", "?VERIFIED", "?>QUARANTINE", "MESSAGE")
        for store in stores {
            table.add(
                .init(store.store.rawValue), state(store), .init(Humane.age(store.lastSeen, now: now)),
                .init(store.agentVersion ?? "-"), behind(store), VerifyViews.verified(store, now: now),
                QuarantineViews.cell(store),
                .init(
                    [code(store, now: now), VerifyViews.message(store)].compactMap { $0 }.filter { !$0.isEmpty }
                        .joined(separator: "; ")))
        }
        return table.lines(screen)
    }

    /// What there is to say about a code that has not been used.
    private static func code(_ store: StoreSummary, now: Timestamp) -> String? {
        guard let end = store.codeExpiresAt else { return nil }
        let left = end.timestamp - now
        return left > 0
            ? "code good for \(Humane.span(milliseconds: left)) more"
            : "its code has expired; a new one: waybill store add \(store.store)"
    }

    public static func detail(_ store: StoreDetail, now: Timestamp, _ screen: Screen) -> [String] {
        let summary = store.summary
        var lines = [
            screen.line("store \(summary.store): \(state(summary).text)", .heading),
            "  last seen  \(Humane.age(summary.lastSeen, now: now))"
                + (summary.lastSeen.map { ", \(Humane.moment($0))" } ?? ""),
            screen.line("  agent      " + TerminalText.plain(summary.agentVersion ?? "-")),
        ]
        if let free = summary.freeBytes { lines.append("  disk       \(Humane.bytes(free)) free") }
        if let code = code(summary, now: now) { lines.append("  code       " + TerminalText.plain(code)) }
        if summary.quarantined > 0 {
            lines.append(
                screen.line(
                    "  quarantine \(Humane.count(Int64(summary.quarantined), "row")); see: waybill quarantine list --store "
                        + TerminalText.plain(summary.store.rawValue)))
        }
        if let message = summary.message { lines.append(screen.line("  message    " + TerminalText.plain(message))) }
        if !summary.watermarks.isEmpty {
            var table = TextTable("JOB", ">VERSION", "SESSION", "STATE")
            for (job, watermark) in summary.watermarks.sorted(by: { $0.key < $1.key }) {
                let isBehind = summary.behind.contains { $0.rawValue == job }
                table.add(
                    .init(job), .init(String(watermark.version)), .init(watermark.session.rawValue),
                    isBehind ? .init("behind", .warning) : .init("up to date", .good))
            }
            lines += [""] + table.lines(screen) + VerifyViews.standing(summary, now: now, screen)
        }
        if !store.deliveries.isEmpty {
            var table = TextTable(
                "SESSION", "JOB", "CREATED", "STATUS", "?KIND", "?>ROWS", "?>SIZE", "APPLIED", "MESSAGE")
            for delivery in store.deliveries {
                table.add(
                    .init(delivery.session.rawValue), .init(delivery.job.rawValue),
                    .init(Humane.age(delivery.createdAt, now: now)),
                    .init(delivery.status.rawValue, .of(status: delivery.status.rawValue)),
                    .init(delivery.kind?.rawValue ?? "-"), .init(Humane.count(delivery.rows)),
                    .init(Humane.bytes(delivery.bytes)),
                    .init(delivery.appliedAt == nil ? "-" : Humane.age(delivery.appliedAt, now: now)),
                    .init(delivery.message ?? ""))
            }
            lines += [""] + table.lines(screen)
        }
        return lines
    }

    public static func added(_ added: StoreAdded, now: Timestamp) -> [String] {
        let span = Humane.span(milliseconds: added.expiresAt.timestamp - now)
        return [
            "store \(added.store) may enrol once, within \(span). On its machine, run:",
            "",
            "  waybill-agent enrol \(TerminalText.plain(added.code)) HOME",
        ]
    }

    private static func state(_ store: StoreSummary) -> TextTable.Cell {
        switch store.state {
        case .active: store.online ? .init("online", .good) : .init("offline", .bad)
        case .pending: .init("pending", .warning)
        case .retired: .init("retired", .dim)
        }
    }

    private static func behind(_ store: StoreSummary) -> TextTable.Cell {
        store.behind.isEmpty
            ? .init("-") : .init(store.behind.map(\.rawValue).joined(separator: ", "), .warning)
    }
}
