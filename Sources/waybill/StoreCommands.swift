import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct StoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Stores: add, list, show, retire.",
        subcommands: [
            StoreAddCommand.self, StoreListCommand.self, StoreShowCommand.self, StoreRetireCommand.self,
            StoreRotateKeyCommand.self,
        ])

    @OptionGroup var hub: HubOption
}

struct StoreAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Print a one-time code with which a store's agent enrols.",
        discussion: """
            Also for a store whose machine is replaced: when the new agent enrols, the old one is shut out. \
            The code is a secret until it is used, serves one machine once, and voids the one before. It ends after \
            three days (enrolment_code_hours in hub.yaml), or with --valid-for. Only the code stands on stdout when \
            that is no terminal.

            EXAMPLES
              waybill store add S042
              waybill store add S042 --json | jq -r .code
              waybill store add S042 --valid-for 2h
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The store's id, as in HQ's table store.")
    var store: StoreID
    @Option(help: ArgumentHelp("How long the code is good for: 90min, 2h, 7d.", valueName: "span"))
    var validFor: String?

    func validate() throws {
        if let validFor, !(TypedTime.span(validFor).map { StoreAddRequest.validity.contains($0 / 1000) } ?? false) {
            throw ValidationError("--valid-for takes a span from 1min to 365d such as 2h or 7d, not '\(validFor)'.")
        }
    }

    func run() async throws {
        let seconds = validFor.flatMap { TypedTime.span($0) }.map { $0 / 1000 }
        let added = try await hub.connected {
            try await $0.post(StoreAdded.self, "stores", StoreAddRequest(store: store, validForSeconds: seconds))
        }
        if output.json { return try Output.json(added) }
        guard Output.screen.columns != nil else {
            // A script wants the code and nothing else.
            return Output.lines([added.code])
        }
        Output.lines(StoreViews.added(added, now: Output.now))
    }
}

struct StoreListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "All stores: online or not, last seen, behind in which jobs.",
        discussion: """
            EXAMPLES
              waybill store list
              waybill store list --json | jq -r '.[] | select(.online | not) | .store'
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption

    func run() async throws {
        let stores = try await hub.connected { try await $0.get([StoreSummary].self, "stores") }
        if output.json { return try Output.json(stores) }
        Output.lines(StoreViews.list(stores, now: Output.now, Output.screen))
    }
}

struct StoreShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "One store: what it has, and its last deliveries.",
        discussion: """
            EXAMPLE
              waybill store show S042
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The store's id.")
    var store: StoreID

    func run() async throws {
        let detail = try await hub.connected { try await $0.get(StoreDetail.self, "stores/\(store)") }
        if output.json { return try Output.json(detail) }
        Output.lines(StoreViews.detail(detail, now: Output.now, Output.screen))
    }
}

struct StoreRetireCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retire", abstract: "Shut a store's agent out, for good.",
        discussion: """
            The store gets nothing any more and is not waited for. What it has stays where it is. \
            To take it up again, enrol it anew: waybill store add ID.

            EXAMPLE
              waybill store retire S042
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The store's id.")
    var store: StoreID

    func run() async throws {
        let summary = try await hub.connected { try await $0.post(StoreSummary.self, "stores/\(store)/retire") }
        if output.json { return try Output.json(summary) }
        Output.lines(["store \(summary.store) is \(summary.state.rawValue)"])
    }
}

extension StoreID: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
