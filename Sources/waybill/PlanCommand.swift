import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Say what publish would do, and do nothing of it.",
        discussion: """
            For each job, and each group of stores that would get the same package: rows added, changed and removed in \
            each table, the biggest price moves, products that would disappear, the size (an estimate), and the limits \
            of the job that the change exceeds. Nothing is sent and no session is written.

            All is compared with what the stores have, with --full too. The exit status is 1 when a job cannot be \
            planned, and 3 when publishing would have to be approved.

            EXAMPLES
              waybill plan                            all jobs, all stores
              waybill plan prices --store S042        what would this store see?
              waybill plan prices --json | jq -r '.jobs[].audiences[].tables[].price_moves[] | .key[0]'
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "Jobs to plan. Default: all.")
    var jobs: [JobID] = []
    @Flag(help: "As if all rows were sent, also to stores that are up to date.")
    var full = false
    @Option(help: ArgumentHelp("Only for this store; may be given several times.", valueName: "id"))
    var store: [StoreID] = []
    @Flag(help: "Show every group and name every store, not only the first ones.")
    var stores = false

    func run() async throws {
        let request = PlanRequest(jobs: jobs, full: full, stores: store)
        let reply = try await hub.connected { client in
            // It waits its turn behind sessions that are being made, and reads as much as they do.
            try await client.post(PlanReply.self, "plan", request, seconds: nil)
        }
        if output.json {
            try Output.json(reply)
        } else {
            Output.lines(PlanViews.plan(reply, allStores: stores, Output.screen))
        }
        if reply.jobs.contains(where: { $0.error != nil }) { throw ExitCode(1) }
        if reply.jobs.contains(where: \.needsApproval) { throw ExitCode(Complaint.someStoresMissing) }
    }
}
