import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Prove that stores have what HQ says, row by row.",
        discussion: """
            Each store sums up its tables where they are; HQ sums up what it must have at the same version. Where the \
            two differ, the parts that differ are narrowed down to single rows, which are named. With --repair just \
            those parts are sent, as a session of their own, and the store is verified again.

            Without --wait it begins and returns; --last shows what was found last and begins nothing. Jobs are also \
            verified by themselves, once a day unless they say otherwise.

            The exit status, with --wait or --last: 3 when a store differs or could not be verified.

            EXAMPLES
              waybill verify --wait                   all stores, all jobs
              waybill verify --store S042 --job prices --repair --wait
              waybill verify --last --store S042
              waybill verify --wait --json | jq -r '.verifications[] | select(.outcome != "ok") | .store'
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Option(help: ArgumentHelp("Only this store; may be given several times.", valueName: "id"))
    var store: [StoreID] = []
    @Option(help: ArgumentHelp("Only this job; may be given several times.", valueName: "job"))
    var job: [JobID] = []
    @Flag(help: "Send what differs, and verify again.")
    var repair = false
    @Flag(help: "Wait until every store was verified, and repaired with --repair.")
    var wait = false
    @Flag(help: "Show what was found last; begin nothing.")
    var last = false

    @Option(help: ArgumentHelp("With --wait: seconds after which it is no longer waited for.", valueName: "seconds"))
    var timeout: Int?

    /// Between two looks at how far it is.
    private static let pollInterval = Duration.milliseconds(250)
    /// An agent that lost its line just now gets this long to come back and be repaired.
    private static let offlineGrace = Duration.seconds(5)

    func validate() throws {
        if last, repair || wait { throw ValidationError("--last begins nothing: leave out --repair and --wait") }
    }

    func run() async throws {
        let found = try await hub.connected { client in
            if last { return try await newest(client, since: 0) }
            let request = VerifyRequest(stores: store, jobs: job, repair: repair)
            let begun = try await client.post(VerifyReply.self, "verifications", request).verifications
            return wait ? try await results(of: begun, client) : begun
        }
        if output.json {
            try Output.json(VerifyReply(verifications: found))
        } else {
            Output.lines(VerifyViews.list(found, now: Output.now, Output.screen))
        }
        if wait || last, !found.allSatisfy(\.isGood) { throw ExitCode(Complaint.someStoresMissing) }
    }

    /// The newest verification of each store and job, once nothing more comes of it by itself.
    private func results(
        of begun: [VerificationSummary], _ client: AdminClient
    ) async throws -> [VerificationSummary] {
        guard let first = begun.map(\.id).min() else { return [] }
        let wanted = Set(begun.map(Pair.init))
        let start = ContinuousClock.now
        while true {
            let found = try await newest(client, since: first).filter { wanted.contains(Pair($0)) }
            let waited = ContinuousClock.now - start
            if found.count == wanted.count, found.allSatisfy(\.isOver) { return found }
            if let timeout, waited >= .seconds(timeout) {
                Output.note("time is up; the hub goes on. See: waybill verify --last")
                return found
            }
            // A repair reaches a store that is away when it is back: nobody knows when.
            if found.allSatisfy({ $0.outcome != "running" }), waited >= VerifyCommand.offlineGrace {
                let online = Set(try await client.get([StoreSummary].self, "stores").filter(\.online).map(\.store))
                if !found.contains(where: { $0.repairing && online.contains($0.store) }) { return found }
            }
            try await Task.sleep(for: VerifyCommand.pollInterval)
        }
    }

    private func newest(_ client: AdminClient, since: Int64) async throws -> [VerificationSummary] {
        let path = APIPath("verifications").with("since", String(since)).with("limit", "100000")
        var newest: [Pair: VerificationSummary] = [:]
        for one in try await client.get([VerificationSummary].self, path)
        where (store.isEmpty || store.contains(one.store)) && (job.isEmpty || job.contains(one.job)) {
            let known = newest[Pair(one)]
            if known.map({ $0.id < one.id }) ?? true { newest[Pair(one)] = one }
        }
        return newest.values.sorted { ($0.store, $0.job) < ($1.store, $1.job) }
    }

    private struct Pair: Hashable {
        var store: StoreID
        var job: JobID

        init(_ one: VerificationSummary) {
            store = one.store
            job = one.job
        }
    }
}
