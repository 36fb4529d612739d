/// The name that a ROUTER has for one connection. It is worth nothing after that connection ends.
public struct RoutingID: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// True if the peer picked this name itself instead of taking the one libzmq makes (a zero byte and four others).
    /// Our agents never do; two peers with one name cut each other off, so messages under such a name are not answered.
    public var wasChosenByPeer: Bool { bytes.count != 5 || bytes[0] != 0 }

    public var description: String {
        bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}

/// One whole message, and what libzmq vouches for about its sender.
public struct ReceivedMessage: Sendable {
    /// Frames kept of one message. Ours have two or three; a longer message is a stranger's or a mistake.
    public static let framesMax = 16

    /// The connection it came by, on a ROUTER; nil on all others.
    public var routingID: RoutingID?
    /// The frames after the routing id.
    public var frames: [[UInt8]]
    /// Frames beyond `framesMax` were thrown away. The message should be refused; `userID` says whose it was.
    public var isTruncated: Bool
    /// Whom the gatekeeper let in by this connection's key. nil on a client's socket.
    ///
    /// A key that was removed since still speaks until its connection ends: check every message.
    public var userID: String?
    /// The IP address at the other end, without its port.
    public var peerAddress: String?

    public init(
        routingID: RoutingID? = nil, frames: [[UInt8]], isTruncated: Bool = false, userID: String? = nil,
        peerAddress: String? = nil
    ) {
        self.routingID = routingID
        self.frames = frames
        self.isTruncated = isTruncated
        self.userID = userID
        self.peerAddress = peerAddress
    }
}

/// What became of a message. None of these is a receipt: `sent` means queued.
public enum SendResult: Sendable, Equatable {
    case sent
    /// The peer's queue is full or, on a DEALER, there is no connection. Nothing was queued; try again later.
    case full
    /// A ROUTER's peer is gone. Nothing was queued; its routing id will never work again.
    case unreachable
}
