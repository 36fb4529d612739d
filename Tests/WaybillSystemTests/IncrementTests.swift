import Foundation
import Testing

extension SystemTests {
    /// A change by plain SQL at headquarters, by another process than the hub, and what of it travels.
    @Suite struct IncrementTests {
        @Test func aPriceOfOneGroupGoesToItsStoresAloneAsOneRow() async throws {
            try await Chain.with(Chain.web + [Chain.call, Chain.shop]) { chain in
                // One of the four is in one more price group, so it sees other rows: a second audience.
                let concerned = try await chain.expectSmallDelta(
                    "prices", "UPDATE trade_agreement SET amount = 7.77 WHERE line_id = 'L000190'", packages: 2)
                #expect(concerned == Set(Chain.web))
                let query = "SELECT amount_e4 FROM trade_agreement WHERE line_id = 'L000190'"
                for store in Chain.web { #expect(try chain[store].rows(query) == [["77700"]]) }
                #expect(try chain[Chain.call].rows(query).isEmpty)
            }
        }

        @Test func aValueWrittenAnewButNotChangedIsNoChange() async throws {
            try await Chain.with([Chain.call]) { chain in
                try chain.hub.sql("UPDATE trade_agreement SET amount = amount; UPDATE product SET name = name;")
                #expect(try await chain.hub.publish().map(\.status) == ["NoData", "NoData", "NoData"])
            }
        }

        @Test func linesOfAGroupThatAStoreLeavesAreDeletedThere() async throws {
            try await Chain.with([Chain.web[0], Chain.web[2]]) { chain in
                let query = "SELECT count(*) FROM trade_agreement WHERE account_relation = 'PG-D-WEB-M4'"
                #expect(try chain[Chain.web[0]].rows(query) == [["14"]])
                let concerned = try await chain.expectSmallDelta(
                    "prices",
                    "DELETE FROM store_price_group WHERE price_group_id = 'PG-D-WEB-M4' AND store_id = '\(Chain.web[0])'"
                )
                #expect(concerned == [Chain.web[0]])
                #expect(try chain[Chain.web[0]].rows(query) == [["0"]])
                #expect(try chain[Chain.web[2]].rows(query) == [["14"]])
            }
        }

        @Test func aProductStoppedEverywhereLeavesEveryStore() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let product = try #require(try chain[Chain.call].rows("SELECT min(product_id) FROM product")[0][0])
                try await chain.expectSmallDelta(
                    "assortments", "UPDATE product_release SET stopped = 1 WHERE product_id = '\(product)'")
                for agent in chain.agents {
                    #expect(try agent.rows("SELECT 1 FROM product WHERE product_id = '\(product)'").isEmpty)
                    #expect(try agent.rows("SELECT 1 FROM assorted_product WHERE product_id = '\(product)'").isEmpty)
                }
            }
        }

        @Test func aCategoryUnderAnotherParentArrivesAsADelta() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let before = try chain.contents()
                let concerned = try await chain.expectSmallDelta(
                    "assortments", "UPDATE category SET parent_category_id = '03' WHERE category_id = '02.01'")
                #expect(concerned == [Chain.call, Chain.shop])
                for agent in chain.agents {
                    let parent = try agent.rows("SELECT parent_category_id FROM category WHERE category_id = '02.01'")
                    #expect(parent == [["03"]])
                }
                // Prices for products below a category and modes of delivery follow the tree as well.
                _ = try await chain.hub.publish()
                try await chain.expectNothingIsMissing()
                try chain.hub.sql("UPDATE category SET parent_category_id = '02' WHERE category_id = '02.01'")
                _ = try await chain.hub.publish()
                #expect(try chain.contents() == before)
            }
        }

        @Test func aStoreMovedToAnotherNodeHasWhatItsNewNeighbourHas() async throws {
            try await Chain.with([Chain.shop, Chain.otherShop, Chain.call]) { chain in
                let tables = ["category", "product", "assorted_product", "delivery_mode", "product_delivery_mode"]
                func rows(_ store: String) throws -> [Set<[String?]>?] {
                    let content = try chain[store].content()
                    return tables.map { content[$0] }
                }
                #expect(try rows(Chain.shop) != rows(Chain.otherShop))
                let total = try #require(try chain.contents()[Chain.shop]).count
                let move = """
                    UPDATE store SET node_id = (SELECT node_id FROM store WHERE store_id = '\(Chain.otherShop)')
                    WHERE store_id = '\(Chain.shop)'
                    """
                let concerned = try await chain.expectSmallDelta("assortments", move)
                #expect(concerned == [Chain.shop])
                _ = try await chain.hub.publish("delivery-modes")
                #expect(try rows(Chain.shop) == rows(Chain.otherShop))
                let moved = try #require(
                    try await chain.hub.sessions().first { $0.job == "assortments" && $0.kind == "delta" })
                #expect(moved.rows < total / 2)
            }
        }

        @Test func aChangeTakenBackBeforeItHasArrivedIsTakenBackAtTheStoreToo() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let hub = chain.hub
                let before = try chain.contents()
                #expect(try await chain[Chain.shop].running().stop() == .status(0))
                // It reaches the shop alone, which is away; then headquarters thinks better of it.
                try hub.sql("UPDATE assortment SET status = 'draft' WHERE assortment_id = 'A11'")
                try await hub.done("publish", "assortments")
                try hub.sql("UPDATE assortment SET status = 'published' WHERE assortment_id = 'A11'")
                try await hub.done("publish", "assortments")
                try chain[Chain.shop].start()
                try await eventually("nothing is on its way any more", within: 20) {
                    let final: Set = ["Applied", "NoData", "Superseded"]
                    return try await hub.sessions().allSatisfy { final.isSuperset(of: $0.counts.keys) }
                }
                #expect(try chain.contents() == before)
                try await chain.expectNothingIsMissing("assortments")
            }
        }

        @Test func anAssortmentWithdrawnLeavesAndComesBackAsDeltas() async throws {
            try await Chain.with([Chain.call, Chain.shop, Chain.web[0]]) { chain in
                let before = try chain.contents()
                // It reaches the division of shops alone.
                let reached = try await chain.expectSmallDelta(
                    "assortments", "UPDATE assortment SET status = 'draft' WHERE assortment_id = 'A11'")
                #expect(reached == [Chain.shop])
                #expect(try chain.contents()[Chain.shop] != before[Chain.shop])
                try await chain.expectSmallDelta(
                    "assortments", "UPDATE assortment SET status = 'published' WHERE assortment_id = 'A11'")
                #expect(try chain.contents() == before)
            }
        }
    }
}
