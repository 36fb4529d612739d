import CZeroMQ

/// The kinds of socket that Waybill uses.
public struct SocketKind: Equatable, Sendable {
    let code: Int32

    /// The hub's side of the conversation with its stores: a routing id stands before every message.
    public static let router = SocketKind(code: ZMQ_ROUTER)
    /// The agent's side of it.
    public static let dealer = SocketKind(code: ZMQ_DEALER)
    /// The hub's announcements. A subscriber whose queue is full misses them, without a word.
    public static let publisher = SocketKind(code: ZMQ_PUB)
    public static let subscriber = SocketKind(code: ZMQ_SUB)

    /// The reading end of a monitor.
    static let pair = SocketKind(code: ZMQ_PAIR)
    /// The gatekeeper's.
    static let reply = SocketKind(code: ZMQ_REP)
}

/// Who a socket is for its peers. Outside this module there is no socket in clear.
public struct SocketSecurity: Sendable {
    enum Role {
        case clear
        case server(CurveKeyPair, domain: String)
        case client(CurveKeyPair, serverKey: CurvePublicKey)
    }
    let role: Role

    /// Lets in whom the gatekeeper's policy for `domain` lets in, and nobody as long as no gatekeeper runs.
    public static func server(_ keys: CurveKeyPair, domain: String) -> SocketSecurity {
        precondition(!domain.isEmpty, "with an empty domain libzmq lets every key in")
        return SocketSecurity(role: .server(keys, domain: domain))
    }

    /// Talks only to the server that holds the secret of `serverKey`.
    public static func client(_ keys: CurveKeyPair, serverKey: CurvePublicKey) -> SocketSecurity {
        SocketSecurity(role: .client(keys, serverKey: serverKey))
    }

    /// In clear: for sockets inside the process, and for tests that play the stranger.
    static let clear = SocketSecurity(role: .clear)
}

/// All that is set on a socket before it binds or connects; libzmq ignores most of it afterwards.
///
/// ZMTP heartbeats are missing on purpose: with them libzmq 4.3.4 aborts the process when a reader is slow.
public struct SocketSettings: Sendable {
    public var security: SocketSecurity
    /// Bytes of one frame as the peer's program sends it. A peer that sends a longer one is disconnected.
    public var frameBytesMax: Int
    /// Messages queued for one peer, and read ahead from one peer: more make `send` answer `full`, or the sender wait.
    public var sendQueueMax = 1000
    public var receiveQueueMax = 1000
    /// Pause before the first new attempt to connect; it doubles up to `reconnectMax`. With libzmq's own 100 ms and no
    /// doubling, 3,000 stores would make 30,000 attempts a second at a hub that is down.
    public var reconnectMin = Duration.seconds(1)
    public var reconnectMax = Duration.seconds(60)
    /// A peer has so long to finish the handshake. Each stranger holds a descriptor for that time.
    public var handshakeMax = Duration.seconds(5)
    /// Connections that wait to be accepted: all stores come at once after the hub was down.
    public var backlog = 4096
    /// A silent line is probed after `keepaliveIdle`, every `keepaliveInterval`, and given up after `keepaliveCount`
    /// probes: without, a peer that lost power is never noticed.
    public var keepaliveIdle = Duration.seconds(30)
    public var keepaliveInterval = Duration.seconds(10)
    public var keepaliveCount = 3
    /// IPv6 beside IPv4. A name that has both kinds of address is then tried by IPv6 alone; false forces IPv4.
    public var usesIPv6 = true

    public init(security: SocketSecurity, frameBytesMax: Int) {
        self.security = security
        self.frameBytesMax = frameBytesMax
    }

    /// For a socket that stays inside the process.
    static let inside = SocketSettings(security: .clear, frameBytesMax: 64 * 1024)
}

extension SocketSettings {
    /// A CURVE message is longer by its command name, nonce, flags and MAC: 33 bytes.
    private static let curveOverhead = 64
    /// The handshake's commands must pass too.
    private static let wireBytesMin = 1024

