import Foundation
import GRDB
import Testing

extension SystemTests {
    /// Rows that one store cannot take, from the till's index to the administrator's command.
    @Suite struct QuarantineTests {
        private struct Listed: Decodable {
            struct Entry: Decodable {
                let job: String, table: String, key: String, kind: String, reason: String, detail: String,
                    hasOlderRow: Bool, session: String, attempts: Int
            }
            struct Order: Decodable { let id: String, action: String }
            let store: String, rows: Int, entries: [Entry], openOrders: [Order]
        }
        private struct Shown: Decodable {
            struct Delivery: Decodable { let store: String, status: String, exceptions: Int, message: String? }
            let exceptions: Int, deliveries: [Delivery]
        }
        private struct Quarantined: Decodable { let store: String, quarantined: Int }

        private func till(_ agent: TestAgent, _ sql: String) throws {
            let queue = try DatabaseQueue(path: agent.home + "/store.db")
            try queue.write { try $0.execute(sql: sql) }
            try queue.close()
        }

        private func listed(_ hub: TestHub, _ arguments: String...) async throws -> [Listed] {
            try await hub.waybill(["quarantine", "list", "--json"] + arguments).decoded([Listed].self)
        }

        /// Two products of the shop, and a till that wants their names to differ.
        private func twins(_ chain: Chain) throws -> (first: String, second: String) {
            try till(chain[Chain.shop], "CREATE UNIQUE INDEX till_name ON product (name)")
            let products = try chain[Chain.shop].rows("SELECT product_id FROM product ORDER BY 1 LIMIT 2")
            return (try #require(products[0][0]), try #require(products[1][0]))
        }

        private func nameAlike(_ hub: TestHub, _ first: String, _ second: String) throws {
            try hub.sql(
                """
                UPDATE product SET name = (SELECT name FROM product WHERE product_id = '\(first)')
                WHERE product_id = '\(second)'
                """)
        }

        @Test func aTillsUniqueIndexHoldsOneRowUpAndNothingElse() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let hub = chain.hub
                let shop = chain[Chain.shop]
                let (first, second) = try twins(chain)
                let nameBefore = try shop.rows("SELECT name FROM product WHERE product_id = '\(second)'")
                try nameAlike(hub, first, second)
                let session = try #require(try await hub.publish("assortments").first)
                #expect(session.status == "Applied")
                let shown = try await hub.done("session", "show", session.id, "--json").decoded(Shown.self)
                #expect(shown.exceptions == 1)
                let delivery = try #require(shown.deliveries.first { $0.store == Chain.shop })
                #expect(delivery.exceptions == 1)
                #expect(
                    delivery.message?.contains("product_id \(second): UNIQUE constraint failed: product.name") == true)
                #expect(try await hub.done("session", "show", session.id).out.contains("Applied, 1 in quarantine"))
                #expect(try shop.rows("SELECT name FROM product WHERE product_id = '\(second)'") == nameBefore)
                // The list is the hub's own copy: it is there while the store is not.
                try await eventually("the hub has the list", within: 20) { try await listed(hub).first?.rows == 1 }
                #expect(try await shop.running().stop() == .status(0))
                let list = try #require(try await listed(hub, "--store", Chain.shop).first)
                let entry = try #require(list.entries.first)
                #expect(entry.table == "product" && entry.key == second && entry.kind == "refused")
                #expect(entry.hasOlderRow && entry.session == session.id && entry.attempts == 1)
                #expect(try await hub.done("status").out.contains("1 row in quarantine at 1 store"))
                let why = try await hub.done("why", "--store", Chain.shop, "--table", "product", "--key", second).out
                #expect(why.hasPrefix("store \(Chain.shop) refuses product (\(second)): UNIQUE constraint failed"))
                #expect(why.contains("the store keeps the row as it was before"))
                let stores = try await hub.done("store", "list", "--json").decoded([Quarantined].self)
                #expect(stores.first { $0.store == Chain.shop }?.quarantined == 1)
                // Ordered while it is away, done when it is back; and in vain, for the index is still there.
                try await hub.done("quarantine", "retry", "--store", Chain.shop)
                #expect(try await listed(hub).first?.openOrders.map(\.action) == ["retry"])
                try shop.start()
                try await eventually("the order is carried out", within: 30) {
                    try await listed(hub).first?.openOrders.isEmpty == true
                }
                #expect(try await listed(hub).first?.entries.map(\.attempts) == [2])
                try till(shop, "DROP INDEX till_name")
                try await hub.done("quarantine", "retry", "--table", "product", "--key", second, "--wait")
                #expect(try await listed(hub).isEmpty)
                #expect(
                    try shop.rows(
                        "SELECT count(DISTINCT name) FROM product WHERE product_id IN ('\(first)', '\(second)')") == [
                            ["1"]
                        ])
                #expect(try await hub.done("quarantine", "list").out.contains("nothing is in quarantine"))
            }
        }

        @Test func aStoreThatDiesAroundTheCommitHasTheRowOnceInQuarantine() async throws {
            try await Chain.with([Chain.shop]) { chain in
                let hub = chain.hub
                let shop = chain[Chain.shop]
                let (first, second) = try twins(chain)
                for (number, point) in ["before-commit:1", "applied:1", "acknowledged:1"].enumerated() {
                    #expect(try await shop.running().stop() == .status(0))
                    // Another version of the row each time, as bad as the one before.
                    try hub.sql(
                        "UPDATE product SET name = 'Same \(number)' WHERE product_id IN ('\(first)', '\(second)')")
                    try shop.start(crashAt: point)
                    try await hub.done("publish", "assortments")
                    #expect(try await shop.running().ending(within: 20) == .signal(SIGKILL), "at \(point)")
                    try shop.start()
                    let session = try #require(try await hub.sessions().first).id
                    try await eventually("it is applied", within: 30) {
                        try await hub.show(session).delivery(Chain.shop).status == "Applied"
                    }
                    #expect(
                        try shop.rows("SELECT key, kind, attempts FROM _waybill_quarantine")
                            == [[second, "refused", "\(number + 1)"]], "at \(point)")
                    #expect(try shop.rows("SELECT count(*) FROM product WHERE name = 'Same \(number)'") == [["1"]])
                    try await eventually("the hub has the list", within: 20) {
                        try await listed(hub).first?.entries.first?.session == session
                    }
                }
            }
        }

        @Test func aDroppedRowStaysAwayUntilEverythingIsSent() async throws {
            try await Chain.with([Chain.shop]) { chain in
                let hub = chain.hub
                let shop = chain[Chain.shop]
                let (first, second) = try twins(chain)
                try nameAlike(hub, first, second)
                _ = try await hub.publish("assortments")
                try await eventually("the hub has the list", within: 20) { try await listed(hub).first?.rows == 1 }
                #expect(try await hub.waybill("quarantine", "drop").ending == .status(64))
                #expect(try await hub.waybill("quarantine", "drop", "--store", "nowhere").ending == .status(1))
                try await hub.done("quarantine", "drop", "--all", "--wait")
                #expect(try await listed(hub).isEmpty)
                try till(shop, "DROP INDEX till_name")
                #expect(try await hub.publish("assortments").map(\.status) == ["NoData"])
                let same = "SELECT count(DISTINCT name) FROM product WHERE product_id IN ('\(first)', '\(second)')"
                #expect(try shop.rows(same) == [["2"]])
                _ = try await hub.publish("--full", "assortments")
                #expect(try shop.rows(same) == [["1"]])
            }
        }
    }
}
