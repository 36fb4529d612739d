import Foundation
import GRDB
import Testing

extension SystemTests {
    /// Keys are replaced while the stores go on selling, and whoever dies on the way still gets in.
    @Suite struct KeyRotationTests {
        private static let amounts = "UPDATE trade_agreement SET amount = 99"

        @Test func allThreeKeysAreReplacedWhileSessionsFlow() async throws {
            try await Chain.with([Chain.call, Chain.shop], beginning: Self.amounts) { chain in
                let hub = chain.hub
                let before = try await hub.keys()
                var sessions = 0
                func publish() async throws {
                    sessions += 1
                    try hub.sql("UPDATE trade_agreement SET amount = \(100 + sessions) WHERE account_code <> 'table'")
                    #expect(try await hub.publish("prices").map(\.status) == ["Applied"])
                }
                let first = try hub.begin(["publish", "assortments", "--full", "--wait", "--timeout", "60"])
                try await hub.done("store", "rotate-key", "--all")
                try await publish()
                try await eventually("both stores have new keys", within: 30) {
                    let now = try await hub.keys().stores
                    return zip(now, before.stores).allSatisfy { $0.key != $1.key && $0.oldKeyUntil != nil }
                }
                #expect(try await first.ending() == .status(0))

                try await hub.done("key", "rotate")
                try await publish()
                try await hub.allKnowTheNextKeys()
                let second = try hub.begin(["publish", "assortments", "--full", "--wait", "--timeout", "60"])
                try await hub.done("key", "switch")
                // It waits for nobody who has been gone for longer than a moment, and says so.
                #expect([.status(0), .status(3)].contains(try await second.ending()))
                try await hub.allAreBack()
                try await publish()
                let after = try await hub.keys()
                #expect(after.hub.curveKey != before.hub.curveKey && after.hub.signingKey != before.hub.signingKey)
                #expect(after.next == nil && after.hub.switchedAt != nil)
                try await eventually("both were heard since", within: 20) {
                    try await hub.keys().hub.silentStores.isEmpty
                }
                try await eventually("whatever was cut short is done", within: 20) {
                    try await hub.sessions().allSatisfy {
                        Set($0.counts.keys).isSubset(of: ["Applied", "NoData", "Superseded"])
                    }
                }
                for session in try await hub.sessions() {
                    for delivery in try await hub.show(session.id).deliveries.each where delivery.status == "Applied" {
                        try #require(delivery.attempts == 1, "no attempt failed on the way")
                    }
                }
                try await chain.expectNothingIsMissing()
                // Nobody needs the old keys: everything is found again after a restart of both sides.
                #expect(try await hub.running().stop() == .status(0))
                try await hub.start()
                try await chain[Chain.shop].killAtOnce()
                try chain[Chain.shop].start()
                try await hub.allAreBack()
                try await publish()
                #expect(try hub.home.contentsOfKeys() == ["former.signing", "hub.curve", "hub.signing"])
            }
        }

        @Test func anAgentMayBeAskedAtTheStoreAlsoWhileItIsDown() async throws {
            try await Chain.with([Chain.shop], beginning: Self.amounts) { chain in
                let (hub, agent) = (chain.hub, chain[Chain.shop])
                let first = try await hub.keys().stores[0].key
                try await agent.rotateKey()
                try await hub.awaitsAnotherKey(than: first)
                let second = try await hub.keys().stores[0].key
                #expect(try await agent.running().stop() == .status(0))
                try await agent.rotateKey()
                #expect(try await agent.keys().renewalAsked)
                try agent.start()
                try await hub.awaitsAnotherKey(than: second)
                try await eventually("the agent is done", within: 20) {
                    let keys = try await agent.keys()
                    return try await hub.keys().stores[0].key == keys.own && keys.next == nil && !keys.renewalAsked
                }
                #expect(try await hub.publish("prices").map(\.status) == ["NoData"])
            }
        }

        private static let agentPoints = ["key-made:1", "key-half-adopted:1", "key-adopted:1"]
        private static let hubPoints = ["store-key-kept:1", "store-key-used:1"]

