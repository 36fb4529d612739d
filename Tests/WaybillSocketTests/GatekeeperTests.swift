import Testing

@testable import WaybillSocket

@Suite struct GatekeeperTests {
    @Test func anUnknownKeyIsRefusedAndBothSidesAreTold() throws {
        let loopback = try Loopback(.allowList([try CurveKeyPair.generate().publicKey: "store-1"]))
        let hub = try loopback.server(.router)
        let stranger = try CurveKeyPair.generate()
        let agent = try loopback.client(.dealer, stranger)
        let monitor = try ConnectionMonitor(of: agent, context: loopback.context)
        let endpoint = hub.lastEndpoint
        try agent.connect(endpoint)

        let verdict = try event(of: monitor, isHandshakeEnd)
        #expect(verdict == .handshakeRefused(endpoint: endpoint, status: 400))
        #expect(verdict.description == "\(endpoint) refused our key (status 400)")
        let first = try eventually { loopback.notices.all.first }
        let refusal = Refusal(
            reason: .unknownKey, domain: Loopback.domain, address: "127.0.0.1", key: stranger.publicKey.z85)
        #expect(first == .refused(refusal))
    }

    @Test func aRemovedKeyIsRefusedWhenItComesAgainAndAnAddedOneIsLetIn() throws {
        let (old, new) = (try CurveKeyPair.generate(), try CurveKeyPair.generate())
        let loopback = try Loopback(.allowList([old.publicKey: "store-17"]))
        let gatekeeper = try #require(loopback.gatekeeper)
        let hub = try loopback.server(.router)
        #expect(try verdict(on: old, loopback, hub.lastEndpoint) == nil)

        gatekeeper.remove(old.publicKey, from: Loopback.domain)
        #expect(try verdict(on: old, loopback, hub.lastEndpoint) == 400)
        #expect(try verdict(on: new, loopback, hub.lastEndpoint) == 400)

        gatekeeper.admit(new.publicKey, as: "store-18", to: Loopback.domain)
        #expect(try verdict(on: new, loopback, hub.lastEndpoint) == nil)

        gatekeeper.setPolicy(.allowList([old.publicKey: "store-17"]), for: Loopback.domain)
        #expect(try verdict(on: old, loopback, hub.lastEndpoint) == nil)
        #expect(try verdict(on: new, loopback, hub.lastEndpoint) == 400)
    }

