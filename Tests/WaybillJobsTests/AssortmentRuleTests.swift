import Testing
import WaybillJobs

/// The edges of the assortment rules, one small chain each.
@Suite struct AssortmentRuleTests {
    /// Two stores of one legal entity under HQ; category ALL > HOT > TEA, with tea-1 and tea-2 in TEA, mug in ALL.
    private func chain() throws -> Headquarters {
        let hq = try Headquarters()
        try hq.fill("org_node", "HQ,,root,HQ", "N1,HQ,store,One", "N2,HQ,store,Two")
        try hq.fill("legal_entity", "LE,EUR", "LE2,EUR")
        try hq.fill("store", "S1,N1,store,One,DE,,LE,EUR", "S2,N2,store,Two,DE,,LE,EUR")
        try hq.fill("category", "ALL,,All", "HOT,ALL,Hot drinks", "TEA,HOT,Tea")
        try hq.fill("product", "tea-1,TEA,Assam,ea", "tea-2,TEA,Oolong,ea", "mug,ALL,Mug,ea")
        try hq.fill("product_release", "tea-1,LE,,0", "tea-2,LE,,0", "mug,LE,,0")
        return hq
    }

    private func assorted(_ hq: Headquarters, _ store: String) throws -> [[String?]] {
        try hq.run([RetailJobs.assortments])
        return try hq.withStore(store, [RetailJobs.assortments]) { db in
            try texts(db, "SELECT product_id, valid_from, valid_to FROM assorted_product ORDER BY 1, 2")
        }
    }

    @Test func anExclusionHoldsInEveryAssortmentOfTheStore() throws {
        let hq = try chain()
        try hq.fill("assortment", "A,All,published,2026-01-01,", "B,No tea,published,2026-03-01,2026-03-31")
        try hq.fill("assortment_node", "A,HQ", "B,N1")
        // The include of the one product is more specific, and still does not bring it back.
        try hq.fill("assortment_line", "A,1,include,HOT,", "A,2,include,,tea-1", "B,1,exclude,TEA,")
        let days: [[String?]] = [["2026-01-01", "2026-02-28"], ["2026-04-01", nil]]
        #expect(try assorted(hq, "S1") == ["tea-1", "tea-2"].flatMap { product in days.map { [product] + $0 } })
        #expect(try assorted(hq, "S2") == [["tea-1", "2026-01-01", nil], ["tea-2", "2026-01-01", nil]])
    }

    @Test func aDraftNeitherIncludesNorExcludes() throws {
        let hq = try chain()
        try hq.fill("assortment", "A,All,published,2026-01-01,", "D,Draft,draft,2026-01-01,")
        try hq.fill("assortment_node", "A,HQ", "D,HQ")
        try hq.fill("assortment_line", "A,1,include,,tea-1", "D,1,exclude,,tea-1", "D,2,include,,mug")
        #expect(try assorted(hq, "S1") == [["tea-1", "2026-01-01", nil]])
    }

    @Test func aStoreWithoutAPublishedAssortmentHasNoScope() throws {
        let hq = try chain()
        try hq.fill("assortment", "A,One,published,2026-01-01,", "D,Draft,draft,2026-01-01,")
        try hq.fill("assortment_node", "A,N1", "D,N2")
        try hq.fill("assortment_line", "A,1,include,ALL,", "D,1,include,ALL,")
        #expect(try assorted(hq, "S2").isEmpty)
        #expect(try hq.scopes(of: "S2", in: "assorted_product").isEmpty)
        #expect(try hq.scopes(of: "S1", in: "assorted_product") == ["S1"])
    }

    @Test func storesThatResolveAlikeShareOneScope() throws {
        let hq = try chain()
        try hq.fill("assortment", "A,All,published,2026-01-01,", "B,Both,published,2026-01-01,")
        // S2 is named twice for A, by its node and from above: that changes nothing.
        try hq.fill("assortment_node", "A,HQ", "A,N2", "B,N1", "B,N2")
        try hq.fill("assortment_line", "A,1,include,,mug")
        #expect(try assorted(hq, "S2") == [["mug", "2026-01-01", nil]])
        #expect(try hq.scopes(of: "S2", in: "product") == ["S1"])
        try hq.execute("UPDATE store SET legal_entity_id = 'LE2' WHERE store_id = 'S2'")
        #expect(try assorted(hq, "S2").isEmpty)
        #expect(try hq.scopes(of: "S2", in: "product") == ["S2"])
    }

