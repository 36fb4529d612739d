import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel

@testable import WaybillApply

@Suite struct ApplyTests {
    private let shop: Shop

    init() throws { shop = try Shop() }

    private var prices: [String] { get throws { try shop.rows("SELECT * FROM price ORDER BY 1, 2") } }

    @Test func theFirstFullPackageMakesTheTables() throws {
        let result = try shop.apply(
            .full(1, .price([[1, "A", 100], [1, "B", nil]]), .unit([["kg", "Kilogramm ⚖️"]])))
        #expect(result.rowsChanged == 3)
        #expect(!result.wasApplied)
        #expect(try prices == ["1|A|100", "1|B|NULL"])
        #expect(try shop.rows("SELECT * FROM unit") == ["kg|Kilogramm ⚖️"])
        #expect(try shop.watermark == Parcel.watermark(1))
        #expect(result.watermark == Parcel.watermark(1))
    }

    @Test func rowsWatermarkOutcomeAndReportComeTogether() throws {
        shop.clock = 4_711
        try shop.apply(.full(1, .price([[1, "A", 100]])), attempt: 3)
        let report = try #require(try shop.ledger.outbox(limit: 10).first)
        #expect(report.outcome == .applied)
        #expect(report.session == Parcel.session(1))
        #expect(report.attempt == 3)
        #expect(report.rowsChanged == 1)
        #expect(report.at == Timestamp(milliseconds: 4_711))
        #expect(report.watermark == Parcel.watermark(1))
        #expect(report.sequence == 1)
        #expect(try shop.ledger.state().sequence == 1)
        #expect(try shop.rows("SELECT outcome, run FROM _waybill_outcome") == ["applied|1"])
    }

    @Test func aDeltaChangesAddsAndRemoves() throws {
        try shop.apply(.full(1, .price([[1, "A", 100], [1, "B", 200], [2, "A", 300]])))
        let result = try shop.apply(.delta(1, 2, .price([[1, "A", 111], [3, "C", nil]], removed: [[2, "A"]])))
        #expect(result.rowsChanged == 3)
        #expect(try prices == ["1|A|111", "1|B|200", "3|C|NULL"])
        #expect(try shop.watermark == Parcel.watermark(2))
    }

    @Test func aRowThatIsAlreadyRightIsNotCounted() throws {
        try shop.apply(.full(1, .price([[1, "A", nil], [1, "B", 2]])))
        let result = try shop.apply(.delta(1, 2, .price([[1, "A", nil], [1, "B", 3]], removed: [[9, "none"]])))
        #expect(result.rowsChanged == 1)
    }

    @Test func aValueBecomesNullAndComesBack() throws {
        try shop.apply(.full(1, .price([[1, "A", 5]])))
        #expect(try shop.apply(.delta(1, 2, .price([[1, "A", nil]]))).rowsChanged == 1)
        #expect(try prices == ["1|A|NULL"])
        #expect(try shop.apply(.delta(2, 3, .price([[1, "A", 6]]))).rowsChanged == 1)
        #expect(try prices == ["1|A|6"])
    }

    @Test func aRepeatedPackageChangesNothingAndIsReportedAgain() throws {
        try shop.apply(.full(1, .price([[1, "A", 100]])))
        shop.clock = 2_000
        try shop.apply(.delta(1, 2, .price([[1, "A", 200]])))
        // What a till does to the row shows that it is not written a second time.
        try shop.execute("UPDATE price SET cents = 7")
        shop.clock = 9_000
        let again = try shop.apply(.delta(1, 2, .price([[1, "A", 200]])), attempt: 2)
        #expect(again.wasApplied)
        #expect(again.rowsChanged == 0)
        #expect(try prices == ["1|A|7"])
        let report = try #require(try shop.ledger.outbox(limit: 10).last)
        #expect(report.outcome == .applied)
        #expect(report.attempt == 2)
        #expect(report.rowsChanged == 1)
        #expect(report.at == Timestamp(milliseconds: 2_000))
        #expect(report.watermark == Parcel.watermark(2))
    }

    @Test func anOldPackageDoesNotBringOldRowsBack() throws {
        try shop.apply(.full(1, .price([[1, "A", 100]])))
        try shop.apply(.delta(1, 2, .price([[1, "A", 200]])))
        #expect(try shop.apply(.full(1, .price([[1, "A", 100]]))).wasApplied)
        #expect(try prices == ["1|A|200"])
        #expect(try shop.watermark == Parcel.watermark(2))
        #expect(try shop.ledger.outbox(limit: 10).last?.watermark == Parcel.watermark(2))
    }

