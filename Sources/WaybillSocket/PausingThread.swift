import Dispatch
import Synchronization

/// A thread for what is done now and then: it waits for its time, or for its end.
public final class PausingThread: Sendable {
    private let stopping = DispatchSemaphore(value: 0)
    private let thread = Mutex<LoopThread?>(nil)

    public init() {}

    /// Starts the thread.
    /// - Parameter round: what is done after each pause; may itself ask ``isStopped(within:)`` for pauses of its own.
    public func start(
        _ name: String, every interval: Duration, _ round: @escaping @Sendable () -> Void
    ) throws(SocketError) {
        let loop = try LoopThread(name) { [self] in
            while !isStopped(within: interval) { round() }
        }
        thread.withLock { $0 = loop }
    }

    /// Waits until the round under way is over.
    public func stop() {
        stopping.signal()
        thread.withLock { $0.take() }?.join()
    }

    /// Waits for that time; true at once when the thread is to end.
    public func isStopped(within time: Duration) -> Bool {
        let milliseconds = time.components.seconds * 1000 + time.components.attoseconds / 1_000_000_000_000_000
        guard stopping.wait(timeout: .now() + .milliseconds(Int(milliseconds))) == .success else { return false }
        stopping.signal()  // for whoever asks next
        return true
    }
}
