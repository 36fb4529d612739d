import CZeroMQ
import Dispatch
import Synchronization

/// Gives memory that is free again back to the system, now and then.
///
/// What thousands of handshakes, or thousands of queues, have taken is free afterwards, and glibc keeps it for the
/// process. Machines have other things to do.
public final class MemoryReturn: Sendable {
    /// It costs a look at the free pages; the processor of a hub with 9,850 idle stores does not show it.
    static let interval = DispatchTimeInterval.seconds(10)

    private let stopping = DispatchSemaphore(value: 0)
    private let thread = Mutex<LoopThread?>(nil)

    public init() {}

    public func start() throws(SocketError) {
        let loop = try LoopThread("memory") { [stopping] in
            while stopping.wait(timeout: .now() + MemoryReturn.interval) == .timedOut { malloc_trim(0) }
        }
        thread.withLock { $0 = loop }
    }

    public func stop() {
        stopping.signal()
        thread.withLock { $0.take() }?.join()
    }
}
