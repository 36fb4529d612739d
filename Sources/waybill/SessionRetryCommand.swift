import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct SessionRetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Try a session again where it is Suspended.",
        discussion: """
            A delivery is suspended when as many attempts have failed as its job allows (3, unless the job says \
            otherwise) for reasons that waiting does not heal. Once the cause is gone, this gives it its tries anew. \
            The run goes on: attempts count further. To begin a new run, also of what was canceled: 'session rerun'.

            The exit status is 3 when some stores cannot try it again, and 1 when none can.

            EXAMPLES
              waybill session retry 42
              waybill session retry 42 --store S042
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The session's id or number.")
    var session: SessionReference
    @Option(help: ArgumentHelp("Only at this store; may be given several times.", valueName: "id"))
    var store: [StoreID] = []

    func run() async throws {
        let reply = try await hub.connected {
            try await $0.post(RetryReply.self, "sessions/\(session)/retry", RetryRequest(stores: store))
        }
        if output.json {
            try Output.json(reply)
        } else {
            Output.lines(SessionViews.retried(reply, Output.screen))
        }
        if !reply.stores.contains(where: \.accepted) { throw ExitCode(1) }
        if !reply.stores.allSatisfy(\.accepted) { throw ExitCode(Complaint.someStoresMissing) }
    }
}