    @Test func aKeyOfOneDomainDoesNotOpenAnother() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let other = try ZMQSocket(
            .router, loopback.settings(.server(loopback.hubKeys, domain: "test.other")), context: loopback.context)
        try other.bind("tcp://127.0.0.1:*")
        #expect(try verdict(on: keys, loopback, other.lastEndpoint) == 400)
        loopback.gatekeeper?.setPolicy(.allowList([:]), for: "test.other")
        #expect(try verdict(on: keys, loopback, other.lastEndpoint) == 400)
    }

    @Test func enrolmentSeesTheKeyThatTheClientHolds() throws {
        let loopback = try Loopback(.anyKey)
        let hub = try loopback.server(.router)
        let keys = try CurveKeyPair.generate()
        let agent = try loopback.client(.dealer, keys)
        try agent.connect(hub.lastEndpoint)
        try deliver([[1]], by: agent)
        #expect(try nextMessage(on: hub).userID == keys.publicKey.z85)
    }

    @Test func withoutAGatekeeperNobodyGetsIn() throws {
        let loopback = try Loopback(nil)
        let hub = try loopback.server(.router)
        let agent = try loopback.client(.dealer, .generate())
        let monitor = try ConnectionMonitor(of: agent, context: loopback.context)
        try agent.connect(hub.lastEndpoint)
        let end = try event(of: monitor, isHandshakeEnd)
        if case .handshakeSucceeded = end { Issue.record("a stranger got in") }
        let outcome = try StrangerTest.run(
            endpoint: hub.lastEndpoint, serverKey: loopback.hubKeys.publicKey, context: loopback.context)
        #expect(outcome == .refused(status: nil))
    }

    @Test func afterTheGatekeeperStoppedNobodyGetsIn() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let hub = try loopback.server(.router)
        #expect(try verdict(on: keys, loopback, hub.lastEndpoint) == nil)
        loopback.gatekeeper?.stop()
        #expect(try verdict(on: keys, loopback, hub.lastEndpoint) != nil)
    }

    @Test func aClientInClearGetsNothing() throws {
        let loopback = try Loopback(.anyKey)
        let hub = try loopback.server(.router)
        let plain = try ZMQSocket(.dealer, loopback.settings(.clear), context: loopback.context)
        let monitor = try ConnectionMonitor(of: plain, context: loopback.context)
        try plain.connect(hub.lastEndpoint)
        let end = try event(of: monitor, isHandshakeEnd)
        if case .handshakeSucceeded = end { Issue.record("a client in clear got in") }
        let (result, message) = (try plain.send([[1]]), try hub.receive())
        #expect(result == .full && message == nil)
    }

    @Test func aClientWithAnotherServerKeyDoesNotTalkToThisHub() throws {
        let keys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([keys.publicKey: "store-17"]))
        let hub = try loopback.server(.router)
        let wrong = SocketSecurity.client(keys, serverKey: try CurveKeyPair.generate().publicKey)
        let agent = try ZMQSocket(.dealer, loopback.settings(wrong), context: loopback.context)
        let monitor = try ConnectionMonitor(of: agent, context: loopback.context)
        try agent.connect(hub.lastEndpoint)
        let end = try event(of: monitor, isHandshakeEnd)
        if case .handshakeSucceeded = end { Issue.record("it talks to a hub that it does not know") }
    }

    @Test func aContextHasOneGatekeeper() throws {
        let loopback = try Loopback()
        #expect(throws: SocketError.gatekeeperExists) {
            _ = try Gatekeeper(context: loopback.context, policies: [:]) { _ in }
        }
        loopback.gatekeeper?.stop()
        _ = try Gatekeeper(context: loopback.context, policies: [:]) { _ in }
    }

    @Test func aStrangerIsKeptOutAndTheTestCanTell() throws {
        let strict = try Loopback()
        let hub = try strict.server(.router, at: "tcp://*:*")
        let announcer = try strict.server(.publisher)
        let key = strict.hubKeys.publicKey
        #expect(
            try StrangerTest.run(endpoint: hub.lastEndpoint, serverKey: key, context: strict.context)
                == .refused(status: 400))
        #expect(
            try StrangerTest.run(
                endpoint: announcer.lastEndpoint, server: .publisher, serverKey: key, context: strict.context)
                == .refused(status: 400))

        let lax = try Loopback(.anyKey)
        let open = try lax.server(.router)
        #expect(
            try StrangerTest.run(
                endpoint: open.lastEndpoint, serverKey: lax.hubKeys.publicKey, context: lax.context) == .gotIn)
        #expect(
            try StrangerTest.run(
                endpoint: "tcp://127.0.0.1:1", serverKey: key, context: strict.context, milliseconds: 50) == .noAnswer)
    }

    /// nil if this key is let in, else the status of the refusal (0 without one).
    private func verdict(on keys: CurveKeyPair, _ loopback: Loopback, _ endpoint: String) throws -> Int? {
        let agent = try loopback.client(.dealer, keys)
        let monitor = try ConnectionMonitor(of: agent, context: loopback.context)
        try agent.connect(endpoint)
        switch try event(of: monitor, isHandshakeEnd) {
        case .handshakeSucceeded: return nil
        case .handshakeRefused(_, let status): return status
        default: return 0
        }
    }
}

@Suite struct ZAPRequestTests {
    private let keys: CurveKeyPair
    private let policies: [String: DomainPolicy]

    init() throws {
        keys = try .generate()
        policies = ["agents": .allowList([keys.publicKey: "store-17"]), "enrolment": .anyKey]
    }

