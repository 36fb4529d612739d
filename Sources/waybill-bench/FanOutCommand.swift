import ArgumentParser
import Foundation
import GRDB
import WaybillDatabase
import WaybillModel
import WaybillSessions
import WaybillSocket

/// Row 8: how fast thousands of connected stores get a delta, against libzmq alone.
struct FanOutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fan-out", abstract: "Row 8: thousands of agents take one delta, over real sockets with CURVE.")

    @OptionGroup var options: BenchOptions
    @Option(help: "Agents that connect, all in one process.")
    var stores: Int?
    @Option(help: "Rows that the delta changes.")
    var changed: Int?
    @Option(help: "Folder of waybill-hub; without it this program plays the hub.")
    var bin: String?
    @Option(help: "The hub's port; the next ones are used too.")
    var port = 17_800

    func run() async throws {
        try await options.inFolder("fan-out") { folder in
            try Descriptors.raise()
            let count = stores ?? (options.quick ? 300 : 5_000)
            try Descriptors.check(2 * count + 100, "\(count) agents in one process")
            let changed = changed ?? (options.quick ? 2_000 : 10_000)
            let size = ChainSize(stores: count, audiences: 1, groups: 1, rowsPerGroup: 2 * changed)
            let listen = "tcp://127.0.0.1:\(port)"
            let chain = try BenchChain.make(at: folder + "/hub", size, hasKeys: true, listen: listen)
            let keys = folder + "/keys"
            try SwarmKeys.write(chain, 0..<count, to: keys)
            let hub = try HubProcess(chain.home, programs: bin)
            defer { hub.stop() }
            let agents = SwarmGroup(processes: [
                try SwarmProcess(["agents", keys, listen], log: folder + "/agents.log")
            ])
            defer { agents.stop() }
            _ = try agents.wait("agents are welcomed", seconds: 120) { $0.welcomed == count }
            let bare = try BareNetwork(
                keys: keys, folder: folder, endpoint: "tcp://127.0.0.1:\(port + 5)", count: count)
            defer { bare.stop() }
            let fanOut = FanOut(chain: chain, hub: hub, agents: agents, count: count)
            // The first load brings everything; the deltas after it are what is measured.
            _ = try fanOut.run(isFull: true)
            var (ours, peers) = ([FanOut.Run](), [FanOut.Run]())
            for _ in 0..<options.runCount(usual: 5) {
                try chain.change(rows: changed, ofGroups: 1)
                let run = try fanOut.run(isFull: false)
                ours.append(run)
                peers.append(try bare.run(chunks: try fanOut.chunks()))
            }
            try print(ours, peers, chain, hub, changed, try fanOut.chunks())
        }
    }

    private func print(
        _ ours: [FanOut.Run], _ peers: [FanOut.Run], _ chain: BenchChain, _ hub: HubProcess, _ changed: Int,
        _ chunks: [Int]
    ) throws {
        let rate = Sample(values: ours.map(\.bytesPerSecond)).median / 1e6
        let peer = Sample(values: peers.map(\.bytesPerSecond)).median / 1e6
        let whole = Sample(values: ours.map(\.seconds)).median
        let processor = Sample(values: ours.map(\.processorSeconds)).median
        let memory = try hub.memory()
        try BenchLine(
            row: 8, what: "\(chain.stores.count) agents take a delta of \(changed) rows", measured: rate.rounded4,
            unit: "MB/s", ratio: (rate / peer).rounded4, goal: "≥ 0.7",
            against: "libzmq's ROUTER and DEALER with CURVE and ZAP, \(peer.told(0)) MB/s", met: rate / peer >= 0.7,
            note:
                "chunks of \(chunks.map(String.init).joined(separator: " + ")) bytes; from the first offer to the last chunk, then to the last acknowledged Applied \(whole.told(2)) s; processor of the hub \(processor.told(2)) s; runs \(Sample(values: ours.map { $0.bytesPerSecond / 1e6 }).spread(0)), peer \(Sample(values: peers.map { $0.bytesPerSecond / 1e6 }).spread(0)) MB/s; resident \(memory.now / 1_048_576) MiB, most \(memory.peak / 1_048_576) MiB; faults \(ours.map(\.faults).reduce(0, +))"
        ).print()
    }
}

