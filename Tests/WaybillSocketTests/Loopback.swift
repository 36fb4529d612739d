import Testing

@testable import WaybillSocket

/// A hub's side on loopback: a context, a gatekeeper and the hub's keys, with what the gatekeeper said.
final class Loopback {
    static let domain = "test.agent"
    static let frameBytesMax = 64 * 1024

    let context: ZMQContext
    let hubKeys: CurveKeyPair
    let gatekeeper: Gatekeeper?
    let notices = Notices()

    init(_ policy: DomainPolicy? = .allowList([:])) throws {
        let (context, notices) = (try ZMQContext(), notices)
        self.context = context
        hubKeys = try .generate()
        gatekeeper = try policy.map { policy in
            try Gatekeeper(context: context, policies: [Self.domain: policy]) { notices.append($0) }
        }
    }

    func server(_ kind: SocketKind, at endpoint: String = "tcp://127.0.0.1:*") throws -> ZMQSocket {
        let socket = try ZMQSocket(kind, settings(.server(hubKeys, domain: Self.domain)), context: context)
        try socket.bind(endpoint)
        return socket
    }

    /// Not connected yet, so that a monitor can be put on it.
    func client(_ kind: SocketKind, _ keys: CurveKeyPair) throws -> ZMQSocket {
        try ZMQSocket(kind, settings(.client(keys, serverKey: hubKeys.publicKey)), context: context)
    }

    func settings(_ security: SocketSecurity) -> SocketSettings {
        var settings = SocketSettings(security: security, frameBytesMax: Self.frameBytesMax)
        settings.reconnectMin = .milliseconds(20)
        settings.reconnectMax = .milliseconds(20)
        return settings
    }
}

final class Notices: Sendable {
    private let list = Shared<[GatekeeperNotice]>([])
    func append(_ notice: GatekeeperNotice) { list.update { $0.append(notice) } }
    var all: [GatekeeperNotice] { list.value }
}

/// No answer before the deadline. Long, because the machine may be busy: a test that passes does not wait for it.
struct TooLate: Error {}

/// Asks again until there is an answer, for ten seconds.
func eventually<Value>(_ ask: () throws -> Value?) throws -> Value {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        if let value = try ask() { return value }
        _ = try Poller.wait(for: [], milliseconds: 2)
    }
    throw TooLate()
}

func nextMessage(on socket: borrowing ZMQSocket) throws -> ReceivedMessage {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        if let message = try socket.receive() { return message }
        _ = try Poller.wait(for: [socket.item()], milliseconds: 100)
    }
    throw TooLate()
}

/// Sends as soon as the connection is there.
func deliver(_ frames: [[UInt8]], by socket: borrowing ZMQSocket) throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        if try socket.send(frames) == .sent { return }
        _ = try Poller.wait(for: [socket.item(input: false, output: true)], milliseconds: 100)
    }
    throw TooLate()
}

/// The next event that `matches`; others before it are passed over.
func event(
    of monitor: borrowing ConnectionMonitor, _ matches: (ConnectionEvent) -> Bool
) throws -> ConnectionEvent {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        while let event = try monitor.next() {
            if matches(event) { return event }
        }
        _ = try Poller.wait(for: [monitor.item()], milliseconds: 100)
    }
    throw TooLate()
}

func isHandshakeEnd(_ event: ConnectionEvent) -> Bool {
    switch event {
    case .handshakeSucceeded, .handshakeRefused, .handshakeBroken, .handshakeFailed: true
    case .connected, .disconnected, .willRetry: false
    }
}
