import CZeroMQ

/// For programs that wait for thousands of sockets at once: `Poller` looks at each of them in every wait.
extension ZMQSocket {
    /// Can be read from (never by us) when something about the socket may have changed; what, ``news()`` says.
    package var descriptor: Int32 {
        var descriptor: Int32 = -1
        var size = MemoryLayout<Int32>.size
        zmq_getsockopt(handle.open, ZMQ_FD, &descriptor, &size)
        return descriptor
    }

    /// What the socket can do now. To be asked again after each send and receive: a change that they notice does not
    /// show at the descriptor any more.
    package func news() -> (canReceive: Bool, canSend: Bool) {
        var events: Int32 = 0
        var size = MemoryLayout<Int32>.size
        zmq_getsockopt(handle.open, ZMQ_EVENTS, &events, &size)
        return (events & Int32(ZMQ_POLLIN) != 0, events & Int32(ZMQ_POLLOUT) != 0)
    }

    /// For measuring what libzmq can do by itself.
    package var bare: UnsafeMutableRawPointer { handle.open }
}
