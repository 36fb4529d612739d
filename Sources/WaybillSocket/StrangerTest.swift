/// Does a server let a stranger in? Asked by a hub of itself before it serves, and now and then afterwards: CURVE fails
/// open when something about the gatekeeper is wrong, and nothing else would show it.
public enum StrangerTest {
    public enum Outcome: Equatable, Sendable {
        /// 400 is the gatekeeper's own refusal and the one outcome on which a server should serve. nil means that the
        /// handshake ended without a reason: no gatekeeper runs, or it is not our server that answers there.
        case refused(status: Int?)
        /// The server must not serve.
        case gotIn
        /// Nobody listens there, or it did not answer in time: nothing is proved.
        case noAnswer
    }

    /// Connects with a fresh random key and waits for the verdict, up to `milliseconds`.
    ///
    /// Opens sockets of its own, so it can run on any thread that may block.
    /// - Parameters:
    ///   - endpoint: as the server's `lastEndpoint`; for one that listens everywhere, 127.0.0.1 is asked.
    ///   - server: the kind of the server's socket, `router` or `publisher`.
    public static func run(
        endpoint: String, server: SocketKind = .router, serverKey: CurvePublicKey, context: ZMQContext,
        milliseconds: Int = 2000
    ) throws(SocketError) -> Outcome {
        let stranger = try CurveKeyPair.generate()
        var settings = SocketSettings(security: .client(stranger, serverKey: serverKey), frameBytesMax: 1024)
        settings.reconnectMin = .milliseconds(100)
        settings.reconnectMax = .milliseconds(100)
        let socket = try ZMQSocket(server == .publisher ? .subscriber : .dealer, settings, context: context)
        let monitor = try ConnectionMonitor(of: socket, context: context)
        try socket.connect(reachable(endpoint))

        let deadline = ContinuousClock.now + .milliseconds(milliseconds)
        while true {
            let left = ContinuousClock.now.duration(to: deadline).wholeMilliseconds
            guard left > 0 else { return .noAnswer }
            _ = try Poller.wait(for: [monitor.item()], milliseconds: Int(left))
            while let event = try monitor.next() {
                switch event {
                case .handshakeSucceeded: return .gotIn
                case .handshakeRefused(_, let status): return .refused(status: status)
                case .handshakeBroken, .handshakeFailed: return .refused(status: nil)
                case .connected, .disconnected, .willRetry: continue
                }
            }
        }
    }

    /// A server that listens on all addresses is asked at the machine's own.
    static func reachable(_ endpoint: String) -> String {
        guard let (host, port) = NetworkAddress.hostAndPort(endpoint) else { return endpoint }
        return ["*", "0.0.0.0", "[::]"].contains(host) ? "tcp://127.0.0.1:\(port)" : endpoint
    }
}
