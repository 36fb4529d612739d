import Foundation
import GRDB
import Testing
import WaybillCapture
import WaybillDatabase
import WaybillJobs

/// What holds for every retail job, whatever the data.
@Suite struct JobDefinitionTests {
    @Test func theOrderIsAssortmentsDeliveryModesPrices() {
        #expect(RetailJobs.all.map(\.id.rawValue) == ["assortments", "delivery-modes", "prices"])
    }

    @Test(arguments: RetailJobs.all)
    func everyTableIsOneThatAnAgentCreates(job: Job) {
        for subjob in job.subjobs { #expect(subjob.table.fault == nil) }
    }

    /// An input that is missing would leave stores with old rows; one too many would run jobs for nothing.
    @Test(arguments: RetailJobs.all)
    func theInputsAreTheTablesThatTheQueriesRead(job: Job) throws {
        let hq = try DatabaseQueue()
        try hq.write { db in try HQSchema.install(in: db) }
        let read = try hq.writeWithoutTransaction { db in
            var tables: Set<String> = []
            func note(_ sql: String) throws {
                for region in try db.makeStatement(sql: sql).databaseRegion.description.split(separator: ",") {
                    tables.insert(String(region.prefix { $0 != "(" }))
                }
            }
            for statement in job.prepare {
                if let query = statement.range(of: " AS\n") { try note(String(statement[query.upperBound...])) }
                try db.execute(sql: statement)
            }
            for subjob in job.subjobs {
                try note(subjob.rows)
                try note(subjob.members)
            }
            return tables
        }
        #expect(read.intersection(HQCatalogue.tables.map(\.name)) == Set(job.inputs))
    }

    @Test(arguments: RetailJobs.all)
    func rowsHaveTheScopeAndThenTheTablesColumns(job: Job) throws {
        let hq = try DatabaseQueue()
        try hq.writeWithoutTransaction { db in
            try HQSchema.install(in: db)
            for statement in job.prepare { try db.execute(sql: statement) }
            for subjob in job.subjobs {
                let rows = try db.makeStatement(sql: subjob.rows).columnNames
                let members = try db.makeStatement(sql: subjob.members).columnNames
                #expect(rows == ["scope"] + subjob.table.columns.map(\.name))
                #expect(members == ["store_id", "scope"])
            }
        }
    }

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
