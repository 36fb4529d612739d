import Foundation
import GRDB
import Testing
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillPlan

extension Job: CustomTestStringConvertible {
    public var testDescription: String { id.rawValue }
}

/// What holds for every retail job, whatever the data.
@Suite struct JobDefinitionTests {
    @Test func theOrderIsAssortmentsDeliveryModesPrices() {
        #expect(RetailJobs.all.map(\.id.rawValue) == ["assortments", "delivery-modes", "prices"])
    }

    @Test(arguments: RetailJobs.all)
    func everyTableIsOneThatAnAgentCreates(job: Job) {
        for subjob in job.subjobs { #expect(subjob.table.fault == nil) }
    }

    @Test(arguments: RetailJobs.all)
    func theQueriesFitHeadquartersTables(job: Job) throws {
        let path = FileManager.default.temporaryDirectory.path + "/waybill-jobs-" + UUID().uuidString + ".db"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let hq = try OpenDatabase.queue(at: path, label: "hq")
        try hq.write { db in try HQSchema.install(in: db) }
        let reads = try Rows.check(job, hqPath: path)
        #expect(reads.inputs == JobDefinitionTests.inputs[job.id.rawValue])
        for subjob in job.subjobs {
            #expect(subjob.rows.hasPrefix("SELECT "))
            #expect(subjob.members.contains("scope"))
        }
    }

    /// An input that is missing would leave stores with old rows; one too many would run jobs for nothing.
    static let inputs: [String: Set<String>] = [
        "assortments": [
            "org_node", "store", "category", "product", "product_release", "assortment", "assortment_line",
            "assortment_node",
        ],
        "delivery-modes": [
            "org_node", "store", "category", "product", "delivery_mode", "delivery_mode_node", "delivery_mode_product",
            "delivery_mode_address", "address",
        ],
        "prices": [
            "store", "legal_entity", "category", "product", "product_release", "price_group", "store_price_group",
            "trade_agreement", "price_adjustment", "exchange_rate",
        ],
    ]

    @Test func theTillStatementIsTheTextInTheProtocol() throws {
        let path = GoldenSet.packageRoot + "/protocol/till-price.sql"
        #expect(try String(contentsOf: URL(filePath: path), encoding: .utf8) == TillStatement.price)
    }

    /// A till asks at every scan: nothing but the tables' own keys may be needed.
    @Test func theTillStatementSearchesEveryTableByItsKey() throws {
        let hq = try Headquarters()
        try hq.fill("store", "S1,N1,store,One,DE,,LE,EUR")
        try hq.run([RetailJobs.prices])
        let plan = try hq.withStore("S1", [RetailJobs.prices]) { db in
            try String.fetchAll(
                db.makeStatement(sql: "EXPLAIN QUERY PLAN " + TillStatement.price),
                arguments: [
                    "product_id": "tea", "unit": "ea", "currency": "EUR", "quantity": 1, "date": "2026-06-15",
                    "customer_id": nil,
                ], adapter: ColumnMapping(["detail": "detail"]))
        }
        for table in RetailJobs.prices.subjobs.map(\.table.name) {
            let steps = plan.filter { $0.split(separator: " ").contains { $0 == table } }
            #expect(
                !steps.isEmpty && steps.allSatisfy { $0.hasPrefix("SEARCH \(table) USING PRIMARY KEY") }, "\(steps)")
        }
    }
}
