import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish", abstract: "Run jobs now and offer their sessions to the stores.",
        discussion: """
            Without a job, all jobs are run. Each run is a download session; its id is printed. A job without changes \
            gives a session with status NoData.

            Without --wait, the command ends when the packages are made, and the stores fetch them in their own time. \
            With --wait it shows what happens and ends when every store has applied its part. Stores that are offline, \
            suspended or outside of the job's delivery window are named and not waited for; then the exit status is 3. \
            They get it when they are back, or when the window opens.

            A session that changes more than its job allows is not offered to any store: its status is \
            AwaitingApproval, the exit status is 3, and 'session approve' or 'session cancel' decides. See before with \
            'plan'.

            EXAMPLES
              waybill publish                         all jobs, to all stores
              waybill publish prices --wait           and see it arrive
              waybill publish prices --full --store S042
                                                      all rows once more, for one store
              waybill publish prices --now            also where the job's delivery window is closed
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "Jobs to run. Default: all.")
    var jobs: [JobID] = []
    @Flag(help: "Send all rows, also to stores that are up to date.")
    var full = false
    @Option(help: ArgumentHelp("Only for this store; may be given several times.", valueName: "id"))
    var store: [StoreID] = []
    @Flag(help: "Do not wait for the delivery windows of the jobs.")
    var now = false
    @Flag(help: "Wait until the stores have applied it.")
    var wait = false
    @Option(help: ArgumentHelp("Wait at most this long.", valueName: "seconds"))
    var timeout = 600

    func validate() throws {
        guard timeout > 0 else { throw ValidationError("--timeout needs a number of seconds above 0.") }
    }

    func run() async throws {
        try await hub.connected { client in
            let request = PublishRequest(jobs: jobs, full: full, stores: store, now: now)
            let reply = try await client.post(PublishReply.self, "publish", request)
            for session in reply.sessions { session.message.map(Output.note) }
            var waiting = SessionWait(
                client: client, sessions: reply.sessions.map(\.id), timeout: .seconds(timeout))
            let outcome =
                wait ? try await waiting.untilOver(Waiting(givesUpOffline: true)) : try await waiting.untilBuilt()
            let sessions = outcome.sessions.map {
                PublishReply.Session(id: $0.id, job: $0.job, status: $0.status, message: $0.message)
            }
            if output.json {
                try Output.json(PublishReply(sessions: sessions))
            } else {
                Output.lines(SessionViews.published(sessions, Output.screen))
            }
            try outcome.finish()
        }
    }
}