    @Test func onlyAnExactRequestIsAdmitted() {
        #expect(verdict() == .admitted(userID: "store-17"))
        #expect(reason(version: "2.0") == .notCurve)
        #expect(reason(mechanism: "NULL") == .notCurve)
        #expect(reason(domain: "") == .unknownDomain)
        #expect(reason(domain: "other") == .unknownDomain)
        #expect(reason(key: []) == .badKey)
        #expect(reason(key: Array(keys.publicKey.bytes.dropLast())) == .badKey)
        #expect(reason(key: [UInt8](repeating: 7, count: 32)) == .unknownKey)
        #expect(ZAPRequest([]).verdict(by: policies) != .admitted(userID: ""))
    }

    @Test func enrolmentAdmitsAnyKeyButNoClientInClear() {
        #expect(verdict(domain: "enrolment") == .admitted(userID: keys.publicKey.z85))
        #expect(reason(domain: "enrolment", mechanism: "NULL") == .notCurve)
        #expect(reason(domain: "enrolment", key: [1]) == .badKey)
        // The client's test key of zmq_curve(7).
        let known: [UInt8] = [
            0xBB, 0x88, 0x47, 0x1D, 0x65, 0xE2, 0x65, 0x9B, 0x30, 0xC5, 0x5A, 0x53, 0x21, 0xCE, 0xBB, 0x5A,
            0xAB, 0x2B, 0x70, 0xA3, 0x98, 0x64, 0x5C, 0x26, 0xDC, 0xA2, 0xB2, 0xFC, 0xB4, 0x3F, 0xC5, 0x18,
        ]
        #expect(reason(domain: "enrolment", key: known) == .badKey)
    }

    @Test func aRefusalIsAnsweredWith400AndNoUser() {
        let request = ZAPRequest([Array("1.0".utf8), [9]])
        let reply = request.reply(request.verdict(by: policies))
        #expect(reply == [Array("1.0".utf8), [9], Array("400".utf8), Array("refused".utf8), [], []])
    }

    private func verdict(
        version: String = "1.0", domain: String = "agents", mechanism: String = "CURVE", key: [UInt8]? = nil
    ) -> ZAPRequest.Verdict {
        let texts = [version, "1", domain, "10.0.0.1", "", mechanism].map { Array($0.utf8) }
        return ZAPRequest(texts + [key ?? keys.publicKey.bytes]).verdict(by: policies)
    }

    private func reason(
        version: String = "1.0", domain: String = "agents", mechanism: String = "CURVE", key: [UInt8]? = nil
    ) -> Refusal.Reason? {
        let verdict = verdict(version: version, domain: domain, mechanism: mechanism, key: key)
        guard case .refused(let refusal) = verdict else { return nil }
        return refusal.reason
    }
}

@Suite struct RefusalLimiterTests {
    @Test func fiveASecondAreNamedAndTheRestCounted() {
        let refusal = Refusal(reason: .notCurve, domain: "agents", address: "10.0.0.1", key: nil)
        let start = ContinuousClock.now
        var limiter = RefusalLimiter()
        for _ in 1...5 { #expect(limiter.notices(for: refusal, at: start) == [.refused(refusal)]) }
        for _ in 1...7 { #expect(limiter.notices(for: refusal, at: start + .milliseconds(900)) == []) }
        #expect(limiter.summary(at: start + .milliseconds(999)) == nil)
        #expect(
            limiter.notices(for: refusal, at: start + .seconds(1)) == [.alsoRefused(count: 7), .refused(refusal)])
        #expect(limiter.summary(at: start + .seconds(3)) == nil)
    }

    @Test func theCountIsToldAlsoWhenNobodyKnocksAgain() {
        let refusal = Refusal(reason: .notCurve, domain: "agents", address: "10.0.0.1", key: nil)
        let start = ContinuousClock.now
        var limiter = RefusalLimiter()
        for _ in 1...6 { _ = limiter.notices(for: refusal, at: start) }
        #expect(limiter.summary(at: start + .seconds(1)) == .alsoRefused(count: 1))
        #expect(limiter.summary(at: start + .seconds(2)) == nil)
    }
}
