import Foundation
import Testing
import WaybillModel

@testable import WaybillApply

/// Tables that travel whole, tables that keep their rows, and packages with a lock budget of their own.
@Suite struct TravelTests {
    private func prices(_ shop: Shop) throws -> [String] { try shop.rows("SELECT * FROM price ORDER BY 1, 2") }

    /// Directly, and by a shadow.
    static let budgets = [50, 0]

    @Test(arguments: budgets) func aWholeTablePutsRightWhatATechnicianChanged(budget: Int) throws {
        let shop = try Shop(lockBudgetMilliseconds: budget)
        try shop.apply(.full(1, .price([[1, "A", 100], [1, "B", 200], [1, "C", 300]]), .unit([["kg", "k"]])))
        try shop.execute(
            "UPDATE price SET cents = 1 WHERE product_id = 'A'; DELETE FROM price WHERE product_id = 'B'; "
                + "INSERT INTO price VALUES (9, 'mine', 1); INSERT INTO unit VALUES ('mine', NULL)")
        let result = try shop.apply(
            .delta(1, 2, .price([[1, "A", 100], [1, "B", 200], [1, "C", 333]]).whole, .unit()))
        #expect(try prices(shop) == ["1|A|100", "1|B|200", "1|C|333"])
        // The other table of the delta is none of its business.
        #expect(try shop.count("unit") == 2)
        if budget > 0 { #expect(result.rowsChanged == 4) }
        #expect(try shop.watermark == Parcel.watermark(2))
        #expect(try shop.leftOvers == [])
    }

    @Test(arguments: budgets) func aWholeTableWithoutRowsEmptiesTheStores(budget: Int) throws {
        let shop = try Shop(lockBudgetMilliseconds: budget)
        try shop.apply(.full(1, .price([[1, "A", 100]])))
        try shop.apply(.delta(1, 2, Parcel.Table.price().whole))
        #expect(try prices(shop) == [])
    }

    @Test func aWholeTableIsStillADeltaOverItsBase() throws {
        let shop = try Shop()
        try shop.apply(.full(1, .price([[1, "A", 100]])))
        guard case .wrongBase = shop.fault({ try shop.apply(.delta(7, 8, Parcel.Table.price([[1, "B", 1]]).whole)) })
        else {
            Issue.record("applied over another base")
            return
        }
        #expect(try prices(shop) == ["1|A|100"])
    }

    @Test(arguments: budgets) func keptRowsStayAsTheyWereSentLast(budget: Int) throws {
        let shop = try Shop(lockBudgetMilliseconds: budget)
        try shop.apply(.full(1, Parcel.Table.price([[1, "A", 100], [1, "B", 200]]).keeping))
        try shop.apply(.full(2, Parcel.Table.price([[1, "B", 222], [2, "C", nil]]).keeping))
        #expect(try prices(shop) == ["1|A|100", "1|B|222", "2|C|NULL"])
        try shop.apply(.delta(2, 3, Parcel.Table.price([[1, "C", 3]]).keeping))
        #expect(try prices(shop) == ["1|A|100", "1|B|222", "1|C|3", "2|C|NULL"])
        try shop.apply(.delta(3, 4, Parcel.Table.price([[1, "C", 4]]).keeping.whole))
        #expect(try prices(shop) == ["1|A|100", "1|B|222", "1|C|4", "2|C|NULL"])
        try shop.apply(.full(5, .price([[1, "C", 4]])))
        #expect(try prices(shop) == ["1|C|4"])
    }

    @Test func manyKeptRowsStayThroughAShadow() throws {
        let shop = try Shop(lockBudgetMilliseconds: 0)
        try shop.apply(.full(1, Parcel.Table.prices(4_500, cents: "1").keeping))
        try shop.apply(.full(2, Parcel.Table.prices(2_500, cents: "2").keeping))
        #expect(
            try shop.rows("SELECT cents, count(*) FROM price GROUP BY cents ORDER BY 1") == ["1|2000", "2|2500"])
    }

    /// store's own, package's, what counts
    @Test(arguments: [(nil, nil, 50), (nil, 20, 20), (nil, 200, 200), (80, nil, 80), (80, 20, 20), (80, 200, 80)])
    func aPackageMayAskForMoreTimeOnlyWhereTheStoreDoesNotSay(own: Int?, asked: Int?, counts: Int) throws {
        let shop = try Shop()
        let applier = try Applier(path: shop.path, lockBudgetMilliseconds: own)
        var parcel = Parcel.full(1, .price([[1, "A", 1]]))
        parcel.lockBudgetMilliseconds = asked
        let (raw, manifest) = try shop.pack(parcel)
        unlink(raw)
        #expect(applier.lockBudgetMilliseconds(for: manifest) == counts)
    }

    @Test func aPackagesLockBudgetChoosesTheWay() throws {
        for (budget, goesByAShadow) in [(1, true), (2_000, false)] {
            let shop = try Shop(lockBudgetMilliseconds: 5_000)
            try shop.apply(.full(1, .prices(3_000, cents: "1")))
            let before = shop.pauses
            var parcel = Parcel.full(2, .prices(3_000, cents: "2"))
            parcel.lockBudgetMilliseconds = budget
            try shop.apply(parcel)
            #expect((shop.pauses > before) == goesByAShadow)
            #expect(try shop.rows("SELECT count(*), min(cents), max(cents) FROM price") == ["3000|2|2"])
        }
    }
}
