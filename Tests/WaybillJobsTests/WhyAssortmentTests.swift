import Testing
import WaybillJobs
import WaybillPlan

/// Why a store sells a product, or does not: one rule of the assortments each.
@Suite struct WhyAssortmentTests {
    /// Two stores under HQ, of one legal entity; category ALL > HOT > TEA with tea-1 in TEA; assortment A brings HOT.
    private func chain() throws -> Headquarters {
        let hq = try Headquarters()
        try hq.fill("org_node", "HQ,,root,HQ", "N1,HQ,store,One", "N2,HQ,store,Two")
        try hq.fill("legal_entity", "LE,EUR", "LE2,EUR")
        try hq.fill("store", "S1,N1,store,One,DE,,LE,EUR", "S2,N2,store,Two,DE,,LE,EUR")
        try hq.fill("category", "ALL,,All", "HOT,ALL,Hot drinks", "TEA,HOT,Tea")
        try hq.fill("product", "tea-1,TEA,Assam,ea")
        try hq.fill("product_release", "tea-1,LE,,0", "tea-1,LE2,,0")
        try hq.fill("assortment", "A,All year,published,2026-01-01,")
        try hq.fill("assortment_node", "A,HQ")
        try hq.fill("assortment_line", "A,1,include,HOT,")
        return hq
    }

    /// The main reason, for a store that has nothing yet, and the HQ row that it names.
    private func reason(
        _ hq: Headquarters, _ table: String, _ key: String, today: String = "2026-06-15"
    ) throws -> [String?] {
        let found = try hq.why("S1", table, key, today: today)
        let reasons = found.rows.first?.reasons ?? found.reasons
        return [reasons.first?.source, reasons.first?.reason]
    }

