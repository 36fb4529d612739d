import ArgumentParser
import CZeroMQ
import Foundation
import WaybillModel
import WaybillSocket

/// The peer of the fan-out: the same sockets with the same options, and nothing but libzmq's own calls between them.

/// Where the two halves of the peer meet, and by which keys.
struct BarePlace: ParsableArguments {
    @Argument var keys: String
    @Argument(help: "File with the router's secret key.") var secret: String
    @Argument var endpoint: String

    func routerKeys() throws -> CurveKeyPair {
        try CurveKeyPair(secretZ85: try String(contentsOfFile: secret, encoding: .utf8))
    }
}

/// A ROUTER that answers each request with as many bytes as it asks for, from one buffer that is never copied by us.
struct BareRouterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bare-router", abstract: "Answer with bytes.", shouldDisplay: false)

    @OptionGroup var place: BarePlace

    static let domain = "bench.agents"

    func run() throws {
        let known = try SwarmKeys(reading: place.keys)
        let pair = try place.routerKeys()
        let context = try ZMQContext()
        let names = Dictionary(
            known.agents.map { ($0.keys.publicKey, $0.store.rawValue) }, uniquingKeysWith: { a, _ in a })
        let gatekeeper = try Gatekeeper(context: context, policies: [Self.domain: .allowList(names)]) { _ in }
        defer { gatekeeper.stop() }
        var settings = SocketSettings(
            security: .server(pair, domain: Self.domain), frameBytesMax: Limits.messageBytesMax)
        settings.sendQueueMax = 40
        let socket = try ZMQSocket(.router, settings, context: context)
        try socket.bind(place.endpoint)
        try serve(socket)
    }

    private func serve(_ socket: borrowing ZMQSocket) throws {
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: Limits.chunkBytesMax, alignment: 64)
        var random = SystemRandomNumberGenerator()
        for offset in stride(from: 0, to: Limits.chunkBytesMax, by: 8) {
            buffer.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
        }
        var (identity, request) = (zmq_msg_t(), zmq_msg_t())
        zmq_msg_init(&identity)
        zmq_msg_init(&request)
        var items = [
            zmq_pollitem_t(socket: socket.bare, fd: -1, events: Int16(ZMQ_POLLIN), revents: 0),
            zmq_pollitem_t(socket: nil, fd: STDIN_FILENO, events: Int16(ZMQ_POLLIN), revents: 0),
        ]
        while true {
            zmq_poll(&items, 2, -1)
            if items[1].revents != 0 {
                guard readLine() != nil else { return }
                answer(String(decoding: try JSONEncoder().encode(SwarmReport()), as: UTF8.self))
            }
            while zmq_msg_recv(&identity, socket.bare, ZMQ_DONTWAIT) >= 0 {
                guard zmq_msg_recv(&request, socket.bare, 0) >= 0, zmq_msg_size(&request) >= 4 else { continue }
                let size = zmq_msg_data(&request).loadUnaligned(as: UInt32.self)
                var chunk = zmq_msg_t()
                // No function to free it: libzmq takes it for a constant.
                zmq_msg_init_data(&chunk, buffer, min(Int(size), Limits.chunkBytesMax), nil, nil)
                guard zmq_msg_send(&identity, socket.bare, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 else {
                    zmq_msg_close(&chunk)
                    continue
                }
                if zmq_msg_send(&chunk, socket.bare, ZMQ_DONTWAIT) < 0 { zmq_msg_close(&chunk) }
            }
        }
    }
}

/// DEALERs that ask for chunks of given sizes, with a credit that grows as an agent's does, and look at nothing.
struct BareDealersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bare-dealers", abstract: "Ask for bytes.", shouldDisplay: false)

    @OptionGroup var place: BarePlace

    func run() throws {
        let known = try SwarmKeys(reading: place.keys)
        let swarm = try Swarm(
            keys: known.agents.map(\.keys), serverKey: try place.routerKeys().publicKey, endpoints: [place.endpoint])
        try BareDealers(swarm, count: known.agents.count).run()
    }
}

private final class BareDealers {
    private let swarm: Swarm
    private var states: [State]
    private var chunks: [UInt32] = []
    private var report = SwarmReport()
    private var part = zmq_msg_t()

    private struct State {
        var asked = 0
        var got = 0
        var credit = 2
    }

    init(_ swarm: Swarm, count: Int) {
        self.swarm = swarm
        states = Array(repeating: State(), count: count)
        report.agents = count
        zmq_msg_init(&part)
    }

    func run() throws {
        swarm.onConnected = { [unowned self] _ in report.welcomed += 1 }
        swarm.onNews = { [unowned self] number in hear(number) }
        try swarm.run { command in
            let words = command.split(separator: " ")
            if words.first == "go" { try go(words.dropFirst().compactMap { UInt32($0) }) }
            return String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
        }
    }

    private func go(_ sizes: [UInt32]) throws {
        chunks = sizes
        report.begin()
        report.firstAt = sharedSeconds()
        for number in states.indices {
            states[number] = State()
            ask(number)
        }
        for number in states.indices { try swarm.look(at: number) }
    }

    private func ask(_ number: Int) {
        while states[number].asked < chunks.count, states[number].asked - states[number].got < states[number].credit {
            // As long as an agent's letter.
            var request = [UInt8](repeating: 7, count: 90)
            request.withUnsafeMutableBytes { $0.storeBytes(of: chunks[states[number].asked], as: UInt32.self) }
            guard zmq_send(swarm.line(number).letters.bare, request, request.count, ZMQ_DONTWAIT) >= 0 else { return }
            states[number].asked += 1
        }
    }

    private func hear(_ number: Int) -> Bool {
        var hadAny = false
        while zmq_msg_recv(&part, swarm.line(number).letters.bare, ZMQ_DONTWAIT) >= 0 {
            hadAny = true
            report.bytes += Int64(zmq_msg_size(&part))
            report.lastChunkAt = sharedSeconds()
            states[number].got += 1
            states[number].credit = min(states[number].credit + 1, 16)
            if states[number].got == chunks.count {
                report.applied += 1
                report.lastAt = report.lastChunkAt
            }
            ask(number)
        }
        return hadAny
    }
}
