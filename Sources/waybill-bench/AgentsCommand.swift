import ArgumentParser
import Foundation
import WaybillModel
import WaybillSocket
import WaybillWire

/// Who connects as what: one line for each agent, kept from strangers like any key.
struct SwarmKeys {
    var hub: CurvePublicKey
    var signing: [UInt8]
    var agents: [(store: StoreID, keys: CurveKeyPair)]

    static func write(_ chain: BenchChain, _ range: Range<Int>, to path: String) throws {
        let hub = try CurveKeyPair(
            secretZ85: String(contentsOfFile: chain.home.keys + "/hub.curve", encoding: .utf8)
                .trimmingCharacters(in: .whitespacesAndNewlines))
        let seed = [UInt8](try Data(contentsOf: URL(fileURLWithPath: chain.home.keys + "/hub.signing")))
        let signing = Data(try SigningKey(rawBytes: seed).verifyingKey.rawBytes).base64EncodedString()
        let lines = range.map { "\(chain.stores[$0].rawValue) \(chain.keys[$0].secretZ85)" }
        let text = ([hub.publicKey.z85, signing] + lines).joined(separator: "\n")
        guard
            FileManager.default.createFile(
                atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
        else { throw BenchFault("\(path) cannot be written") }
    }

    init(reading path: String) throws {
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
        guard lines.count >= 2, let signing = Data(base64Encoded: lines[1]) else {
            throw BenchFault("\(path) holds no keys")
        }
        hub = try CurvePublicKey(z85: lines[0])
        self.signing = [UInt8](signing)
        agents = try lines.dropFirst(2).map { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let store = StoreID(String(words[0])) else {
                throw BenchFault("\(path) holds a line that is none of ours")
            }
            return (store, try CurveKeyPair(secretZ85: String(words[1])))
        }
    }
}

/// Agents of many stores in one process.
struct AgentsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agents", abstract: "Play many agents; commands come on standard input.", shouldDisplay: false)

    @Argument var keys: String
    @Argument var endpoints: [String]

    func run() throws {
        let known = try SwarmKeys(reading: keys)
        let swarm = try Swarm(keys: known.agents.map(\.keys), serverKey: known.hub, endpoints: endpoints)
        let agents = Agents(known, swarm, try VerifyingKey(rawBytes: known.signing))
        try agents.run()
    }
}

/// The agents of one process, and what is counted of them.
private final class Agents {
    private var agents: [LightAgent]
    private var manifests: OpenManifests
    private var report = SwarmReport()
    private let swarm: Swarm
    private var nextTick = 0
    /// Each agent's timers are looked at once in so many ticks.
    private static let ticksAround = 100

    init(_ known: SwarmKeys, _ swarm: Swarm, _ key: VerifyingKey) {
        agents = known.agents.enumerated().map { LightAgent(store: $0.element.store, number: $0.offset) }
        manifests = OpenManifests(key: key)
        self.swarm = swarm
        report.agents = agents.count
    }

    private var now: Timestamp { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }

    func run() throws {
        swarm.onConnected = { [unowned self] number in send(agents[number].connected(now: now), number) }
        swarm.onNews = { [unowned self] number in try hear(number) }
        swarm.onTick = { [unowned self] in try tick() }
        try swarm.run { command in
            if command == "begin" { report.begin() }
            return String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
        }
    }

    /// Everything that waits at one agent's socket.
    private func hear(_ number: Int) throws -> Bool {
        var hadAny = false
        while let message = try swarm.line(number).letters.receive() {
            hadAny = true
            guard let frame = message.frames.first else { continue }
            var events: [LightAgent.Event] = []
            let letter = try HubLetter(decoding: frame)
            let letters = agents[number].hear(letter, now: now, manifests: &manifests, &events)
            note(events)
            send(letters, number)
        }
        return hadAny
    }

    private func tick() throws {
        let share = max(1, agents.count / Agents.ticksAround)
        for _ in 0..<share {
            let number = nextTick
            nextTick = (nextTick + 1) % agents.count
            guard swarm.line(number).isConnected else { continue }
            let letters = agents[number].tick(now: now)
            guard !letters.isEmpty else { continue }
            send(letters, number)
            try swarm.look(at: number)
        }
    }

    /// What does not fit is lost; it is said again when its time is up.
    private func send(_ letters: [AgentLetter], _ number: Int) {
        for letter in letters {
            do { _ = try swarm.line(number).letters.send([try letter.encoded()]) } catch {
                report.noteFault("\(error)")
            }
        }
    }

    private func note(_ events: [LightAgent.Event]) {
        let at = sharedSeconds()
        for event in events {
            switch event {
            case .welcomed: report.welcomed += 1
            case .offered:
                report.offered += 1
                report.firstAt = report.firstAt ?? at
            case .chunk(let bytes):
                report.bytes += Int64(bytes)
                report.lastChunkAt = at
            case .applied:
                report.applied += 1
                report.lastAt = at
            case .fault(let text): report.noteFault(text)
            }
        }
    }
}
