import ArgumentParser
import WaybillAdmin
import WaybillConsole

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "The hub at a glance: stores, sessions, disk, last errors.",
        discussion: """
            A store is online when its agent was heard of lately, and behind when it lacks something published.

            EXAMPLES
              waybill status
              waybill status --json | jq .stores.behind
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption

    func run() async throws {
        let status = try await hub.connected { try await $0.get(HubStatus.self, "status") }
        if output.json { return try Output.json(status) }
        Output.lines(HubViews.status(status, now: Output.now, Output.screen))
    }
}
