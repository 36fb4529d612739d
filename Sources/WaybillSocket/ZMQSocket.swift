import CZeroMQ
import Glibc

/// A socket's pointer, shared with the poll items and monitors made from it, so that none of them can meet a pointer
/// that is no longer valid. Not Sendable: libzmq's sockets belong to one thread.
final class SocketHandle {
    private(set) var pointer: UnsafeMutableRawPointer?
    private let context: ZMQContext

    init(_ kind: SocketKind, _ settings: SocketSettings, context: ZMQContext) throws(SocketError) {
        self.context = context
        guard let pointer = zmq_socket(context.pointer, kind.code) else { throw SocketError.last("open a socket") }
        self.pointer = pointer
        try settings.apply(to: pointer, kind: kind)
    }

    var open: UnsafeMutableRawPointer {
        guard let pointer else { preconditionFailure("a socket is used after it was closed") }
        return pointer
    }

    /// Has events sent to the PAIR that is connected to `endpoint`.
    func monitor(_ events: Int32, at endpoint: String) throws(SocketError) {
        guard zmq_socket_monitor(open, endpoint, events) == 0 else { throw SocketError.last("watch a connection") }
    }

    /// To be called while the other end is still there. libzmq's I/O thread waits for ever, and every socket of the
    /// process with it, when it has an event for a monitor that nobody reads.
    /// Nothing happens where there is none.
    func endMonitoring() {
        if let pointer { zmq_socket_monitor(pointer, nil, 0) }
    }

    func close() {
        // A closed socket is taken apart later, by libzmq's own threads, and has events until it is.
        endMonitoring()
        if let pointer { zmq_close(pointer) }
        pointer = nil
    }

    deinit { close() }
}

/// One ZeroMQ socket: made, used and ended by one thread. It never blocks; waiting is `Poller`'s.
///
/// Ends when its owner lets go of it; what it had queued is dropped.
public struct ZMQSocket: ~Copyable {
    let handle: SocketHandle
    private let kind: SocketKind

    public init(_ kind: SocketKind, _ settings: SocketSettings, context: ZMQContext) throws(SocketError) {
        handle = try SocketHandle(kind, settings, context: context)
        self.kind = kind
    }

    deinit { handle.close() }

    /// Listens at `endpoint`, for example `tcp://127.0.0.1:7700`; `*` stands for all interfaces or any free port.
    public func bind(_ endpoint: String) throws(SocketError) {
        guard zmq_bind(handle.open, endpoint) == 0 else { throw SocketError.last("listen at", endpoint: endpoint) }
    }

    /// Connects in the background, again and again until it succeeds. A name is looked up at each attempt, so one that
    /// does not exist shows in a `ConnectionMonitor` only.
    public func connect(_ endpoint: String) throws(SocketError) {
        guard zmq_connect(handle.open, endpoint) == 0 else { throw SocketError.last("connect to", endpoint: endpoint) }
    }

    /// Listens no longer at an endpoint named as by `lastEndpoint`; connections made there stay.
    func unbind(_ endpoint: String) throws(SocketError) {
        guard zmq_unbind(handle.open, endpoint) == 0 else {
            throw SocketError.last("stop listening at", endpoint: endpoint)
        }
    }

    /// The endpoint of the last bind or connect, with the port that the system chose for `*`. Empty before it.
    public var lastEndpoint: String {
        var characters = [CChar](repeating: 0, count: 1024)
        var size = characters.count
        guard zmq_getsockopt(handle.open, ZMQ_LAST_ENDPOINT, &characters, &size) == 0 else { return "" }
        let text = String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return NetworkAddress.plain(text)
    }

    /// Asks a SUB's publishers for the messages whose first frame starts with `prefix`; empty means all.
    public func subscribe(_ prefix: [UInt8]) throws(SocketError) {
        precondition(kind == .subscriber, "only a subscriber subscribes")
        guard zmq_setsockopt(handle.open, ZMQ_SUBSCRIBE, prefix, prefix.count) == 0 else {
            throw SocketError.last("subscribe")
        }
    }

    /// Queues one message, whole or not at all. Not on a ROUTER, which must be told to whom.
    public func send(_ frames: [[UInt8]]) throws(SocketError) -> SendResult {
        precondition(kind != .router, "a router sends to a routing id")
        return try sendAll(frames)
    }

    /// Queues one message for one peer of a ROUTER, whole or not at all.
    public func send(_ frames: [[UInt8]], to peer: RoutingID) throws(SocketError) -> SendResult {
        precondition(kind == .router, "only a router sends to a routing id")
        return try sendAll([peer.bytes] + frames)
    }

    /// Every frame is copied once, which is nothing for short ones; for those that go to many there is ``SharedFrame``.
    private func sendAll(_ frames: [[UInt8]]) throws(SocketError) -> SendResult {
        precondition(!frames.isEmpty, "a message has at least one frame")
        let socket = handle.open
        for (index, frame) in frames.enumerated() {
            let more = index < frames.count - 1 ? ZMQ_SNDMORE : 0
            while zmq_send(socket, frame, frame.count, ZMQ_DONTWAIT | more) < 0 {
                guard let result = try unsent() else { continue }
                return result
            }
        }
        return .sent
    }

    /// The next whole message that has arrived, or nil. Never waits.
    public func receive() throws(SocketError) -> ReceivedMessage? {
        let socket = handle.open
        var part = zmq_msg_t()
        zmq_msg_init(&part)
        defer { zmq_msg_close(&part) }

        var message = ReceivedMessage(frames: [], isTruncated: false)
        var index = 0
        repeat {
            while zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0 {
                switch zmq_errno() {
                case EINTR: continue
                case EAGAIN: return nil  // only before the first frame: libzmq hands over whole messages
                default: throw SocketError.last("receive a message")
                }
            }
            if index == 0, kind == .router {
                message.routingID = RoutingID(Self.bytes(of: &part))
            } else if message.frames.count < ReceivedMessage.framesMax {
                message.frames.append(Self.bytes(of: &part))
            } else {
                message.isTruncated = true
            }
            index += 1
        } while zmq_msg_more(&part) != 0

        // From the last frame: libzmq 4.3.4 puts no metadata on the one that holds the routing id.
        message.userID = zmq_msg_gets(&part, "User-Id").map(String.init(cString:))
        message.peerAddress = zmq_msg_gets(&part, "Peer-Address").map { NetworkAddress.plain(String(cString: $0)) }
        return message
    }

    private static func bytes(of part: inout zmq_msg_t) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: zmq_msg_data(&part), count: zmq_msg_size(&part)))
    }
}
