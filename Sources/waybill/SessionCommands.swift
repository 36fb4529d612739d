import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct SessionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session",
        abstract: "Download sessions: list, show, watch, approve, cancel, retry, rerun, purge.",
        discussion: """
            A session is one run of one job, with one delivery for each store. Name it by its id or its number alone.

            A delivery goes Available, Requested, Downloaded, Applied. DownloadFailed and ApplyFailed are tried \
            again by themselves; Suspended waits for retry or cancel; Superseded was covered by a later session.

            A session that changes more than its job allows is AwaitingApproval until approve or cancel.
            """,
        subcommands: [
            SessionListCommand.self, SessionShowCommand.self, SessionWatchCommand.self, SessionCancelCommand.self,
            SessionRetryCommand.self, SessionRerunCommand.self, SessionPurgeCommand.self, SessionApproveCommand.self,
        ])

    @OptionGroup var hub: HubOption
}

struct SessionListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Sessions, newest first.",
        discussion: """
            EXAMPLES
              waybill session list
              waybill session list --job prices --since 2h
              waybill session list --status ApplyFailed --json
              waybill session list --stalled
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Option(help: "Only of this job.")
    var job: JobID?
    @Option(help: "Only with this status, such as Applied or ApplyFailed.")
    var status: String?
    @Option(
        help: "Only created since: so long ago (30min, 2h, 3d), or an ISO 8601 time, in UTC unless it has an offset.")
    var since: String?
    @Flag(help: "Also sessions without data.")
    var all = false
    @Flag(help: "Only those with a delivery that has not come forward for longer than is usual.")
    var stalled = false
    @Option(help: "At most this many.")
    var limit = SessionFilter.limitDefault

    func validate() throws {
        if let status, !SessionFilter.statuses.contains(status) {
            throw ValidationError("--status is one of \(SessionFilter.statuses.joined(separator: ", ")).")
        }
        if let since, TypedTime.moment(since, now: Output.now) == nil {
            throw ValidationError("--since takes 30min, 2h, 3d or a time such as 2026-11-21T10:53, not '\(since)'.")
        }
        guard (1...SessionFilter.limitMax).contains(limit) else {
            throw ValidationError("--limit is a number from 1 to \(SessionFilter.limitMax).")
        }
    }

    func run() async throws {
        let moment = since.flatMap { TypedTime.moment($0, now: Output.now) }
        let path = APIPath("sessions").with("job", job?.rawValue).with("status", status)
            .with("since", moment?.description).with("all", all ? "true" : nil).with("limit", String(limit))
            .with("stalled", stalled ? "true" : nil)
        let sessions = try await hub.connected { try await $0.get([SessionSummary].self, path) }
        if output.json {
            try Output.json(sessions)
        } else {
            Output.lines(SessionViews.list(sessions, now: Output.now, Output.screen))
        }
        try await noteNotFolding(sessions)
        if sessions.count == limit { Output.note("only the newest \(limit) sessions; see more with --limit") }
    }
}

struct SessionShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "One session, store by store.",
        discussion: """
            EXAMPLES
              waybill session show 42
              waybill session show 42 --json | jq -r '.deliveries[] | select(.status != "Applied") | .store'
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The session's id or number.")
    var session: SessionReference

    func run() async throws {
        let detail = try await hub.connected { try await $0.get(SessionDetail.self, "sessions/\(session)") }
        if output.json { return try Output.json(detail) }
        Output.lines(SessionViews.detail(detail, now: Output.now, Output.screen))
    }
}

struct SessionWatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Follow a session until every store is done.",
        discussion: """
            Waits for stores that are offline; ends when none is left but suspended ones (exit status 3). \
            Ctrl-C ends the watching, not the session.

            EXAMPLE
              waybill session watch 42
            """)

    @OptionGroup var hub: HubOption
    @Argument(help: "The session's id or number.")
    var session: SessionReference

    func run() async throws {
        try await hub.connected { client in
            let summary = try await client.get(SessionSummary.self, "sessions/\(session)/summary")
            var waiting = SessionWait(client: client, sessions: [summary.id], timeout: nil)
            let outcome = try await waiting.untilOver(Waiting(givesUpOffline: false))
            Output.lines(outcome.sessions.map(ProgressViews.plainSession))
            try outcome.finish()
        }
    }
}

