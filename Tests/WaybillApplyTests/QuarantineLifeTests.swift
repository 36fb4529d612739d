import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel

@testable import WaybillApply

/// How rows leave quarantine, and what comes and goes with them.
@Suite struct QuarantineLifeTests {
    /// A store that takes no row with this name, in any table that has one.
    private func strictShop(budget: Int = 50) throws -> Shop {
        let shop = try Shop(lockBudgetMilliseconds: budget)
        try shop.apply(.full(1, .category([["food", nil, "Food"]]), .product(), .assorted()))
        for table in ["category", "product"] {
            try shop.execute(
                """
                CREATE TRIGGER till_\(table) BEFORE INSERT ON \(table) WHEN NEW.name = 'bad' BEGIN
                    SELECT RAISE(ABORT, 'bad name');
                END
                """)
        }
        return shop
    }

    private func names(_ shop: Shop) throws -> [String] {
        try shop.rows(
            """
            SELECT category_id FROM category UNION ALL SELECT product_id FROM product
            UNION ALL SELECT product_id || ' ' || valid_from FROM assorted ORDER BY 1
            """)
    }

    // MARK: tried again

    @Test func aRowIsTriedAgainWithEachNewVersionOnlyAndCounted() throws {
        let shop = try strictShop()
        try shop.apply(.delta(1, 2, .category(), .product([["P1", nil, "bad"]]), .assorted()))
        shop.clock = 9_000
        try shop.apply(.delta(2, 3, .category(), .product([["P2", nil, "good"]]), .assorted()))
        #expect(try shop.quarantined == ["product P1 refused 1"])
        #expect(try shop.newestReport?.exceptions == 0)
        #expect(try shop.newestReport?.message == "")
        try shop.apply(.delta(3, 4, .category(), .product([["P1", "food", "bad"]]), .assorted()))
        #expect(try shop.quarantined == ["product P1 refused 2"])
        #expect(try shop.entries.first?.since == Timestamp(milliseconds: 1_000))
        #expect(try shop.entries.first?.session == Parcel.session(4))
        #expect(try shop.newestReport?.exceptions == 1)
        try shop.apply(.delta(4, 5, .category(), .product([["P1", "food", "good"]]), .assorted()))
        #expect(try shop.quarantined == [])
        #expect(try names(shop) == ["P1", "P2", "food"])
    }

    @Test func aTableThatIsSentWholeEachTimeDoesNotTryAnUnchangedRowEachTime() throws {
        let shop = try strictShop()
        var product = Parcel.Table.product([["P1", nil, "bad"], ["P2", nil, "x"]])
        product.isWhole = true
        try shop.apply(Parcel(number: 2, base: 1, tables: [.category(), product, .assorted()]))
        #expect(try shop.quarantined == ["product P1 refused 1"])
        product.rows[1] = ["P2", nil, "y"]
        try shop.apply(Parcel(number: 3, base: 2, tables: [.category(), product, .assorted()]))
        #expect(try shop.quarantined == ["product P1 refused 1"])
        product.rows[0] = ["P1", "food", "bad"]
        try shop.apply(Parcel(number: 4, base: 3, tables: [.category(), product, .assorted()]))
        #expect(try shop.quarantined == ["product P1 refused 2"])
        product.rows.removeFirst()
        try shop.apply(Parcel(number: 5, base: 4, tables: [.category(), product, .assorted()]))
        #expect(try shop.quarantined == [])
        #expect(try shop.rows("SELECT name FROM product") == ["y"])
    }

    @Test func aRemovalClearsTheEntryAndWhatTheStoreHadOfIt() throws {
        let shop = try strictShop()
        try shop.apply(.delta(1, 2, .category(), .product([["P1", nil, "x"]]), .assorted()))
        try shop.execute(
            "CREATE TRIGGER till_up BEFORE UPDATE ON product BEGIN SELECT RAISE(ABORT, 'no changes'); END")
        try shop.apply(.delta(2, 3, .category(), .product([["P1", nil, "y"], ["P2", nil, "bad"]]), .assorted()))
        #expect(try shop.quarantined == ["product P1 refused 1", "product P2 refused 1"])
        try shop.apply(.delta(3, 4, .category(), .product(removed: [["P1"], ["P2"]]), .assorted()))
        #expect(try shop.quarantined == [])
        #expect(try names(shop) == ["food"])
    }

