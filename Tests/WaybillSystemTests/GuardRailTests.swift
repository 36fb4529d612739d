import Foundation
import Testing

extension SystemTests {
    /// A change beyond the limits of its job reaches no store until somebody approves it.
    @Suite struct GuardRailTests {
        private static let slip = "UPDATE exchange_rate SET rate = rate * 10"
        private static let query = "SELECT * FROM exchange_rate ORDER BY from_currency, to_currency, valid_from"
        private static let stores = [Chain.call, Chain.shop]

        /// Publishes a change that is held back.
        private func publishHeld(_ hub: TestHub, _ arguments: String...) async throws -> Session {
            let answer = try await hub.waybill(["publish", "prices", "--wait", "--json"] + arguments)
            #expect(answer.ending == .status(3), "\(answer.out)\(answer.err)")
            #expect(answer.err.contains("awaits approval: store \(Chain.call)"))
            let published = try #require(try answer.decoded(Published.self).sessions.first)
            #expect(published.status == "AwaitingApproval")
            return try await hub.show(published.id)
        }

        private func refused(_ hub: TestHub, _ arguments: String...) async throws -> String {
            let answer = try await hub.waybill(arguments)
            #expect(answer.ending == .status(1), "\(answer.out)\(answer.err)")
            return answer.err
        }

        private func applied(_ hub: TestHub, _ session: String, at stores: [String]) async throws {
            try await eventually("session \(session) is applied") {
                let now = try await hub.show(session)
                return try stores.allSatisfy { try now.delivery($0).status == "Applied" }
            }
        }

        @Test func aDryRunTellsAndDoesNothing() async throws {
            try await Chain.with(Self.stores) { chain in
                let before = try await chain.hub.sessions().map(\.id)
                let packages = try FileManager.default.contentsOfDirectory(atPath: chain.hub.home + "/packages")
                try chain.hub.sql(Self.slip)
                let answer = try await chain.hub.waybill("plan", "--json")
                #expect(answer.ending == .status(3), "\(answer.err)")
                let jobs = try answer.decoded(Planned.self).jobs
                #expect(jobs.map(\.job) == ["assortments", "delivery-modes", "prices"])
                #expect(jobs.map(\.needsApproval) == [false, false, true])
                #expect(jobs.map(\.noData) == [2, 2, 0])
                let audience = try #require(jobs[2].audiences.first)
                let rates = try #require(audience.tables.first { $0.table == "exchange_rate" })
                let count = try chain[Chain.call].rows(Self.query).count
                #expect(rates.changed == count && rates.added == 0 && rates.removed == 0)
                #expect(rates.priceMoves.first.map { $0.percent.rounded() } == 900)
                #expect(Set(jobs[2].audiences.flatMap(\.stores)) == Set(Self.stores))
                #expect(try await chain.hub.sessions().map(\.id) == before)
                let after = try FileManager.default.contentsOfDirectory(atPath: chain.hub.home + "/packages")
                #expect(after.sorted() == packages.sorted())
                #expect(try await refused(chain.hub, "plan", "nonsense").contains("there is no job 'nonsense'"))
            }
        }