struct SessionCancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Call a session off, at all its stores or at some.",
        discussion: """
            Each store answers truly: revoked (it never applied it and never will), or too late, with the time. \
            The command waits some seconds for the answers; a store that is offline answers when it is back, and \
            'session show' tells. The exit status is 3 unless all were revoked.

            What was called off is not lost: the next session of the job brings it, unless HQ has changed it back.

            EXAMPLES
              waybill session cancel 42
              waybill session cancel 42 --store S042 --reason "till replacement"
            """)

    /// An agent that is online answers within a round trip; more patience helps only with lost lines.
    private static let patience = Duration.seconds(5)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The session's id or number.")
    var session: SessionReference
    @Option(help: ArgumentHelp("Only at this store; may be given several times.", valueName: "id"))
    var store: [StoreID] = []
    @Option(help: "Why; kept with the deliveries.")
    var reason: String?

    func run() async throws {
        let reply = try await hub.connected { client in
            var reply = try await client.post(
                CancelReply.self, "sessions/\(session)/cancel", CancelRequest(stores: store, reason: reason))
            let start = ContinuousClock.now
            while reply.isWaiting, ContinuousClock.now - start < SessionCancelCommand.patience {
                try await Task.sleep(for: .milliseconds(200))
                reply.update(from: try await client.get(SessionDetail.self, "sessions/\(reply.session)"))
            }
            return reply
        }
        if output.json {
            try Output.json(reply)
        } else {
            Output.lines(SessionViews.canceled(reply, Output.screen))
        }
        if reply.stores.contains(where: { $0.answer == .pending || $0.answer == .tooLate }) {
            throw ExitCode(Complaint.someStoresMissing)
        }
    }
}

struct SessionRerunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rerun", abstract: "Offer a session once more to stores that have not applied it.",
        discussion: """
            A new run, for canceled deliveries above all; what was suspended goes on with 'session retry'. The exit \
            status is 3 when some stores cannot run it again, and 1 when none can.

            EXAMPLES
              waybill session rerun 42
              waybill session rerun 42 --store S042
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The session's id or number.")
    var session: SessionReference
    @Option(help: ArgumentHelp("Only at this store; may be given several times.", valueName: "id"))
    var store: [StoreID] = []

    func run() async throws {
        let reply = try await hub.connected {
            try await $0.post(RerunReply.self, "sessions/\(session)/rerun", RerunRequest(stores: store))
        }
        if output.json {
            try Output.json(reply)
        } else {
            Output.lines(SessionViews.rerun(reply, Output.screen))
        }
        if !reply.stores.contains(where: \.accepted) { throw ExitCode(1) }
        if !reply.stores.allSatisfy(\.accepted) { throw ExitCode(Complaint.someStoresMissing) }
    }
}

struct SessionPurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge", abstract: "Forget old sessions that are finished at every store.",
        discussion: """
            EXAMPLE
              waybill session purge --older-than 30d
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Option(help: ArgumentHelp("How long ago they were created: 30d, 4w, 12h.", valueName: "span"))
    var olderThan: String

    func validate() throws {
        guard TypedTime.span(olderThan) != nil else {
            throw ValidationError("--older-than takes a span such as 30d, 4w or 12h, not '\(olderThan)'.")
        }
    }

    func run() async throws {
        let seconds = (TypedTime.span(olderThan) ?? 0) / 1000
        let reply = try await hub.connected {
            try await $0.post(PurgeReply.self, "purge", PurgeRequest(olderThanSeconds: seconds))
        }
        if output.json { return try Output.json(reply) }
        Output.lines([
            "\(Humane.count(reply.sessions, "session")) forgotten, \(Humane.count(reply.packages, "package")) removed, "
                + "\(Humane.bytes(reply.bytesFreed)) freed"
        ])
    }
}

extension SessionReference: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
