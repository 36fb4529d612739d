import Foundation
import Testing

extension SystemTests {
    /// Processes die where it hurts, are started again, and nobody helps.
    @Suite struct RestartTests {
        /// Amounts from which those of the tests are no leap that somebody would have to approve.
        private static let amounts = "UPDATE trade_agreement SET amount = 99"

        /// `chunk-sent` and the agents' points with several chunks or slices are in ``ResumeTests``.
        private static let hubPoints = [
            "derived:1", "filled:1", "filled:2", "sealed:1", "sealed:2", "offered:1", "granted:1", "granted:2",
            "chunk-sent:1", "chunk-sent:2", "folded:1", "folded:2",
        ]

        @Test func aHubThatDiesAnywhereOnTheStreetGoesOnWhereItStood() async throws {
            // Two stores that see different prices: two packages, two grants, two chunks.
            try await Chain.with([Chain.call, Chain.shop], beginning: Self.amounts) { chain in
                let hub = chain.hub
                for (number, point) in Self.hubPoints.enumerated() {
                    #expect(try await hub.running().stop() == .status(0))
                    try await hub.start(crashAt: point)
                    try hub.sql("UPDATE trade_agreement SET amount = \(100 + number) WHERE account_code <> 'table'")
                    let publish = try hub.begin(["publish", "prices"])
                    #expect(try await hub.running().ending(within: 20) == .signal(SIGKILL), "at \(point)")
                    try await publish.ending(within: 20)
                    try await hub.start()
                    try await expectAllApplied(chain, sessions: number + 2, point)
                    for agent in chain.agents {
                        let amounts = try agent.rows(
                            "SELECT DISTINCT amount_e4 FROM trade_agreement WHERE account_code <> 'table'")
                        #expect(amounts == [["\((100 + number) * 10_000)"]], "\(agent.store) at \(point)")
                    }
                }
                #expect(try await hub.publish("prices").map(\.status) == ["NoData"])
                try await chain.expectNothingIsMissing("prices")
            }
        }

        private static let agentPoints = [
            "chunk-stored:1", "unpacked:1", "before-commit:1", "applied:1", "acknowledged:1", "acknowledged:2",
        ]

        @Test func anAgentThatDiesAnywhereOnTheStreetGoesOnWhereItStood() async throws {
            try await Chain.with([Chain.call, Chain.shop], beginning: Self.amounts) { chain in
                let hub = chain.hub
                let agent = chain[Chain.shop]
                for (number, point) in Self.agentPoints.enumerated() {
                    #expect(try await agent.running().stop() == .status(0))
                    try hub.sql("UPDATE trade_agreement SET amount = \(100 + number) WHERE account_code <> 'table'")
                    try agent.start(crashAt: point)
                    try await hub.done("publish", "prices")
                    #expect(try await agent.running().ending(within: 20) == .signal(SIGKILL), "at \(point)")
                    try agent.start()
                    try await expectAllApplied(chain, sessions: number + 2, point)
                    let amounts = try agent.rows(
                        "SELECT DISTINCT amount_e4 FROM trade_agreement WHERE account_code <> 'table'")
                    #expect(amounts == [["\((100 + number) * 10_000)"]], "at \(point)")
                }
                #expect(try await hub.publish("prices").map(\.status) == ["NoData"])
                try await chain.expectNothingIsMissing("prices")
            }
        }

        /// Every session of the job ends applied at every store, and each store has applied each of them once.
        private func expectAllApplied(_ chain: Chain, sessions count: Int, _ point: String) async throws {
            var sessions: [Session] = []
            do {
                try await eventually("all applied after \(point)", within: 20) {
                    sessions = try await chain.hub.sessions().filter { $0.job == "prices" }
                    return sessions.allSatisfy { $0.counts == ["Applied": chain.agents.count] }
                }
            } catch { throw Trouble("\(error): \(sessions.map { "\($0.id) \($0.status) \($0.counts)" })") }
            #expect(sessions.count == count, "at \(point)")
            let ids = Set(sessions.map(\.id))
            for agent in chain.agents {
                let applied = try agent.applied().filter { ids.contains($0[0] ?? "") }
                #expect(applied.count == count, "\(agent.store) at \(point)")
                #expect(Set(applied) == Set(ids.map { [$0, "1"] }), "\(agent.store) at \(point)")
            }
        }

        @Test(arguments: [7])
        func killingAnybodyAtAnyMomentLosesNothingAndRepeatsNothing(seed: UInt64) async throws {
            try await Chain.with([Chain.call, Chain.shop], beginning: Self.amounts) { chain in
                let hub = chain.hub
                var random = Seeded(state: seed)
                for cycle in 1...20 {
                    try hub.sql(
                        """
                        UPDATE trade_agreement SET amount = \(100 + cycle) WHERE line_id IN
                            (SELECT line_id FROM trade_agreement ORDER BY line_id LIMIT 60 OFFSET \(cycle * 10));
                        UPDATE assortment SET status = CASE status WHEN 'draft' THEN 'published' ELSE 'draft' END
                            WHERE assortment_id = 'A22';
                        """)
                    let publish = try hub.begin(["publish", "prices", "assortments"])
                    try await Task.sleep(for: .milliseconds(Int.random(in: 50...450, using: &random)))
                    let victim = Int.random(in: 0...2, using: &random)
                    if victim == 0 {
                        try await hub.running().killAtOnce()
                        try await hub.start()
                    } else {
                        try await chain.agents[victim - 1].killAtOnce()
                        try chain.agents[victim - 1].start()
                    }
                    try await publish.ending(within: 20)
                }
                try await eventually("nothing is under way any more", within: 30) {
                    let final: Set = ["Applied", "NoData", "Superseded"]
                    return try await hub.sessions().allSatisfy {
                        final.isSuperset(of: $0.counts.keys) && $0.status != "Started"
                    }
                }
                _ = try await hub.publish()
                try await chain.expectNothingIsMissing()
                let lines = try hub.hqRows(
                    "SELECT line_id, CAST(round(amount * 10000) AS INTEGER) FROM trade_agreement WHERE account_code = 'all'"
                )
                for agent in chain.agents {
                    #expect(
                        sameRows(
                            try agent.rows("SELECT line_id, amount_e4 FROM trade_agreement WHERE account_code = 'all'"),
                            lines))
                    let applied = try agent.applied().map { $0[0] }
                    #expect(Set(applied).count == applied.count, "a session was applied twice at \(agent.store)")
                }
            }
        }
    }
}

/// The same moments at every run.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
