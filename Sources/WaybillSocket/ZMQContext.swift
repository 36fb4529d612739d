import CZeroMQ

/// libzmq's threads and its table of sockets. One per process: several contexts in one process would each want a
/// gatekeeper, and libzmq 4.3.4 has bugs when several use CURVE.
///
/// Every socket keeps its context alive; when the last of both is gone, libzmq's threads end.
public final class ZMQContext: Sendable {
    // Safe to share: libzmq documents its contexts, and them alone, as usable from any thread at the same time.
    nonisolated(unsafe) let pointer: UnsafeMutableRawPointer

    /// - Parameters:
    ///   - ioThreads: threads that move and encrypt bytes; one carries several hundred MB/s of CURVE traffic.
    ///   - socketsMax: sockets of this process, cut to what libzmq allows (65,535). Connections of one socket do not
    ///     count: they take file descriptors only.
    public init(ioThreads: Int = 1, socketsMax: Int = 1023) throws(SocketError) {
        guard let pointer = zmq_ctx_new() else { throw SocketError.last("start the ZeroMQ library") }
        self.pointer = pointer
        let limit = Int(zmq_ctx_get(pointer, ZMQ_SOCKET_LIMIT))
        let options: [(String, Int32, Int)] = [
            ("set the number of I/O threads", ZMQ_IO_THREADS, max(1, ioThreads)),
            ("set the number of sockets", ZMQ_MAX_SOCKETS, min(max(16, socketsMax), limit)),
        ]
        for (operation, option, value) in options {
            guard zmq_ctx_set(pointer, option, Int32(clamping: value)) == 0 else { throw SocketError.last(operation) }
        }
    }

    /// Makes every wait, send and receive on every socket of this context throw `contextShutDown` from now on.
    /// From any thread; may be repeated.
    public func shutDown() {
        zmq_ctx_shutdown(pointer)
    }

    deinit {
        // Sockets hold their context, so none is open here and the call does not wait. It may be interrupted.
        while zmq_ctx_term(pointer) != 0, zmq_errno() == EINTR {}
    }
}
