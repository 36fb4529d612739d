import WaybillAdmin
import WaybillModel

/// Runs of jobs as lines.
public enum JobRunViews {
    public static func history(_ runs: [JobRunLine], now: Timestamp, _ screen: Screen) -> [String] {
        guard !runs.isEmpty else { return ["no runs yet"] }
        var table = TextTable(">RUN", "CAUSE", "KIND", "STATE", ">TRY", "ASKED", ">TOOK", "SESSION", "MESSAGE")
        for run in runs {
            table.add(
                .init("\(run.run)"), .init(run.cause), .init(kind(run)), .init(run.state, .of(status: run.state)),
                .init("\(run.attempt)"), .init(Humane.age(run.askedAt, now: now)), .init(duration(run)),
                .init(run.session?.rawValue ?? "-"), .init(message(run, now: now)))
        }
        return table.lines(screen)
    }

    /// One sentence on what has become of a request.
    public static func asked(_ run: JobRunLine) -> String {
        switch run.state {
        case "Running": "run \(run.run) of job \(run.job) has begun: session \(run.session?.rawValue ?? "-")"
        case "Waiting": "run \(run.run) of job \(run.job) waits for the run before it"
        default: "run \(run.run) of job \(run.job) waits for its turn"
        }
    }

    private static func kind(_ run: JobRunLine) -> String {
        let kind = run.full ? "full" : "delta"
        guard let stores = run.stores else { return kind }
        return "\(kind), " + (stores.count == 1 ? TerminalText.plain(stores[0].rawValue) : "\(stores.count) stores")
    }

    private static func duration(_ run: JobRunLine) -> String {
        guard let start = run.startedAt, let end = run.finishedAt else { return "-" }
        return "\(max(0, end.timestamp - start.timestamp)) ms"
    }

    private static func message(_ run: JobRunLine, now: Timestamp) -> String {
        if let after = run.startAfter, after.timestamp > now {
            return "in " + Humane.span(milliseconds: after.timestamp - now)
        }
        return run.message ?? ""
    }

    /// When a job starts by itself, for the job list.
    static func next(_ job: JobSummary, now: Timestamp) -> String {
        guard let next = job.nextRunAt else { return "-" }
        return next.timestamp > now ? "in " + Humane.span(milliseconds: next.timestamp - now) : "now"
    }
}
