import WaybillAdmin
import WaybillModel

/// Imports, previews, mappings and the staging database as lines.
public enum ImportViews {
    public static func imported(_ reply: ImportReply, _ screen: Screen) -> [String] {
        reply.skipped == 0 ? HubViews.imported(reply, screen) : counts(reply.tables, screen)
    }

    private static func counts(_ tables: [ImportReply.Table], _ screen: Screen) -> [String] {
        var table = TextTable("TABLE", ">ROWS", ">NEW", ">CHANGED", ">SAME", ">REMOVED", ">BAD", "FILE")
        for row in tables {
            table.add(
                .init(row.table), .init(Humane.count(row.rows)), .init(Humane.count(row.inserted)),
                .init(Humane.count(row.updated)), .init(Humane.count(row.unchanged)), .init(Humane.count(row.removed)),
                .init(Humane.count(row.skipped), row.skipped > 0 ? .bad : .plain), .init(row.file))
        }
        return table.lines(screen)
    }

    public static func preview(_ preview: ImportPreviewReply, _ screen: Screen) -> [String] {
        var lines = counts(preview.tables.map(\.counts), screen)
        for table in preview.tables where !table.rows.isEmpty {
            lines += ["", screen.line("\(TerminalText.plain(table.counts.table)), first rows", .heading)]
            lines += TextTable.of(
                ["AS"] + table.columns, table.rows.map { [$0.change] + $0.values.map { $0 ?? "-" } }, screen)
        }
        return lines
    }

    public static func mappings(_ mappings: [MappingSummary], _ screen: Screen) -> [String] {
        guard !mappings.isEmpty else { return ["no mappings"] }
        var table = TextTable("MAPPING", "TABLE", "FILES", "FAULTS")
        for mapping in mappings {
            table.add(
                .init(mapping.mapping), .init(mapping.table ?? "-"), .init(mapping.files.joined(separator: ", ")),
                .init(mapping.faults.isEmpty ? "" : Humane.count(mapping.faults.count, "fault"), .bad))
        }
        return table.lines(screen)
    }

    // MARK: Staging

    public static func staged(_ imports: [StagedImportSummary], now: Timestamp, _ screen: Screen) -> [String] {
        guard !imports.isEmpty else { return ["no imports are staged"] }
        var table = TextTable(">IMPORT", "STATE", "STARTED", ">ROWS", ">BAD", "FILES", "MESSAGE")
        for item in imports {
            table.add(
                .init("\(item.id)"), .init(item.state, style(item.state)), .init(Humane.age(item.startedAt, now: now)),
                .init(Humane.count(item.files.reduce(0) { $0 + $1.rows })),
                .init(Humane.count(item.files.reduce(0) { $0 + $1.badRows })), .init(files(item)),
                .init(item.message ?? ""))
        }
        return table.lines(screen)
    }

    public static func staged(_ detail: StagedImportDetail, now: Timestamp, _ screen: Screen) -> [String] {
        let item = detail.summary
        var options: [String] = []
        if item.replace { options.append("replace") }
        if item.skipBadRows { options.append("bad rows left out") }
        if let watch = item.watch { options.append("dropped in \(watch)") }
        var lines = [
            screen.line("import \(item.id): \(item.state)", .heading),
            "  started  \(Humane.moment(item.startedAt)), \(Humane.age(item.startedAt, now: now))",
        ]
        if !options.isEmpty { lines.append("  options  " + TerminalText.plain(options.joined(separator: ", "))) }
        if let version = item.version { lines.append("  version  \(version)") }
        if let message = item.message { lines.append("  message  " + TerminalText.plain(message)) }
        lines.append("")
        var table = TextTable("TABLE", ">ROWS", ">BAD", ">NEW", ">CHANGED", ">SAME", ">REMOVED", "FILE", "MAPPING")
        for file in item.files {
            table.add(
                .init(file.table), .init(Humane.count(file.rows)),
                .init(Humane.count(file.badRows), file.badRows > 0 ? .bad : .plain),
                .init(Humane.count(file.inserted)), .init(Humane.count(file.updated)),
                .init(Humane.count(file.unchanged)), .init(Humane.count(file.removed)), .init(file.file),
                .init(file.mapping ?? ""))
        }
        lines += table.lines(screen)
        guard !detail.rows.isEmpty else { return lines }
        var rows = TextTable("ROW", "STATE", "VALUES", "MESSAGE")
        for row in detail.rows {
            rows.add(
                .init("\(row.file):\(row.line)"), .init(row.state, style(row.state)),
                .init(row.values.joined(separator: " | ")), .init(row.message ?? ""))
        }
        return lines + [""] + rows.lines(screen)
    }

