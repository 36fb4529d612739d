import Testing
import WaybillModel
import WaybillWire

@testable import WaybillAgent

/// Which keys an agent connects with, offers and keeps.
@Suite struct AgentKeyTests {
    private static func key(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 32) }
    private let signing = SigningKey()
    private let nextSigning = SigningKey()
    private let hub: HubKeys
    private let nextHub: HubKeys

    init() throws {
        hub = try #require(HubKeys(curve: Self.key(10), signing: signing.verifyingKey.rawBytes))
        nextHub = try #require(HubKeys(curve: Self.key(20), signing: nextSigning.verifyingKey.rawBytes))
    }

    /// A connected agent with key 1, and what else is said.
    private func agent(
        next: [UInt8]? = nil, former: [UInt8]? = nil, nextHub: HubKeys? = nil, isConnected: Bool = true
    ) -> AgentAtWork {
        var work = AgentAtWork()
        work.step(.keys(AgentKeys(own: Self.key(1), next: next, former: former, hub: hub, nextHub: nextHub)))
        if isConnected { work.step(.connected) }
        return work
    }

    private func news(_ next: HubKeys? = nil, by key: SigningKey? = nil, renew: Bool = false) throws -> KeyNews {
        KeyNews(
            next: next, signature: try next.map { try (key ?? signing).sign(next: $0) } ?? [], isRenewalAsked: renew)
    }

    @Test func withoutKeysNothingIsSaidOfThem() {
        var work = AgentAtWork()
        work.step(.connected)
        work.step(.handshakeFailed(isKeyUnknown: true))
        #expect(work.tick(after: 100_000).notices.isEmpty)
        #expect(work.core.keyChoice == nil)
    }

    @Test func aNewKeyIsOfferedUntilItIsAnswered() {
        var work = agent(next: Self.key(2))
        #expect(work.tick(after: 100).notices == [], "it has been offered on connecting")
        #expect(work.tick(after: 9_000).notices == [])
        #expect(work.tick(after: 1_000).notices == [KeyNotice(newKey: Self.key(2))])
        let effects = work.step(.letter(.keyAnswer(KeyAnswer(newKey: Self.key(2), isAccepted: true))))
        #expect(effects.reconnects == 1)
        #expect(work.core.keyChoice == KeyChoice(own: Self.key(2), hub: hub))
        #expect(effects.keyEffects.isEmpty, "it is adopted when it has worked")
    }

    @Test func aKeyIsAdoptedWhenTheHubHasAnsweredOverIt() {
        var work = agent(next: Self.key(2))
        work.step(.letter(.keyAnswer(KeyAnswer(newKey: Self.key(2), isAccepted: true))))
        #expect(work.step(.connected).keyEffects.isEmpty)
        let choice = KeyChoice(own: Self.key(2), hub: hub)
        #expect(work.welcome().keyEffects == [.adopt(choice)])
        work.step(.keys(AgentKeys(own: Self.key(2), former: Self.key(1), hub: hub)))
        #expect(work.core.keyChoice == choice)
        #expect(work.welcome().keyEffects.isEmpty)
        #expect(work.tick(after: 20_000).notices.isEmpty)
    }

    @Test func aRefusedKeyIsForgottenAndTheOldOneStays() {
        var work = agent(next: Self.key(2))
        let effects = work.step(.letter(.keyAnswer(KeyAnswer(newKey: Self.key(2), isAccepted: false, reason: "no"))))
        #expect(effects.keyEffects == [.forgetNext] && effects.reconnects == 0)
        work.step(.keys(AgentKeys(own: Self.key(1), hub: hub)))
        #expect(work.tick(after: 20_000).notices.isEmpty)
    }

    @Test func anAnswerForAnotherKeyIsIgnored() {
        var work = agent(next: Self.key(2))
        #expect(work.step(.letter(.keyAnswer(KeyAnswer(newKey: Self.key(9), isAccepted: true)))).reconnects == 0)
        #expect(work.step(.letter(.keyAnswer(KeyAnswer(newKey: Self.key(1), isAccepted: true)))).reconnects == 0)
    }

    @Test func theHubMayAskForANewKeyAndIsObeyedOnce() throws {
        var work = agent()
        #expect(work.welcome(keys: try news(renew: true)).keyEffects == [.make])
        let effects = work.step(.keys(AgentKeys(own: Self.key(1), next: Self.key(2), hub: hub)))
        #expect(effects.notices == [KeyNotice(newKey: Self.key(2))])
        #expect(work.welcome(keys: try news(renew: true)).keyEffects.isEmpty)
    }

    @Test func refusedKeysAreTriedInTurnAndNoneIsGivenUp() {
        var work = agent(next: Self.key(2), former: Self.key(3), isConnected: false)
        var tried: [[UInt8]] = []
        for _ in 0..<6 {
            work.step(.handshakeFailed(isKeyUnknown: true))
            // An attempt that the library makes by itself counts for nothing.
            work.step(.handshakeFailed(isKeyUnknown: true))
            var effects: [AgentEffect] = []
            for _ in 0..<200 where effects.reconnects == 0 { effects = work.tick(after: 500) }
            #expect(effects.reconnects == 1)
            tried.append(work.core.keyChoice?.own ?? [])
        }
        #expect(tried == [2, 3, 1, 2, 3, 1].map(Self.key))
    }

    @Test func aHubWithAnotherKeyIsTriedByTheOneItHasAnnounced() {
        var work = agent(nextHub: nextHub, isConnected: false)
        work.step(.handshakeFailed(isKeyUnknown: false))
        #expect(work.tick(after: 900).reconnects == 0)
        #expect(work.tick(after: 400).reconnects == 1)
        #expect(work.core.keyChoice == KeyChoice(own: Self.key(1), hub: nextHub))
        work.step(.handshakeFailed(isKeyUnknown: false))
        work.tick(after: 3_000)
        #expect(work.core.keyChoice?.hub == hub, "it may have been the line")
    }

    @Test func pausesGrowWhenNoKeyWorks() {
        var work = agent(isConnected: false)
        var pauses: [Int64] = []
        for _ in 0..<8 {
            work.step(.handshakeFailed(isKeyUnknown: true))
            let begun = work.now
            while work.tick(after: 500).reconnects == 0, work.now - begun < 200_000 {}
            pauses.append(work.now - begun)
        }
        #expect(pauses.first.map { $0 <= 3_000 } == true)
        #expect(pauses == pauses.sorted() || pauses.suffix(3).allSatisfy { (60_000...75_500).contains($0) })
        #expect(pauses.allSatisfy { $0 <= 75_500 })
    }

    @Test func nextKeysOfTheHubAreKeptAndThenTold() throws {
        var work = agent()
        let effects = work.welcome(keys: try news(nextHub))
        #expect(effects.keyEffects == [.keepNextHub(nextHub)])
        #expect(effects.notices.isEmpty, "not before they are on disk")
        let kept = work.step(.keys(AgentKeys(own: Self.key(1), hub: hub, nextHub: nextHub)))
        #expect(kept.notices == [KeyNotice(knows: nextHub)])
        #expect(work.welcome(keys: try news(nextHub)).notices == [KeyNotice(knows: nextHub)], "the answer may be lost")
    }

    @Test func nextKeysThatTheHubHasNotSignedAreRefused() throws {
        var work = agent()
        let effects = work.welcome(keys: try news(nextHub, by: nextSigning))
        #expect(effects.keyEffects.isEmpty && effects.notices.isEmpty)
        #expect(effects.problems == ["the hub's next keys were refused: their signature is not the hub's"])
    }

    @Test func packagesAreBelievedByTheKeyOfTheHubThatIsConnected() throws {
        var work = agent(nextHub: nextHub, isConnected: false)
        #expect(work.core.verifyingKey == signing.verifyingKey)
        work.step(.handshakeFailed(isKeyUnknown: false))
        work.tick(after: 2_000)
        work.step(.connected)
        #expect(work.core.verifyingKey == nextSigning.verifyingKey)
        #expect(work.welcome().keyEffects == [.adopt(KeyChoice(own: Self.key(1), hub: nextHub))])
        work.step(.keys(AgentKeys(own: Self.key(1), hub: nextHub)))
        #expect(work.core.verifyingKey == nextSigning.verifyingKey)
    }

    @Test func aHubRestoredFromABackupIsOfferedTheKeyThatItHasForgotten() {
        var work = agent(former: Self.key(3), isConnected: false)
        work.step(.handshakeFailed(isKeyUnknown: true))
        work.tick(after: 2_000)
        #expect(work.core.keyChoice?.own == Self.key(3))
        #expect(work.step(.connected).notices == [KeyNotice(newKey: Self.key(1))])
        #expect(work.welcome().keyEffects.isEmpty, "an old key is never adopted")
        let effects = work.step(.letter(.keyAnswer(KeyAnswer(newKey: Self.key(1), isAccepted: true))))
        #expect(effects.reconnects == 1)
        #expect(work.core.keyChoice?.own == Self.key(1))
    }
}

extension [AgentEffect] {
    fileprivate var notices: [KeyNotice] {
        compactMap { if case .send(let letter) = $0, case .keys(let notice) = letter.body { notice } else { nil } }
    }
    fileprivate var keyEffects: [KeyEffect] { compactMap { if case .keys(let effect) = $0 { effect } else { nil } } }
    fileprivate var reconnects: Int { count { if case .reconnect = $0 { true } else { false } } }
    fileprivate var problems: [String] { compactMap { if case .log(let text, true) = $0 { text } else { nil } } }
}

extension AgentAtWork {
    fileprivate mutating func welcome(keys: KeyNews) -> [AgentEffect] {
        var welcome = HubLetter.Welcome(hubRun: 7, hubTime: now, offers: [], cancels: [], helloSeconds: 30)
        welcome.keys = keys
        return step(.letter(.welcome(welcome)))
    }
}
