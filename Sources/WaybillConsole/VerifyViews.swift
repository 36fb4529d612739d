import WaybillAdmin
import WaybillModel

/// Verifications as lines.
public enum VerifyViews {
    /// Rows that differ and are shown of each verification.
    private static let findingsMax = 20

    public static func list(_ verifications: [VerificationSummary], now: Timestamp, _ screen: Screen) -> [String] {
        guard !verifications.isEmpty else { return ["nothing was verified yet; begin with: waybill verify"] }
        var table = TextTable(
            "ID", "STORE", "JOB", "OUTCOME", ">VERSION", "WHEN", ">CHANGED", ">MISSING", ">EXTRA", "MESSAGE")
        for one in verifications {
            table.add(
                .init(String(one.id)), .init(one.store.rawValue), .init(one.job.rawValue), outcome(one),
                .init(one.version.map(String.init) ?? "-"), .init(Humane.age(one.endedAt ?? one.begunAt, now: now)),
                count(one.changed, one), count(one.missing, one), count(one.extra, one), .init(message(one)))
        }
        return table.lines(screen) + verifications.flatMap { findings($0, screen) }
    }

    private static func count(_ number: Int64, _ one: VerificationSummary) -> TextTable.Cell {
        guard one.endedAt != nil else { return .init("-") }
        return .init(Humane.count(number) + (one.partial ? "+" : ""), number > 0 ? .bad : .plain)
    }

    private static func outcome(_ one: VerificationSummary) -> TextTable.Cell {
        switch one.outcome {
        case "ok", "repaired": .init(one.outcome, .good)
        case "diverged": .init(one.repairing ? "repairing" : "diverged", .bad)
        case "unknown": .init("unknown", .warning)
        default: .init(one.outcome)
        }
    }

    private static func message(_ one: VerificationSummary) -> String {
        let session = one.repairSession.map { "repaired by session \($0)" }
        return [one.message, one.message == nil ? session : nil].compactMap(\.self).joined(separator: "; ")
    }

    /// The rows that differ, one a line, and since when at the earliest.
    private static func findings(_ one: VerificationSummary, _ screen: Screen) -> [String] {
        guard !one.findings.isEmpty else { return [] }
        let since = one.goodBefore.map { ", changed after \(Humane.moment($0)), when all was well" } ?? ""
        var lines = ["", screen.line("store \(one.store), job \(one.job)\(since):", .heading)]
        for finding in one.findings.prefix(findingsMax) {
            let words = TerminalText.plain("table \(finding.table), row \(finding.row): ")
            switch finding.difference {
            case "missing": lines.append(screen.line("  \(words)is missing at the store", .bad))
            case "extra": lines.append(screen.line("  \(words)HQ does not have it", .bad))
            default: lines.append(screen.line("  \(words)\(TerminalText.plain(changes(finding)))", .bad))
            }
        }
        let total = one.changed + one.missing + one.extra
        let more = total - Int64(min(one.findings.count, findingsMax))
        if more > 0 { lines.append("  … and \(Humane.count(more)) more") }
        return lines
    }

    /// `price is 9, HQ says 12`.
    private static func changes(_ finding: VerificationFinding) -> String {
        guard !finding.columns.isEmpty else { return "differs from HQ's" }
        return finding.columns.map { "\($0.column) is \($0.store ?? "NULL"), HQ says \($0.hq ?? "NULL")" }
            .joined(separator: "; ")
    }

    /// What a store's last verifications say, for `store show`.
    static func standing(_ store: StoreSummary, now: Timestamp, _ screen: Screen) -> [String] {
        guard !store.verifiedThrough.isEmpty || !store.diverged.isEmpty else { return [] }
        var table = TextTable("VERIFIED JOB", ">THROUGH", "SESSION", "WHEN", "STATE")
        for job in Set(store.verifiedThrough.keys).union(store.diverged.map(\.rawValue)).sorted() {
            let good = store.verifiedThrough[job]
            let isDiverged = store.diverged.contains { $0.rawValue == job }
            table.add(
                .init(job), .init(good.map { String($0.version) } ?? "-"), .init(good?.session.rawValue ?? "-"),
                .init(good.map { Humane.age($0.at, now: now) } ?? "never"),
                isDiverged
                    ? .init("diverged; see: waybill verify --last --store \(store.store)", .bad) : .init("ok", .good))
        }
        return [""] + table.lines(screen)
    }

    /// When the job that was verified longest ago was last found to be as it should be, for `store list`.
    static func verified(_ store: StoreSummary, now: Timestamp) -> TextTable.Cell {
        if !store.diverged.isEmpty { return .init("diverged", .bad) }
        guard !store.watermarks.isEmpty else { return .init("-") }
        let good = store.watermarks.keys.map { store.verifiedThrough[$0]?.at }
        guard !good.contains(nil), let oldest = good.compactMap(\.self).min(by: { $0.timestamp < $1.timestamp }) else {
            return .init("never")
        }
        return .init(Humane.age(oldest, now: now))
    }

    /// The store's message, and which jobs differ.
    static func message(_ store: StoreSummary) -> String {
        let diverged =
            store.diverged.isEmpty
            ? nil : "other rows than HQ's: " + store.diverged.map(\.rawValue).joined(separator: ", ")
        return [store.message, diverged].compactMap(\.self).joined(separator: "; ")
    }

    /// The part of the status about stores that differ.
    static func diverged(_ status: HubStatus, now: Timestamp, _ screen: Screen) -> [String] {
        status.diverged.prefix(findingsMax).map { one in
            screen.line(
                "diverged  store \(one.store), job \(one.job): \(Humane.count(one.rows, "row")), found "
                    + "\(Humane.age(one.at, now: now)); see: waybill verify --last --store \(one.store)", .bad)
        }
            + (status.diverged.count > findingsMax
                ? ["diverged  … and \(Humane.count(status.diverged.count - findingsMax)) more"] : [])
    }
}
