import ArgumentParser
import WaybillAdmin
import WaybillConsole

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Who did what, and when: every command that changes something.",
        discussion: """
            Newest first. Imports, publishing, cancels, reruns, retries, approvals, holds, stores added, enrolled and \
            retired, and whoever was not let in; runs by schedule and reading are not in it. A command that was \
            written down before it began has a second row with its outcome, which names the first.

            Each row holds the hash of the one before. --verify follows the chain and names the first row that does \
            not fit, with exit status 1. Every row's hash also goes to the hub's log (journalctl -u waybill-hub): give \
            one of them with --witness, and rows that were cut off the end, or a chain that was written anew, show \
            as well.

            EXAMPLES
              waybill audit --since 1d
              waybill audit --who anna --json | jq -r '.[] | [.at, .action, .subject] | @tsv'
              waybill audit --verify --witness 118:9a0c61e1f7d2b34c
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Option(help: ArgumentHelp("Since a time, or for so long: 2026-11-21T10:00, 2h, 7d.", valueName: "time"))
    var since: String?
    @Option(help: "Only of this user (name or number), token or store.")
    var who: String?
    @Option(help: "So many rows at most.")
    var limit = 100
    @Flag(help: "Check the chain instead of listing it.")
    var verify = false
    @Option(help: ArgumentHelp("A row and its hash, from the hub's log; with --verify.", valueName: "row:hash"))
    var witness: String?

    func validate() throws {
        if let witness {
            guard verify else { throw ValidationError("--witness goes with --verify.") }
            guard AuditWitness(witness) != nil else {
                throw ValidationError("--witness takes a row and its hash, 118:9a0c61e1f7d2b34c, not '\(witness)'.")
            }
        }
        guard (1...AuditFilter.limitMax).contains(limit) else {
            throw ValidationError("--limit is a number from 1 to \(AuditFilter.limitMax).")
        }
        if let since, TypedTime.moment(since, now: Output.now) == nil {
            throw ValidationError("--since takes a time such as 2026-11-21T10:00 or a span such as 2h, not '\(since)'.")
        }
    }

    func run() async throws {
        if verify { return try await check() }
        let path = APIPath("audit").with("since", since.flatMap { TypedTime.moment($0, now: Output.now)?.description })
            .with("who", who).with("limit", String(limit))
        let rows = try await hub.connected { try await $0.get([AuditLine].self, path) }
        if output.json { return try Output.json(rows) }
        Output.lines(AuditViews.list(rows, Output.screen))
    }

    private func check() async throws {
        let path = APIPath("audit/verification").with("witness", witness)
        let verdict = try await hub.connected { try await $0.get(AuditVerification.self, path) }
        if output.json {
            try Output.json(verdict)
        } else {
            Output.lines(AuditViews.verification(verdict, Output.screen))
        }
        if verdict.firstBreak != nil { throw ExitCode.failure }
    }
}
