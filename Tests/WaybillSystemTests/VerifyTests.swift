import Foundation
import GRDB
import Testing

extension SystemTests {
    /// A store's rows against HQ's, with the programs themselves.
    @Suite struct VerifyTests {
        private struct Verified: Decodable {
            struct Finding: Decodable {
                struct Column: Decodable { let column: String, hq: String?, store: String? }
                let table: String, difference: String, key: [String: String], row: String, columns: [Column]
            }
            struct One: Decodable {
                let id: Int, store: String, job: String, outcome: String, version: Int?, changed: Int, missing: Int,
                    extra: Int, repairSession: String?, message: String?, goodBefore: String?, findings: [Finding]
            }
            let verifications: [One]
        }

        private struct Listed: Decodable {
            struct Through: Decodable { let version: Int, session: String, at: String }
            let store: String, verifiedThrough: [String: Through], diverged: [String]
        }

        /// As a technician does it, with plain SQL.
        private func technician(_ agent: TestAgent, _ sql: String) throws {
            let queue = try DatabaseQueue(path: agent.home + "/store.db")
            try queue.write { try $0.execute(sql: sql) }
            try queue.close()
        }

        private func verify(_ hub: TestHub, _ arguments: String...) async throws -> (Ending, [Verified.One]) {
            let answer = try await hub.waybill(["verify", "--json"] + arguments)
            return (answer.ending, try answer.decoded(Verified.self).verifications)
        }

        private func listed(_ hub: TestHub, _ store: String) async throws -> Listed {
            let all = try await hub.done("store", "list", "--json").decoded([Listed].self)
            return try #require(all.first { $0.store == store })
        }

        @Test func whatATechnicianChangedIsFoundNamedAndRepaired() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let hub = chain.hub
                let (ending, healthy) = try await verify(hub, "--wait")
                #expect(ending == .status(0))
                #expect(healthy.count == 6 && healthy.allSatisfy { $0.outcome == "ok" })
                let before = try chain.contents()
                let mark = try #require(try await hub.stores().first { $0.store == Chain.shop }?.watermarks["prices"])
                let through = try await listed(hub, Chain.shop)
                #expect(through.verifiedThrough["prices"]?.version == mark.version)
                #expect(through.verifiedThrough["prices"]?.session == mark.session && through.diverged.isEmpty)

                try technician(
                    chain[Chain.shop],
                    """
                    UPDATE price_base SET base_price_e4 = base_price_e4 + 1
                    WHERE product_id = (SELECT product_id FROM price_base ORDER BY 1 LIMIT 1)
                    """)
                let (diverged, found) = try await verify(hub, "--wait", "--job", "prices")
                #expect(diverged == .status(3))
                let shop = try #require(found.first { $0.store == Chain.shop })
                #expect(shop.outcome == "diverged" && shop.changed == 1 && shop.missing + shop.extra == 0)
                #expect(shop.findings.map(\.table) == ["price_base"] && shop.goodBefore != nil)
                #expect(shop.findings.first?.columns.map(\.column) == ["base_price_e4"])
                #expect(found.first { $0.store == Chain.call }?.outcome == "ok")
                #expect(try await listed(hub, Chain.shop).diverged == ["prices"])
                #expect(try await hub.done("status").out.contains("diverged  store \(Chain.shop)"))

                let sessionsBefore = try await hub.sessions().count
                let (repairing, repaired) = try await verify(
                    hub, "--wait", "--repair", "--store", Chain.shop, "--job", "prices")
                #expect(repairing == .status(0))
                #expect(repaired.map(\.outcome) == ["repaired"])
                #expect(try chain.contents() == before)
                // One session of its own, which brought that part and no more.
                let sessions = try await hub.sessions()
                #expect(sessions.count == sessionsBefore + 1)
                let repair = try await hub.show(try #require(sessions.first).id)
                #expect(repair.kind == "delta" && repair.message?.hasPrefix("repair at store \(Chain.shop)") == true)
                #expect(try repair.delivery(Chain.shop).status == "Applied")
                #expect((1...32).contains(repair.rows))
                #expect(
                    try chain[Chain.shop].rows(
                        "SELECT rows_changed FROM _waybill_outcome WHERE session = ?", [repair.id]) == [["1"]])
                // At the same version, and what follows is small as ever.
                let after = try #require(try await hub.stores().first { $0.store == Chain.shop }?.watermarks["prices"])
                #expect(after.version == mark.version && after.session == repair.id)
                #expect(try await listed(hub, Chain.shop).diverged.isEmpty)
                try await chain.expectSmallDelta("prices", "UPDATE exchange_rate SET rate = rate * 1.01")
            }
        }

        @Test func aStoreThatIsAwayIsNamedAndNotWaitedForForLong() async throws {
            try await Chain.with([Chain.shop]) { chain in
                #expect(try await chain[Chain.shop].running().stop() == .status(0))
                let (ending, found) = try await verify(chain.hub, "--wait", "--job", "prices")
                #expect(ending == .status(3))
                #expect(found.map(\.outcome) == ["unknown"])
                #expect(found.first?.message?.contains("not reached") == true)
            }
        }

        @Test func aTableThatSomebodyDroppedComesBackWhole() async throws {
            try await Chain.with([Chain.shop]) { chain in
                let before = try chain.contents()
                try technician(chain[Chain.shop], "DROP TABLE exchange_rate")
                let (ending, found) = try await verify(chain.hub, "--wait", "--repair", "--job", "prices")
                #expect(ending == .status(0))
                #expect(found.map(\.outcome) == ["repaired"])
                #expect(try chain.contents() == before)
            }
        }
    }
}