/// One session, from its publishing until everybody has applied it.
struct FanOut {
    let chain: BenchChain
    let hub: HubProcess
    let agents: SwarmGroup
    let count: Int

    struct Run {
        var bytesPerSecond: Double
        /// From the first offer to the last acknowledgement.
        var seconds: Double
        var processorSeconds: Double
        var faults: Int
    }

    func run(isFull: Bool) throws -> Run {
        _ = try agents.ask("begin")
        let before = try hub.processorSeconds()
        _ = try hub.admin.post("/v1/publish", "{\"jobs\": [\"\(BenchChain.job)\"], \"full\": \(isFull)}")
        let report = try agents.wait("a session reaches everybody", seconds: 300) { $0.applied >= count }
        guard let first = report.firstAt, let chunk = report.lastChunkAt, let last = report.lastAt else {
            throw BenchFault("the agents were not offered anything")
        }
        return Run(
            bytesPerSecond: Double(report.bytes) / (chunk - first), seconds: last - first,
            processorSeconds: try hub.processorSeconds() - before, faults: report.faults)
    }

    /// The sizes of the chunks of the newest package.
    func chunks() throws -> [Int] {
        let queue = try OpenDatabase.queue(at: chain.home.hubDatabase, label: "hub", isReadOnly: true)
        defer { try? queue.close() }
        let bytes = try queue.read { db in
            try Int.fetchOne(db, sql: "SELECT bytes FROM package ORDER BY session DESC LIMIT 1") ?? 0
        }
        let whole = Array(repeating: Limits.chunkBytesMin, count: bytes / Limits.chunkBytesMin)
        return bytes % Limits.chunkBytesMin == 0 ? whole : whole + [bytes % Limits.chunkBytesMin]
    }
}

/// The peer: two processes as well, one with a ROUTER and one with as many DEALERs.
struct BareNetwork {
    private let router: SwarmProcess
    private let dealers: SwarmGroup
    private let count: Int

    init(keys: String, folder: String, endpoint: String, count: Int) throws {
        let secret = folder + "/bare.secret"
        let pair = try CurveKeyPair.generate()
        guard
            FileManager.default.createFile(
                atPath: secret, contents: Data(pair.secretZ85.utf8), attributes: [.posixPermissions: 0o600])
        else { throw BenchFault("\(secret) cannot be written") }
        self.count = count
        router = try SwarmProcess(["bare-router", keys, secret, endpoint], log: folder + "/router.log")
        _ = try router.ask("report")
        dealers = SwarmGroup(
            processes: [try SwarmProcess(["bare-dealers", keys, secret, endpoint], log: folder + "/dealers.log")])
        _ = try dealers.wait("dealers connect", seconds: 120) { $0.welcomed == count }
    }

    func run(chunks: [Int]) throws -> FanOut.Run {
        _ = try dealers.ask("go " + chunks.map(String.init).joined(separator: " "))
        let report = try dealers.wait("bare libzmq delivers", seconds: 300) { $0.applied >= count }
        guard let first = report.firstAt, let last = report.lastAt else { throw BenchFault("nothing was delivered") }
        return FanOut.Run(
            bytesPerSecond: Double(report.bytes) / (last - first), seconds: last - first, processorSeconds: 0,
            faults: report.faults)
    }

    func stop() {
        dealers.stop()
        router.stop()
    }
}

/// Open files that a process may have: one for each connection, and one more for each socket of an agent.
enum Descriptors {
    static var limit: Int {
        var limits = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
        return Int(clamping: limits.rlim_cur)
    }

    /// As many as the system lets us have; children inherit it.
    static func raise() throws {
        var limits = rlimit()
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(kind, &limits) == 0 else { throw BenchFault("the limit of open files cannot be read") }
        let wanted = rlimit(rlim_cur: max(limits.rlim_max, 65_536), rlim_max: max(limits.rlim_max, 65_536))
        var given = wanted
        if setrlimit(kind, &given) == 0 { return }
        limits.rlim_cur = limits.rlim_max
        guard setrlimit(kind, &limits) == 0 else { throw BenchFault("the limit of open files cannot be raised") }
    }

    static func check(_ wanted: Int, _ what: String) throws {
        guard wanted <= limit else {
            throw BenchFault("\(what) need \(wanted) open files, and \(limit) are allowed here (ulimit -n)")
        }
    }
}
