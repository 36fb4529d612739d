import CZeroMQ
import Testing

@testable import WaybillSocket

@Suite struct SocketTests {
    @Test func aMessageGoesToTheHubAndItsAnswerComesBack() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let hub = try loopback.server(.router)
        let agent = try loopback.client(.dealer, keys)
        try agent.connect(hub.lastEndpoint)

        try deliver([[1, 2, 3], [], [UInt8](repeating: 9, count: 50_000)], by: agent)
        let question = try nextMessage(on: hub)
        #expect(question.frames == [[1, 2, 3], [], [UInt8](repeating: 9, count: 50_000)])
        #expect(question.userID == "store-17")
        #expect(question.peerAddress == "127.0.0.1")
        #expect(!question.isTruncated)
        let peer = try #require(question.routingID)
        #expect(!peer.wasChosenByPeer)

        let result = try hub.send([[4], [5, 6]], to: peer)
        #expect(result == .sent)
        let answer = try nextMessage(on: agent)
        #expect(answer.frames == [[4], [5, 6]])
        #expect(answer.routingID == nil && answer.userID == nil)
    }

    @Test func nothingToReceiveIsNilAtOnce() throws {
        let loopback = try Loopback()
        let hub = try loopback.server(.router)
        let message = try hub.receive()
        #expect(message == nil)
    }

    @Test func aDealerWithoutConnectionQueuesNothing() throws {
        let loopback = try Loopback()
        let agent = try loopback.client(.dealer, .generate())
        try agent.connect("tcp://127.0.0.1:1")
        let result = try agent.send([[1]])
        #expect(result == .full)
    }

    @Test func aPeerThatIsGoneIsUnreachable() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let hub = try loopback.server(.router)
        var peer: RoutingID?
        do {
            let agent = try loopback.client(.dealer, keys)
            try agent.connect(hub.lastEndpoint)
            try deliver([[1]], by: agent)
            peer = try nextMessage(on: hub).routingID
        }
        let gone = try #require(peer)
        let deadline = ContinuousClock.now + .seconds(10)
        var result = SendResult.sent
        while result != .unreachable, ContinuousClock.now < deadline {
            result = try hub.send([[2]], to: gone)
            _ = try Poller.wait(for: [], milliseconds: 2)
        }
        #expect(result == .unreachable)
        let stranger = try hub.send([[2]], to: RoutingID([7, 7]))
        #expect(stranger == .unreachable)
    }

    @Test func aPeerThatDoesNotReadFillsItsOwnQueueOnly() throws {
        let (slowKeys, quickKeys) = (try CurveKeyPair.generate(), try CurveKeyPair.generate())
        let loopback = try Loopback(.allowList([slowKeys.publicKey: "slow", quickKeys.publicKey: "quick"]))
        var settings = loopback.settings(.server(loopback.hubKeys, domain: Loopback.domain))
        settings.sendQueueMax = 4
        let hub = try ZMQSocket(.router, settings, context: loopback.context)
        try hub.bind("tcp://127.0.0.1:*")
        var slowSettings = loopback.settings(.client(slowKeys, serverKey: loopback.hubKeys.publicKey))
        slowSettings.receiveQueueMax = 1
        let slow = try ZMQSocket(.dealer, slowSettings, context: loopback.context)
        try slow.connect(hub.lastEndpoint)
        let quick = try loopback.client(.dealer, quickKeys)
        try quick.connect(hub.lastEndpoint)
        try deliver([[1]], by: slow)
        let slowPeer = try #require(try nextMessage(on: hub).routingID)
        try deliver([[1]], by: quick)
        let quickPeer = try #require(try nextMessage(on: hub).routingID)

        let chunk = [UInt8](repeating: 1, count: 60_000)
        var sent = 0
        while try hub.send([[0], chunk], to: slowPeer) == .sent { sent += 1 }
        #expect(sent < 2000)  // what TCP's own buffers take, and the queues
        let result = try hub.send([[0], chunk], to: quickPeer)
        #expect(result == .sent)
        #expect(try nextMessage(on: quick).frames == [[0], chunk])
    }

    @Test func aFrameThatIsTooLongEndsTheConnection() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let hub = try loopback.server(.router)
        let agent = try loopback.client(.dealer, keys)
        let monitor = try ConnectionMonitor(of: agent, context: loopback.context)
        try agent.connect(hub.lastEndpoint)

        try deliver([[UInt8](repeating: 1, count: Loopback.frameBytesMax)], by: agent)
        #expect(try nextMessage(on: hub).frames.first?.count == Loopback.frameBytesMax)
        try deliver([[UInt8](repeating: 1, count: Loopback.frameBytesMax + 100)], by: agent)
        _ = try event(of: monitor) { if case .disconnected = $0 { true } else { false } }
        // It may come back and behave.
        _ = try event(of: monitor) { if case .handshakeSucceeded = $0 { true } else { false } }
        try deliver([[2]], by: agent)
        #expect(try nextMessage(on: hub).frames == [[2]])
    }

    @Test func framesBeyondTheLimitAreThrownAway() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let hub = try loopback.server(.router)
        let agent = try loopback.client(.dealer, keys)
        try agent.connect(hub.lastEndpoint)
        try deliver([[UInt8]](repeating: [1], count: ReceivedMessage.framesMax + 1), by: agent)
        try deliver([[2]], by: agent)
        let long = try nextMessage(on: hub)
        #expect(long.isTruncated && long.frames.count == ReceivedMessage.framesMax)
        #expect(long.userID == "store-17")
        let next = try nextMessage(on: hub)
        #expect(next.frames == [[2]] && !next.isTruncated)
    }

    @Test func aNameThatThePeerChoseIsSeen() {
        #expect(RoutingID(Array("store-17".utf8)).wasChosenByPeer)
        #expect(RoutingID([1, 2, 3, 4, 5]).wasChosenByPeer)
        #expect(!RoutingID([0, 2, 3, 4, 5]).wasChosenByPeer)
        #expect(RoutingID([0, 171]).description == "00ab")
    }

    @Test func announcementsReachASubscriberThatMayHearThem() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let hub = try loopback.server(.publisher)
        let agent = try loopback.client(.subscriber, keys)
        try agent.subscribe(Array("job.".utf8))
        try agent.connect(hub.lastEndpoint)
        // A publisher does not know who listens, so it repeats itself here until the first one has arrived.
        let message = try eventually { () throws -> ReceivedMessage? in
            _ = try hub.send([Array("other".utf8), [0]])
            _ = try hub.send([Array("job.prices".utf8), [1]])
            return try agent.receive()
        }
        #expect(message.frames == [Array("job.prices".utf8), [1]])
    }

    @Test func theSafeguardsAreSetOnEverySocket() throws {
        let loopback = try Loopback()
        let hub = try loopback.server(.router)
        let agent = try loopback.client(.dealer, .generate())
        for socket in [hub.handle.open, agent.handle.open] {
            #expect(option(ZMQ_LINGER, of: socket) == 0)
            #expect(option(ZMQ_TCP_KEEPALIVE, of: socket) == 1)
            #expect(option(ZMQ_TCP_KEEPALIVE_IDLE, of: socket) == 30)
            #expect(option(ZMQ_TCP_KEEPALIVE_INTVL, of: socket) == 10)
            #expect(option(ZMQ_TCP_KEEPALIVE_CNT, of: socket) == 3)
            #expect(option(ZMQ_HANDSHAKE_IVL, of: socket) == 5000)
            #expect(option(ZMQ_BACKLOG, of: socket) == 4096)
            #expect(option(ZMQ_IPV6, of: socket) == 1)
            #expect(option(ZMQ_HEARTBEAT_IVL, of: socket) == 0)
            #expect(option(ZMQ_MECHANISM, of: socket) == ZMQ_CURVE)
        }
        #expect(option(ZMQ_ZAP_ENFORCE_DOMAIN, of: hub.handle.open) == 1)
        #expect(option(ZMQ_IMMEDIATE, of: agent.handle.open) == 1)
        let plain = SocketSettings(security: .clear, frameBytesMax: 1)
        #expect(plain.reconnectMin == .seconds(1) && plain.reconnectMax == .seconds(60))
    }

    private func option(_ option: Int32, of socket: UnsafeMutableRawPointer) -> Int32? {
        var value: Int32 = -1
        var size = MemoryLayout<Int32>.size
        return zmq_getsockopt(socket, option, &value, &size) == 0 ? value : nil
    }
}