    @Test func aProductThatIsSoldNamesItsLineTheAssortmentItsNodeAndTheRelease() throws {
        let hq = try chain()
        let found = try hq.why("S1", "product", "tea-1")
        #expect(found.rows.map(\.next).map { $0?.map(\.plainText) } == [["tea-1", "TEA", "Assam", "ea"]])
        #expect(
            found.rows[0].reasons.map { "\($0.source ?? "-"): \($0.reason)" } == [
                "assortment_line A 1: included by line 1 (category HOT) of assortment A, in force from 2026-01-01 on",
                "assortment A: assortment A (All year) is published, in force from 2026-01-01 on",
                "assortment_node A HQ: assortment A reaches the store by node HQ",
                "product_release tea-1 LE: released to legal entity LE",
                "product tea-1: the product's own row; it stands in category TEA",
            ])
    }

    @Test(
        arguments: [
            ("DELETE FROM product", nil, "HQ has no product tea-1"),
            ("DELETE FROM store WHERE store_id = 'S1'", nil, "HQ has no store S1"),
            (
                "DELETE FROM product_release WHERE legal_entity_id = 'LE'", "store S1",
                "the product is not released to legal entity LE, to which the store belongs"
            ),
            (
                "UPDATE product_release SET stopped = 1", "product_release tea-1 LE",
                "the product is stopped in legal entity LE, and in every other that it is released to"
            ),
            (
                "INSERT INTO assortment_line VALUES ('A', 2, 'exclude', 'TEA', NULL)", "assortment_line A 2",
                "excluded by line 2 (category TEA) of assortment A, in force from 2026-01-01 on"
            ),
            (
                "INSERT INTO assortment_line VALUES ('A', 7, 'exclude', NULL, 'tea-1')", "assortment_line A 7",
                "excluded by line 7 (this product) of assortment A, in force from 2026-01-01 on"
            ),
            ("DELETE FROM assortment_line", nil, "no published assortment that reaches the store includes the product"),
        ] as [(String, String?, String)])
    func aProductThatIsNotSoldNamesTheRule(change: String, source: String?, reason: String) throws {
        let hq = try chain()
        try hq.execute(change)
        try hq.run([RetailJobs.assortments])
        #expect(try self.reason(hq, "product", "tea-1") == [source, reason])
        #expect(try self.reason(hq, "assorted_product", "tea-1") == [source, reason])
    }

    @Test(
        arguments: [
            (
                "UPDATE assortment SET status = 'draft'", "assortment_line A 1",
                "line 1 (category HOT) of assortment A would include it, but the assortment is a draft"
            ),
            (
                "UPDATE assortment_node SET node_id = 'N2'", "assortment_line A 1",
                "line 1 (category HOT) of assortment A includes it, but the assortment reaches neither the store's node nor one above it"
            ),
            (
                "UPDATE assortment SET effective_to = '2025-12-31'", "assortment_line A 1",
                "line 1 (category HOT) of assortment A includes it, but the assortment ends on 2025-12-31, before it begins on 2026-01-01"
            ),
            (
                "UPDATE product SET category_id = NULL", "product tea-1",
                "the product stands in no category: only lines that name it can include it"
            ),
            (
                "UPDATE product SET category_id = 'GONE'", "product tea-1",
                "the product stands in category GONE, which HQ does not have: only lines that name the product can include it"
            ),
        ] as [(String, String, String)])
    func whatWouldIncludeTheProductIsNamedWithWhatIsMissing(change: String, source: String, reason: String) throws {
        let hq = try chain()
        try hq.execute(change)
        let reasons = try hq.why("S1", "product", "tea-1").reasons
        #expect(reasons.first?.reason == "no published assortment that reaches the store includes the product")
        #expect(reasons.contains { $0.source == source && $0.reason == reason })
    }

    @Test func anExclusionOfAnotherAssortmentStandsBeforeTheLinesThatItOutweighs() throws {
        let hq = try chain()
        try hq.fill("assortment", "B,No tea,published,2025-01-01,")
        try hq.fill("assortment_node", "B,N1")
        try hq.fill("assortment_line", "B,3,exclude,TEA,")
        #expect(
            try hq.why("S1", "product", "tea-1").reasons.map(\.source) == [
                "assortment_line B 3", "assortment_line A 1",
            ])
        #expect(try hq.why("S2", "product", "tea-1").rows.count == 1)
    }

    @Test(
        arguments: [
            ("2025-12-31", "not before 2026-01-01: today is 2025-12-31"),
            ("2026-01-01", "included by line 1 (category HOT) of assortment A, in force from 2026-01-01 to 2026-03-31"),
            ("2026-03-31", "included by line 1 (category HOT) of assortment A, in force from 2026-01-01 to 2026-03-31"),
            ("2026-04-01", "not after 2026-03-31: today is 2026-04-01"),
        ])
    func aRowThatIsThereButNotInForceTodaySaysSoFirst(today: String, reason: String) throws {
        let hq = try chain()
        try hq.execute("UPDATE assortment SET effective_to = '2026-03-31'")
        #expect(try self.reason(hq, "assorted_product", "tea-1", today: today)[1] == reason)
    }

    @Test func anotherDayOfTheSameProductIsPointedAt() throws {
        let hq = try chain()
        try hq.run([RetailJobs.assortments])
        let found = try hq.why("S1", "assorted_product", "tea-1,2026-02-01")
        #expect(found.rows.isEmpty)
        #expect(found.reasons.last?.reason == "there are rows with another valid_from: 2026-01-01")
    }

    @Test(
        arguments: [
            ("SELECT 1", "TEA", "it travels while the store sells a product of the category or of one below it"),
            ("SELECT 1", "COLD", "HQ has no category COLD"),
            ("DELETE FROM product", "TEA", "no product stands in the category or below it"),
            (
                "DELETE FROM assortment_line", "HOT",
                "the store sells none of the 1 products that stand in the category or below it; ask for one of them: table product, key tea-1"
            ),
        ])
    func aCategoryFollowsItsProducts(change: String, category: String, reason: String) throws {
        let hq = try chain()
        try hq.execute(change)
        #expect(try self.reason(hq, "category", category)[1] == reason)
    }

    @Test func theNewestChangeOfASourceRowIsFound() throws {
        let hq = try chain()
        try hq.run([RetailJobs.assortments])
        func version() throws -> Int64? {
            try hq.why("S1", "product", "tea-1").rows[0].reasons.first { $0.table == "assortment_line" }?.changedVersion
        }
        let before = try #require(try version())
        try hq.execute("UPDATE product SET name = 'Assam Gold'; UPDATE assortment_line SET category_id = 'TEA'")
        #expect(try version() == before + 2)
    }
}
