import CZeroMQ
import Glibc

/// Ends another thread's `Poller.wait`, from any thread. Signals that nobody has seen yet count as one.
public final class WakeUp: Sendable {
    let descriptor: Int32

    public init() throws(SocketError) {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard descriptor >= 0 else {
            throw errno == EMFILE || errno == ENFILE
                ? .tooManySockets : .system(operation: "open a wake-up", code: errno)
        }
    }

    deinit { close(descriptor) }

    public func signal() {
        var one: UInt64 = 1
        // EAGAIN means that the counter is full, so the other side is woken already.
        while write(descriptor, &one, 8) < 0, errno == EINTR {}
    }

    /// Takes the signals given so far; true if there was one. `Poller.wait` does it by itself.
    @discardableResult
    public func drain() -> Bool {
        var count: UInt64 = 0
        while true {
            if read(descriptor, &count, 8) == 8 { return true }
            if errno != EINTR { return false }
        }
    }
}