    func apply(to socket: UnsafeMutableRawPointer, kind: SocketKind) throws(SocketError) {
        func set(_ option: Int32, _ value: Int32) throws(SocketError) {
            var value = value
            guard zmq_setsockopt(socket, option, &value, MemoryLayout<Int32>.size) == 0 else {
                throw SocketError.last("set socket option \(option)")
            }
        }
        func set(_ option: Int32, _ bytes: [UInt8]) throws(SocketError) {
            guard zmq_setsockopt(socket, option, bytes, bytes.count) == 0 else {
                throw SocketError.last("set socket option \(option)")
            }
        }
        var wireBytesMax = Int64(max(frameBytesMax + Self.curveOverhead, Self.wireBytesMin))
        guard zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &wireBytesMax, MemoryLayout<Int64>.size) == 0 else {
            throw SocketError.last("limit the size of messages")
        }
        // What is not sent when a socket closes is lost, and said again by the protocol. Waiting would hang a shutdown.
        try set(ZMQ_LINGER, 0)
        try set(ZMQ_SNDTIMEO, 0)
        try set(ZMQ_RCVTIMEO, 0)
        try set(ZMQ_SNDHWM, Int32(clamping: sendQueueMax))
        try set(ZMQ_RCVHWM, Int32(clamping: receiveQueueMax))
        try set(ZMQ_RECONNECT_IVL, reconnectMin.wholeMilliseconds)
        try set(ZMQ_RECONNECT_IVL_MAX, reconnectMax.wholeMilliseconds)
        try set(ZMQ_HANDSHAKE_IVL, handshakeMax.wholeMilliseconds)
        try set(ZMQ_BACKLOG, Int32(clamping: backlog))
        try set(ZMQ_IPV6, usesIPv6 ? 1 : 0)
        try set(ZMQ_TCP_KEEPALIVE, 1)
        try set(ZMQ_TCP_KEEPALIVE_IDLE, Int32(clamping: keepaliveIdle.components.seconds))
        try set(ZMQ_TCP_KEEPALIVE_INTVL, Int32(clamping: keepaliveInterval.components.seconds))
        try set(ZMQ_TCP_KEEPALIVE_CNT, Int32(clamping: keepaliveCount))
        // A message to a peer that is gone is an answer, not a silent loss.
        if kind == .router { try set(ZMQ_ROUTER_MANDATORY, 1) }
        // No queue for a hub that is not there: what it would hold is old news when the hub is back.
        if kind == .dealer { try set(ZMQ_IMMEDIATE, 1) }

        switch security.role {
        case .clear:
            break
        case .server(let keys, let domain):
            try set(ZMQ_CURVE_SERVER, 1)
            try set(ZMQ_CURVE_SECRETKEY, keys.secretBytes)
            try set(ZMQ_ZAP_DOMAIN, Array(domain.utf8))
            // Without it an unknown key gets in whenever no gatekeeper runs. A libzmq that lacks it is not served with.
            try set(ZMQ_ZAP_ENFORCE_DOMAIN, 1)
        case .client(let keys, let serverKey):
            try set(ZMQ_CURVE_SERVERKEY, serverKey.bytes)
            try set(ZMQ_CURVE_PUBLICKEY, keys.publicKey.bytes)
            try set(ZMQ_CURVE_SECRETKEY, keys.secretBytes)
        }
    }
}

extension SocketSettings {
    /// Gives this socket a pace of its own at connecting anew.
    ///
    /// libzmq 4.3.4 adds less than one `ZMQ_RECONNECT_IVL` to each pause, later versions nothing at all where there is a
    /// maximum: all stores that lost their hub in the same moment would try again after 1, 2, 4, … s, within a second of
    /// one another, for as long as it is away. With a first pause of their own the doubling spreads them.
    /// - Parameter share: from 0 to less than 1, drawn for each socket.
    public mutating func spreadReconnects(by share: Double) {
        let share = min(max(share, 0), 1)
        reconnectMin = reconnectMin * (1 + share)
        // Up to the longest pause, never beyond it.
        reconnectMax = reconnectMax * (1 - share / 4)
    }
}

extension Duration {
    var wholeMilliseconds: Int32 {
        let (seconds, attoseconds) = components
        return Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}
