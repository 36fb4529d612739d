import Foundation
import GRDB
import Testing

extension SystemTests {
    /// Deliveries that fail for good, and stores that were away for long.
    @Suite struct RetryTests {
        private static let change = "UPDATE exchange_rate SET rate = rate / 2"
        private static let query = "SELECT * FROM exchange_rate ORDER BY from_currency, to_currency, valid_from"

        private struct Retry: Decodable {
            struct Answer: Decodable { let store: String, accepted: Bool, message: String }
            let session: String, stores: [Answer]
        }

        private func till(_ agent: TestAgent, _ sql: String) throws {
            let queue = try DatabaseQueue(path: agent.home + "/store.db")
            try queue.write { try $0.execute(sql: sql) }
            try queue.close()
        }

        @Test func whatATillMakesImpossibleIsSuspendedAndGoesOnWithARetry() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let hub = chain.hub
                try till(
                    chain[Chain.shop],
                    """
                    CREATE TRIGGER stop BEFORE UPDATE ON exchange_rate BEGIN
                        INSERT INTO till_journal VALUES (NEW.rate_e6);
                    END
                    """)
                try hub.sql(Self.change)
                try await hub.done("publish", "prices")
                let session = try #require(try await hub.sessions().first).id
                try await eventually("three attempts have failed", within: 30) {
                    try await hub.show(session).delivery(Chain.shop).status == "Suspended"
                }
                let message = try #require(try await hub.show(session).delivery(Chain.shop).message)
                #expect(message.contains("no such table: main.till_journal"))
                #expect(message.contains("waybill session retry \(session.prefix { $0 != "-" }) --store \(Chain.shop)"))
                try till(chain[Chain.shop], "DROP TRIGGER stop")
                let answer = try await hub.done("session", "retry", session, "--json").decoded(Retry.self)
                #expect(answer.stores.map(\.store) == [Chain.shop] && answer.stores.allSatisfy(\.accepted))
                try await eventually("it is applied", within: 30) {
                    try await hub.show(session).delivery(Chain.shop).status == "Applied"
                }
                // The same run went on: attempts count further.
                #expect(try chain[Chain.shop].applied().contains([session, "1"]))
                #expect(
                    try hub.operationsRows("SELECT run, attempts FROM delivery WHERE forgiven_attempts > 0") == [
                        ["1", "4"]
                    ])
                #expect(try chain[Chain.shop].rows(Self.query) == chain[Chain.call].rows(Self.query))
                // Nothing is left to retry.
                #expect(try await hub.waybill("session", "retry", session).ending == .status(1))
            }
        }

        @Test func aStoreThatWasAwayForManyPublicationsAppliesOnePackage() async throws {
            try await Chain.with([Chain.call, Chain.shop], beginning: "UPDATE exchange_rate SET rate = 100") { chain in
                let hub = chain.hub
                let away = chain[Chain.shop]
                let before = try away.applied().count
                #expect(try await away.running().stop() == .status(0))
                for number in 1...15 {
                    try hub.sql("UPDATE exchange_rate SET rate = rate + \(number)")
                    try await hub.done("publish", "prices")
                }
                try away.start()
                let newest = try #require(try await hub.sessions().first).id
                try await eventually("the newest is applied", within: 30) {
                    try await hub.show(newest).delivery(Chain.shop).status == "Applied"
                }
                #expect(try away.applied().count == before + 1)
                #expect(try away.rows(Self.query) == chain[Chain.call].rows(Self.query))
                let statuses = try hub.operationsRows(
                    """
                    SELECT status, count(*) FROM delivery
                    WHERE job = 'prices' AND store_id = '\(Chain.shop)' GROUP BY 1 ORDER BY 1
                    """)
                #expect(statuses == [["Applied", "2"], ["Superseded", "14"]])
            }
        }
    }
}
