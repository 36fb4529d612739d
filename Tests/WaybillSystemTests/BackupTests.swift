import Foundation
import Testing

extension SystemTests {
    /// A hub that comes back from an older backup, while its stores went on.
    @Suite struct BackupTests {
        private static let amounts = "UPDATE trade_agreement SET amount = 99"

        private func change(_ chain: Chain, to amount: Int) throws {
            try chain.hub.sql("UPDATE trade_agreement SET amount = \(amount) WHERE account_code <> 'table'")
        }

        private func amounts(_ agent: TestAgent) throws -> [[String?]] {
            try agent.rows("SELECT DISTINCT amount_e4 FROM trade_agreement WHERE account_code <> 'table'")
        }

        private func backUp(_ hub: TestHub, _ name: String) async throws -> String {
            let file = hub.world.folder + "/" + name
            let run = try await hub.world.run("waybill-hub", ["backup", hub.home, file, "--verify"])
            guard run.ending == .status(0) else { throw Trouble("backup: \(run.ending)\n\(run.err)") }
            return file
        }

        private func restore(_ hub: TestHub, _ file: String, to home: String? = nil) async throws {
            let run = try await hub.world.run("waybill-hub", ["restore", file, home ?? hub.home, "--force"])
            guard run.ending == .status(0) else { throw Trouble("restore: \(run.ending)\n\(run.err)") }
        }

        private func expectAllAt(_ amount: Int, _ chain: Chain) async throws {
            for agent in chain.agents {
                try await eventually("store \(agent.store) has amount \(amount)", within: 40) {
                    try amounts(agent) == [["\(amount * 10_000)"]]
                }
            }
        }

        private func expectNothingUnderWay(_ hub: TestHub) async throws {
            try await eventually("nothing is under way any more", within: 40) {
                let final: Set = ["Applied", "NoData", "Superseded", "Canceled"]
                return try await hub.sessions().allSatisfy {
                    final.isSuperset(of: $0.counts.keys) && $0.status != "Started"
                }
            }
        }

        @Test func storesThatWentOnAreBroughtBackToWhatARestoredHubSays() async throws {
            try await Chain.with([Chain.call, Chain.shop, Chain.otherShop], beginning: Self.amounts) { chain in
                let hub = chain.hub
                try change(chain, to: 101)
                _ = try await hub.publish("prices")
                // Open deliveries are in the backup: one store is away.
                #expect(try await chain[Chain.otherShop].running().stop() == .status(0))
                try change(chain, to: 102)
                try await hub.done("publish", "prices")
                try await eventually("the others have it", within: 20) {
                    try amounts(chain[Chain.call]) == [["1020000"]] && amounts(chain[Chain.shop]) == [["1020000"]]
                }
                let file = try await backUp(hub, "backup.tar")

                for _ in 1...2 {
                    // The stores get ahead, by sessions that the restored hub will not know.
                    try change(chain, to: 103)
                    try await hub.done("publish", "prices")
                    try change(chain, to: 104)
                    try await hub.done("publish", "prices")
                    try await eventually("the stores are ahead", within: 30) {
                        try amounts(chain[Chain.call]) == [["1040000"]] && amounts(chain[Chain.shop]) == [["1040000"]]
                    }
                    try await hub.running().killAtOnce()
                    try await restore(hub, file)
                    try await hub.start()
                    if chain[Chain.otherShop].process?.isRunning != true { try chain[Chain.otherShop].start() }
                    // HQ says 102 again, and nobody publishes.
                    try await expectAllAt(102, chain)
                }
                try await expectNothingUnderWay(hub)
                // And the street goes on from there.
                try change(chain, to: 105)
                #expect(try await hub.publish("prices").map(\.status) == ["Applied"])
                try await expectAllAt(105, chain)
                try await chain.expectNothingIsMissing("prices")
            }
        }

        /// The changes that lead from where stores stand to the present are forgotten before they are heard.
        @Test func aBackupFromBeforeTheKeptPastEndsInFullLoads() async throws {
            try await Chain.with([Chain.call, Chain.shop], beginning: Self.amounts) { chain in
                let hub = chain.hub
                try change(chain, to: 101)
                _ = try await hub.publish("prices")
                let file = try await backUp(hub, "backup.tar")
                try change(chain, to: 102)
                _ = try await hub.publish("prices")
                for agent in chain.agents { #expect(try await agent.running().stop() == .status(0)) }
                try await hub.running().killAtOnce()
                try await restore(hub, file)
                try await hub.start()
                try change(chain, to: 105)
                try await hub.done("publish", "prices")
                try await hub.done("purge", "--older-than", "0s")
                for agent in chain.agents { try agent.start() }
                try await expectAllAt(105, chain)
                try await expectNothingUnderWay(hub)
                try await chain.expectNothingIsMissing("prices")
            }
        }

        @Test func aBackupTakenDuringPublishesIsAlwaysAWholeHub() async throws {
            try await Chain.with([Chain.call, Chain.shop], beginning: Self.amounts) { chain in
                let hub = chain.hub
                var last = 0
                for cycle in 1...6 {
                    try change(chain, to: 100 + cycle)
                    let publish = try hub.begin(["publish", "prices"])
                    try await Task.sleep(for: .milliseconds(60 * cycle))
                    let file = try await backUp(hub, "backup.tar")
                    try await publish.ending(within: 20)
                    let other = hub.world.folder + "/other-\(cycle)"
                    try await restore(hub, file, to: other)
                    let newest = try rows(of: other + "/hub.db", "SELECT max(version) FROM session")[0][0]
                    let head = try rows(of: other + "/hq.db", "SELECT max(version) FROM _waybill_change")[0][0]
                    #expect(Int(newest ?? "") ?? .max <= Int(head ?? "") ?? 0, "cycle \(cycle)")
                    last = cycle
                }
                // The last of them is run, where the first hub was.
                try await hub.running().killAtOnce()
                try await restore(hub, hub.world.folder + "/backup.tar")
                try await hub.start()
                _ = try await hub.publish("prices")
                try await expectAllAt(100 + last, chain)
                try await expectNothingUnderWay(hub)
                try await chain.expectNothingIsMissing("prices")
            }
        }
    }
}
