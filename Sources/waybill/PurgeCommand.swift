import ArgumentParser
import WaybillAdmin
import WaybillConsole

struct PurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge", abstract: "Forget what is old enough, of every kind, now.",
        discussion: """
            The hub does this by itself, every hour, by the ages in hub.yaml (keep_sessions_days and so on): finished \
            sessions, packages, the change log, rows of the past, staging. With --older-than there is one age for all.

            Nothing that is in use goes, but for one thing: changes are kept for stores that are away no longer than \
            that age. Such a store gets everything when it is back; --dry-run names those.

            The exit status is 3 when something could not be done this time; it is named, and the next run tries again.

            EXAMPLES
              waybill purge --dry-run
              waybill purge
              waybill purge --older-than 14d --dry-run
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Option(
        help: ArgumentHelp("One age for everything, in place of those in hub.yaml: 30d, 4w, 12h.", valueName: "span"))
    var olderThan: String?
    @Flag(help: "Only say what would go.")
    var dryRun = false

    func validate() throws {
        if let olderThan, TypedTime.span(olderThan).map({ $0 / 1000 <= RetentionRequest.secondsMax }) != true {
            throw ValidationError("--older-than takes a span such as 30d, 4w or 12h, not '\(olderThan)'.")
        }
    }

    func run() async throws {
        let seconds = olderThan.flatMap { TypedTime.span($0) }.map { $0 / 1000 }
        let reply = try await hub.connected {
            // Slices with pauses between them take as long as they take.
            try await $0.post(
                RetentionReply.self, "retention/run", RetentionRequest(olderThanSeconds: seconds, dryRun: dryRun),
                seconds: nil)
        }
        if output.json { try Output.json(reply) } else { Output.lines(RetentionViews.reply(reply, Output.screen)) }
        for problem in reply.problems { Output.note("waybill: \(problem)") }
        if !reply.problems.isEmpty { throw ExitCode(Complaint.someStoresMissing) }
    }
}
