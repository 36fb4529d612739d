import CZeroMQ

/// Gives memory that is free again back to the system, now and then.
///
/// What thousands of handshakes, or thousands of queues, have taken is free afterwards, and glibc keeps it for the
/// process. Machines have other things to do.
public final class MemoryReturn: Sendable {
    /// It costs a look at the free pages; the processor of a hub with 9,850 idle stores does not show it.
    static let interval = Duration.seconds(10)

    private let thread = PausingThread()

    public init() {}

    public func start() throws(SocketError) {
        try thread.start("memory", every: MemoryReturn.interval) { malloc_trim(0) }
    }

    public func stop() { thread.stop() }
}
