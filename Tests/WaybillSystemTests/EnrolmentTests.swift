import Foundation
import Testing

extension SystemTests {
    /// Who may not, does not, and both sides say why.
    @Suite struct EnrolmentTests {
        @Test func aCodeServesOneKeyOnce() async throws {
            try await Chain.with([], publish: false) { chain in
                let hub = chain.hub
                let code = try await hub.code(for: Chain.call)
                let first = hub.world.folder + "/first"
                #expect(try await hub.world.run("waybill-agent", ["enrol", code, first]).ending == .status(0))
                let again = try await hub.world.run("waybill-agent", ["enrol", code, first])
                #expect(again.ending == .status(0), "the same machine may ask again: an answer can be lost")
                let keys = try hub.operationsRows("SELECT hex(public_key) FROM store")
                let other = try await hub.world.run("waybill-agent", ["enrol", code, hub.world.folder + "/other"])
                #expect(other.ending == .status(1))
                #expect(other.err.contains("has been used already"))
                #expect(
                    try hub.running().err.contains(
                        "an enrolment was refused: the enrolment code of store \(Chain.call) has been used already"))
                #expect(try hub.operationsRows("SELECT hex(public_key) FROM store") == keys)
                #expect(!FileManager.default.fileExists(atPath: hub.world.folder + "/other/enrolment.json"))
            }
        }

        @Test func aCopiedCodeIsAnAlarmThatTheStoreListShows() async throws {
            try await Chain.with([], publish: false) { chain in
                let hub = chain.hub
                let code = try await hub.code(for: Chain.call)
                let mine = try await hub.world.run("waybill-agent", ["enrol", code, hub.world.folder + "/mine"])
                #expect(mine.ending == .status(0))
                let copied = try await hub.world.run("waybill-agent", ["enrol", code, hub.world.folder + "/copied"])
                #expect(copied.ending == .status(1))
                let alarm = "the enrolment code of store \(Chain.call), used already, was shown by another machine"
                try await eventually("the alarm", within: 10) { try hub.running().err.contains("ALARM: \(alarm)") }
                #expect(try await hub.done("store", "list").out.contains(alarm))
            }
        }

        @Test func aCodeEndsWithItsTimeAndWithANewerOne() async throws {
            try await Chain.with([], publish: false) { chain in
                let hub = chain.hub
                func enrol(_ code: String, _ home: String) async throws -> (ending: Ending, out: String, err: String) {
                    try await hub.world.run("waybill-agent", ["enrol", code, hub.world.folder + "/" + home])
                }
                let first = try await hub.code(for: Chain.call)
                let answer = try await hub.done("store", "add", Chain.call, "--valid-for", "2h", "--json")
                let second = try answer.decoded(Code.self).code
                #expect(try await enrol(first, "first").err.contains("is not known here"))
                #expect(try await hub.done("store", "list").out.contains("code good for "))
                try hub.operations("UPDATE enrolment SET expires_at = 1")
                #expect(try await enrol(second, "second").err.contains("has expired; ask for a new one"))
                #expect(try await hub.done("store", "show", Chain.call).out.contains("its code has expired"))
                let wrong = try await hub.waybill("store", "add", Chain.call, "--valid-for", "1s")
                #expect(wrong.ending == .status(64))
                let third = try await hub.code(for: Chain.call)
                #expect(try await enrol(third, "third").ending == .status(0))
                let shown = try await hub.done("store", "show", Chain.call).out
                #expect(!shown.contains("code"), "a used code has no end")
            }
        }

        @Test func aMachineThatKnocksTooOftenIsToldToWait() async throws {
            try await Chain.with([], publish: false) { chain in
                let hub = chain.hub
                let code = try await hub.code(for: Chain.call)
                var endings: [Ending] = []
                for _ in 0..<11 {
                    let run = try await hub.world.run("waybill-agent", ["enrol", code, hub.world.folder + "/one"])
                    endings.append(run.ending)
                    if run.ending != .status(0) {
                        #expect(run.err.contains("this machine tries too often; wait a minute"))
                    }
                }
                // Unless the machine that runs this is so slow that the minute went by.
                #expect(endings.prefix(10).allSatisfy { $0 == .status(0) })
                #expect(endings.last == .status(1))
            }
        }

        @Test func aKeyThatIsNotEnrolledGetsNothing() async throws {
            try await Chain.with([Chain.shop], publish: false) { chain in
                let hub = chain.hub
                let other = try await TestHub(hub.world, name: "other-hub")
                try await other.start()
                try other.sql("INSERT INTO store VALUES ('\(Chain.call)', 'N', 'store', NULL, NULL, NULL, 'LE', 'USD')")
                let stranger = try await TestAgent(other, Chain.call)
                // It knows everything about this hub, also its key; only its own key is not enrolled here.
                let known = try String(contentsOfFile: chain[Chain.shop].home + "/enrolment.json", encoding: .utf8)
                try known.replacing(Chain.shop, with: Chain.call)
                    .write(toFile: stranger.home + "/enrolment.json", atomically: true, encoding: .utf8)
                try await expectRefused(
                    stranger, by: hub, hubSays: "unknown key", agentSays: "the hub refused this store's key")
                _ = try await hub.publish("prices")
                #expect(try stranger.applied().isEmpty)
            }
        }

