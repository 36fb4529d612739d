import GRDB
import Testing
import WaybillJobs

/// Every store, every row: the jobs against results that other programs found by the same rules.
@Suite struct GoldenTests {
    @Test func everyStoreGetsItsAssortment() throws { try compareAssortments(.own) }
    @Test func everyStoreGetsItsModesOfDelivery() throws { try compareDeliveryModes(.own) }
    @Test func everyTillFindsItsPrices() throws { try comparePrices(.own) }

    @Test(
        .enabled(if: GoldenSet.areBesidePresent, "skipped: no golden sets beside the checkout"),
        arguments: GoldenSet.beside)
    func theOtherSetsComeOutToo(set: GoldenSet) throws {
        try compareAssortments(set)
        try compareDeliveryModes(set)
        try comparePrices(set)
    }

    private func compareAssortments(_ set: GoldenSet) throws {
        let hq = try derived(set, [RetailJobs.assortments])
        let expected = Dictionary(grouping: try set.expected("a_assortment_intervals"), by: { $0[0] })
        for store in try hq.storeIDs() {
            try hq.withStore(store, [RetailJobs.assortments]) { db in
                let wanted = (expected[store] ?? []).map { Array($0.dropFirst()) }
                let intervals = try texts(db, "SELECT product_id, valid_from, valid_to FROM assorted_product")
                let products = try texts(db, "SELECT product_id FROM product")
                #expect(Set(intervals) == Set(wanted), "\(set.name), store \(store)")
                #expect(Set(products) == Set(wanted.map { [$0[0]] }), "\(set.name), store \(store)")
                let strays = """
                    SELECT category_id FROM product
                    WHERE category_id IS NOT NULL AND category_id NOT IN (SELECT category_id FROM category)
                    UNION ALL
                    SELECT parent_category_id FROM category
                    WHERE parent_category_id IS NOT NULL AND parent_category_id NOT IN (SELECT category_id FROM category)
                    """
                let dangling = try texts(db, strays)
                #expect(dangling.isEmpty, "\(set.name), store \(store): categories without their row")
            }
        }
    }

    private func compareDeliveryModes(_ set: GoldenSet) throws {
        let hq = try derived(set, [RetailJobs.deliveryModes])
        let modes = Dictionary(grouping: try set.expected("b_mode_channel"), by: { $0[1] })
        let products = Dictionary(grouping: try set.expected("b_store_product_mode"), by: { $0[0] })
        let addresses = Dictionary(grouping: try set.expected("b_mode_address"), by: { $0[0] })
        for store in try hq.storeIDs() {
            try hq.withStore(store, [RetailJobs.deliveryModes]) { db in
                let wantedModes = (modes[store] ?? []).map { $0[0] }
                let names = try texts(db, "SELECT mode_id FROM delivery_mode")
                let pairs = try texts(db, "SELECT product_id, mode_id FROM product_delivery_mode")
                let places = try texts(db, "SELECT mode_id, country, nullif(state, '') FROM delivery_mode_address")
                let wantedPairs = (products[store] ?? []).map { Array($0.dropFirst()) }
                let wantedPlaces = wantedModes.flatMap { addresses[$0] ?? [] }
                #expect(Set(names) == Set(wantedModes.map { [$0] }), "\(set.name), store \(store)")
                #expect(Set(pairs) == Set(wantedPairs), "\(set.name), store \(store)")
                #expect(Set(places) == Set(wantedPlaces), "\(set.name), store \(store)")
            }
        }
    }

    private func comparePrices(_ set: GoldenSet) throws {
        let hq = try derived(set, [RetailJobs.prices])
        let expected = Dictionary(grouping: try set.expected("c_price_query"), by: { $0[0] })
        let questions = Dictionary(grouping: try CSV(path: set.input + "/price_query.csv").records, by: { $0[1] ?? "" })
        var asked = 0
        for (store, questions) in questions.sorted(by: { $0.key < $1.key }) {
            try hq.withStore(store, [RetailJobs.prices]) { db in
                for fields in questions {
                    let question = PriceQuestion(
                        product: fields[2] ?? "", unit: fields[3] ?? "", currency: fields[4] ?? "",
                        quantity: fields[5] ?? "", date: fields[6] ?? "", customer: fields[7])
                    let wanted = expected[fields[0]]?.first.map { Array($0.dropFirst()) }
                    let answer = try price(question, in: db)
                    #expect(answer == wanted, "\(set.name), query \(fields[0] ?? ""): \(question)")
                    asked += 1
                }
            }
        }
        #expect(asked > 0 && asked == expected.count)
    }

    private func derived(_ set: GoldenSet, _ jobs: [Job]) throws -> Headquarters {
        let hq = try Headquarters()
        try hq.load(set.input)
        try hq.run(jobs)
        return hq
    }
}
