import CZeroMQ
import Glibc

/// One socket or monitor to wait for, and what for. Made by `ZMQSocket.item()` and `ConnectionMonitor.item()`, used by
/// the same thread. It may outlive its socket, but must not be waited for afterwards.
public struct PollItem {
    let handle: SocketHandle
    let events: Int16
}

extension ZMQSocket {
    /// - Parameters:
    ///   - input: wait for a message to receive. Without it, a peer's messages stay in its queue: back-pressure.
    ///   - output: wait for room to send. On a ROUTER that is no news: it has room as long as any peer has.
    public func item(input: Bool = true, output: Bool = false) -> PollItem {
        PollItem(handle: handle, events: Int16((input ? ZMQ_POLLIN : 0) | (output ? ZMQ_POLLOUT : 0)))
    }
}

/// What a wait ended with.
public struct Readiness {
    fileprivate var events: [ObjectIdentifier: Int16] = [:]
    /// The wake-up was signalled; the signal has been taken.
    public fileprivate(set) var wasWokenUp = false

    public func canReceive(_ socket: borrowing ZMQSocket) -> Bool { has(ZMQ_POLLIN, socket.handle) }
    public func canSend(_ socket: borrowing ZMQSocket) -> Bool { has(ZMQ_POLLOUT, socket.handle) }
    public func canReceive(_ monitor: borrowing ConnectionMonitor) -> Bool { has(ZMQ_POLLIN, monitor.socket.handle) }

    private func has(_ event: Int32, _ handle: SocketHandle) -> Bool {
        (events[ObjectIdentifier(handle)] ?? 0) & Int16(event) != 0
    }
}

/// Waiting for several sockets at once.
public enum Poller {
    /// Waits until one of `items` is ready, `wakeUp` is signalled, or `milliseconds` have passed.
    ///
    /// May return early with nothing ready, when a signal reaches the process. Zero looks without waiting.
    /// - Throws: `contextShutDown`.
    public static func wait(
        for items: [PollItem], wakeUp: WakeUp? = nil, milliseconds: Int
    ) throws(SocketError) -> Readiness {
        var polled = items.map { item in
            zmq_pollitem_t(socket: item.handle.open, fd: -1, events: item.events, revents: 0)
        }
        if let wakeUp {
            polled.append(
                zmq_pollitem_t(socket: nil, fd: wakeUp.descriptor, events: Int16(ZMQ_POLLIN), revents: 0))
        }
        var readiness = Readiness()
        let count = zmq_poll(&polled, Int32(polled.count), max(0, milliseconds))
        if count < 0 {
            guard zmq_errno() == EINTR else { throw SocketError.last("wait for messages") }
            return readiness
        }
        for (item, result) in zip(items, polled) where result.revents != 0 {
            readiness.events[ObjectIdentifier(item.handle), default: 0] |= result.revents
        }
        if let wakeUp, polled[items.count].revents != 0 {
            wakeUp.drain()
            readiness.wasWokenUp = true
        }
        return readiness
    }
}
