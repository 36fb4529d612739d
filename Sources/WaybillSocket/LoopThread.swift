import Glibc
import Synchronization

/// A thread of its own for a loop that blocks: a ZeroMQ socket needs one, and Swift's own pool must not be blocked.
public final class LoopThread: Sendable {
    /// nil once it has been joined.
    private let thread: Mutex<pthread_t?>

    /// Starts `body` at once.
    /// - Parameter name: for debuggers and `top -H`, cut to 15 bytes.
    public init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SocketError) {
        final class Start: Sendable {
            let name: String
            let body: @Sendable () -> Void
            init(_ name: String, _ body: @escaping @Sendable () -> Void) { (self.name, self.body) = (name, body) }
        }
        let start = Unmanaged.passRetained(Start(String(name.prefix(15)), body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument {
                    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                    nameThisThread(start.name)
                    start.body()
                }
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw .system(operation: "start the thread \(name)", code: code)
        }
        self.thread = Mutex(thread)
    }

    /// Waits until the body has returned. Only the first call waits, and never on the thread itself.
    public func join() {
        let taken = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        guard let taken else { return }
        if pthread_equal(taken, pthread_self()) != 0 {
            pthread_detach(taken)
        } else {
            pthread_join(taken, nil)
        }
    }

    deinit {
        if let thread = thread.withLock({ $0 }) { pthread_detach(thread) }
    }
}

/// For debuggers only, so a failure is of no account. Glibc's Swift module lacks pthread_setname_np.
private func nameThisThread(_ name: String) {
    let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    let bytes = Array(name.utf8)
    _ = write(descriptor, bytes, bytes.count)
    close(descriptor)
}
