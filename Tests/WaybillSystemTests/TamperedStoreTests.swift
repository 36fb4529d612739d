import GRDB
import Testing

extension SystemTests {
    @Suite struct TamperedStoreTests {
        /// Somebody dropped a table: the next delta cannot be applied, so the store says that it has nothing of the job
        /// any more, and everything comes again by itself.
        @Test func aStoreWhoseTableIsGoneGetsEverythingAgain() async throws {
            try await Chain.with([Chain.call]) { chain in
                let agent = chain[Chain.call]
                let before = try agent.rows("SELECT count(*) FROM price_base")
                let database = try DatabaseQueue(path: agent.home + "/store.db")
                try await database.write { try $0.execute(sql: "DROP TABLE price_base") }
                try database.close()
                try chain.hub.sql(
                    "UPDATE product_release SET base_price = base_price * 1.1 WHERE base_price IS NOT NULL")
                _ = try await chain.hub.done("publish", "prices")
                try await eventually("the table is back") {
                    (try? agent.rows("SELECT count(*) FROM price_base")) == before
                }
                try await chain.expectNothingIsMissing("prices")
            }
        }
    }
}