        @Test func whoeverDiesWhileAStoreGoesOverToANewKeyGetsInAgain() async throws {
            try await Chain.with([Chain.shop], beginning: Self.amounts) { chain in
                let (hub, agent) = (chain.hub, chain[Chain.shop])
                for (number, point) in (Self.agentPoints + Self.hubPoints).enumerated() {
                    let before = try await hub.keys().stores[0].key
                    let isHub = Self.hubPoints.contains(point)
                    if isHub {
                        #expect(try await hub.running().stop() == .status(0))
                        try await hub.start(crashAt: point)
                    } else {
                        #expect(try await agent.running().stop() == .status(0))
                        try agent.start(crashAt: point)
                    }
                    // The old key ends at once: what is left on disk must be enough.
                    try await hub.done("store", "rotate-key", Chain.shop, "--now")
                    let victim = try isHub ? hub.running() : agent.running()
                    #expect(try await victim.ending(within: 30) == .signal(SIGKILL), "at \(point)")
                    if isHub { try await hub.start() } else { try agent.start() }
                    try await hub.awaitsAnotherKey(than: before, point)
                    try hub.sql("UPDATE trade_agreement SET amount = \(100 + number) WHERE account_code <> 'table'")
                    #expect(try await hub.publish("prices").map(\.status) == ["Applied"], "after \(point)")
                    try await eventually("one key on either side after \(point)", within: 20) {
                        let own = try await agent.keys()
                        let known = try await hub.keys().stores[0].key
                        let good = try hub.operationsRows("SELECT count(*) FROM store_key WHERE state <> 'ended'")
                        return own.next == nil && own.own == known && good == [["0"]]
                    }
                }
                try await chain.expectNothingIsMissing("prices")
            }
        }

        private static let hubKeyPoints = ["hub-keys-made:1", "hub-keys-switching:1", "hub-keys-half-switched:1"]
        private static let hubKeyAgentPoints = ["hub-keys-kept:1", "hub-keys-adopted:1"]

        @Test func whoeverDiesWhileTheHubReplacesItsKeysGetsInAgain() async throws {
            try await Chain.with([Chain.call, Chain.shop], beginning: Self.amounts) { chain in
                let (hub, agent) = (chain.hub, chain[Chain.shop])
                for (number, point) in (Self.hubKeyPoints + Self.hubKeyAgentPoints).enumerated() {
                    let before = try await hub.keys().hub.curveKey
                    let isHub = Self.hubKeyPoints.contains(point)
                    if isHub {
                        #expect(try await hub.running().stop() == .status(0))
                        try await hub.start(crashAt: point)
                    } else {
                        #expect(try await agent.running().stop() == .status(0))
                        try agent.start(crashAt: point)
                    }
                    let rotate = try await hub.waybill("key", "rotate")
                    if isHub, rotate.ending != .status(0) { try await restart(hub, point) }
                    if !isHub, point.hasPrefix("hub-keys-kept") { try await restart(agent, point) }
                    try await hub.done("key", "rotate")
                    try await hub.allKnowTheNextKeys()
                    let change = try await hub.waybill("key", "switch")
                    if isHub, change.ending != .status(0) { try await restart(hub, point) }
                    if !isHub, point.hasPrefix("hub-keys-adopted") { try await restart(agent, point) }
                    #expect(try await hub.keys().hub.curveKey != before, "after \(point)")
                    #expect(try await hub.keys().next == nil, "after \(point)")
                    try await hub.allAreBack()
                    try hub.sql("UPDATE trade_agreement SET amount = \(100 + number) WHERE account_code <> 'table'")
                    #expect(try await hub.publish("prices").map(\.status) == ["Applied"], "after \(point)")
                }
                try await chain.expectNothingIsMissing("prices")
            }
        }

        private func restart(_ hub: TestHub, _ point: String) async throws {
            #expect(try await hub.running().ending(within: 20) == .signal(SIGKILL), "at \(point)")
            try await hub.start()
        }

        private func restart(_ agent: TestAgent, _ point: String) async throws {
            #expect(try await agent.running().ending(within: 30) == .signal(SIGKILL), "at \(point)")
            try agent.start()
        }

