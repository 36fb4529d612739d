import WaybillAdmin
import WaybillModel

/// Why a store has a row, or has not: the answer in a sentence, then what it rests on.
public enum WhyViews {
    public static func lines(_ reply: WhyReply, now: Timestamp, _ screen: Screen) -> [String] {
        // Whole, whatever the width: it is what was asked for.
        var lines = [TerminalText.plain(reply.answer)]
        if reply.rows.count == 1, !reply.more, let row = reply.rows.first {
            lines += [""] + detail(row, reply, now: now, screen)
            lines += reasons(row.reasons, reply, screen)
        } else if reply.rows.isEmpty {
            lines += ["", standing(reply, screen)] + reasons(reply.reasons, reply, screen)
        } else {
            lines += [""] + list(reply, screen)
        }
        if let fault = reply.fault {
            lines += ["", screen.line("a run of job \(reply.job) would fail now: \(TerminalText.plain(fault))", .bad)]
        }
        return lines
    }

    private static func detail(_ row: WhyRow, _ reply: WhyReply, now: Timestamp, _ screen: Screen) -> [String] {
        var lines: [String] = []
        func line(_ title: String, _ text: String) {
            lines.append(screen.line("  \(TerminalText.padded(title, to: 13)) \(TerminalText.plain(text))"))
        }
        if let values = row.values { line("the store has", fields(values, reply)) }
        if let coming = row.coming { line(row.values == nil ? "to come" : "to become", fields(coming, reply)) }
        if let column = row.scopeColumn, let scope = row.scope { line("seen through", "\(column) '\(scope)'") }
        if let session = row.broughtBy {
            line("brought by", (session.exact ? "" : "at the latest ") + times(session))
        }
        if let session = row.pending { line("waits for", times(session)) }
        if let session = row.removedBy { line("removed by", times(session)) }
        if row.quarantine != nil { line("in quarantine", "see: waybill quarantine list --store \(reply.store)") }
        lines.append(standing(reply, screen))
        return lines
    }

    private static func standing(_ reply: WhyReply, _ screen: Screen) -> String {
        var text = reply.atSession.map { "session \($0), version \(reply.atVersion ?? 0)" } ?? "nothing of this job"
        if reply.changedSince {
            text += "; HQ has changed since the last run"
        } else if let last = reply.lastRunVersion, reply.atVersion != last {
            text += "; the last run was at version \(last)"
        }
        return screen.line("  \(TerminalText.padded("store is at", to: 13)) \(text)")
    }

    private static func fields(_ values: [RowValue], _ reply: WhyReply) -> String {
        zip(reply.columns, values).map { "\($0) \($1)" }.joined(separator: ", ")
    }

    private static func times(_ session: WhyDelivery) -> String {
        var text = "session \(session.session)"
        if let run = session.run, run > 1 { text += ", run \(run)" }
        text += ": \(session.status), created \(Humane.moment(session.createdAt))"
        if let at = session.downloadedAt { text += ", downloaded \(Humane.moment(at, near: session.createdAt))" }
        if let at = session.appliedAt { text += ", applied \(Humane.moment(at, near: session.createdAt))" }
        return text
    }

    private static func reasons(_ reasons: [WhyReason], _ reply: WhyReply, _ screen: Screen) -> [String] {
        guard !reasons.isEmpty else {
            return ["", screen.line("  job \(reply.job) has no 'why' for this table", .dim)]
        }
        var table = TextTable("HQ ROW", "CHANGED AT HQ", "REASON")
        for reason in reasons {
            table.add(.init(reason.source ?? "-"), .init(changed(reason)), .init(reason.reason))
        }
        return [""] + table.lines(screen)
    }

    private static func changed(_ reason: WhyReason) -> String {
        guard reason.changedVersion != nil else { return "-" }
        guard let session = reason.changedBeforeSession, let at = reason.changedBefore else {
            return "after the last session"
        }
        return "before session \(session.number), \(Humane.moment(at))"
    }

    private static func list(_ reply: WhyReply, _ screen: Screen) -> [String] {
        var table = TextTable("ROW", "STATE", "?SESSION", "REASON")
        for row in reply.rows {
            let session = row.pending ?? row.broughtBy
            table.add(
                .init(row.key.map(\.description).joined(separator: ", ")), .init(row.state.rawValue, style(row.state)),
                .init(session.map { "\($0.session)" } ?? "-"), .init(row.reasons.first?.reason ?? ""))
        }
        var lines = table.lines(screen)
        if reply.more { lines.append(screen.line("… and more: give more of the key", .dim)) }
        return lines + ["", screen.line("for one row with all reasons, give the whole key", .dim)]
    }

    private static func style(_ state: WhyState) -> Style {
        switch state {
        case .present: .good
        case .changing, .leaving, .onItsWay, .notRun, .unknown, .inQuarantine: .warning
        case .absent, .kept: .dim
        }
    }
}
