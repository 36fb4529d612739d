import Testing

@testable import WaybillSocket

@Suite struct PollerTests {
    @Test func aWakeUpFromAnotherThreadEndsAWait() throws {
        let loopback = try Loopback()
        let hub = try loopback.server(.router)
        let wakeUp = try WakeUp()
        let thread = try LoopThread("waker") { wakeUp.signal() }
        let start = ContinuousClock.now
        let ready = try Poller.wait(for: [hub.item()], wakeUp: wakeUp, milliseconds: 60_000)
        thread.join()
        let hubIsReady = ready.canReceive(hub)
        #expect(ready.wasWokenUp && !hubIsReady)
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test func signalsGivenBeforeTheWaitCountOnce() throws {
        let wakeUp = try WakeUp()
        wakeUp.signal()
        wakeUp.signal()
        let first = try Poller.wait(for: [], wakeUp: wakeUp, milliseconds: 60_000)
        let second = try Poller.wait(for: [], wakeUp: wakeUp, milliseconds: 0)
        #expect(first.wasWokenUp && !second.wasWokenUp)
        #expect(!wakeUp.drain())
    }

    @Test func onlyTheSocketThatHasAMessageIsReady() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let busy = try loopback.server(.router)
        let idle = try loopback.server(.router)
        let agent = try loopback.client(.dealer, keys)
        try agent.connect(busy.lastEndpoint)
        try deliver([[1]], by: agent)
        let ready = try Poller.wait(for: [idle.item(), busy.item()], milliseconds: 10_000)
        let found = (busy: ready.canReceive(busy), idle: ready.canReceive(idle))
        #expect(found == (busy: true, idle: false))
        // Still ready until the message has been taken.
        let isStillReady = try Poller.wait(for: [idle.item(), busy.item()], milliseconds: 0).canReceive(busy)
        #expect(isStillReady)
        #expect(try nextMessage(on: busy).frames == [[1]])
        let isReadyAgain = try Poller.wait(for: [idle.item(), busy.item()], milliseconds: 0).canReceive(busy)
        #expect(!isReadyAgain)
    }

    @Test func roomToSendComesWithTheConnection() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let hub = try loopback.server(.router)
        let agent = try loopback.client(.dealer, keys)
        let before = try Poller.wait(for: [agent.item(output: true)], milliseconds: 0).canSend(agent)
        #expect(!before)
        try agent.connect(hub.lastEndpoint)
        let after = try Poller.wait(for: [agent.item(output: true)], milliseconds: 10_000).canSend(agent)
        #expect(after)
    }

    @Test func aMonitorTellsOfAHubThatIsNotThereAndOfOneThatGoes() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let agent = try loopback.client(.dealer, keys)
        let monitor = try ConnectionMonitor(of: agent, context: loopback.context)
        var endpoint = ""
        do {
            let hub = try loopback.server(.router)
            endpoint = hub.lastEndpoint
            try agent.connect(endpoint)
            let hasNews = try Poller.wait(for: [monitor.item()], milliseconds: 10_000).canReceive(monitor)
            #expect(hasNews)
            #expect(try event(of: monitor, isHandshakeEnd) == .handshakeSucceeded(endpoint: endpoint))
        }
        #expect(try event(of: monitor) { $0 == .disconnected(endpoint: endpoint) } == .disconnected(endpoint: endpoint))
        _ = try event(of: monitor) { if case .willRetry = $0 { true } else { false } }
    }

    @Test func aSocketMayEndBeforeItsMonitorAndTheOtherWayRound() throws {
        let loopback = try Loopback()
        for socketFirst in [true, false] {
            var socket: ZMQSocket? = try loopback.client(.dealer, .generate())
            var monitor: ConnectionMonitor? = try ConnectionMonitor(of: socket!, context: loopback.context)
            if socketFirst {
                socket = nil
                monitor = nil
            } else {
                monitor = nil
                try socket!.connect("tcp://127.0.0.1:1")
                socket = nil
            }
            #expect(socket == nil && monitor == nil)
        }
    }

    /// libzmq's one thread for all connections waits for ever where it has news for a monitor that nobody reads: every
    /// other socket of the process is deaf from then on.
    @Test func socketsThatEndWhileTheyHaveNewsLeaveTheOthersAlone() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let others = try CurveKeyPair.generate()
        let hub = try loopback.server(.router)
        for _ in 0..<200 {
            var socket: ZMQSocket? = try loopback.client(.dealer, others)
            var monitor: ConnectionMonitor? = try ConnectionMonitor(of: socket!, context: loopback.context)
            // Turned away, with several events, of which the first is waited for.
            try socket!.connect(hub.lastEndpoint)
            _ = try Poller.wait(for: [monitor!.item()], milliseconds: 1000)
            socket = nil
            monitor = nil
            #expect(socket == nil && monitor == nil)
        }
        let agent = try loopback.client(.dealer, keys)
        try agent.connect(hub.lastEndpoint)
        let isIn = try Poller.wait(for: [agent.item(output: true)], milliseconds: 10_000).canSend(agent)
        #expect(isIn)
    }

    @Test(.timeLimit(.minutes(1))) func givingMemoryBackEndsAtOnce() throws {
        let memory = MemoryReturn()
        try memory.start()
        memory.stop()
        memory.stop()
        MemoryReturn().stop()
    }

    @Test func joiningTwiceIsHarmless() throws {
        let ran = Shared(false)
        let thread = try LoopThread("short") { ran.update { $0 = true } }
        thread.join()
        thread.join()
        #expect(ran.value)
    }
}
