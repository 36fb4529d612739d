import WaybillAdmin
import WaybillModel

/// The hub's state, its jobs and its imports as lines.
public enum HubViews {
    public static func status(_ status: HubStatus, now: Timestamp, _ screen: Screen) -> [String] {
        let stores = status.stores
        let sessions = status.sessions
        var lines = [
            "hub       \(TerminalText.plain(status.hub.version)), up for "
                + Humane.span(milliseconds: now - status.hub.startedAt.timestamp)
                + ", on \(TerminalText.plain(status.hub.home))",
            "stores    \(Humane.count(stores.online)) of \(Humane.count(stores.active)) online, "
                + "\(Humane.count(stores.behind)) behind, \(Humane.count(stores.pending)) pending, "
                + "\(Humane.count(stores.retired)) retired",
            "sessions  \(Humane.count(sessions.running)) running, "
                + "\(Humane.count(sessions.failedStores, "store")) with a failed delivery"
                + (sessions.awaitingApproval > 0
                    ? ", \(Humane.count(sessions.awaitingApproval)) awaiting approval" : "")
                + (sessions.stalledDeliveries > 0
                    ? ", \(Humane.count(sessions.stalledDeliveries, "delivery", "deliveries")) stalled" : ""),
            jobs(status.jobs),
        ].map { screen.line($0) }
        lines += QuarantineViews.summary(status.stores, screen)
        lines += RetentionViews.disk(status).map { screen.line($0) } + VerifyViews.diverged(status, now: now, screen)
        lines += KeyViews.glance(status.keys).map { screen.line($0) }
        if let fault = status.notFolding { lines.append(screen.line(StalledViews.notFolding(fault, now: now), .bad)) }
        guard !status.errors.isEmpty else { return lines + ["errors    none"] }
        lines.append("errors")
        var table = TextTable("  WHEN", "STORE", "SESSION", "MESSAGE")
        for problem in status.errors {
            table.add(
                .init("  " + Humane.age(problem.at, now: now)), .init(problem.store?.rawValue ?? "-"),
                .init(problem.session?.rawValue ?? "-"), .init(problem.message, .bad))
        }
        return lines + table.lines(screen)
    }

    private static func jobs(_ jobs: HubStatus.Jobs) -> String {
        var parts = ["\(Humane.count(jobs.usable)) usable"]
        if jobs.onHold > 0 { parts.append("\(Humane.count(jobs.onHold)) on hold") }
        if jobs.unusable > 0 { parts.append("\(Humane.count(jobs.unusable)) not usable") }
        return "jobs      " + parts.joined(separator: ", ") + (parts.count > 1 ? "; see: waybill job list" : "")
    }

    public static func jobs(_ jobs: [JobSummary], now: Timestamp, _ screen: Screen) -> [String] {
        guard !jobs.isEmpty else { return ["no jobs"] }
        var table = TextTable("JOB", "STATE", "NEXT RUN", "LAST RUN", "LAST SESSION", "STATUS", "TABLES", "TITLE")
        for job in jobs {
            let state = job.state ?? "-"
            table.add(
                .init(job.job.rawValue), .init(state, .of(status: state)), .init(JobRunViews.next(job, now: now)),
                .init(job.lastRun.map { "\($0.state), \(Humane.age($0.askedAt, now: now))" } ?? "-"),
                .init(job.lastSession?.rawValue ?? "-"),
                .init(job.lastStatus ?? "-", .of(status: job.lastStatus ?? "")),
                .init(job.tables.joined(separator: ", ")), .init(job.title))
        }
        let held = jobs.filter { $0.holdReason != nil }.map {
            screen.line("job \($0.job) is on hold: \(TerminalText.plain($0.holdReason ?? ""))", .bad)
        }
        let faults = jobs.flatMap { job in
            let what = job.job.rawValue == "unknown" ? "not used" : "job \(job.job) cannot run"
            return job.faults.map { screen.line("\(what): \(TerminalText.plain($0))", .bad) }
        }
        return table.lines(screen) + (faults.isEmpty ? [] : [""] + faults) + held
    }

    /// What a check of a job file found.
    public static func jobCheck(_ reply: JobCheckReply, _ screen: Screen) -> [String] {
        guard reply.faults.isEmpty else {
            return reply.faults.map { fault in
                let place = fault.line > 0 ? "\(reply.file):\(fault.line)" : reply.file
                let hint = fault.hint.map { " (\(TerminalText.plain($0)))" } ?? ""
                return TerminalText.plain(place) + ": " + TerminalText.plain(fault.message) + hint
            }
        }
        var table = TextTable("TABLE", "ROWS", "STORES")
        for line in reply.tables {
            table.add(.init(line.table), .init("\(line.rows)"), .init("\(line.stores)"))
        }
        let heading = "\(TerminalText.plain(reply.file)) is good: job \(reply.job?.rawValue ?? "")"
        return [screen.line(heading, .heading), "reads \(reply.inputs.joined(separator: ", "))"] + table.lines(screen)
    }

    public static func job(_ job: JobDetail, _ screen: Screen) -> [String] {
        var lines = [
            screen.line("job \(job.summary.job): \(TerminalText.plain(job.summary.title))", .heading),
            "  last session  \(job.summary.lastSession?.rawValue ?? "none")"
                + (job.summary.lastStatus.map { ", \(TerminalText.plain($0))" } ?? ""),
            "  HQ tables     \(job.inputs.joined(separator: ", "))",
        ]
        for statement in job.prepare { lines += ["", "  first"] + sql(statement) }
        for subjob in job.subjobs {
            let columns = subjob.columns.map { column in
                let key = subjob.key.contains(column.name) ? " key" : ""
                return "    \(column.name) \(column.type.rawValue)\(column.nullable ? "" : " not null")\(key)"
            }
            lines += ["", screen.line("  store table \(subjob.table)", .heading)] + columns
            lines += ["  rows"] + sql(subjob.rows) + ["  which store sees which"] + sql(subjob.members)
        }
        return lines
    }

    public static func imported(_ reply: ImportReply, _ screen: Screen) -> [String] {
        var table = TextTable("TABLE", ">ROWS", ">NEW", ">CHANGED", ">SAME", ">REMOVED", "FILE")
        for row in reply.tables {
            table.add(
                .init(row.table), .init(Humane.count(row.rows)), .init(Humane.count(row.inserted)),
                .init(Humane.count(row.updated)), .init(Humane.count(row.unchanged)), .init(Humane.count(row.removed)),
                .init(row.file))
        }
        return table.lines(screen)
    }

    /// Faults or warnings, one a line, as compilers write them: an editor can jump to the place.
    public static func faults(_ faults: [ImportFaultLine], total: Int) -> [String] {
        let lines = faults.map { fault in
            let place = fault.line > 0 ? "\(fault.file):\(fault.line)" : fault.file
            return TerminalText.plain("\(place): \(fault.column.map { "column \($0): " } ?? "")\(fault.reason)")
        }
        return total > faults.count ? lines + ["… and \(Humane.count(total - faults.count)) more"] : lines
    }

    private static func sql(_ statement: String) -> [String] {
        statement.split(separator: "\n", omittingEmptySubsequences: true).map {
            "    " + TerminalText.plain(String($0))
        }
    }
}
