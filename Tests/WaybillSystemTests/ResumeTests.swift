import Foundation
import GRDB
import Testing

extension SystemTests {
    /// Packages of several chunks, tables of several slices: what is verified is not fetched again.
    @Suite struct ResumeTests {
        /// Rows of random text, so that the package stays large when it is compressed, in a table that is filled in
        /// slices.
        private static let manyRows = """
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24000)
            INSERT INTO trade_agreement (line_id, account_code, account_relation, product_id, unit, currency, amount, find_next)
            SELECT 'R' || i, 'table', hex(randomblob(24)), 'AAAAAAAAABAAAAAA', 'ea', 'USD', i, 0 FROM n
            """

        private func withLargePackage(_ body: (Chain) async throws -> Void) async throws {
            try await Chain.with([Chain.shop], settings: "log_level: debug", publish: false) { chain in
                try chain.hub.sql(Self.manyRows)
                let agent = chain[Chain.shop]
                _ = try await agent.running().stop()
                try agent.configure("log_level: debug")
                try await body(chain)
                #expect(try agent.rows("SELECT count(*) FROM trade_agreement WHERE line_id LIKE 'R%'") == [["24000"]])
                #expect(try agent.applied().count == 1)
                try await chain.expectNothingIsMissing("prices")
            }
        }

        private func expectApplied(_ chain: Chain) async throws {
            try await eventually("the session is applied", within: 30) {
                try await chain.hub.sessions().first?.counts == ["Applied": 1]
            }
            #expect(try await chain.hub.sessions().count == 1)
        }

        @Test func anAgentKilledInADownloadFetchesOnlyWhatItLacks() async throws {
            try await withLargePackage { chain in
                let agent = chain[Chain.shop]
                try agent.start(crashAt: "chunk-stored:3")
                try await chain.hub.done("publish", "prices")
                let first = try agent.running()
                #expect(try await first.ending() == .signal(SIGKILL))
                let stored = first.chunks("stored")
                #expect(stored.count == 3)
                let sentBefore = try chain.hub.running().chunks("sent to store").count
                try agent.start()
                try await expectApplied(chain)
                let rest = try agent.running().chunks("stored")
                #expect(rest.count >= 3, "the package was to have more than five chunks")
                #expect((stored + rest).sorted() == Array(0..<(stored.count + rest.count)))
                let sent = try chain.hub.running().chunks("sent to store").dropFirst(sentBefore)
                #expect(sent.sorted() == rest.sorted())
            }
        }

        @Test func aHubKilledInATransferSendsOnlyWhatIsMissing() async throws {
            try await withLargePackage { chain in
                let hub = chain.hub
                _ = try await hub.running().stop()
                try await hub.start(crashAt: "chunk-sent:3")
                let agent = chain[Chain.shop]
                try agent.start()
                let publish = try hub.begin(["publish", "prices"])
                #expect(try await hub.running().ending() == .signal(SIGKILL))
                try await publish.ending()
                let stored = try agent.running().chunks("stored")
                try await hub.start()
                try await expectApplied(chain)
                let all = try agent.running().chunks("stored")
                #expect(all.sorted() == Array(0..<all.count) && all.count > 5, "every chunk is stored once")
                let sent = try hub.running().chunks("sent to store")
                #expect(Set(sent).isDisjoint(with: stored))
                #expect(sent.count < all.count)
            }
        }

        @Test(arguments: ["slice-written:1", "slice-written:2", "slice-written:20"])
        func anAgentKilledWhileItFillsATableBeginsThatTableAnew(point: String) async throws {
            try await withLargePackage { chain in
                let agent = chain[Chain.shop]
                // A till that has the database open: else slices are ten times as large, and there are not twenty.
                let till = try DatabaseQueue(path: agent.home + "/store.db")
                defer { try? till.close() }
                _ = try await till.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_schema") }
                try agent.start(crashAt: point)
                try await chain.hub.done("publish", "prices")
                #expect(try await agent.running().ending() == .signal(SIGKILL))
                #expect(
                    try agent.rows("SELECT name FROM sqlite_schema WHERE name = 'price_base'").isEmpty,
                    "nothing shows yet")
                try agent.start()
                try await expectApplied(chain)
                let fetched = try agent.running().chunks("stored")
                #expect(fetched.isEmpty, "the package was complete")
                let ours =
                    "category product assorted_product delivery_mode price_base exchange_rate trade_agreement price_adjustment"
                let tables = try agent.rows(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
                )
                .compactMap { $0[0] }.filter { !ours.contains($0) && !Self.ledger.contains($0) }
                #expect(tables.isEmpty, "left behind: \(tables)")
            }
        }

        private static let ledger: Set = [
            "_waybill_meta", "_waybill_watermark", "_waybill_outcome", "_waybill_outbox", "_waybill_table",
            "_waybill_quarantine", "_waybill_quarantine_order", "_waybill_reference",
        ]
    }
}

extension RunningProcess {
    /// The numbers of the chunks that the log, at level debug, says were `done`.
    func chunks(_ done: String) -> [Int] {
        err.matches(of: /chunk (\d+) of package \w+ (stored|sent to store)/).filter { $0.2 == done }
            .compactMap { Int($0.1) }
    }
}