        @Test func aSlippedDecimalPointWaitsThroughRestartsAndSecondRuns() async throws {
            try await Chain.with(Self.stores) { chain in
                let hub = chain.hub
                let before = try chain[Chain.call].rows(Self.query)
                try hub.sql(Self.slip)
                let first = try await publishHeld(hub)
                #expect(first.message?.contains("+900 %, limit 80 %") == true)
                #expect(first.deliveries.each.isEmpty, "no store is offered anything")

                #expect(try await hub.running().stop() == .status(0))
                try await hub.start()
                #expect(try await hub.show(first.id).status == "AwaitingApproval")
                // Nothing has changed since: one session that waits is enough.
                _ = try await hub.waybill("publish", "prices")
                let idle = try #require(try await hub.sessions().first)
                #expect(idle.status == "NoData" && idle.message == "awaits approval in session \(first.id)")

                // Something else has: judged anew, against what the stores have, which is without the first.
                try hub.sql("UPDATE trade_agreement SET amount = amount * 1.1")
                let second = try await publishHeld(hub)
                #expect(try await hub.show(first.id).status == "Superseded")
                #expect(
                    try await refused(hub, "session", "approve", first.id).contains("session \(second.id) is newer"))
                #expect(try await refused(hub, "session", "rerun", first.id).contains("was never approved"))
                #expect(try await refused(hub, "session", "rerun", second.id).contains("awaits approval"))
                // Sending everything is no way around it.
                let third = try await publishHeld(hub, "--full")
                for agent in chain.agents { #expect(try agent.rows(Self.query) == before) }

                try await hub.done("session", "approve", third.id)
                try await applied(hub, third.id, at: Self.stores)
                #expect(try await refused(hub, "session", "approve", third.id).contains("was approved at"))
                for agent in chain.agents { #expect(try agent.rows(Self.query) != before) }
                #expect(try await hub.publish("prices").map(\.status) == ["NoData"])
                try await chain.expectNothingIsMissing("prices")
            }
        }

        @Test func whatIsCalledOffWasNeverOfferedAndACorrectionPasses() async throws {
            try await Chain.with(Self.stores) { chain in
                let hub = chain.hub
                let before = try chain[Chain.call].rows(Self.query)
                try hub.sql(Self.slip)
                let held = try await publishHeld(hub)
                let one = try await hub.done("session", "cancel", held.id, "--store", Chain.call, "--json")
                #expect(try one.decoded(Canceled.self).stores.map(\.answer) == ["revoked"])
                #expect(try await hub.show(held.id).status == "AwaitingApproval")
                let rest = try await hub.done("session", "cancel", held.id, "--reason", "typing error", "--json")
                #expect(try rest.decoded(Canceled.self).stores.map(\.store) == [Chain.call, Chain.shop])
                let canceled = try await hub.show(held.id)
                #expect(canceled.status == "Canceled" && canceled.counts == ["Canceled": 2])
                #expect(try await refused(hub, "session", "approve", held.id).contains("was canceled"))
                #expect(try await refused(hub, "session", "rerun", held.id).contains("was never approved"))
                try hub.sql("UPDATE exchange_rate SET rate = rate / 10")
                #expect(try await hub.publish("prices").map(\.status) == ["NoData"])
                for agent in chain.agents {
                    #expect(try agent.rows(Self.query) == before)
                    #expect(try agent.applied().allSatisfy { $0[0] != held.id })
                }
            }
        }

        @Test func whatWasApprovedIsNotAskedForAgainWhereAStoreWasAway() async throws {
            try await Chain.with(Self.stores) { chain in
                let hub = chain.hub
                _ = try await chain[Chain.shop].running().stop()
                try hub.sql(Self.slip)
                let held = try await publishHeld(hub)
                try await hub.done("session", "approve", held.id)
                try await applied(hub, held.id, at: [Chain.call])
                // The difference to what the absent store has is still tenfold; that much was approved.
                try hub.sql("UPDATE exchange_rate SET rate = rate * 1.01")
                try await hub.done("publish", "prices")
                let next = try #require(try await hub.sessions().first)
                #expect(next.status != "AwaitingApproval")
                try chain[Chain.shop].start()
                try await applied(hub, next.id, at: Self.stores)
                #expect(try chain[Chain.shop].rows(Self.query) == chain[Chain.call].rows(Self.query))
            }
        }

        @Test func aStoreThatHasNothingIsNotKeptWaiting() async throws {
            try await Chain.with(Self.stores) { chain in
                let hub = chain.hub
                try hub.sql(Self.slip)
                let held = try await publishHeld(hub)
                // Its disk was replaced, from no backup at all.
                let agent = chain[Chain.shop]
                _ = try await agent.running().stop()
                for suffix in ["", "-wal", "-shm"] {
                    try? FileManager.default.removeItem(atPath: agent.home + "/store.db" + suffix)
                }
                try agent.start()
                try await eventually("it has everything again") {
                    (try? agent.rows(Self.query).isEmpty) == false
                }
                #expect(try await hub.show(held.id).status == "AwaitingApproval", "the other store still waits")
                let other = try await TestAgent(hub, Chain.otherShop)
                try other.start()
                let first = try await hub.publish("prices", "--store", Chain.otherShop)
                #expect(first.map(\.status) == ["Applied"])
            }
        }
    }
}

/// What `waybill plan --json` prints.
private struct Planned: Decodable {
    struct Move: Decodable { let percent: Double }
    struct Table: Decodable { let table: String, added: Int, changed: Int, removed: Int, priceMoves: [Move] }
    struct Audience: Decodable { let stores: [String], tables: [Table] }
    struct Job: Decodable { let job: String, noData: Int, needsApproval: Bool, audiences: [Audience] }
    let jobs: [Job]
}
