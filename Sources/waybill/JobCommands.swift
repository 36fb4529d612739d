import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct JobCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job", abstract: "What is distributed: jobs and the store tables that they fill.",
        subcommands: [JobListCommand.self, JobShowCommand.self])

    @OptionGroup var hub: HubOption
}

struct JobListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "All jobs, with their last session.",
        discussion: """
            EXAMPLE
              waybill job list
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption

    func run() async throws {
        let jobs = try await hub.connected { try await $0.get([JobSummary].self, "jobs") }
        if output.json { return try Output.json(jobs) }
        Output.lines(HubViews.jobs(jobs, Output.screen))
    }
}

struct JobShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "One job: its HQ tables, store tables and queries.",
        discussion: """
            EXAMPLE
              waybill job show prices
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The job's name.")
    var job: JobID

    func run() async throws {
        let detail = try await hub.connected { try await $0.get(JobDetail.self, "jobs/\(job)") }
        if output.json { return try Output.json(detail) }
        Output.lines(HubViews.job(detail, Output.screen))
    }
}

extension JobID: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
