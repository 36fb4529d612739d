import CZeroMQ
import Glibc

/// A frame that goes to many peers: all of their queues hold the same bytes, instead of a copy each.
///
/// libzmq lets go of it on its own thread, when the last peer has been sent it or is gone.
public final class SharedFrame: Sendable {
    // Safe to share: written once, before anybody else sees it, and freed when nobody does any more.
    nonisolated(unsafe) private let bytes: UnsafeMutableRawPointer
    public let count: Int

    public convenience init(_ frame: [UInt8]) { self.init(frame, rest: 0) { _ in } }

    /// A frame of a head and of so many bytes more, which are written where they will be sent from.
    /// - Parameter fill: is given the place of the rest, and has to fill all of it.
    public init<Fault>(
        _ head: [UInt8], rest: Int, fill: (UnsafeMutableRawBufferPointer) throws(Fault) -> Void
    ) throws(Fault) {
        count = head.count + rest
        bytes = .allocate(byteCount: max(1, count), alignment: 16)
        head.withUnsafeBytes { if let base = $0.baseAddress { bytes.copyMemory(from: base, byteCount: $0.count) } }
        // Also when it throws, `deinit` frees the memory.
        try fill(UnsafeMutableRawBufferPointer(start: bytes + head.count, count: rest))
    }

    deinit { bytes.deallocate() }

    /// The same bytes once more.
    public var copied: [UInt8] { Array(UnsafeRawBufferPointer(start: bytes, count: count)) }

    /// A message of libzmq's that holds on to this frame until it is closed.
    func lend(to message: inout zmq_msg_t) -> Bool {
        let hold = Unmanaged.passRetained(self)
        let result = zmq_msg_init_data(
            &message, bytes, count, { _, hold in if let hold { Unmanaged<SharedFrame>.fromOpaque(hold).release() } },
            hold.toOpaque())
        if result != 0 { hold.release() }
        return result == 0
    }
}

extension ZMQSocket {
    /// Queues one message of one frame for one peer of a ROUTER, whole or not at all. Nothing is copied.
    public func send(_ frame: SharedFrame, to peer: RoutingID) throws(SocketError) -> SendResult {
        var message = zmq_msg_t()
        guard frame.lend(to: &message) else { throw SocketError.last("send a message") }
        // What was sent is libzmq's; what was not is let go of here.
        defer { zmq_msg_close(&message) }
        let socket = handle.open
        while zmq_send(socket, peer.bytes, peer.bytes.count, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 {
            guard let result = try unsent() else { continue }
            return result
        }
        while zmq_msg_send(&message, socket, ZMQ_DONTWAIT) < 0 {
            guard let result = try unsent() else { continue }
            return result
        }
        return .sent
    }

    /// Why a send has queued nothing; nil when it was only interrupted.
    func unsent() throws(SocketError) -> SendResult? {
        switch zmq_errno() {
        case EINTR: nil
        // Also in mid-message, when the connection ends: libzmq then takes back the frames before.
        case EAGAIN: .full
        case EHOSTUNREACH: .unreachable
        default: throw SocketError.last("send a message")
        }
    }
}
