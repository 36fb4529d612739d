import Foundation
import Testing

extension SystemTests {
    /// What is old is forgotten, and no store is ever the worse for it but by a full load.
    @Suite struct RetentionTests {
        private struct Purged: Decodable {
            struct Kind: Decodable { let kind: String, rows: Int }
            struct Load: Decodable, Equatable { let store: String, job: String }
            let dryRun: Bool, kinds: [Kind], fullLoads: [Load], problems: [String]

            func rows(_ kind: String) -> Int { kinds.first { $0.kind == kind }?.rows ?? -1 }
        }

        private func purge(_ hub: TestHub, _ arguments: String...) async throws -> Purged {
            let answer = try await hub.waybill(["purge", "--older-than", "0s", "--json"] + arguments)
            guard answer.ending == .status(0) else { throw Trouble("purge: \(answer.ending)\n\(answer.err)") }
            return try answer.decoded(Purged.self)
        }

        /// Prices near those of the changes below, which stay within the guard rails so.
        private static let amounts = "UPDATE trade_agreement SET amount = 100 WHERE account_code <> 'table'"

        private func change(_ chain: Chain, to amount: Int) throws {
            try chain.hub.sql("UPDATE trade_agreement SET amount = \(amount) WHERE account_code <> 'table'")
        }

        private func amounts(_ agent: TestAgent) throws -> [[String?]] {
            try agent.rows("SELECT DISTINCT amount_e4 FROM trade_agreement WHERE account_code <> 'table'")
        }

        @Test func aStoreThatWasAwayForTooLongGetsEverythingAndAnOldSessionIsReplaced() async throws {
            try await Chain.with([Chain.call, Chain.shop, Chain.otherShop], beginning: Self.amounts) { chain in
                let hub = chain.hub
                let away = chain[Chain.shop]
                #expect(try await away.running().stop() == .status(0))
                try change(chain, to: 101)
                let old = try await hub.done("publish", "prices", "--json").decoded(Published.self).sessions[0].id
                try await hub.done("session", "cancel", old, "--store", Chain.shop)
                try change(chain, to: 102)
                // The call centre stands at the old session, which is therefore remembered; its rows are not.
                try await eventually("the others have the old session", within: 20) {
                    try await hub.show(old).counts == ["Applied": 2, "Canceled": 1]
                }
                _ = try await hub.publish("prices", "--store", Chain.otherShop)

                let dry = try await purge(hub, "--dry-run")
                #expect(dry.dryRun)
                let done = try await purge(hub)
                #expect(done.fullLoads == [Chain.call, Chain.shop].map { .init(store: $0, job: "prices") })
                #expect(done.fullLoads == dry.fullLoads)
                #expect(done.rows("history") > 0 && done.rows("history") == dry.rows("history"))
                #expect(done.rows("changes") > 0 && done.rows("changes") == dry.rows("changes"))
                // The newest change stays, whatever is asked for.
                #expect(try hub.hqRows("SELECT count(*) FROM _waybill_change") == [["1"]])

                // The rows of the old session cannot be told any more; those of today take their place.
                try await hub.done("session", "rerun", old, "--store", Chain.shop)
                try away.start()
                try await eventually("the store has today's rows", within: 20) {
                    try amounts(away) == [["1020000"]]
                }
                try await eventually("the old session is superseded", within: 20) {
                    try await hub.show(old).delivery(Chain.shop).status == "Superseded"
                }
                // The call centre's base is no longer kept either.
                let next = try #require(try await hub.publish("prices").first)
                #expect(try next.delivery(Chain.call).kind == "full")
                #expect(try next.delivery(Chain.shop).status == "NoData")
                try await chain.expectNothingIsMissing("prices")
                // And from now on it gets what changes.
                try await chain.expectSmallDelta(
                    "prices", "UPDATE trade_agreement SET amount = 103 WHERE account_code <> 'table'")
            }
        }

        @Test func aHubThatDiesWhileItForgetsLosesNothingThatIsNeeded() async throws {
            try await Chain.with([Chain.call, Chain.shop], beginning: Self.amounts) { chain in
                let hub = chain.hub
                for passes in 1...5 {
                    #expect(try await chain[Chain.shop].running().stop() == .status(0))
                    try change(chain, to: 100 + passes)
                    try await hub.done("publish", "prices")
                    #expect(try await hub.running().stop() == .status(0))
                    try await hub.start(crashAt: "purging:\(passes * 2)")
                    let purge = try hub.begin(["purge", "--older-than", "0s"])
                    #expect(try await hub.running().ending(within: 20) == .signal(SIGKILL), "pass \(passes)")
                    try await purge.ending(within: 20)
                    try await hub.start()
                    try chain[Chain.shop].start()
                    let text = "\((100 + passes) * 10_000)"
                    for agent in chain.agents {
                        try await eventually("\(agent.store) has what waited for it", within: 20) {
                            try amounts(agent) == [[text]]
                        }
                    }
                    // Files and rows agree again after the start.
                    let kept = try hub.operationsRows("SELECT id FROM package WHERE length(manifest) > 0")
                    let files = try FileManager.default.contentsOfDirectory(atPath: hub.home + "/packages")
                    #expect(Set(files) == Set(kept.compactMap { $0[0] }.map { $0 + ".zst" }))
                }
                try await eventually("the reports have arrived", within: 20) {
                    try await hub.sessions().allSatisfy { Set($0.counts.keys).isSubset(of: ["Applied", "NoData"]) }
                }
                #expect(try await purge(hub).problems.isEmpty)
                try await chain.expectNothingIsMissing()
            }
        }
    }
}
