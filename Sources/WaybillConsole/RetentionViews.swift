import WaybillAdmin

/// What is kept and what went, as lines.
public enum RetentionViews {
    private static let names = [
        "sessions": "finished sessions", "deliveries": "their deliveries", "packages": "packages",
        "changes": "change log", "history": "rows of the past", "staging": "staging",
    ]

    public static func reply(_ reply: RetentionReply, _ screen: Screen) -> [String] {
        var table = TextTable("KIND", ">ROWS", ">SIZE")
        for kind in reply.kinds {
            let size = kind.kind == "packages" || kind.rows == 0 ? "" : "~"
            table.add(
                .init(names[kind.kind] ?? kind.kind), .init(Humane.count(kind.rows)),
                .init(size + Humane.bytes(kind.bytes)))
        }
        var lines = table.lines(screen)
        for load in reply.fullLoads {
            lines.append(
                "store \(TerminalText.plain(load.store.rawValue)) \(reply.dryRun ? "would get" : "gets") all of "
                    + "\(TerminalText.plain(load.job.rawValue)) when it is back: it has been away for longer")
        }
        lines.append(reply.dryRun ? "nothing was removed" : "done in \(Humane.precise(milliseconds: reply.tookMs))")
        return lines.map { screen.line($0) }
    }

    /// The part of the status about the disk.
    public static func disk(_ status: HubStatus) -> [String] {
        let disk = status.disk
        var lines = [
            "disk      \(Humane.bytes(disk.freeBytes)) free",
            "          hq.db \(Humane.bytes(disk.hqBytes)), of it change log ~\(Humane.bytes(disk.changesBytes)) "
                + "(\(Humane.count(disk.changesRows, "row")))",
            "          rows.db \(Humane.bytes(disk.rowsBytes)), of it rows of the past ~"
                + "\(Humane.bytes(disk.historyBytes)) (\(Humane.count(disk.historyRows, "row")))",
            "          sessions \(Humane.bytes(disk.hubBytes)), packages \(Humane.bytes(disk.packagesBytes)), "
                + "staging \(Humane.bytes(disk.stagingBytes)); to be filled again \(Humane.bytes(disk.reusableBytes))",
        ]
        if let slowest = status.slowest {
            let since = slowest.behindSince.map { " since \(Humane.moment($0))" } ?? ""
            let until = slowest.fullLoadAfter.map { "; it gets everything after \(Humane.moment($0))" } ?? ""
            lines.append(
                "slowest   store \(TerminalText.plain(slowest.store.rawValue)) has got nothing of "
                    + "\(TerminalText.plain(slowest.job.rawValue))\(since)\(until)")
        }
        return lines
    }
}

extension Humane {
    /// `120 ms`, `12 s`
    static func precise(milliseconds: Int64) -> String {
        milliseconds < 1000 ? "\(milliseconds) ms" : span(milliseconds: milliseconds)
    }
}
