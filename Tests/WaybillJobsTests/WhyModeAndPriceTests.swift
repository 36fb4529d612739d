import Testing
import WaybillJobs
import WaybillPlan

/// Why a store has a mode of delivery or a price, or has not: one rule each.
@Suite struct WhyModeAndPriceTests {
    private func reason(_ hq: Headquarters, _ table: String, _ key: String) throws -> [String?] {
        let found = try hq.why("S1", table, key)
        let reasons = found.rows.first?.reasons ?? found.reasons
        return [found.rows.isEmpty ? "absent" : "there", reasons.first?.source, reasons.first?.reason]
    }

    private func chain() throws -> Headquarters {
        let hq = try Headquarters()
        try hq.fill("org_node", "HQ,,root,HQ", "N1,HQ,store,One", "N2,HQ,store,Two")
        try hq.fill("legal_entity", "LE,EUR")
        try hq.fill("store", "S1,N1,store,One,DE,,LE,EUR", "S2,N2,store,Two,DE,,LE,EUR")
        try hq.fill("category", "ALL,,All", "TEA,ALL,Tea")
        try hq.fill("product", "tea-1,TEA,Assam,ea")
        try hq.fill("product_release", "tea-1,LE,3.5,0")
        try hq.fill("delivery_mode", "POST,Parcel post")
        try hq.fill("delivery_mode_node", "POST,HQ")
        try hq.fill("delivery_mode_product", "POST,1,include,ALL,")
        try hq.fill("address", "DE,BY", "DE,HE", "MT,")
        try hq.fill("delivery_mode_address", "POST,1,include,DE,", "POST,2,include,MT,")
        try hq.fill("price_group", "G,Group,5", "H,Other,0")
        try hq.fill("store_price_group", "S1,G")
        try hq.fill(
            "trade_agreement", "L1,group,G,tea-1,ea,EUR,,,,,3.0,,1", "L2,group,H,tea-1,ea,EUR,,,,,2.0,,1",
            "L3,all,,tea-1,ea,EUR,,,,,3.2,,1")
        try hq.fill("price_adjustment", "A1,enabled,G,TEA,,,,,percent,10", "A2,enabled,H,TEA,,,,,percent,10")
        try hq.fill("exchange_rate", "EUR,CHF,2026-01-01,1.05")
        return hq
    }

    @Test(
        arguments: [
            (
                "SELECT 1", "delivery_mode", "POST", "there", "delivery_mode_node POST HQ",
                "mode POST is linked to node HQ, which is the store's or one above it"
            ),
            ("SELECT 1", "delivery_mode", "AIR", "absent", nil, "HQ has no delivery mode AIR"),
            (
                "UPDATE delivery_mode_node SET node_id = 'N2'", "delivery_mode", "POST", "absent", "delivery_mode POST",
                "mode POST is not linked to the store's node or to one above it; it is linked to N2"
            ),
            (
                "DELETE FROM delivery_mode_node", "product_delivery_mode", "tea-1,POST", "absent", "delivery_mode POST",
                "mode POST is not linked to the store's node or to one above it; it is linked to no node"
            ),
            (
                "DELETE FROM delivery_mode_node", "product_delivery_mode", "tea-1", "absent", nil,
                "no delivery mode is linked to the store's node or to one above it"
            ),
            (
                "SELECT 1", "product_delivery_mode", "tea-1", "there", "delivery_mode_product POST 1",
                "included by line 1 (category ALL) of mode POST"
            ),
            (
                "INSERT INTO delivery_mode_product VALUES ('POST', 4, 'exclude', NULL, 'tea-1')",
                "product_delivery_mode", "tea-1,POST", "absent", "delivery_mode_product POST 4",
                "excluded by line 4 (this product) of mode POST"
            ),
            (
                "DELETE FROM delivery_mode_product", "product_delivery_mode", "tea-1,POST", "absent",
                "delivery_mode POST", "no line of mode POST includes the product or a category that it stands in"
            ),
            ("SELECT 1", "product_delivery_mode", "mug,POST", "absent", nil, "HQ has no product mug"),
            (
                "SELECT 1", "delivery_mode_address", "POST,DE,BY", "there", "delivery_mode_address POST 1",
                "included by line 1 (DE, all of it) of mode POST"
            ),
            (
                "SELECT 1", "delivery_mode_address", "POST,MT,", "there", "delivery_mode_address POST 2",
                "included by line 2 (MT, all of it) of mode POST"
            ),
            (
                "INSERT INTO delivery_mode_address VALUES ('POST', 3, 'exclude', 'DE', 'BY')", "delivery_mode_address",
                "POST,DE,BY", "absent", "delivery_mode_address POST 3", "excluded by line 3 (DE, BY) of mode POST"
            ),
            ("SELECT 1", "delivery_mode_address", "POST,XX", "absent", nil, "HQ's table address has no country XX"),
            (
                "SELECT 1", "delivery_mode_address", "POST,DE,ZZ", "absent", nil,
                "HQ's table address has no row for DE, ZZ"
            ),
            (
                "DELETE FROM delivery_mode_address WHERE country = 'MT'", "delivery_mode_address", "POST,MT,", "absent",
                "delivery_mode POST", "no line of mode POST includes the address"
            ),
        ] as [(String, String, String, String, String?, String)])
    func modes(change: String, table: String, key: String, state: String, source: String?, reason: String) throws {
        let hq = try chain()
        try hq.execute(change)
        #expect(try self.reason(hq, table, key) == [state, source, reason])
    }

