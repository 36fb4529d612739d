import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct QuarantineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quarantine", abstract: "Rows that stores could not take: list, retry, drop.",
        discussion: """
            A row that a till's own index, trigger or constraint refuses does not hold up the rest of its session: it \
            goes into quarantine at the store, and with it the rows that refer to it. It leaves when HQ sends a \
            version that goes in, or removes it.
            """,
        subcommands: [QuarantineListCommand.self, QuarantineRetryCommand.self, QuarantineDropCommand.self])

    @OptionGroup var hub: HubOption
}

struct QuarantineListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Rows in quarantine, store by store, with the reason of each.",
        discussion: """
            As each store told it last, also of stores that are offline. Of a store with many, the first 200.

            EXAMPLES
              waybill quarantine list
              waybill quarantine list --store S042 --job prices
              waybill quarantine list --json | jq -r '.[] | .store as $s | .entries[] | [$s, .table, .key] | @tsv'
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Option(help: ArgumentHelp("Only at this store.", valueName: "id"))
    var store: StoreID?
    @Option(help: "Only of this job.")
    var job: JobID?

    func run() async throws {
        let path = APIPath("quarantine").with("store", store?.rawValue).with("job", job?.rawValue)
        let stores = try await hub.connected { try await $0.get([StoreQuarantine].self, path) }
        if output.json { return try Output.json(stores) }
        Output.lines(QuarantineViews.list(stores, now: Output.now, Output.screen))
        for store in stores where job == nil && store.entries.count < store.rows {
            Output.note("store \(store.store) has \(store.rows) rows in quarantine; shown are \(store.entries.count)")
        }
    }
}

/// Which rows an order is about, and whether to wait for it.
struct QuarantineChoice: ParsableArguments {
    @Option(help: ArgumentHelp("Only at this store; may be given several times.", valueName: "id"))
    var store: [StoreID] = []
    @Option(help: "Only rows of this job.")
    var job: JobID?
    @Option(help: "Only rows of this table.")
    var table: String?
    @Option(help: "Only the row of this key, as the list shows it.")
    var key: String?
    @Flag(help: "All rows of all stores.")
    var all = false
    @Flag(help: "Wait until the stores have done it.")
    var wait = false
    @Option(help: ArgumentHelp("Wait at most this long.", valueName: "seconds"))
    var timeout = 60

    func validate() throws {
        guard all || !store.isEmpty || job != nil || table != nil || key != nil else {
            throw ValidationError("Say which rows: --store, --job, --table, --key; or --all.")
        }
        guard timeout > 0 else { throw ValidationError("--timeout needs a number of seconds above 0.") }
    }

    /// Orders it, shows the answers, and waits when that is wanted.
    func order(_ action: QuarantineOrder.Action, hub: HubOption, _ output: JSONOption) async throws {
        let request = QuarantineRequest(action: action, stores: store, job: job, table: table, key: key)
        try await hub.connected { client in
            let reply = try await client.post(QuarantineReply.self, "quarantine/orders", request)
            let orders = Set(reply.stores.compactMap(\.order))
            let isDone = wait ? try await untilDone(orders, client) : true
            if output.json {
                try Output.json(reply)
            } else {
                Output.lines(QuarantineViews.ordered(reply, isDone: wait && isDone, Output.screen))
            }
            guard isDone else {
                throw Complaint(
                    "time is up; the stores that have not answered do it when they are heard of again",
                    status: Complaint.someStoresMissing)
            }
            if reply.stores.contains(where: { !$0.accepted }) {
                throw ExitCode(reply.stores.contains(where: \.accepted) ? Complaint.someStoresMissing : 1)
            }
        }
    }

    private func untilDone(_ orders: Set<String>, _ client: AdminClient) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(timeout)
        while true {
            let open = try await client.get([StoreQuarantine].self, "quarantine").flatMap(\.openOrders).map(\.id)
            if orders.isDisjoint(with: open) { return true }
            guard ContinuousClock.now < end else { return false }
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}

struct QuarantineRetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Let stores try rows in quarantine again.",
        discussion: """
            Each row once, from what the store has kept of it: nothing is sent. What goes in leaves the quarantine, and \
            what waited for it as well; what is refused again stays. For when the cause at the store is gone: a till's \
            trigger was dropped, an index was corrected.

            The exit status is 3 when a store cannot do it, or has not done it in time.

            EXAMPLES
              waybill quarantine retry --store S042 --wait
              waybill quarantine retry --table product --key P1
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @OptionGroup var choice: QuarantineChoice

    func run() async throws { try await choice.order(.retry, hub: hub, output) }
}

struct QuarantineDropCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop", abstract: "Let stores forget rows in quarantine.",
        discussion: """
            The store goes on without HQ's version of the row, until HQ changes it or everything is sent \
            (publish --full). Rows that wait for a dropped one are dropped with it.

            The exit status is 3 when a store cannot do it, or has not done it in time.

            EXAMPLES
              waybill quarantine drop --store S042 --table product --key P1
              waybill quarantine drop --all
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @OptionGroup var choice: QuarantineChoice

    func run() async throws { try await choice.order(.drop, hub: hub, output) }
}
