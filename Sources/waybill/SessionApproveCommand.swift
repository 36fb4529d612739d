import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct SessionApproveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Offer a session to its stores that was held back by a limit of its job.",
        discussion: """
            A session that would remove more rows, move a price further or change more rows at a store than its job \
            allows is made, but not offered: it is AwaitingApproval, and 'session show' says why. Approve it here, or \
            call it off with 'session cancel'. When a newer session of the job has been made meanwhile, that one has \
            what HQ says now, and this one cannot be approved any more.

            EXAMPLES
              waybill session list --status AwaitingApproval
              waybill session approve 42
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The session's id or number.")
    var session: SessionReference

    func run() async throws {
        let reply = try await hub.connected { client in
            try await client.post(ApproveReply.self, "sessions/\(session)/approve")
        }
        if output.json { return try Output.json(reply) }
        Output.lines([
            "session \(reply.session) is approved and offered to \(Humane.count(reply.stores.count, "store"))"
        ])
    }
}