    @Test(arguments: [0, 50]) func aFullLoadForgetsWhatIsNotInIt(budget: Int) throws {
        let shop = try strictShop()
        try shop.apply(.delta(1, 2, .category(), .product([["P1", nil, "bad"], ["P2", nil, "bad"]]), .assorted()))
        try shop.execute("DROP TRIGGER till_product")
        let parcel = Parcel.full(3, .category([["food", nil, "Food"]]), .product([["P1", nil, "bad"]]), .assorted())
        try Shop.withBudget(budget, of: shop) { try $0.apply(parcel) }
        #expect(try shop.quarantined == [])
        #expect(try names(shop) == ["P1", "food"])
    }

    @Test func aTableThatKeepsRowsKeepsThemInQuarantineToo() throws {
        let shop = try strictShop()
        let first = Parcel.Table.product([["P1", nil, "bad"], ["P2", nil, "x"]]).keeping
        try shop.apply(Parcel(number: 2, base: 1, tables: [.category(), first, .assorted()]))
        let second = Parcel.Table.product([["P3", nil, "z"]]).keeping
        try shop.apply(.full(3, .category([["food", nil, "Food"]]), second, .assorted()))
        #expect(try shop.quarantined == ["product P1 refused 1"])
        #expect(try names(shop) == ["P2", "P3", "food"])
    }

    // MARK: what depends on it

