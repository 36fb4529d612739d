import ArgumentParser
import Foundation
import WaybillModel

/// Row 9: what it costs a hub that stores are connected and say nothing but Hello.
struct ConnectedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connected", abstract: "Row 9: memory and processor of a hub with many idle agents.")

    @OptionGroup var options: BenchOptions
    @Option(help: "Agents that connect.")
    var stores: Int?
    @Option(help: "Seconds of heartbeats that are looked at.")
    var seconds: Int?
    @Option(help: "Folder of waybill-hub; without it this program plays the hub.")
    var bin: String?
    @Option(help: "The hub's port; the next ones are used too.")
    var port = 17_820

    /// Sockets of an agent in one process, each with a connection and a descriptor of its own.
    private static let descriptorsPerSocket = 2
    /// What a process needs besides.
    private static let spareDescriptors = 300

    func run() async throws {
        try await options.inFolder("connected") { folder in
            try Descriptors.raise()
            let wanted = stores ?? (options.quick ? 300 : 10_000)
            // As agents are: one connection for letters and one for announcements.
            let possible = min(wanted, (Descriptors.limit - Self.spareDescriptors) / 2)
            try measure(folder + "/both", possible, hasAnnouncements: true, wanted)
            if possible < wanted { try measure(folder + "/letters", wanted, hasAnnouncements: false, wanted) }
        }
    }

    private func measure(_ folder: String, _ count: Int, hasAnnouncements: Bool, _ wanted: Int) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let listen = "tcp://127.0.0.1:\(port)"
        let size = ChainSize(stores: count, audiences: 1, groups: 1, rowsPerGroup: 10)
        let chain = try BenchChain.make(at: folder + "/hub", size, hasKeys: true, listen: listen)
        let hub = try HubProcess(chain.home, programs: bin)
        defer { hub.stop() }
        sleep(2)
        let before = try hub.memory().now
        let group = try connect(chain, folder, hasAnnouncements ? [listen, "tcp://127.0.0.1:\(port + 1)"] : [listen])
        defer { group.stop() }
        let welcomed = try group.wait("agents are welcomed", seconds: 240) { $0.welcomed == count }
        // Until the hellos have spread, and what was written for the first of them is behind us.
        sleep(UInt32(options.quick ? 2 : BenchChain.helloSeconds))
        let span = seconds ?? (options.quick ? 10 : 60)
        let (processor, begun) = (try hub.processorSeconds(), sharedSeconds())
        sleep(UInt32(span))
        let share = (try hub.processorSeconds() - processor) / (sharedSeconds() - begun)
        let memory = try hub.memory()
        let each = Double(memory.now - before) / Double(count) / 1024
        let kind = hasAnnouncements ? "letters and announcements" : "letters only"
        let why = count < wanted ? "; \(wanted) need more open files than the \(Descriptors.limit) allowed here" : ""
        let whole =
            "hub \(before / 1_048_576) MiB before, \(memory.now / 1_048_576) MiB with them, most \(memory.peak / 1_048_576) MiB; a hello each \(BenchChain.helloSeconds) s; faults \(welcomed.faults)\(why)"
        try BenchLine(
            row: 9, what: "\(count) agents connected for \(kind): memory of the hub for each", measured: each.rounded4,
            unit: "KiB", ratio: nil, goal: "≤ 100", against: "-", met: each <= 100, note: whole
        ).print()
        try BenchLine(
            row: 9, what: "\(count) agents connected for \(kind): processor of the idle hub",
            measured: (share * 100).rounded4, unit: "% of a core", ratio: nil, goal: "≤ 5", against: "-",
            met: share <= 0.05, note: "\(span) s"
        ).print()
    }

    /// In as many processes as their descriptors need.
    private func connect(_ chain: BenchChain, _ folder: String, _ endpoints: [String]) throws -> SwarmGroup {
        let each = (Descriptors.limit - Self.spareDescriptors) / (Self.descriptorsPerSocket * endpoints.count)
        var processes: [SwarmProcess] = []
        for start in stride(from: 0, to: chain.stores.count, by: each) {
            let keys = folder + "/keys-\(start)"
            try SwarmKeys.write(chain, start..<min(start + each, chain.stores.count), to: keys)
            processes.append(try SwarmProcess(["agents", keys] + endpoints, log: folder + "/agents-\(start).log"))
        }
        return SwarmGroup(processes: processes)
    }
}