    public static func cleaned(_ reply: StagingCleanReply, force: Bool) -> [String] {
        var lines = [
            "\(Humane.count(reply.rows, "row")) removed, \(Humane.bytes(reply.bytesFreed)) freed, "
                + "\(Humane.count(reply.imports, "import")) forgotten"
        ]
        if reply.keptRows > 0, !force {
            lines.append(
                "\(Humane.count(reply.keptRows, "unfinished row")) kept; --force removes them as well")
        }
        return lines
    }

    private static func style(_ state: String) -> Style {
        switch state {
        case "Finished": .good
        case "Rejected", "Failed", "Error": .bad
        default: .plain
        }
    }

    private static func files(_ item: StagedImportSummary) -> String {
        let names = item.files.prefix(3).map(\.file).joined(separator: ", ")
        return item.files.count > 3 ? "\(names) and \(item.files.count - 3) more" : names
    }

    // MARK: Watching

    /// What a file of a watched folder has become, for a log.
    public static func filed(_ filing: ImportFiling) -> String {
        TerminalText.plain("\(filing.outcome.rawValue) \(filing.file): \(filing.message)")
    }

    /// The report that is put beside it.
    public static func report(_ filing: ImportFiling) -> String {
        var lines = ["\(filing.file): \(filing.message)", "at      \(Humane.moment(filing.at))"]
        if let id = filing.import { lines.append("import  \(id)") }
        if let table = filing.table {
            lines.append("table   \(table.table)")
            lines.append(
                "rows    \(table.rows): \(table.inserted) new, \(table.updated) changed, \(table.unchanged) same, "
                    + "\(table.removed) removed, \(table.skipped) left out")
        }
        if !filing.faults.isEmpty { lines += ["", "FAULTS"] }
        lines += HubViews.faults(filing.faults, total: filing.faultsTotal)
        if !filing.warnings.isEmpty { lines += ["", "WARNINGS"] }
        lines += HubViews.faults(filing.warnings, total: filing.warnings.count)
        return lines.joined(separator: "\n") + "\n"
    }
}

/// What has become of one file of a watched folder.
public struct ImportFiling: Codable, Hashable, Sendable {
    public enum Outcome: String, Codable, Sendable {
        case done
        case failed
    }

    public var file: String
    public var outcome: Outcome
    public var at: UTCTime
    /// Half a sentence.
    public var message: String
    @Nullable public var `import`: Int64?
    @Nullable public var table: ImportReply.Table?
    public var faults: [ImportFaultLine]
    public var faultsTotal: Int
    public var warnings: [ImportFaultLine]

    public init(
        file: String, outcome: Outcome, at: UTCTime, message: String, import: Int64? = nil,
        table: ImportReply.Table? = nil, faults: [ImportFaultLine] = [], faultsTotal: Int = 0,
        warnings: [ImportFaultLine] = []
    ) {
        self.file = file
        self.outcome = outcome
        self.at = at
        self.message = message
        self.import = `import`
        self.table = table
        self.faults = faults
        self.faultsTotal = faultsTotal
        self.warnings = warnings
    }

    /// A file that an import has brought in, now or before.
    public init(_ file: String, of reply: ImportReply, at: UTCTime) {
        let table = reply.tables.first { $0.file == file }
        let message =
            if let earlier = reply.already[file] {
                "import \(earlier) has brought it in before; nothing was done"
            } else if let table, table.skipped > 0 {
                "imported without \(Humane.count(table.skipped, "bad row"))"
            } else {
                "imported, \(Humane.count(table?.rows ?? 0, "row"))"
            }
        let isHere: (ImportFaultLine) -> Bool = { $0.file == file }
        let faults = reply.faults.filter(isHere)
        self.init(
            file: file, outcome: .done, at: at, message: message, import: reply.already[file] ?? reply.import,
            table: table, faults: faults, faultsTotal: faults.count, warnings: reply.warnings.filter(isHere))
    }

    /// A file that was refused.
    public init(_ file: String, refused faults: ImportFaults, at: UTCTime) {
        self.init(
            file: file, outcome: .failed, at: at, message: faults.description, faults: faults.faults,
            faultsTotal: faults.total)
    }
}
