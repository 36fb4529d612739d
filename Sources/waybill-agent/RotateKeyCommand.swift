import ArgumentParser
import WaybillAgent

extension AgentCommand {
    struct RotateKey: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate-key",
            abstract: "Replace this store's key, without an interruption and without a new code.",
            discussion: """
                The agent makes a new key, shows it to the hub over its present connection and goes over to it; the \
                hub shuts the old one out some time after. An agent that does not run does it when it is started. \
                A key that somebody else may have is not to be replaced this way, for he could do the same: \
                print a new code with 'waybill store add' and enrol again.

                EXAMPLE
                  waybill-agent rotate-key /var/lib/waybill-agent
                  waybill-agent status /var/lib/waybill-agent --json | jq .keys
                """)

        @OptionGroup var home: HomeArgument

        func run() throws {
            let folder = try onePlainSentence { try AgentHome(existing: try home.path()) }
            try onePlainSentence { try folder.requestNewKey() }
            print("Asked for. The agent on \(folder.path) replaces its key now, or when it is started.")
        }
    }
}
