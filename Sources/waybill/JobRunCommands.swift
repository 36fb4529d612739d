import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct JobRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a job when it is its turn.",
        discussion: """
            A job never runs twice at once: a request that comes while it runs waits, and requests that wait are \
            joined. The run starts also when the job is on hold. 'waybill publish' is the same for several jobs and \
            gives each its session at once.

            EXAMPLES
              waybill job run prices
              waybill job run prices --full --store S042 --wait
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The job's name.")
    var job: JobID
    @Flag(help: "Send all rows, also to stores that are up to date.")
    var full = false
    @Option(help: ArgumentHelp("Only for this store; may be given several times.", valueName: "id"))
    var store: [StoreID] = []
    @Flag(help: "Wait until the stores have applied it.")
    var wait = false
    @Option(help: ArgumentHelp("Wait at most this long.", valueName: "seconds"))
    var timeout = 600

    func validate() throws {
        guard timeout > 0 else { throw ValidationError("--timeout needs a number of seconds above 0.") }
    }

    func run() async throws {
        try await hub.connected { client in
            let start = ContinuousClock.now
            var run = try await client.post(
                JobRunLine.self, "jobs/\(job)/runs", JobRunRequest(full: full, stores: store))
            if wait {
                while !JobRunLine.finalStates.contains(run.state) {
                    guard ContinuousClock.now - start < .seconds(timeout) else {
                        throw Complaint(
                            "time is up, \(JobRunViews.asked(run)); the hub goes on",
                            status: Complaint.someStoresMissing)
                    }
                    try await Task.sleep(for: .milliseconds(200))
                    run = try await client.get(JobRunLine.self, "jobs/\(job)/runs/\(run.run)")
                }
            }
            if output.json {
                try Output.json(run)
            } else if wait {
                Output.lines(JobRunViews.history([run], now: Output.now, Output.screen))
            } else {
                Output.lines([JobRunViews.asked(run)])
            }
            guard wait else { return }
            guard run.state == "Finished", let session = run.session else {
                throw Complaint(
                    "run \(run.run) of job \(job) is \(run.state)" + (run.message.map { ": \($0)" } ?? ""))
            }
            var waiting = SessionWait(
                client: client, sessions: [session], timeout: .seconds(timeout) - (ContinuousClock.now - start))
            try await waiting.untilOver(Waiting(givesUpOffline: true)).finish()
        }
    }
}

struct JobHoldCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Keep a job from starting by itself.",
        discussion: """
            Due times and changes that pass meanwhile make one run when the job is resumed. What somebody asks for \
            (job run, publish) is done nevertheless.

            EXAMPLE
              waybill job hold prices --reason "price list is being checked"
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The job's name.")
    var job: JobID
    @Option(help: "Shown in the job list.")
    var reason: String?

    func run() async throws {
        let summary = try await hub.connected {
            try await $0.post(JobSummary.self, "jobs/\(job)/hold", JobHoldRequest(reason: reason))
        }
        if output.json { return try Output.json(summary) }
        Output.lines(["job \(job) is on hold"])
    }
}

struct JobResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let a job that is on hold start by itself again.",
        discussion: """
            Also for a job that the hub has put on hold because too many attempts have failed, once the cause is gone.

            EXAMPLE
              waybill job resume prices
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The job's name.")
    var job: JobID

    func run() async throws {
        let summary = try await hub.connected { try await $0.post(JobSummary.self, "jobs/\(job)/resume") }
        if output.json { return try Output.json(summary) }
        Output.lines(["job \(job) starts by itself again"])
    }
}

struct JobHistoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "The last runs of a job, newest first: why, when, and what came of it.",
        discussion: """
            EXAMPLES
              waybill job history prices
              waybill job history prices --limit 100 --json | jq '.[] | select(.state == "Failed") | .message'
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The job's name.")
    var job: JobID
    @Option(help: "How many at most.")
    var limit = 20

    func validate() throws {
        guard (1...SessionFilter.limitMax).contains(limit) else {
            throw ValidationError("--limit takes a number from 1 to \(SessionFilter.limitMax).")
        }
    }

    func run() async throws {
        let runs = try await hub.connected {
            try await $0.get([JobRunLine].self, ("jobs/\(job)/runs" as APIPath).with("limit", "\(limit)"))
        }
        if output.json { return try Output.json(runs) }
        Output.lines(JobRunViews.history(runs, now: Output.now, Output.screen))
    }
}