    @Test(
        arguments: [
            (
                "SELECT 1", "price_base", "tea-1", "there", "product_release tea-1 LE",
                "the base price in legal entity LE is 3.5 EUR"
            ),
            ("SELECT 1", "price_base", "mug", "absent", nil, "HQ has no product mug"),
            (
                "DELETE FROM product_release", "price_base", "tea-1", "absent", "store S1",
                "the product is not released to legal entity LE, to which the store belongs"
            ),
            (
                "UPDATE product_release SET base_price = NULL", "price_base", "tea-1", "absent",
                "product_release tea-1 LE", "it is released to legal entity LE without a base price"
            ),
            (
                "UPDATE product SET sales_unit = NULL", "price_base", "tea-1", "absent", "product tea-1",
                "the product has no sales unit, and a base price is for that"
            ),
            (
                "DELETE FROM legal_entity", "price_base", "tea-1", "absent", "store S1",
                "HQ has no legal entity LE, hence no currency"
            ),
            (
                "SELECT 1", "exchange_rate", "EUR,CHF,2026-01-01", "there", "exchange_rate EUR CHF 2026-01-01",
                "HQ's rate is 1.05, until a later one begins"
            ),
            ("SELECT 1", "exchange_rate", "EUR,USD", "absent", nil, "HQ has no rate from EUR to USD"),
            (
                "SELECT 1", "exchange_rate", "EUR,CHF,2027-01-01", "absent", nil,
                "HQ has no rate that begins on 2027-01-01; those from EUR to CHF begin on 2026-01-01"
            ),
            (
                "SELECT 1", "trade_agreement", "tea-1,L1", "there", "trade_agreement L1",
                "line L1 is for price group G, to which the store belongs"
            ),
            ("SELECT 1", "trade_agreement", "tea-1,L3", "there", "trade_agreement L3", "line L3 is for everyone"),
            (
                "SELECT 1", "trade_agreement", "tea-1,L2", "absent", "trade_agreement L2",
                "line L2 is for price group H, to which the store does not belong"
            ),
            ("SELECT 1", "trade_agreement", "tea-1,L9", "absent", nil, "HQ has no trade agreement line L9"),
            (
                "UPDATE trade_agreement SET account_relation = NULL", "trade_agreement", "tea-1,L1", "absent",
                "trade_agreement L1", "line L1 is for a price group and names none, so it holds for nobody"
            ),
            (
                "UPDATE trade_agreement SET from_date = '2026-07-01'", "trade_agreement", "tea-1,L1", "there", nil,
                "not before 2026-07-01: today is 2026-06-15"
            ),
            (
                "SELECT 1", "price_adjustment", "tea-1,A1", "there", "price_adjustment A1",
                "adjustment A1 is enabled, for category TEA and price group G"
            ),
            (
                "SELECT 1", "price_adjustment", "tea-1,A2", "absent", "price_adjustment A2",
                "adjustment A2 is for price group H, to which the store does not belong"
            ),
            (
                "UPDATE price_adjustment SET status = 'disabled'", "price_adjustment", "tea-1,A1", "absent",
                "price_adjustment A1", "adjustment A1 is disabled"
            ),
            (
                "UPDATE price_adjustment SET category_id = 'X'", "price_adjustment", "tea-1,A1", "absent",
                "price_adjustment A1",
                "adjustment A1 is for category X, which is not the product and does not hold it"
            ),
            (
                "DELETE FROM price_adjustment", "price_adjustment", "tea-1", "absent", nil,
                "no price adjustment is for the product or for a category that it stands in"
            ),
            (
                "UPDATE price_adjustment SET to_date = '2026-06-14'", "price_adjustment", "tea-1,A1", "there", nil,
                "not after 2026-06-14: today is 2026-06-15"
            ),
        ] as [(String, String, String, String, String?, String)])
    func prices(change: String, table: String, key: String, state: String, source: String?, reason: String) throws {
        let hq = try chain()
        try hq.execute(change)
        #expect(try self.reason(hq, table, key) == [state, source, reason])
    }
}
