import WaybillAdmin

/// The audit log, as lines.
public enum AuditViews {
    public static func list(_ rows: [AuditLine], _ screen: Screen) -> [String] {
        guard !rows.isEmpty else { return ["nothing is noted"] }
        var table = TextTable(">ROW", "TIME", "WHO", "?BY", "ACTION", "ABOUT", "OUTCOME", "MESSAGE")
        for row in rows {
            let what = row.asked.map { "\(row.outcome) (\($0))" } ?? row.outcome
            table.add(
                .init(String(row.sequence)), .init(Humane.moment(row.at)), .init(row.who), .init(row.door),
                .init(row.action), .init(row.subject ?? ""), .init(what, style(row.outcome)),
                .init([row.message, row.arguments].compactMap { $0 }.joined(separator: " ")))
        }
        return table.lines(screen)
    }

    public static func verification(_ verdict: AuditVerification, _ screen: Screen) -> [String] {
        if let broken = verdict.firstBreak {
            return [
                screen.line(
                    "the audit log is broken at row \(broken.sequence): \(TerminalText.plain(broken.fault))", .bad)
            ]
        }
        guard verdict.rows > 0 else { return ["the audit log has no rows"] }
        let kept = verdict.first > 1 ? "; rows before \(verdict.first) were forgotten by a checkpoint" : ""
        return [
            "the audit log is whole: \(Humane.count(verdict.rows, "row")), the last is row \(verdict.head)\(kept)",
            "hash \(verdict.headHash)",
        ]
    }

    private static func style(_ outcome: String) -> Style {
        switch outcome {
        case "done": .good
        case "failed": .bad
        case "denied": .warning
        default: .dim
        }
    }
}