    @Test func aProductIsGoneOnlyWhenStoppedInEveryEntity() throws {
        let hq = try chain()
        try hq.fill("assortment", "A,All,published,2026-01-01,")
        try hq.fill("assortment_node", "A,HQ")
        try hq.fill("assortment_line", "A,1,include,ALL,")
        try hq.execute(
            """
            DELETE FROM product_release;
            INSERT INTO product_release (product_id, legal_entity_id, stopped)
            VALUES ('tea-1', 'LE', 1), ('tea-1', 'LE2', 0), ('tea-2', 'LE', 1), ('tea-2', 'LE2', 1), ('mug', 'LE2', 0)
            """)
        #expect(try assorted(hq, "S1") == [["tea-1", "2026-01-01", nil]])
    }

    @Test func adjacentAndOverlappingDaysBecomeOneInterval() throws {
        let hq = try chain()
        try hq.fill(
            "assortment", "A,Spring,published,2026-01-01,2026-02-28", "B,Summer,published,2026-03-01,2026-06-30",
            "C,June,published,2026-06-01,2026-06-30", "D,Autumn,published,2026-07-02,2026-07-02")
        try hq.fill("assortment_node", "A,HQ", "B,HQ", "C,N1", "D,HQ")
        try hq.fill(
            "assortment_line", "A,1,include,,mug", "B,1,include,,mug", "C,1,include,,mug", "C,2,include,,mug",
            "D,1,include,,mug")
        #expect(
            try assorted(hq, "S1") == [["mug", "2026-01-01", "2026-06-30"], ["mug", "2026-07-02", "2026-07-02"]])
    }

    @Test func theLastDayOfTheCalendarIsOpenAndAnEndBeforeTheBeginningIsNever() throws {
        let hq = try chain()
        try hq.fill("assortment", "A,Ever,published,2026-01-01,9999-12-31", "B,Never,published,2026-05-10,2026-04-30")
        try hq.fill("assortment_node", "A,HQ", "B,HQ")
        try hq.fill("assortment_line", "A,1,include,,mug", "B,1,exclude,,mug", "B,2,include,,tea-1")
        #expect(try assorted(hq, "S1") == [["mug", "2026-01-01", nil]])
    }

    @Test func unknownNamesCoverNothing() throws {
        let hq = try chain()
        try hq.fill("product", "lost,GONE,Lost,ea", "loose,,No category,ea")
        try hq.fill("product_release", "lost,LE,,0", "loose,LE,,0", "ghost,LE,,0")
        try hq.fill("assortment", "A,All,published,2026-01-01,")
        try hq.fill("assortment_node", "A,HQ")
        try hq.fill("assortment_line", "A,1,include,GONE,", "A,2,include,,ghost", "A,3,include,,loose")
        #expect(try assorted(hq, "S1") == [["loose", "2026-01-01", nil]])
    }

    @Test func circlesInTheTreesEnd() throws {
        let hq = try chain()
        try hq.execute(
            """
            UPDATE category SET parent_category_id = 'TEA' WHERE category_id = 'ALL';
            UPDATE org_node SET parent_node_id = 'N1' WHERE node_id = 'HQ'
            """)
        try hq.fill("assortment", "A,All,published,2026-01-01,")
        try hq.fill("assortment_node", "A,N1")
        try hq.fill("assortment_line", "A,1,include,TEA,")
        #expect(try assorted(hq, "S2").map { $0[0] } == ["mug", "tea-1", "tea-2"])
    }

    @Test func aStoreGetsTheCategoriesOfItsProductsWithAllAboveThem() throws {
        let hq = try chain()
        try hq.fill("assortment", "A,All,published,2026-01-01,")
        try hq.fill("assortment_node", "A,HQ")
        try hq.fill("category", "COLD,ALL,Cold drinks")
        try hq.fill("assortment_line", "A,1,include,,tea-1")
        try hq.run([RetailJobs.assortments])
        try hq.withStore("S1", [RetailJobs.assortments]) { db in
            let categories = try texts(db, "SELECT category_id, parent_category_id, name FROM category ORDER BY 1")
            let products = try texts(db, "SELECT product_id, category_id, name, sales_unit FROM product")
            #expect(categories == [["ALL", nil, "All"], ["HOT", "ALL", "Hot drinks"], ["TEA", "HOT", "Tea"]])
            #expect(products == [["tea-1", "TEA", "Assam", "ea"]])
        }
    }
}
