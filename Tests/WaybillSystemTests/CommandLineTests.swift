import Foundation
import Testing

extension SystemTests {
    /// What goes wrong at a command line is said in one plain sentence, with the exit status that the help promises.
    @Suite struct CommandLineTests {
        typealias Run = (ending: Ending, out: String, err: String)

        private func expectOneSentence(
            _ run: Run, _ words: String..., status: Int32 = 1, sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(run.ending == .status(status), sourceLocation: sourceLocation)
            #expect(run.out.isEmpty, sourceLocation: sourceLocation)
            let lines = run.err.split(separator: "\n")
            #expect(lines.count == 1, "\(run.err)", sourceLocation: sourceLocation)
            for word in words { #expect(run.err.contains(word), "\(run.err)", sourceLocation: sourceLocation) }
        }

        @Test func aHomeHasOneHubAndOneAgent() async throws {
            try await Chain.with([Chain.call], publish: false) { chain in
                let world = chain.hub.world
                expectOneSentence(
                    try await world.run("waybill-hub", ["run", chain.hub.home]), "another waybill-hub is running",
                    chain.hub.home)
                let agent = chain[Chain.call]
                expectOneSentence(
                    try await world.run("waybill-agent", ["run", agent.home]), "another waybill-agent is running",
                    agent.home)
                #expect(try await chain.hub.publish("prices").map(\.status) == ["Applied"], "the first ones go on")
            }
        }

        @Test(arguments: 0...2) func aPortInUseIsNamed(offset: Int) async throws {
            try await World.with { world in
                let hub = try await TestHub(world)
                let listener = try Listener(port: hub.port + offset)
                defer { listener.close() }
                let run = try await world.run("waybill-hub", ["run", hub.home], within: 20)
                #expect(run.ending == .status(1))
                #expect(run.err.contains("port \(hub.port + offset) on 127.0.0.1 is in use by another program"))
                let plain = run.err.split(separator: "\n").filter { $0.hasPrefix("waybill-hub: ") }
                #expect(plain.count == 1, "\(run.err)")
            }
        }

        @Test func aFolderThatIsNoHomeIsNamed() async throws {
            try await World.with { world in
                let empty = world.folder + "/empty"
                try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
                for home in [empty, world.folder + "/absent"] {
                    expectOneSentence(try await world.run("waybill-hub", ["run", home]), "is not a hub's home")
                    expectOneSentence(try await world.run("waybill-agent", ["run", home]), "is not an agent's home")
                    expectOneSentence(try await world.run("waybill-agent", ["status", home]), "is not an agent's home")
                    expectOneSentence(try await world.run("waybill", ["--hub", home, "status"]), "is not a hub's home")
                }
                #expect(try FileManager.default.contentsOfDirectory(atPath: empty).isEmpty)
                expectOneSentence(
                    try await world.run("waybill-agent", ["enrol", "waybill1.nonsense", empty]), "code")
                #expect(try FileManager.default.contentsOfDirectory(atPath: empty).isEmpty)
            }
        }

        @Test func aHubThatDoesNotRunIsNotWaitedFor() async throws {
            try await World.with { world in
                let hub = try await TestHub(world)
                expectOneSentence(
                    try await world.run("waybill", ["--hub", hub.home, "publish", "--wait"]), "no hub is running")
                try await hub.start()
                try await hub.running().killAtOnce()
                expectOneSentence(try await world.run("waybill", ["--hub", hub.home, "status"]), "no hub is running")
                let before = FileManager.default.contents(atPath: hub.home + "/keys/hub.curve")
                expectOneSentence(try await world.run("waybill-hub", ["init", hub.home]), "is a hub's home already")
                #expect(FileManager.default.contents(atPath: hub.home + "/keys/hub.curve") == before)
            }
        }

        @Test func whatIsNotKnownIsNamed() async throws {
            try await Chain.with([], publish: false) { chain in
                for (arguments, word) in [
                    (["publish", "no-such-job"], "no-such-job"), (["job", "show", "no-such-job"], "no-such-job"),
                    (["publish", "--store", "NOBODY"], "NOBODY"), (["store", "show", "NOBODY"], "NOBODY"),
                    (["store", "add", "NOBODY"], "NOBODY"), (["store", "retire", "NOBODY"], "NOBODY"),
                    (["session", "show", "4711"], "4711"), (["session", "cancel", "4711"], "4711"),
                    (["session", "rerun", "4711-0123456789ab"], "4711-0123456789ab"),
                ] {
                    expectOneSentence(
                        try await chain.hub.world.run("waybill", ["--hub", chain.hub.home] + arguments), word)
                }
                #expect(try await chain.hub.sessions().isEmpty)
            }
        }

        @Test func wrongUsageEndsWith64() async throws {
            try await World.with { world in
                for (program, arguments) in [
                    ("waybill", ["publish", "--no-such-option"]), ("waybill", ["no-such-command"]),
                    ("waybill", ["--hub", "x", "session", "show", "not a session"]),
                    ("waybill", ["--hub", "x", "session", "list", "--status", "Unheard-of"]), ("waybill", ["status"]),
                    ("waybill-hub", ["run"]), ("waybill-hub", ["run", "x", "--no-such-option"]),
                    ("waybill-agent", ["enrol"]), ("waybill-agent", ["no-such-command"]),
                ] {
                    let run = try await world.run(program, arguments)
                    #expect(run.ending == .status(64), "\(program) \(arguments)")
                    #expect(run.out.isEmpty && !run.err.isEmpty, "\(program) \(arguments)")
                }
            }
        }

        @Test func storesThatAreNotReachedMakeStatus3AndAreNamed() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                _ = try await chain[Chain.shop].running().stop()
                try chain.hub.sql("UPDATE exchange_rate SET rate = 0.5")
                let answer = try await chain.hub.waybill("publish", "prices", "--wait", "--json")
                #expect(answer.ending == .status(3))
                #expect(answer.err.contains(Chain.shop) && !answer.err.contains(Chain.call), "\(answer.err)")
                try chain[Chain.shop].start()
                try await eventually("the other store catches up") {
                    try await chain.hub.sessions().first?.counts == ["Applied": 2]
                }
            }
        }
    }
}

/// Somebody else's program on a port.
struct Listener {
    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        guard descriptor >= 0, FreePorts.withAddress(port, { bind(descriptor, $0, size) }) == 0,
            listen(descriptor, 1) == 0
        else { throw Trouble("port \(port) cannot be taken") }
    }

    func close() { Foundation.close(descriptor) }
}