        @Test func aStoreThatSpeaksForAnotherIsRefused() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let liar = chain[Chain.shop]
                _ = try await liar.running().stop()
                let before = try await chain.hub.stores().map(\.watermarks.count)
                let path = liar.home + "/enrolment.json"
                try String(contentsOfFile: path, encoding: .utf8).replacing(Chain.shop, with: Chain.call)
                    .write(toFile: path, atomically: true, encoding: .utf8)
                // Its database knows better, so the agent does not even start.
                try liar.start()
                #expect(try await liar.running().ending() == .status(1))
                #expect(
                    try liar.running().err.contains(
                        "is the database of store \(Chain.shop), not of store \(Chain.call)"))
                for suffix in ["", "-wal", "-shm"] {
                    try? FileManager.default.removeItem(atPath: liar.home + "/store.db" + suffix)
                }
                try await expectRefused(
                    liar, by: chain.hub, hubSays: "store \(Chain.shop) spoke for store \(Chain.call) and was refused",
                    agentSays: "your key is that of store \(Chain.shop)")
                #expect(try liar.applied().isEmpty)
                #expect(try await chain.hub.stores().map(\.watermarks.count) == before)
            }
        }

        @Test func aRetiredStoreIsShutOutAlsoWhileItIsConnected() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let hub = chain.hub
                let retired = chain[Chain.shop]
                let before = Content(try retired.content())
                try await hub.done("store", "retire", Chain.shop)
                try hub.sql("UPDATE exchange_rate SET rate = 0.5")
                let session = try #require(try await hub.publish("prices").first)
                #expect(session.deliveries.each.map(\.store) == [Chain.call])
                try await eventually("both sides say so", within: 20) {
                    try retired.running().err.contains("the hub refuses this store")
                        && hub.running().err.contains("refused")
                }
                #expect(Content(try retired.content()) == before)
                // And when it comes anew, it does not get in at all.
                _ = try await retired.running().stop()
                try await expectRefused(
                    retired, by: hub, hubSays: "unknown key", agentSays: "the hub refused this store's key")
                #expect(Content(try retired.content()) == before)
                // Until it is added and enrols again.
                _ = try await retired.running().stop()
                let code = try await hub.code(for: Chain.shop)
                #expect(try await hub.world.run("waybill-agent", ["enrol", code, retired.home]).ending == .status(0))
                try retired.start()
                _ = try await hub.publish()
                #expect(try retired.rows("SELECT DISTINCT rate_e6 FROM exchange_rate") == [["500000"]])
            }
        }

        private func expectRefused(
            _ agent: TestAgent, by hub: TestHub, hubSays: String, agentSays: String
        ) async throws {
            let said = try hub.running().err.count
            try agent.start()
            try await eventually("the agent says \"\(agentSays)\"", within: 15) {
                try agent.running().err.contains(agentSays)
            }
            try await eventually("the hub says \"\(hubSays)\"", within: 15) {
                try hub.running().err.dropFirst(said).contains(hubSays)
            }
            #expect(try agent.running().isRunning, "it goes on asking now and then")
        }

        @Test(arguments: 0...2) func whoeverDoesNotEncryptGetsNothing(port: Int) async throws {
            try await Chain.with([Chain.call], publish: false) { chain in
                let client = try PlainClient(port: chain.hub.port + port)
                defer { client.close() }
                // ZMTP 3.0 without security, and READY as DEALER; see https://rfc.zeromq.org/spec/23/.
                client.send([0xff] + [UInt8](repeating: 0, count: 8) + [0x7f, 3, 0])
                var greeting: [UInt8] = []
                try await eventually("its greeting", within: 5) {
                    greeting += client.received()
                    return greeting.count >= 64
                }
                #expect(String(decoding: greeting, as: UTF8.self).contains("CURVE"))
                client.send(pad("NULL", 20) + [UInt8](repeating: 0, count: 32))
                client.send(
                    [4, 28, 5] + Array("READY".utf8) + [11] + Array("Socket-Type".utf8) + [0, 0, 0, 6]
                        + Array("DEALER".utf8))
                // Meanwhile there is something to be heard, for others.
                _ = try await chain.hub.publish("prices")
                #expect(greeting.count == 64 && client.received().isEmpty, "nothing but the greeting")
            }
        }

        private func pad(_ text: String, _ count: Int) -> [UInt8] {
            Array(text.utf8) + [UInt8](repeating: 0, count: count - text.utf8.count)
        }
    }
}

/// A program that speaks TCP and nothing else.
struct PlainClient {
    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        guard descriptor >= 0, FreePorts.withAddress(port, { connect(descriptor, $0, size) }) == 0 else {
            throw Trouble("port \(port) does not answer")
        }
    }

    func send(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// What has come so far.
    func received() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return Array(buffer.prefix(max(0, count)))
    }

    func close() { Foundation.close(descriptor) }
}
