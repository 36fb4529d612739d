import Foundation
import GRDB

/// A store's home and its agent.
final class TestAgent {
    let world: World
    let store: String
    let home: String
    private(set) var process: RunningProcess?

    /// An agent of `hub` that has enrolled and does not run yet.
    convenience init(_ hub: TestHub, _ store: String, folder: String? = nil, settings: String = "") async throws {
        try self.init(beginning: hub, store, folder: folder, code: try await hub.code(for: store))
        try await finishEnrolment(settings: settings)
    }

    private let enrolment: RunningProcess

    private init(beginning hub: TestHub, _ store: String, folder: String?, code: String) throws {
        world = hub.world
        self.store = store
        home = world.folder + "/" + (folder ?? store)
        enrolment = try world.start("waybill-agent", ["enrol", code, home])
    }

    private func finishEnrolment(settings: String) async throws {
        guard try await enrolment.ending(within: 30) == .status(0) else { throw Trouble("enrol: \(enrolment.err)") }
        try configure(settings)
    }

    /// Several stores at once: codes one after the other, enrolments together, all started.
    static func startAll(_ hub: TestHub, _ stores: [String]) async throws -> [TestAgent] {
        var agents: [TestAgent] = []
        for store in stores {
            agents.append(try TestAgent(beginning: hub, store, folder: nil, code: try await hub.code(for: store)))
        }
        for agent in agents {
            try await agent.finishEnrolment(settings: "")
            try agent.start()
        }
        return agents
    }

    /// Replaces `agent.yaml`.
    func configure(_ settings: String) throws {
        try (settings + "\n").write(toFile: home + "/agent.yaml", atomically: true, encoding: .utf8)
    }

    func start(crashAt: String? = nil) throws {
        process = try world.start(
            "waybill-agent", ["run", home], environment: crashAt.map { ["WAYBILL_CRASH_AT": $0] } ?? [:])
    }

    func running() throws -> RunningProcess {
        guard let process else { throw Trouble("the agent of \(store) was not started") }
        return process
    }

    func killAtOnce() async throws { try await running().killAtOnce() }

    func rows(_ query: String, _ arguments: StatementArguments = []) throws -> [[String?]] {
        try WaybillSystemTests.rows(of: home + "/store.db", query, arguments)
    }

    /// Every row of every table that Waybill fills here, by table.
    func content() throws -> [String: Set<[String?]>] {
        let names = try rows("SELECT name FROM _waybill_table").compactMap { $0[0] }
        return try Dictionary(uniqueKeysWithValues: names.map { ($0, Set(try rows("SELECT * FROM \"\($0)\""))) })
    }

    /// (session, run) of every session applied here, oldest first.
    func applied() throws -> [[String?]] {
        try rows("SELECT session, run FROM _waybill_outcome WHERE outcome = 'applied' ORDER BY at, session")
    }
}

enum FreePorts {
    /// The first of three neighbouring ports that nobody listens on, below those that the system hands out.
    static func three() throws -> Int {
        for _ in 0..<200 {
            let first = Int.random(in: 10_000...32_000)
            if (first...first + 2).allSatisfy(isFree) { return first }
        }
        throw Trouble("no three free ports")
    }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withAddress(port) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } == 0
    }

    /// The loopback address of a port, as the system's calls take it.
    static func withAddress<Result>(_ port: Int, _ body: (UnsafePointer<sockaddr>) -> Result) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) }
        }
    }
}
