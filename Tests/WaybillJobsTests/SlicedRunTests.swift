import Foundation
import GRDB
import Testing
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan

/// Working out only what a change can concern must give what working out everything gives.
@Suite struct SlicedRunTests {
    @Test(arguments: 6...11)
    func afterAnyChangesTheRowsAreThoseOfAFreshRun(seed: UInt64) throws {
        var random = SeededRandom(seed)
        let chain = try RandomChain(&random)
        for job in RetailJobs.all { _ = try chain.rows.derive(job) }
        for _ in 0..<12 {
            var edits: [String] = []
            for _ in 0..<Int.random(in: 1...3, using: &random) { edits.append(try chain.edit(&random)) }
            for job in RetailJobs.all { _ = try chain.rows.derive(job) }
            for job in RetailJobs.all {
                let (here, there) = (try chain.content(of: job), try chain.freshContent(of: job))
                #expect(here == there, "seed \(seed), job \(job.id), after \(edits)")
                guard here == there else { return }
            }
        }
    }

    @Test func oneChangedLineIsWorkedOutForItsProductsAlone() throws {
        var random = SeededRandom(1)
        let chain = try RandomChain(&random, products: 400)
        let first = try chain.rows.derive(RetailJobs.assortments)
        try chain.sql("INSERT INTO assortment_line VALUES ('a1', 90, 'exclude', NULL, 'p7')")
        let second = try chain.rows.derive(RetailJobs.assortments)
        #expect(second.hasChanges)
        #expect(second.rowsWorkedOut * 20 < first.rowsWorkedOut, "\(second.rowsWorkedOut) of \(first.rowsWorkedOut)")
        #expect(try chain.content(of: RetailJobs.assortments) == chain.freshContent(of: RetailJobs.assortments))
    }

    @Test func onePriceThatChangesIsOneRow() throws {
        var random = SeededRandom(2)
        let chain = try RandomChain(&random)
        try chain.sql(
            "INSERT INTO trade_agreement VALUES ('l9', 'all', NULL, 'p1', 'ea', 'EUR', NULL, NULL, NULL, NULL, 5, 1, 0)"
        )
        _ = try chain.rows.derive(RetailJobs.prices)
        try chain.sql("UPDATE trade_agreement SET amount = 6 WHERE line_id = 'l9'")
        #expect(try chain.rows.derive(RetailJobs.prices).rowsWorkedOut == 1)
    }

    @Test func nothingIsWorkedOutWhenNoInputHasChanged() throws {
        var random = SeededRandom(3)
        let chain = try RandomChain(&random)
        let first = try chain.rows.derive(RetailJobs.assortments)
        try chain.sql("INSERT INTO exchange_rate VALUES ('EUR', 'SEK', '2026-01-01', 11)")
        let second = try chain.rows.derive(RetailJobs.assortments)
        #expect(second.token == first.token)
        #expect(second.rowsWorkedOut == 0)
    }

    /// A renamed table keeps our triggers under their names; its successor must be watched nevertheless.
    @Test func aTableThatIsSwappedForAnotherIsCapturedAnew() throws {
        var random = SeededRandom(4)
        let chain = try RandomChain(&random)
        _ = try chain.rows.derive(RetailJobs.assortments)
        try chain.sql(
            """
            CREATE TABLE product_new (
                product_id TEXT PRIMARY KEY, category_id TEXT, name TEXT, sales_unit TEXT) WITHOUT ROWID;
            INSERT INTO product_new SELECT product_id, category_id, 'new ' || name, sales_unit FROM product;
            ALTER TABLE product RENAME TO product_old;
            ALTER TABLE product_new RENAME TO product;
            """)
        #expect(try chain.rows.derive(RetailJobs.assortments).hasChanges)
        #expect(try chain.content(of: RetailJobs.assortments) == chain.freshContent(of: RetailJobs.assortments))
        try chain.sql("UPDATE product SET name = 'again' WHERE product_id = 'p1'")
        _ = try chain.rows.derive(RetailJobs.assortments)
        #expect(try chain.content(of: RetailJobs.assortments) == chain.freshContent(of: RetailJobs.assortments))
    }
}
