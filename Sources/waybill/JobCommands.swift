import ArgumentParser
import Foundation
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct JobCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job", abstract: "What is distributed: jobs and the store tables that they fill.",
        subcommands: [
            JobListCommand.self, JobShowCommand.self, JobCheckCommand.self, JobRunCommand.self, JobHoldCommand.self,
            JobResumeCommand.self, JobHistoryCommand.self,
        ])

    @OptionGroup var hub: HubOption
}

struct JobListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "All jobs: how they stand, when they run next, their last session.",
        discussion: """
            A job is Idle, Waiting for its turn or its next attempt, Running, OnHold until somebody resumes it, or \
            Asleep: its schedule found nothing several times and waits for a change of HQ's tables.

            EXAMPLES
              waybill job list
              waybill job list --json | jq '.[] | {job, state, next_run_at, hold_reason}'
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption

    func run() async throws {
        let jobs = try await hub.connected { try await $0.get([JobSummary].self, "jobs") }
        if output.json { return try Output.json(jobs) }
        Output.lines(HubViews.jobs(jobs, now: Output.now, Output.screen))
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

struct JobCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Whether job files could be used, and what they would give stores now.",
        discussion: """
            Reads the file, compiles its queries against HQ's tables and runs them once, keeping nothing. Every fault \
            is told with its line and, where one can be guessed, what may have been meant. Exit status 1 when any file \
            has a fault. To use a good file, put it into the folder jobs of the hub's home.

            EXAMPLE
              waybill job check promotions.yaml
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "Job files.", completion: .file(extensions: ["yaml"]))
    var files: [String]

    func run() async throws {
        var requests: [JobCheckRequest] = []
        for path in files {
            let text: String
            do {
                text = try String(contentsOf: URL(filePath: path), encoding: .utf8)
            } catch {
                throw ValidationError("\(path) cannot be read as text: \(error.localizedDescription)")
            }
            requests.append(JobCheckRequest(file: (path as NSString).lastPathComponent, text: text))
        }
        let checks = requests
        let replies = try await hub.connected { client in
            var replies: [JobCheckReply] = []
            for request in checks { replies.append(try await client.post(JobCheckReply.self, "jobs/check", request)) }
            return replies
        }
        if output.json {
            try Output.json(replies)
        } else {
            Output.lines(replies.flatMap { HubViews.jobCheck($0, Output.screen) })
        }
        if replies.contains(where: { !$0.faults.isEmpty }) { throw ExitCode.failure }
    }
}

extension JobID: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
