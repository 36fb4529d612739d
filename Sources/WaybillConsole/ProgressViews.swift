import WaybillAdmin
import WaybillModel

/// Work under way, as lines that are drawn over and over.
public enum ProgressViews {
    private static let barColumns = 20

    /// One line for a session: a bar of the stores that are done, then what is known.
    public static func session(_ session: SessionSummary, bytesPerSecond: Double, _ screen: Screen) -> String {
        let count = session.deliveriesCount
        let final = session.deliveriesFinal
        let name = "\(session.id) \(session.job)"
        if count == 0 { return screen.line("\(name)  \(session.status)", .of(status: session.status)) }
        // What matters most comes first: a narrow terminal cuts the end off.
        var parts = ["\(name)  \(bar(final, of: count)) \(final)/\(count) stores"]
        if session.deliveriesFailed > 0 { parts.append("\(session.deliveriesFailed) failed") }
        parts.append("\(Humane.bytes(session.bytesDone)) of \(Humane.bytes(session.bytes))")
        if bytesPerSecond >= 1, final < count { parts.append(Humane.rate(bytesPerSecond)) }
        parts.append(Humane.count(session.rows, "row"))
        let style: Style = session.deliveriesFailed > 0 ? .bad : final == count ? .good : .plain
        return screen.line(parts.joined(separator: "  "), style)
    }

    /// The same for a file or a pipe: without bar and rate, so that it changes only when something has happened.
    public static func plainSession(_ session: SessionSummary) -> String {
        let counts = session.deliveriesCount == 0 ? "" : ": \(SessionViews.counts(session))"
        return "session \(session.id) \(session.job) \(session.status)\(counts)"
    }

    public static func upload(_ name: String, bytes: Int64, of total: Int64, _ screen: Screen) -> String {
        screen.line(
            "sending \(TerminalText.plain(name))  \(bar(bytes, of: total)) "
                + "\(Humane.bytes(bytes)) of \(Humane.bytes(total))")
    }

    public static func importing(_ progress: ImportProgressLine, _ screen: Screen) -> String {
        screen.line(
            "\(TerminalText.plain(progress.phase)) \(TerminalText.plain(progress.file))  "
                + "\(bar(progress.bytesDone, of: progress.bytes)) \(Humane.count(progress.rows, "row"))")
    }

    /// `[########............]`
    static func bar(_ done: some BinaryInteger, of total: some BinaryInteger) -> String {
        let share = total > 0 ? min(1, max(0, Double(done) / Double(total))) : 0
        let filled = Int(share * Double(barColumns))
        return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: barColumns - filled) + "]"
    }
}
