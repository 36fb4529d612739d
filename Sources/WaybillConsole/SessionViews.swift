import WaybillAdmin
import WaybillModel

/// Sessions and what was done to them, as lines.
public enum SessionViews {
    public static func list(_ sessions: [SessionSummary], now: Timestamp, _ screen: Screen) -> [String] {
        guard !sessions.isEmpty else { return ["no sessions"] }
        var table = TextTable(
            "SESSION", "JOB", "STATUS", "?KIND", "?>VERSION", "CREATED", "?>ROWS", "?>SIZE", ">APPLIED", "MESSAGE")
        for session in sessions {
            table.add(
                .init(session.id.rawValue), .init(session.job.rawValue),
                .init(
                    StalledViews.status(session.status, isStalled: session.stalled > 0),
                    session.stalled > 0 ? .warning : .of(status: session.status)),
                .init(session.kind?.rawValue ?? "-"),
                .init(session.version.map(String.init) ?? "-"), .init(Humane.age(session.createdAt, now: now)),
                .init(Humane.count(session.rows)), .init(Humane.bytes(session.bytes)), .init(applied(session)),
                .init(session.message ?? ""))
        }
        return table.lines(screen)
    }

    public static func detail(_ session: SessionDetail, now: Timestamp, _ screen: Screen) -> [String] {
        let summary = session.summary
        var lines = [
            screen.line("session \(summary.id) of job \(summary.job): \(summary.status)", .heading),
            "  created   \(Humane.moment(summary.createdAt)), \(Humane.age(summary.createdAt, now: now))",
            "  content   \(summary.kind?.rawValue ?? "no packages yet"), \(Humane.count(summary.rows, "row")), "
                + Humane.bytes(summary.bytes)
                + (summary.version.map { ", version \($0)" } ?? ""),
            "  stores    " + counts(summary),
        ]
        if summary.exceptions > 0 {
            lines.append(
                "  rows      \(Humane.count(Int64(summary.exceptions))) in quarantine; see: waybill quarantine list")
        }
        if let approval = session.approval { lines += self.approval(approval, summary, screen) }
        if let message = summary.message, message != session.approval?.reason {
            lines.append(screen.line("  message   " + TerminalText.plain(message)))
        }
        guard !session.deliveries.isEmpty else { return lines }
        var table = TextTable(
            "STORE", "STATUS", "?KIND", "?>ROWS", "?>SIZE", "?REQUESTED", "?DOWNLOADED", "APPLIED", ">TRIES", "?>LOCK",
            "MESSAGE")
        for delivery in session.deliveries {
            let created = summary.createdAt
            table.add(
                .init(delivery.store.rawValue),
                .init(
                    StalledViews.status(status(delivery), isStalled: delivery.stalled != nil),
                    delivery.stalled != nil ? .warning : .of(status: delivery.status.rawValue)),
                .init(delivery.kind?.rawValue ?? "-"), .init(Humane.count(delivery.rows)),
                .init(Humane.bytes(delivery.bytes)), .init(Humane.moment(delivery.requestedAt, near: created)),
                .init(Humane.moment(delivery.downloadedAt, near: created)),
                .init(Humane.moment(delivery.appliedAt, near: created)), .init(String(delivery.attempts)),
                .init(delivery.longestLockMs.map { "\($0) ms" } ?? "-"), .init(StalledViews.message(delivery)))
        }
        return lines + [""] + table.lines(screen)
    }

    /// `published` sessions, one a line: id, job, status.
    public static func published(_ sessions: [PublishReply.Session], _ screen: Screen) -> [String] {
        guard !sessions.isEmpty else { return ["no job was run"] }
        var table = TextTable("SESSION", "JOB", "STATUS", "MESSAGE")
        for session in sessions {
            table.add(
                .init(session.id.rawValue), .init(session.job.rawValue),
                .init(session.status, .of(status: session.status)), .init(session.message ?? ""))
        }
        return table.lines(screen)
    }

    public static func canceled(_ reply: CancelReply, _ screen: Screen) -> [String] {
        guard !reply.stores.isEmpty else { return ["session \(reply.session) has no delivery to cancel"] }
        var table = TextTable("STORE", "ANSWER", "MESSAGE")
        for store in reply.stores {
            let (text, style): (String, Style) =
                switch store.answer {
                case .revoked: ("revoked", .good)
                case .tooLate: ("too late, applied" + (store.at.map { " at \(Humane.moment($0))" } ?? ""), .warning)
                case .pending: ("waiting for the store's answer", .warning)
                case .alreadyFinal: ("nothing to cancel", .dim)
                }
            table.add(.init(store.store.rawValue), .init(text, style), .init(store.message))
        }
        return table.lines(screen)
    }

    public static func rerun(_ reply: RerunReply, _ screen: Screen) -> [String] {
        guard !reply.stores.isEmpty else { return ["session \(reply.session) has no delivery that can run again"] }
        var table = TextTable("STORE", "ANSWER", "MESSAGE")
        for store in reply.stores {
            table.add(
                .init(store.store.rawValue),
                store.accepted ? .init("runs again", .good) : .init("not run again", .warning), .init(store.message))
        }
        return table.lines(screen)
    }

    /// `312/500`: stores that have applied it, of all.
    private static func applied(_ session: SessionSummary) -> String {
        guard session.deliveriesCount > 0 else { return "-" }
        let exceptions = session.exceptions > 0 ? ", \(Humane.count(Int64(session.exceptions))) in quarantine" : ""
        return "\(session.deliveries["Applied"] ?? 0)/\(session.deliveriesCount)\(exceptions)"
    }

    private static func status(_ delivery: DeliveryDetail) -> String {
        if delivery.cancelRequested, !delivery.status.isFinal { return "\(delivery.status.rawValue), canceling" }
        if delivery.status == .requested, delivery.bytes > 0, delivery.bytesDone > 0 {
            return "\(delivery.status.rawValue) \(min(100, delivery.bytesDone * 100 / delivery.bytes)) %"
        }
        if delivery.status == .applied, delivery.exceptions > 0 {
            return "Applied, \(Humane.count(Int64(delivery.exceptions))) in quarantine"
        }
        return delivery.status.rawValue
    }

    /// `310 Applied, 2 ApplyFailed`, in the order of a delivery's life.
    static func counts(_ session: SessionSummary) -> String {
        let known = DeliveryStatus.allCases.map(\.rawValue)
        let others = session.deliveries.keys.filter { !known.contains($0) }.sorted()
        let parts = (known + others).compactMap { status in
            session.deliveries[status].map { "\(Humane.count($0)) \(TerminalText.plain(status))" }
        }
        return parts.isEmpty ? "none" : parts.joined(separator: ", ")
    }
}