    @Test func whatRefersToARefusedRowWaitsForItThroughAllGenerations() throws {
        let shop = try strictShop()
        try shop.apply(
            .delta(
                1, 2, .category([["deli", nil, "bad"], ["cheese", "deli", "Cheese"], ["soap", nil, "Soap"]]),
                .product([["P1", "cheese", "Brie"], ["P2", "soap", "Soap"], ["P3", "nowhere", "Loose"]]),
                .assorted([["P1", "2026"], ["P2", "2026"]])))
        #expect(try names(shop) == ["P2", "P2 2026", "P3", "food", "soap"])
        #expect(
            try shop.quarantined == [
                "category deli refused 1", "assorted P1,2026 depends 1", "category cheese depends 1",
                "product P1 depends 1",
            ])
        #expect(
            try shop.entries.last?.detail == "waits for its row of table category, which is in quarantine")
        #expect(try shop.newestReport?.exceptions == 4)
        #expect(try shop.newestReport?.rowsChanged == 4)
        // The good version brings all of them, though the package has one row.
        try shop.apply(.delta(2, 3, .category([["deli", nil, "Deli"]]), .product(), .assorted()))
        #expect(try shop.quarantined == [])
        #expect(try names(shop).count == 9)
        #expect(try shop.newestReport?.rowsChanged == 4)
    }

    @Test(arguments: [0, 50]) func nothingWaitsForARowThatTheStoreHasAnOlderVersionOf(budget: Int) throws {
        let shop = try strictShop()
        try shop.execute(
            "CREATE TRIGGER till_up BEFORE UPDATE ON category BEGIN SELECT RAISE(ABORT, 'no changes'); END")
        try shop.apply(
            .delta(1, 2, .category([["food", nil, "Fine food"]]), .product([["P1", "food", "x"]]), .assorted()))
        #expect(try shop.quarantined == ["category food refused 1"])
        #expect(try names(shop) == ["P1", "food"])
        #expect(try shop.rows("SELECT name FROM category") == ["Food"])
    }

    @Test(arguments: [0, 50]) func aRowThatMovesToARefusedParentStaysWhereItWas(budget: Int) throws {
        let shop = try Shop(lockBudgetMilliseconds: budget)
        try shop.apply(
            .full(
                1, .category([["food", nil, "Food"], ["tea", "food", "Tea"]]), .product([["P1", "food", "x"]]),
                .assorted([["P1", "2026"]])))
        try shop.execute("CREATE UNIQUE INDEX till_name ON category (name)")
        try shop.apply(
            .delta(
                1, 2, .category([["deli", nil, "Food"], ["tea", "deli", "Tea"]]),
                .product([["P1", "deli", "y"], ["P2", "deli", "z"]]), .assorted([["P1", "2027"], ["P2", "2027"]])))
        #expect(
            try shop.quarantined == [
                "category deli refused 1", "assorted P2,2027 depends 1", "category tea depends 1",
                "product P1 depends 1", "product P2 depends 1",
            ])
        #expect(try shop.entries.map(\.hasOlderRow) == [false, false, true, true, false])
        #expect(try shop.rows("SELECT parent_id FROM category WHERE category_id = 'tea'") == ["food"])
        #expect(try shop.rows("SELECT * FROM product") == ["P1|food|x"])
        // What the store has of the product is enough for what refers to it.
        #expect(try shop.rows("SELECT * FROM assorted ORDER BY 2") == ["P1|2026", "P1|2027"])
        try shop.apply(.delta(2, 3, .category([["deli", nil, "Deli"]]), .product(), .assorted()))
        #expect(try shop.quarantined == [])
        #expect(try shop.rows("SELECT * FROM product ORDER BY 1") == ["P1|deli|y", "P2|deli|z"])
        #expect(try shop.rows("SELECT parent_id FROM category WHERE category_id = 'tea'") == ["deli"])
    }

    @Test func aDependantThatHQRemovesOrMovesNeedNotWait() throws {
        let shop = try strictShop()
        try shop.apply(
            .delta(
                1, 2, .category([["deli", nil, "bad"]]), .product([["P1", "deli", "x"], ["P2", "deli", "y"]]),
                .assorted()))
        try shop.apply(.delta(2, 3, .category(), .product([["P2", "food", "y"]], removed: [["P1"]]), .assorted()))
        #expect(try shop.quarantined == ["category deli refused 1"])
        #expect(try names(shop) == ["P2", "food"])
        // And one that comes later waits as well.
        try shop.apply(.delta(3, 4, .category(), .product([["P4", "deli", "x"]]), .assorted()))
        #expect(try shop.quarantined == ["category deli refused 1", "product P4 depends 1"])
    }

    @Test func aDependantOfAMassLoadWaitsAsWell() throws {
        let shop = try Shop(lockBudgetMilliseconds: 0)
        try shop.apply(.full(1, .category([["a", nil, "A"]]), .product(), .assorted()))
        try shop.execute("CREATE UNIQUE INDEX till_name ON category (name)")
        try shop.apply(
            .delta(
                1, 2, .category([["b", nil, "A"]]), .product([["P1", "b", "x"], ["P2", "a", "y"]]),
                .assorted([["P1", "2026"]])))
        #expect(try names(shop) == ["P2", "a"])
        #expect(
            try shop.quarantined == [
                "category b refused 1", "assorted P1,2026 depends 1", "product P1 depends 1",
            ])
    }

    // MARK: tables

    @Test func aTableThatChangesItsShapeStartsAnewAndSaysSo() throws {
        let shop = try strictShop()
        try shop.apply(.delta(1, 2, .category(), .product([["P1", nil, "bad"]]), .assorted()))
        var shape = Parcel.product
        shape.columns.append(ColumnShape("note", .text, nullable: true))
        let product = Parcel.Table(
            shape: shape, rows: [["P2", nil, "x", "n"]], references: ["category_id": "category"])
        try shop.apply(.full(3, .category([["food", nil, "Food"]]), product, .assorted()))
        #expect(try shop.quarantined == [])
        #expect(
            try shop.newestReport?.message
                == "table product is another one now: its quarantine (1) is forgotten")
        #expect(try names(shop) == ["P2", "food"])
    }

    @Test func aTableThatLeavesTheJobTakesItsQuarantineWithIt() throws {
        let shop = try strictShop()
        try shop.apply(.delta(1, 2, .category(), .product([["P1", nil, "bad"]]), .assorted()))
        try shop.apply(.full(3, .category([["food", nil, "Food"]])))
        #expect(try shop.quarantined == [])
        #expect(try shop.newestReport?.message.contains("table product is not in job prices any more") == true)
    }

    // MARK: orders

    @Test func aRetryTriesWhatTheStoreHasKeptOfTheRows() throws {
        let shop = try strictShop()
        try shop.apply(
            .delta(
                1, 2, .category([["deli", nil, "bad"]]), .product([["P1", "deli", "x"], ["P2", nil, "bad"]]),
                .assorted()))
        let before = try shop.ledger.quarantineRevision()
        #expect(try shop.order(.retry, "1-a").total == 3)
        #expect(
            try shop.quarantined == [
                "category deli refused 2", "product P2 refused 2", "product P1 depends 2",
            ])
        try shop.execute("DROP TRIGGER till_category")
        let report = try shop.order(.retry, "2-b", table: "category", key: "deli")
        #expect(report.ordersDone == ["1-a", "2-b"])
        // And what waited for it.
        #expect(try shop.quarantined == ["product P2 refused 2"])
        #expect(try names(shop) == ["P1", "deli", "food"])
        #expect(report.revision != before && report.revision != 0)
    }

    @Test func anOrderThatIsRepeatedDoesNothing() throws {
        let shop = try strictShop()
        try shop.apply(.delta(1, 2, .category(), .product([["P1", nil, "bad"]]), .assorted()))
        let first = try shop.order(.retry, "1-a")
        let state = try shop.ledger.state()
        #expect(try shop.order(.retry, "1-a") == first)
        #expect(try shop.order(.drop, "1-a") == first)
        #expect(try shop.ledger.state() == state)
        #expect(try shop.quarantined == ["product P1 refused 2"])
    }

    @Test func aDropForgetsTheRowAndWhatWaitsForIt() throws {
        let shop = try strictShop()
        try shop.apply(
            .delta(
                1, 2, .category([["deli", nil, "bad"]]), .product([["P1", "deli", "x"], ["P2", nil, "bad"]]),
                .assorted([["P1", "2026"]])))
        let report = try shop.order(.drop, table: "category")
        #expect(try shop.quarantined == ["product P2 refused 1"])
        #expect(try names(shop) == ["food"])
        let empty = try shop.order(.drop, "2-y")
        #expect(empty.revision == 0 && empty.total == 0 && empty.ordersDone == ["1-x", "2-y"])
        #expect(report.revision != 0)
        #expect(try shop.rows("SELECT name FROM sqlite_schema WHERE name GLOB '_waybill_refused_*'") == [])
        // HQ's next version of the row is tried like any other.
        try shop.apply(.delta(2, 3, .category(), .product([["P2", nil, "good"]]), .assorted()))
        #expect(try names(shop) == ["P2", "food"])
    }

    @Test func aRetryMeetsATriggerThatRollsBackAndDoesTheRestAllTheSame() throws {
        let shop = try strictShop()
        try shop.apply(.delta(1, 2, .category(), .product([["P1", nil, "bad"], ["P2", nil, "bad"]]), .assorted()))
        try shop.execute(
            """
            DROP TRIGGER till_product;
            CREATE TRIGGER till_product BEFORE INSERT ON product WHEN NEW.product_id = 'P1' BEGIN
                SELECT RAISE(ROLLBACK, 'not this one');
            END
            """)
        #expect(try shop.order(.retry).ordersDone == ["1-x"])
        #expect(try shop.quarantined == ["product P1 refused 2"])
        #expect(try shop.entries.first?.detail == "not this one")
        #expect(try names(shop) == ["P2", "food"])
    }

    @Test func aKeptRowIsRemovedByARetryOnceThatIsPossible() throws {
        let shop = try strictShop()
        try shop.execute("CREATE TRIGGER till_no BEFORE DELETE ON category BEGIN SELECT RAISE(ABORT, 'no'); END")
        try shop.apply(.delta(1, 2, .category(removed: [["food"]]), .product(), .assorted()))
        #expect(try shop.quarantined == ["category food kept 1"])
        try shop.execute("DROP TRIGGER till_no")
        try shop.order(.retry)
        #expect(try shop.quarantined == [])
        #expect(try names(shop) == [])
    }

    // MARK: revision

    @Test func eachContentHasItsOwnNameAndNothingHasNone() throws {
        let shop = try strictShop()
        var seen: Set<UInt64> = [try shop.ledger.quarantineRevision()]
        #expect(seen == [0])
        for number in 2...6 {
            try shop.apply(
                .delta(
                    Int64(number - 1), Int64(number), .category(), .product([["P\(number % 2)", nil, "bad"]]),
                    .assorted()))
            seen.insert(try shop.ledger.quarantineRevision())
        }
        #expect(seen.count == 6)
        // A session that does not touch it leaves the name alone.
        let before = try shop.ledger.quarantineRevision()
        try shop.apply(.delta(6, 7, .category(), .product([["P9", nil, "x"]]), .assorted()))
        #expect(try shop.ledger.quarantineRevision() == before)
    }

    @Test func anApplyThatIsRepeatedReportsTheSameExceptions() throws {
        let shop = try strictShop()
        let parcel = Parcel.delta(1, 2, .category(), .product([["P1", nil, "bad"]]), .assorted())
        try shop.apply(parcel)
        #expect(try shop.apply(parcel, attempt: 2).wasApplied)
        #expect(try shop.newestReport?.exceptions == 1)
        #expect(try shop.quarantined == ["product P1 refused 1"])
        let canceled = try shop.ledger.cancel(
            session: Parcel.session(2), job: Parcel.job, run: 1, at: Timestamp(milliseconds: 5))
        #expect(canceled.outcome == .applied && canceled.exceptions == 1)
    }
}

extension Shop {
    /// Applies with another lock budget, that is by the other way.
    static func withBudget(_ milliseconds: Int, of shop: Shop, _ body: (Applying) throws -> Void) throws {
        try body(Applying(shop: shop, applier: try Applier(path: shop.path, lockBudgetMilliseconds: milliseconds)))
    }

    struct Applying {
        let shop: Shop
        let applier: Applier

        func apply(_ parcel: Parcel) throws {
            let (raw, manifest) = try shop.pack(parcel)
            defer { unlink(raw) }
            _ = try applier.apply(
                rawPath: raw, manifest: manifest, run: 1, attempt: 1, at: { Timestamp(milliseconds: shop.clock) },
                pause: { _ in }, shouldStop: { false })
        }
    }
}