        @Test func aStoreThatWasAwayDuringTheWholeRotationEnrolsAnew() async throws {
            try await Chain.with([Chain.call, Chain.shop], beginning: Self.amounts) { chain in
                let (hub, straggler) = (chain.hub, chain[Chain.shop])
                #expect(try await straggler.running().stop() == .status(0))
                let unused = try await hub.code(for: Chain.otherShop)
                try await hub.done("key", "rotate")
                try await eventually("only one does not know them", within: 20) {
                    try await hub.keys().next?.unawareStores == [Chain.shop]
                }
                let refused = try await hub.waybill("key", "switch")
                #expect(refused.ending == .status(1))
                #expect(refused.err.contains("1 stores do not know the next keys yet (\(Chain.shop))"))
                #expect(try await hub.done("status").out.contains("not known yet to 1 store"))
                let forced = try await hub.waybill("key", "switch", "--anyway")
                #expect(forced.ending == .status(3))
                #expect(forced.out.contains("must enrol anew: \(Chain.shop)"))
                #expect(forced.out.contains("void now: \(Chain.otherShop)"))
                try straggler.start()
                try await eventually("it says what is wrong", within: 20) {
                    try straggler.running().err.contains("the handshake with the hub failed")
                }
                try await eventually("the other one is back", within: 20) {
                    try await hub.keys().hub.silentStores == [Chain.shop]
                }
                #expect(try await straggler.running().stop() == .status(0))
                let code = try await hub.code(for: Chain.shop)
                let again = try await hub.world.run("waybill-agent", ["enrol", code, straggler.home])
                #expect(again.ending == .status(0), "\(again.err)")
                try straggler.start()
                try hub.sql("UPDATE trade_agreement SET amount = 100 WHERE account_code <> 'table'")
                _ = try await hub.publish("prices")
                try await chain.expectNothingIsMissing("prices")
                let void = try await hub.world.run(
                    "waybill-agent", ["enrol", unused, hub.world.folder + "/void"], within: 30)
                #expect(void.ending == .status(1))
            }
        }

        @Test func aCopyOfAStoreIsNoticedAlsoWhileItsOldKeyIsGood() async throws {
            try await Chain.with([Chain.shop], publish: false) { chain in
                let (hub, agent) = (chain.hub, chain[Chain.shop])
                // It has just been started, and may end by the signal itself.
                _ = try await agent.running().stop()
                let copy = hub.world.folder + "/copy"
                try FileManager.default.copyItem(atPath: agent.home, toPath: copy)
                try agent.start()
                let before = try await hub.keys().stores[0].key
                try await hub.done("store", "rotate-key", Chain.shop)
                try await hub.awaitsAnotherKey(than: before)
                let twin = try hub.world.start("waybill-agent", ["run", copy])
                try await eventually("the hub says so", within: 40) {
                    try hub.running().err.contains("two machines seem to speak as store \(Chain.shop)")
                }
                #expect(twin.isRunning)
            }
        }
    }
}

// MARK: what the commands print of keys

struct Keys: Decodable {
    struct Hub: Decodable { let curveKey: String, signingKey: String, switchedAt: String?, silentStores: [String] }
    struct Next: Decodable { let curveKey: String, unawareStores: [String] }
    struct Store: Decodable { let store: String, key: String?, oldKeyUntil: String?, renewalAskedAt: String? }
    let hub: Hub, next: Next?, stores: [Store]
}

struct AgentStatus: Decodable {
    struct Keys: Decodable { let own: String, next: String?, renewalAsked: Bool, hub: String, nextHub: String? }
    let keys: Keys
}

extension TestHub {
    func keys() async throws -> Keys { try await done("key", "status", "--json").decoded(Keys.self) }

    /// The only store has gone over to a new key.
    func awaitsAnotherKey(than key: String?, _ point: String = "") async throws {
        try await eventually("another key of the store \(point)", within: 30) {
            let store = try await self.keys().stores[0]
            return store.key != key && store.renewalAskedAt == nil
        }
    }

    /// Stores that have lost the hub come back one after the other.
    func allAreBack() async throws {
        try await eventually("every store is online", within: 30) {
            try await self.stores().allSatisfy(\.online)
        }
    }

    func allKnowTheNextKeys() async throws {
        try await eventually("every store knows the next keys", within: 30) {
            try await self.keys().next?.unawareStores == []
        }
    }
}

extension TestAgent {
    func rotateKey() async throws {
        let run = try await world.run("waybill-agent", ["rotate-key", home])
        guard run.ending == .status(0) else { throw Trouble("rotate-key: \(run.err)") }
    }

    func keys() async throws -> AgentStatus.Keys {
        let run = try await world.run("waybill-agent", ["status", home, "--json"])
        return try TestHub.Answer(ending: run.ending, out: run.out, err: run.err).decoded(AgentStatus.self).keys
    }
}

extension String {
    /// The names in a hub's folder of keys.
    fileprivate func contentsOfKeys() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: self + "/keys").sorted()
    }
}