    @Test func aRerunOfAFullPackageRepairsWhatDiffers() throws {
        let parcel = Parcel.full(1, .price([[1, "A", 100], [1, "B", 200]]))
        try shop.apply(parcel)
        try shop.execute("UPDATE price SET cents = 1 WHERE product_id = 'A'; INSERT INTO price VALUES (9, 'X', 9)")
        let result = try shop.apply(parcel, run: 2)
        #expect(result.rowsChanged == 2)
        #expect(try prices == ["1|A|100", "1|B|200"])
    }

    @Test func aDeltaFromAnotherBaseIsRefusedAndNothingChanges() throws {
        try shop.apply(.full(1, .price([[1, "A", 100]])))
        let before = try shop.ledger.state()
        let fault = shop.fault { try shop.apply(.delta(7, 8, .price([[1, "A", 800]], removed: [[1, "A"]]))) }
        guard case .wrongBase = fault else {
            Issue.record("\(String(describing: fault))")
            return
        }
        #expect(fault?.isStale == true)
        #expect(try prices == ["1|A|100"])
        #expect(try shop.ledger.state() == before)
    }

    @Test func aDeltaForAStoreThatHasNothingIsRefused() throws {
        guard case .wrongBase = shop.fault({ try shop.apply(.delta(1, 2, .price())) }) else {
            Issue.record("not refused as a wrong base")
            return
        }
        #expect(try shop.watermark == nil)
    }

    @Test func aFullPackageOverTheSameRowsChangesNone() throws {
        let rows: [TestRow] = [[1, "A", 100], [1, "B", nil], [2, "Ünïcode 🍵", 3]]
        try shop.apply(.full(1, .price(rows)))
        #expect(try shop.apply(.full(2, .price(rows))).rowsChanged == 0)
        #expect(try shop.watermark == Parcel.watermark(2))
    }

    @Test func aFullPackageRemovesWhatItDoesNotHold() throws {
        try shop.apply(.full(1, .price([[1, "A", 100], [1, "B", 200], [2, "A", 1]]), .unit([["kg", nil]])))
        let result = try shop.apply(.full(2, .price([[1, "B", 201]]), .unit()))
        #expect(result.rowsChanged == 4)
        #expect(try prices == ["1|B|201"])
        #expect(try shop.count("unit") == 0)
    }

    @Test func aTableWithoutValueColumnsIsFilledToo() throws {
        let shape = TableShape(
            name: "pair", columns: [ColumnShape("a", .text), ColumnShape("b", .text)], key: ["b", "a"])
        try shop.apply(.full(1, Parcel.Table(shape: shape, rows: [["x", "y"], ["x", "z"]])))
        let result = try shop.apply(
            .delta(1, 2, Parcel.Table(shape: shape, rows: [["x", "y"], ["v", "w"]], removed: [["z", "x"]])))
        #expect(result.rowsChanged == 2)
        #expect(try shop.rows("SELECT a, b FROM pair ORDER BY 1, 2") == ["v|w", "x|y"])
    }

    @Test func everyStoredValueArrivesUnchanged() throws {
        let shape = TableShape(
            name: "thing",
            columns: [
                ColumnShape("id", .integer), ColumnShape("t", .text, nullable: true),
                ColumnShape("r", .real, nullable: true),
                ColumnShape("b", .blob, nullable: true),
            ],
            key: ["id"])
        var table = Parcel.Table(shape: shape)
        table.generated = (
            4,
            """
            VALUES (-9223372036854775808, 'a' || char(0) || 'b', 1e308, x''),
                (0, cast(x'80ff41' AS TEXT), 9e999, x'00ff00'), (1, '', -0.5, NULL),
                (9223372036854775807, NULL, 3, 'text')
            """
        )
        try shop.apply(.full(1, table))
        #expect(
            try shop.rows("SELECT id, typeof(t), hex(t), quote(r), typeof(b), hex(b) FROM thing ORDER BY id") == [
                "-9223372036854775808|text|610062|1.0e+308|blob|", "0|text|80FF41|Inf|blob|00FF00",
                "1|text||-0.5|null|", "9223372036854775807|null||3.0|text|74657874",
            ])
    }

    @Test func twoJobsLiveSideBySide() throws {
        var units = Parcel.full(5, .unit([["kg", "x"]]))
        units.job = try #require(JobID("units"))
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        try shop.apply(units)
        let marks = try shop.ledger.state().watermarks
        #expect(marks == [Parcel.job: Parcel.watermark(1), units.job: Parcel.watermark(5)])
        #expect(try shop.ledger.state().sequence == 2)
    }

    @Test func aTableThatChangesItsJobTakesTheOldJobsWatermarkAway() throws {
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        var renamed = Parcel.full(2, .price([[1, "B", 1]]))
        renamed.job = try #require(JobID("store-prices"))
        try shop.apply(renamed)
        #expect(try shop.ledger.state().watermarks == [renamed.job: Parcel.watermark(2)])
    }
}
