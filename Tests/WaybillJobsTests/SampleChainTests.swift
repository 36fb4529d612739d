import GRDB
import Testing
import WaybillCapture
import WaybillJobs

/// The fictional chain that the demo publishes: it has to be right, and to show something.
@Suite struct SampleChainTests {
    private static let folder = GoldenSet.packageRoot + "/deploy/sample"

    private func chain() throws -> Headquarters {
        let hq = try Headquarters()
        try hq.load(SampleChainTests.folder)
        try hq.run(RetailJobs.all)
        return hq
    }

    @Test func everyReferenceNamesARow() throws {
        func values(_ column: String, _ table: String) throws -> Set<String> {
            let file = try CSV(path: "\(SampleChainTests.folder)/\(table).csv")
            let index = try #require(file.header.firstIndex(of: column), "\(table).csv has no column \(column)")
            return Set(file.records.compactMap { $0[index] })
        }
        for table in HQCatalogue.tables {
            for reference in table.references {
                let strays = try values(reference.column, table.name)
                    .subtracting(values(reference.referencedColumn, reference.table))
                #expect(strays.isEmpty, "\(table.name).\(reference.column)")
            }
        }
        let groups = try values("price_group_id", "price_group")
        let agreements = try CSV(path: SampleChainTests.folder + "/trade_agreement.csv")
        for line in agreements.records where line[1] == "group" { #expect(groups.contains(line[2] ?? "")) }
    }

    @Test func everyStoreHasProductsModesAndAPriceForEachProduct() throws {
        let hq = try chain()
        #expect(try hq.storeIDs() == ["AT-GRZ-1", "AT-SZG-1", "AT-VIE-1", "AT-WEB-1", "CH-GVA-1", "CH-ZRH-1"])
        for store in try hq.storeIDs() {
            try hq.withStore(store, RetailJobs.all) { db in
                let products = try texts(db, "SELECT product_id, sales_unit FROM product")
                #expect(products.count > 25, "\(store)")
                for product in products {
                    let question = PriceQuestion(
                        product: product[0] ?? "", unit: product[1] ?? "",
                        currency: store.hasPrefix("CH") ? "CHF" : "EUR", date: "2026-11-05")
                    let answer = try price(question, in: db)
                    #expect(answer.count == 6 && answer[2] != nil, "\(store) \(question.product)")
                }
                let modes = try Int.fetchOne(db, sql: "SELECT count(*) FROM product_delivery_mode") ?? 0
                let places = try Int.fetchOne(db, sql: "SELECT count(*) FROM delivery_mode_address") ?? 0
                #expect(modes > 25 && places > 10, "\(store)")
            }
        }
    }

    @Test func theSeasonBringsProductsAndTakesOthersAway() throws {
        let mint = "SELECT valid_from, valid_to FROM assorted_product WHERE product_id = 'TEA-MINT' ORDER BY 1"
        let hq = try chain()
        // Christmas reaches the east of Austria, and not the west.
        let graz = try hq.withStore("AT-GRZ-1", RetailJobs.all) { db in try texts(db, mint) }
        let salzburg = try hq.withStore("AT-SZG-1", RetailJobs.all) { db in try texts(db, mint) }
        #expect(graz == [["2026-01-01", "2026-10-25"], ["2027-01-07", nil]])
        #expect(salzburg == [["2026-01-01", nil]])
        #expect(try hq.scopes(of: "AT-VIE-1", in: "assorted_product") == ["AT-GRZ-1"])
    }

    @Test(arguments: [
        (
            "AT-GRZ-1", PriceQuestion(product: "TAB-MUG", quantity: "4"),
            ["12.90", "11.50", "11.50", "all", "L0006", nil]
        ),
        (
            "AT-VIE-1", PriceQuestion(product: "TAB-MUG", quantity: "4"),
            ["12.90", "13.90", "13.90", "group", "L0005", nil]
        ),
        (
            "AT-VIE-1", PriceQuestion(product: "COF-ESPR", unit: "kg", quantity: "10", customer: "CAFE-MORGEN"),
            ["21.90", "17.90", "17.90", "table", "L0007", nil]
        ),
        (
            "CH-ZRH-1", PriceQuestion(product: "XMA-LEBK", currency: "CHF", date: "2026-12-28"),
            ["11.50", "11.50", "5.75", "base", nil, "XMAS-SALE-CH"]
        ),
        (
            "CH-GVA-1", PriceQuestion(product: "TAB-POT", currency: "EUR", date: "2026-08-01"),
            ["48.26", "48.26", "48.26", "base", nil, nil]
        ),
    ])
    func tillsAnswer(store: String, question: PriceQuestion, answer: [String?]) throws {
        let found = try chain().withStore(store, RetailJobs.all) { db in try price(question, in: db) }
        #expect(found == answer)
    }
}
