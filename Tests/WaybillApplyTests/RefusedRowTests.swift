import GRDB
import Testing
import WaybillModel

@testable import WaybillApply

/// A row that the store's own schema refuses does not hold up the others, whatever refuses it and however it comes.
@Suite struct RefusedRowTests {
    /// 0 milliseconds: everything goes through a shadow table; 50: row by row.
    static let budgets = [0, 50]

    @Test(arguments: budgets) func aUniqueIndexKeepsOneRowOutAndTheSessionIsApplied(budget: Int) throws {
        let shop = try Shop(lockBudgetMilliseconds: budget)
        try shop.apply(.full(1, .unit([["kg", "k"]]), .price([[1, "A", 100]])))
        try shop.execute("CREATE UNIQUE INDEX till_cents ON price (cents)")
        let result = try shop.apply(.delta(1, 2, .unit([["g", "g"]]), .price([[1, "B", 100], [1, "C", 300]])))
        #expect(result.exceptions == 1)
        #expect(try shop.rows("SELECT * FROM unit ORDER BY 1") == ["g|g", "kg|k"])
        #expect(try shop.rows("SELECT * FROM price ORDER BY 2") == ["1|A|100", "1|C|300"])
        #expect(try shop.watermark == Parcel.watermark(2))
        let entry = try #require(try shop.entries.first)
        #expect(
            entry
                == QuarantineEntry(
                    job: Parcel.job, table: "price", key: "1,B", kind: .refused,
                    detail: "UNIQUE constraint failed: price.cents", hasOlderRow: false, session: Parcel.session(2),
                    version: Version(epoch: 1, number: 2), since: Timestamp(milliseconds: 1_000), attempts: 1))
        let report = try #require(try shop.newestReport)
        #expect(report.outcome == .applied && report.exceptions == 1)
        #expect(
            report.message == """
                1 row is in quarantine: table price, zone,product_id 1,B: UNIQUE constraint failed: price.cents \
                (the store has no such row)
                """)
        // The index is there, and the old table is gone.
        #expect(try shop.rows("SELECT name FROM sqlite_schema WHERE name = 'till_cents'") == ["till_cents"])
        #expect(try shop.leftOvers == [])
    }

    @Test(arguments: ["ABORT, 'no'", "FAIL, 'no'", "ROLLBACK, 'no'", "IGNORE"])
    func aTriggerKeepsItsRowsOutAndNoOthers(action: String) throws {
        let shop = try Shop()
        try shop.apply(.full(1, .unit([["kg", "k"]]), .price([[1, "A", 1], [1, "B", 1]])))
        try shop.execute(
            """
            CREATE TRIGGER till_no BEFORE INSERT ON price WHEN NEW.cents > 900 BEGIN SELECT RAISE(\(action)); END;
            CREATE TRIGGER till_not BEFORE UPDATE ON price WHEN NEW.cents > 900 BEGIN SELECT RAISE(\(action)); END;
            """)
        let result = try shop.apply(
            .delta(
                1, 2, .unit([["g", "g"]]),
                .price([[1, "A", 2], [1, "B", 901], [1, "C", 3], [1, "D", 902], [1, "E", 5]])))
        #expect(result.exceptions == 2)
        #expect(try shop.rows("SELECT product_id, cents FROM price ORDER BY 1") == ["A|2", "B|1", "C|3", "E|5"])
        #expect(try shop.count("unit") == 2)
        #expect(try shop.quarantined == ["price 1,B refused 1", "price 1,D refused 1"])
        // A till with yesterday's price rather than with none.
        #expect(try shop.entries.map(\.hasOlderRow) == [true, false])
        #expect(try shop.watermark == Parcel.watermark(2))
        #expect(result.rowsChanged == 4)
    }

    /// Each says no in its own way while a trigger of the till's runs.
    @Test(arguments: [
        ("CHECK", "CREATE TABLE till (cents CHECK (CAST(cents AS INTEGER) < 900))"),
        ("NOT NULL", "CREATE TABLE till (cents NOT NULL); CREATE TABLE other (x)"),
        ("datatype mismatch", "CREATE TABLE till (cents INTEGER PRIMARY KEY)"),
        ("integer overflow", "CREATE TABLE till (cents CHECK (abs(CAST(cents AS INTEGER)) >= 0))"),
    ])
    func whatATillsOwnTableRefusesKeepsTheRowOut(words: String, schema: String) throws {
        let shop = try Shop()
        try shop.apply(.full(1, .unit([["kg", "1"]])))
        try shop.execute(
            """
            \(schema);
            CREATE TRIGGER till_watch AFTER INSERT ON unit BEGIN INSERT INTO till VALUES (NEW.name); END
            """)
        let bad: (any DatabaseValueConvertible)? =
            switch words {
            case "CHECK": "999"
            case "NOT NULL": nil
            case "integer overflow": "-9223372036854775808"
            default: "{x"
            }
        try shop.apply(.delta(1, 2, .unit([["a", "2"], ["b", bad], ["c", "3"]])))
        #expect(try shop.rows("SELECT unit_id FROM unit ORDER BY 1") == ["a", "c", "kg"])
        #expect(try shop.quarantined == ["unit b refused 1"])
        #expect(try shop.entries.first?.detail.contains(words) == true)
    }

    @Test(arguments: ["ABORT, 'still on sale'", "ROLLBACK, 'still on sale'", "IGNORE"])
    func aRowThatATriggerDoesNotLetGoIsKeptAndNoted(action: String) throws {
        let shop = try Shop()
        try shop.apply(.full(1, .price([[1, "A", 1], [1, "B", 2], [1, "C", 3]])))
        try shop.execute(
            "CREATE TRIGGER till_no BEFORE DELETE ON price WHEN OLD.cents = 2 BEGIN SELECT RAISE(\(action)); END")
        let result = try shop.apply(.delta(1, 2, .price([[1, "D", 4]], removed: [[1, "A"], [1, "B"]])))
        #expect(try shop.rows("SELECT product_id FROM price ORDER BY 1") == ["B", "C", "D"])
        #expect(try shop.quarantined == ["price 1,B kept 1"])
        #expect(result.message.contains("HQ has removed it, the store still has it"))
        // HQ gives the row again: it is one like any other.
        try shop.apply(.delta(2, 3, .price([[1, "B", 7]])))
        #expect(try shop.quarantined == [])
        #expect(try shop.rows("SELECT cents FROM price WHERE product_id = 'B'") == ["7"])
    }

    /// A package with everything finds the difference first; rows that have not changed cannot be in anybody's way.
    @Test(arguments: budgets) func rowsThatTheStoreHadComeFirst(budget: Int) throws {
        let shop = try Shop(lockBudgetMilliseconds: budget)
        try shop.apply(.full(1, .price([[1, "M", 100], [1, "N", 200]])))
        try shop.execute("CREATE UNIQUE INDEX till_cents ON price (abs(cents)) WHERE zone = 1")
        try shop.apply(.full(2, .price([[1, "A", -100], [1, "M", 100], [1, "N", 300], [2, "Z", 100]])))
        #expect(
            try shop.rows("SELECT zone, product_id, cents FROM price ORDER BY 1, 2")
                == ["1|M|100", "1|N|300", "2|Z|100"])
        #expect(try shop.quarantined == ["price 1,A refused 1"])
    }

    @Test(arguments: budgets) func theOlderRowStaysUntilAGoodVersionComes(budget: Int) throws {
        let shop = try Shop(lockBudgetMilliseconds: budget)
        try shop.apply(.full(1, .price([[1, "A", 100], [1, "B", 200]])))
        try shop.execute("CREATE UNIQUE INDEX till_cents ON price (cents)")
        try shop.apply(.delta(1, 2, .price([[1, "B", 100]])))
        #expect(try shop.rows("SELECT product_id, cents FROM price ORDER BY 1") == ["A|100", "B|200"])
        #expect(try shop.entries.map(\.hasOlderRow) == [true])
        try shop.apply(.delta(2, 3, .price([[1, "B", 300]])))
        #expect(try shop.rows("SELECT product_id, cents FROM price ORDER BY 1") == ["A|100", "B|300"])
        #expect(try shop.quarantined == [])
        #expect(try shop.newestReport?.exceptions == 0)
        // Nothing of it is left in the tills' database.
        #expect(try shop.rows("SELECT name FROM sqlite_schema WHERE name GLOB '_waybill_refused_*'") == [])
    }

    @Test func valuesThatMoveBetweenRowsDoNotMakeRefusalsOfEachOther() throws {
        let shop = try Shop()
        try shop.apply(.full(1, .price([[1, "A", 100], [1, "B", 200], [1, "C", 300], [1, "X", 900]])))
        try shop.execute("CREATE UNIQUE INDEX till_cents ON price (cents)")
        // A, B and C change places in a circle; Y wants what X has and keeps.
        try shop.apply(
            .delta(1, 2, .price([[1, "A", 200], [1, "B", 300], [1, "C", 100], [1, "Y", 900], [1, "Z", 5]])))
        #expect(
            try shop.rows("SELECT product_id, cents FROM price ORDER BY 1")
                == ["A|200", "B|300", "C|100", "X|900", "Z|5"])
        #expect(try shop.quarantined == ["price 1,Y refused 1"])
    }

    @Test func aRowGoesInByItselfWhenAnotherLetsGoOfItsValue() throws {
        let shop = try Shop()
        try shop.apply(.full(1, .price([[1, "A", 100]])))
        try shop.execute("CREATE UNIQUE INDEX till_cents ON price (cents)")
        try shop.apply(.delta(1, 2, .price([[1, "B", 100]])))
        try shop.apply(.delta(2, 3, .price([[1, "C", 7]])))
        // Looked at, and not counted: nothing about it has changed.
        #expect(try shop.quarantined == ["price 1,B refused 1"])
        try shop.apply(.delta(3, 4, .price([[1, "A", 101]])))
        #expect(try shop.rows("SELECT product_id, cents FROM price ORDER BY 1") == ["A|101", "B|100", "C|7"])
        #expect(try shop.quarantined == [])
    }

    @Test func manyBadRowsAmongManyAreAllFound() throws {
        let shop = try Shop(lockBudgetMilliseconds: 10_000)
        try shop.apply(.full(1, .price([[9, "X", 1]])))
        try shop.execute(
            """
            CREATE TRIGGER till_no BEFORE INSERT ON price WHEN NEW.cents % 37 = 5 BEGIN
                SELECT RAISE(ABORT, 'thirty-seven');
            END
            """)
        let parcel = Parcel.delta(1, 2, .prices(10_000))
        try shop.apply(parcel)
        #expect(try shop.count("price") == 10_001 - 271)
        #expect(try shop.count("_waybill_quarantine") == 271)
        #expect(try shop.ledger.quarantine().total == 271)
        #expect(try shop.entries.count == QuarantineLimits.entriesMax)
        #expect(try shop.rows("SELECT count(*) FROM price WHERE cents % 37 = 5") == ["0"])
    }

    @Test func whatIsAboutTheSchemaFailsAsAWholeAndChangesNothing() throws {
        let shop = try Shop()
        try shop.apply(.full(1, .price([[9, "X", 1]])))
        try shop.execute(
            "CREATE TRIGGER till_no AFTER INSERT ON price BEGIN SELECT RAISE(ABORT, 'no prices today'); END")
        let fault = shop.fault { try shop.apply(.delta(1, 2, .prices(QuarantineLimits.refusedFloor + 1))) }
        #expect(
            fault?.description
                == "a row does not fit into table price: no prices today (and 100 more rows, too many for quarantine)")
        #expect(fault?.isTransient == false)
        #expect(try shop.rows("SELECT * FROM price") == ["9|X|1"])
        #expect(try shop.quarantined == [])
        #expect(try shop.watermark == Parcel.watermark(1))
    }

    @Test func aTriggerThatRollsEverythingBackForManyRowsFailsAsAWhole() throws {
        let shop = try Shop()
        try shop.apply(.full(1, .price([[9, "X", 1]])))
        try shop.execute("CREATE TRIGGER till_no AFTER INSERT ON price BEGIN SELECT RAISE(ROLLBACK, 'no'); END")
        let fault = shop.fault { try shop.apply(.delta(1, 2, .prices(QuarantineLimits.endingsMax + 5))) }
        #expect(fault?.description.contains("a trigger that says ROLLBACK, for too many rows") == true)
        #expect(try shop.count("price") == 1)
        #expect(try shop.watermark == Parcel.watermark(1))
    }

    @Test func aMassLoadRunsNoTriggersAndSoRefusesNothingByThem() throws {
        let shop = try Shop(lockBudgetMilliseconds: 0)
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        try shop.execute("CREATE TRIGGER till_no BEFORE INSERT ON price BEGIN SELECT RAISE(ABORT, 'no'); END")
        try shop.apply(.full(2, .price([[1, "A", 1], [1, "B", 2]])))
        #expect(try shop.count("price") == 2)
        #expect(try shop.quarantined == [])
    }
}
