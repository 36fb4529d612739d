import Testing
import WaybillJobs

/// The edges of the delivery rules.
@Suite struct DeliveryModeRuleTests {
    /// Two stores under HQ, two products in one category, addresses in a country with states and one without.
    private func chain() throws -> Headquarters {
        let hq = try Headquarters()
        try hq.fill("org_node", "HQ,,root,HQ", "N1,HQ,store,One", "N2,HQ,store,Two")
        try hq.fill("store", "S1,N1,store,One,US,,LE,USD", "S2,N2,store,Two,US,,LE,USD")
        try hq.fill("category", "ALL,,All")
        try hq.fill("product", "tent,ALL,Tent,ea", "gas,ALL,Gas,ea")
        try hq.fill("address", "US,AK", "US,MA", "MC,")
        try hq.fill("delivery_mode", "AIR,By air", "VAN,Van")
        return hq
    }

    private func rows(_ hq: Headquarters, _ store: String, _ sql: String) throws -> [[String?]] {
        try hq.run([RetailJobs.deliveryModes])
        return try hq.withStore(store, [RetailJobs.deliveryModes]) { db in try texts(db, sql) }
    }

    @Test func anExclusionHoldsWithinItsModeOnly() throws {
        let hq = try chain()
        try hq.fill("delivery_mode_node", "AIR,HQ", "VAN,N1")
        try hq.fill("delivery_mode_product", "AIR,1,include,ALL,", "AIR,2,exclude,,gas", "VAN,1,include,ALL,")
        let pairs = "SELECT product_id, mode_id FROM product_delivery_mode ORDER BY 1, 2"
        #expect(try rows(hq, "S1", pairs) == [["gas", "VAN"], ["tent", "AIR"], ["tent", "VAN"]])
        #expect(try rows(hq, "S2", pairs) == [["tent", "AIR"]])
        #expect(try hq.scopes(of: "S1", in: "delivery_mode") == ["AIR", "VAN"])
    }

    @Test func aCountryIsIncludedWithAllItsStatesAndOneMayBeLeftOut() throws {
        let hq = try chain()
        try hq.fill("delivery_mode_node", "AIR,HQ", "VAN,HQ")
        try hq.fill(
            "delivery_mode_address", "AIR,1,include,US,", "AIR,2,exclude,US,AK", "AIR,3,include,MC,",
            "VAN,1,include,US,AK", "VAN,2,include,XX,")
        let places = "SELECT mode_id, country, state FROM delivery_mode_address ORDER BY 1, 2, 3"
        #expect(try rows(hq, "S1", places) == [["AIR", "MC", ""], ["AIR", "US", "MA"], ["VAN", "US", "AK"]])
    }

    @Test func aModeWithoutLinesDeliversNothing() throws {
        let hq = try chain()
        try hq.fill("delivery_mode_node", "AIR,HQ", "GONE,HQ")
        #expect(try rows(hq, "S1", "SELECT mode_id, name FROM delivery_mode") == [["AIR", "By air"]])
        #expect(try rows(hq, "S1", "SELECT product_id FROM product_delivery_mode").isEmpty)
        #expect(try rows(hq, "S1", "SELECT country FROM delivery_mode_address").isEmpty)
    }
}
