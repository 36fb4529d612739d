import CZeroMQ
import Synchronization

/// News of a socket's connection, as libzmq's I/O thread saw it.
public enum ConnectionEvent: Equatable, Sendable, CustomStringConvertible {
    /// TCP is there; the handshake follows.
    case connected(endpoint: String)
    case handshakeSucceeded(endpoint: String)
    /// The other side has seen our key and does not let it in: 400, the gatekeeper's one refusal.
    case handshakeRefused(endpoint: String, status: Int)
    /// The other side speaks something else, or holds another secret key than the one we were told (some cases of it).
    case handshakeBroken(endpoint: String, code: Int)
    /// The connection ended during the handshake, without a reason: a wrong server key, a hub without a gatekeeper, or
    /// a line that broke.
    case handshakeFailed(endpoint: String)
    case disconnected(endpoint: String)
    /// No TCP connection; the next attempt comes after so many milliseconds.
    case willRetry(endpoint: String, milliseconds: Int)

    public var description: String {
        switch self {
        case .connected(let endpoint): "connected to \(endpoint)"
        case .handshakeSucceeded(let endpoint): "\(endpoint) has let us in"
        case .handshakeRefused(let endpoint, let status): "\(endpoint) refused our key (status \(status))"
        case .handshakeBroken(let endpoint, let code):
            "the handshake with \(endpoint) broke a rule of the protocol (code 0x\(String(code, radix: 16)))"
        case .handshakeFailed(let endpoint):
            "\(endpoint) ended the connection during the handshake: its key may not be the one we were told"
        case .disconnected(let endpoint): "the connection to \(endpoint) has ended"
        case .willRetry(let endpoint, let milliseconds):
            "\(endpoint) cannot be reached; next attempt in \(milliseconds) ms"
        }
    }
}

/// Tells a socket's owner what becomes of its connection. Made before the socket connects, polled by the same thread.
public struct ConnectionMonitor: ~Copyable {
    let socket: ZMQSocket
    private let watched: SocketHandle

    private static let count = Atomic<Int>(0)
    private static let events =
        ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED
        | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL

    public init(of socket: borrowing ZMQSocket, context: ZMQContext) throws(SocketError) {
        let number = Self.count.wrappingAdd(1, ordering: .relaxed).newValue
        let endpoint = "inproc://waybill.monitor.\(number)"
        var settings = SocketSettings.inside
        // Unlimited: libzmq's I/O thread, which serves every socket, would wait for us when this queue is full. It
        // grows by a few events for each attempt to connect.
        settings.receiveQueueMax = 0
        let reader = try ZMQSocket(.pair, settings, context: context)
        try reader.connect(endpoint)
        try socket.handle.monitor(Self.events, at: endpoint)
        self.socket = reader
        watched = socket.handle
    }

    /// Before our end closes, unless the socket has closed already and done it then.
    deinit { watched.endMonitoring() }

    public func item() -> PollItem { socket.item() }

    /// The next event, or nil. Never waits.
    public func next() throws(SocketError) -> ConnectionEvent? {
        while let message = try socket.receive() {
            if let event = Self.event(message.frames) { return event }
        }
        return nil
    }

    /// The first frame is the event (16 bits) and its value (32 bits) in the machine's order, the second its endpoint.
    static func event(_ frames: [[UInt8]]) -> ConnectionEvent? {
        guard frames.count == 2, frames[0].count == 6 else { return nil }
        let (kind, value) = frames[0].withUnsafeBytes {
            (Int32($0.loadUnaligned(as: UInt16.self)), Int($0.loadUnaligned(fromByteOffset: 2, as: UInt32.self)))
        }
        let endpoint = NetworkAddress.plain(String(decoding: frames[1], as: UTF8.self))
        switch kind {
        case ZMQ_EVENT_CONNECTED: return .connected(endpoint: endpoint)
        case ZMQ_EVENT_CONNECT_RETRIED: return .willRetry(endpoint: endpoint, milliseconds: value)
        case ZMQ_EVENT_DISCONNECTED: return .disconnected(endpoint: endpoint)
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: return .handshakeSucceeded(endpoint: endpoint)
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: return .handshakeRefused(endpoint: endpoint, status: value)
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: return .handshakeBroken(endpoint: endpoint, code: value)
        case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: return .handshakeFailed(endpoint: endpoint)
        default: return nil  // the monitor's own end
        }
    }
}
