import WaybillAdmin
import WaybillModel

/// What publishing would do, as lines.
public enum PlanViews {
    /// Stores of an audience that are named before the rest is counted.
    private static let storesNamed = 3
    private static let productsNamed = 5
    private static let movesShown = 5
    /// Audiences of a job; in a chain where every store has prices of its own they are as many as stores.
    private static let audiencesShown = 10

    /// - Parameter allStores: shows every audience and names every store, instead of the first few.
    public static func plan(_ reply: PlanReply, allStores: Bool, _ screen: Screen) -> [String] {
        guard !reply.jobs.isEmpty else { return ["no job was planned"] }
        var lines: [String] = []
        for job in reply.jobs {
            if !lines.isEmpty { lines.append("") }
            lines.append(heading(job, screen))
            if let error = job.error {
                lines += wrapped("  ", error, .bad, screen)
            }
            lines += idle(job, screen)
            // What needs a decision comes first.
            let audiences = job.audiences.filter { !$0.exceeds.isEmpty } + job.audiences.filter(\.exceeds.isEmpty)
            let shown = allStores ? audiences[...] : audiences.prefix(audiencesShown)
            for audience in shown { lines += self.audience(audience, allStores: allStores, screen) }
            let rest = audiences.count - shown.count
            if rest > 0 {
                lines.append(
                    screen.line("  … and \(Humane.count(rest, "audience")) more; see all with --stores or --json", .dim)
                )
            }
        }
        return lines
    }

    private static func heading(_ job: JobPlan, _ screen: Screen) -> String {
        if job.error != nil { return screen.line("\(job.job): cannot be planned", .heading) }
        guard !job.audiences.isEmpty else { return screen.line("\(job.job): nothing to send", .heading) }
        let stores = job.audiences.reduce(0) { $0 + $1.stores.count }
        let bytes = job.audiences.reduce(Int64(0)) { $0 + $1.bytesEstimate * Int64($1.stores.count) }
        return screen.line(
            "\(job.job): \(Humane.count(stores, "store")) in \(Humane.count(job.audiences.count, "audience")), about "
                + "\(Humane.bytes(bytes)) to send" + (job.needsApproval ? "; would await approval" : ""), .heading)
    }

    private static func idle(_ job: JobPlan, _ screen: Screen) -> [String] {
        var lines: [String] = []
        if job.noData > 0 {
            lines.append(screen.line("  \(Humane.count(job.noData, "store")) have nothing to get", .dim))
        }
        if job.covered > 0 {
            let sessions = job.waitsFor.map { String($0.number) }.joined(separator: ", ")
            lines.append(
                screen.line(
                    "  for \(Humane.count(job.covered, "store")) the same is in session \(sessions) already", .dim))
        }
        return lines
    }

    private static func audience(_ audience: AudiencePlan, allStores: Bool, _ screen: Screen) -> [String] {
        let named = allStores ? audience.stores : Array(audience.stores.prefix(storesNamed))
        let rest = audience.stores.count - named.count
        let names = named.map(\.rawValue).joined(separator: ", ") + (rest > 0 ? " and \(Humane.count(rest)) more" : "")
        let kind = audience.isFirstLoad ? "first load" : audience.kind.rawValue
        var lines = wrapped(
            "  ",
            "\(Humane.count(audience.stores.count, "store")), \(kind), about \(Humane.bytes(audience.bytesEstimate))"
                + " each: " + names, .plain, screen)
        for reason in audience.exceeds { lines += wrapped("    ", "would " + reason, .warning, screen) }
        let tables = audience.tables.filter { $0.added + $0.changed + $0.removed > 0 }
        guard !tables.isEmpty else { return lines + [screen.line("    changes nothing there", .dim)] }
        var table = TextTable("    TABLE", ">ADDED", ">CHANGED", ">REMOVED", "")
        for row in tables {
            table.add(
                .init("    " + row.table), .init(Humane.count(row.added)), .init(Humane.count(row.changed)),
                .init(Humane.count(row.removed)), .init(row.had.map { "of \(Humane.count($0))" } ?? ""))
        }
        lines += table.lines(screen)
        for row in tables { lines += details(row, screen) }
        return lines
    }

    private static func details(_ table: TablePlan, _ screen: Screen) -> [String] {
        var lines: [String] = []
        if !table.disappearing.isEmpty {
            let named = table.disappearing.prefix(productsNamed)
            let rest = table.removed - Int64(named.count)
            lines += wrapped(
                "    ",
                "products that disappear from \(table.table): " + named.joined(separator: ", ")
                    + (rest > 0 ? " and \(Humane.count(rest)) more" : ""), .plain, screen)
        }
        guard let first = table.priceMoves.first else { return lines }
        var moves = TextTable("    BIGGEST MOVES OF \(first.column)", ">BEFORE", ">AFTER", ">CHANGE")
        for move in table.priceMoves.prefix(movesShown) {
            moves.add(
                .init("    " + move.key.joined(separator: ", ")), .init(NumberText.price(move.before)),
                .init(NumberText.price(move.after)),
                .init(move.percent.map { ($0 < 0 ? "" : "+") + NumberText.percent($0) + " %" } ?? "-"))
        }
        return lines + moves.lines(screen)
    }

    /// Text over as many lines as the screen needs, for what must not be cut off.
    static func wrapped(_ indent: String, _ text: String, _ style: Style, _ screen: Screen) -> [String] {
        let text = TerminalText.plain(text)
        guard let columns = screen.columns else { return [indent + text] }
        var lines: [String] = []
        var line = indent
        for word in text.split(separator: " ") {
            if line.count > indent.count, TerminalText.width(line) + 1 + TerminalText.width(String(word)) > columns {
                lines.append(line)
                line = indent + "  "
            }
            line += (line.allSatisfy { $0 == " " } ? "" : " ") + word
        }
        return (lines + [line]).map { screen.line($0, style) }
    }
}
