import Foundation
import Testing

extension SystemTests {
    /// A cancel gets a true answer at every store, and nothing is left wrong behind it.
    @Suite struct CancelTests {
        private static let change = "UPDATE exchange_rate SET rate = rate / 2"
        private static let query = "SELECT * FROM exchange_rate ORDER BY from_currency, to_currency, valid_from"

        private func cancel(_ hub: TestHub, _ session: String, _ more: String..., status: Int32) async throws
            -> [Canceled.Answer]
        {
            let answer = try await hub.waybill(["session", "cancel", session, "--json"] + more)
            #expect(answer.ending == .status(status), "\(answer.out)\(answer.err)")
            return try answer.decoded(Canceled.self).stores.sorted { $0.store < $1.store }
        }

        private func newest(_ hub: TestHub) async throws -> Session {
            guard let session = try await hub.sessions().first else { throw Trouble("no session") }
            return session
        }

        @Test func whatAStoreHasNotAskedForIsRevokedAtOnce() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let hub = chain.hub
                let before = try chain[Chain.shop].rows(Self.query)
                try chain[Chain.shop].running().send(SIGSTOP)
                try hub.sql(Self.change)
                try await hub.done("publish", "prices")
                let session = try await newest(hub).id
                try await eventually("the other store applies it") {
                    try await hub.show(session).delivery(Chain.call).status == "Applied"
                }
                let answers = try await cancel(
                    hub, session, "--store", Chain.shop, "--reason", "wrong rates", status: 0)
                #expect(answers.map(\.store) == [Chain.shop] && answers.map(\.answer) == ["revoked"])
                try chain[Chain.shop].running().send(SIGCONT)
                // Word from it after it has slept: it is there, was not offered the session, and has not applied it.
                try await eventually("the store is back") { try await hub.stores().allSatisfy(\.online) }
                let delivery = try await hub.show(session).delivery(Chain.shop)
                #expect(delivery.status == "Canceled" && delivery.message?.contains("wrong rates") == true)
                #expect(try chain[Chain.shop].rows(Self.query) == before)
                #expect(try await hub.show(session).delivery(Chain.call).status == "Applied", "the other keeps it")
                // A plain publish brings the store to HQ's rows.
                let next = try #require(try await hub.publish("prices").first)
                #expect(try next.delivery(Chain.shop).status == "Applied")
                #expect(try chain[Chain.shop].rows(Self.query) == chain[Chain.call].rows(Self.query))
                #expect(try chain[Chain.shop].rows(Self.query) != before)
            }
        }

        @Test func afterTheApplyItIsTooLateAndSaysSince() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let hub = chain.hub
                try hub.sql(Self.change)
                let session = try #require(try await hub.publish("prices").first)
                let answers = try await cancel(hub, session.id, status: 3)
                #expect(answers.map(\.answer) == ["too_late", "too_late"])
                for answer in answers {
                    #expect(answer.at != nil)
                    #expect(try answer.at == session.delivery(answer.store).appliedAt)
                }
                let after = try await hub.show(session.id)
                #expect(after.counts == ["Applied": 2], "what was applied is not shown as cancelled")
                #expect(try await hub.publish("prices").map(\.status) == ["NoData"])
            }
        }

        @Test func aCanceledSessionMayRunAgain() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let hub = chain.hub
                for agent in chain.agents { try agent.running().send(SIGSTOP) }
                try hub.sql(Self.change)
                try await hub.done("publish", "prices")
                let session = try await newest(hub).id
                #expect(try await cancel(hub, session, status: 0).map(\.answer) == ["revoked", "revoked"])
                for agent in chain.agents { try agent.running().send(SIGCONT) }
                #expect(try await newest(hub).status == "Canceled")
                let rerun = try await hub.done("session", "rerun", session, "--store", Chain.call, "--json").decoded(
                    Rerun.self)
                #expect(rerun.stores.map(\.store) == [Chain.call] && rerun.stores.map(\.accepted) == [true])
                try await eventually("it is applied there") {
                    try await hub.show(session).delivery(Chain.call).status == "Applied"
                }
                #expect(try await hub.show(session).delivery(Chain.shop).status == "Canceled")
                _ = try await hub.publish("prices")
                #expect(try chain[Chain.shop].rows(Self.query) == chain[Chain.call].rows(Self.query))
                #expect(try chain[Chain.call].applied().filter { $0[0] == session } == [[session, "2"]])
                try await chain.expectNothingIsMissing("prices")
            }
        }

        /// Enough bytes to be cancelled in mid-download by an agent that takes its time.
        private func withSlowDownload(_ body: (Chain, TestAgent, _ session: String) async throws -> Void) async throws {
            try await Chain.with([Chain.shop]) { chain in
                let agent = chain[Chain.shop]
                _ = try await agent.running().stop()
                try agent.configure("bytes_per_second: 150000")
                try agent.start()
                try chain.hub.sql(
                    """
                    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24000)
                    INSERT INTO trade_agreement (line_id, account_code, account_relation, product_id, unit, currency, amount, find_next)
                    SELECT 'R' || i, 'table', hex(randomblob(24)), 'AAAAAAAAABAAAAAA', 'ea', 'USD', i, 0 FROM n
                    """)
                try await chain.hub.done("publish", "prices")
                let session = try await newest(chain.hub).id
                try await eventually("the download runs") {
                    let delivery = try await chain.hub.show(session).delivery(agent.store)
                    let partial = try FileManager.default.contentsOfDirectory(atPath: agent.home + "/incoming")
                    return delivery.status == "Requested" && !partial.isEmpty
                }
                try await body(chain, agent, session)
                #expect(try agent.rows("SELECT count(*) FROM trade_agreement WHERE line_id LIKE 'R%'") == [["0"]])
                #expect(try agent.applied().allSatisfy { $0[0] != session })
                try await eventually("the partial download is gone") {
                    try FileManager.default.contentsOfDirectory(atPath: agent.home + "/incoming").isEmpty
                }
                _ = try await agent.running().stop()
                try agent.configure("")
                try agent.start()
                #expect(try await chain.hub.publish("prices").map(\.status) == ["Applied"])
                #expect(try agent.rows("SELECT count(*) FROM trade_agreement WHERE line_id LIKE 'R%'") == [["24000"]])
            }
        }

        @Test func aRunningDownloadIsRevokedAndNeverApplied() async throws {
            try await withSlowDownload { chain, _, session in
                let answers = try await cancel(chain.hub, session, status: 0)
                #expect(answers.map(\.answer) == ["revoked"])
                #expect(try await chain.hub.show(session).counts == ["Canceled": 1])
            }
        }

        @Test func aStoreThatHadLeaveAndIsSilentAnswersWhenItIsBack() async throws {
            try await withSlowDownload { chain, agent, session in
                try agent.running().send(SIGSTOP)
                #expect(try await cancel(chain.hub, session, status: 3).map(\.answer) == ["pending"])
                #expect(
                    try await chain.hub.show(session).delivery(agent.store).status == "Requested", "nobody knows yet")
                try agent.running().send(SIGCONT)
                try await eventually("the truth") { try await chain.hub.show(session).counts == ["Canceled": 1] }
            }
        }

        @Test func aCancelThatMeetsAnApplyEndsInOneTruth() async throws {
            try await Chain.with(
                [Chain.call, Chain.shop], beginning: "UPDATE exchange_rate SET rate = 1"
            ) { chain in
                let hub = chain.hub
                for round in 0..<4 {
                    try hub.sql("UPDATE exchange_rate SET rate = 1.\(round + 1)")
                    try await hub.done("publish", "prices")
                    let session = try await newest(hub).id
                    let answer = try await hub.waybill("session", "cancel", session, "--json").decoded(Canceled.self)
                    for agent in chain.agents {
                        let said = answer.stores.first { $0.store == agent.store }?.answer
                        let applied = try agent.applied().contains { $0[0] == session }
                        #expect(said == (applied ? "too_late" : "revoked"), "\(agent.store), round \(round)")
                        #expect(
                            try await hub.show(session).delivery(agent.store).status
                                == (applied ? "Applied" : "Canceled"))
                    }
                }
                _ = try await hub.publish("prices")
                for agent in chain.agents {
                    #expect(try agent.rows("SELECT DISTINCT rate_e6 FROM exchange_rate") == [["1400000"]])
                }
            }
        }
    }
}
