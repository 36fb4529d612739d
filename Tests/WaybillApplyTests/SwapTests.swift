import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel
import WaybillPackage

@testable import WaybillApply

/// Large changes: shadows, slices and the swap. A budget of nothing sends every change this way.
@Suite struct SwapTests {
    private let shop: Shop

    init() throws { shop = try Shop(lockBudgetMilliseconds: 0) }

    private var prices: [String] { get throws { try shop.rows("SELECT * FROM price ORDER BY 1, 2") } }

    @Test func aFirstLoadIsFilledInSlices() throws {
        let result = try shop.apply(.full(1, .prices(4_500)))
        #expect(result.rowsChanged == 4_500)
        #expect(shop.pauses >= 5)
        #expect(
            try shop.rows("SELECT count(*), sum(cents), min(cents), max(cents) FROM price") == ["4500|10122750|0|4499"])
        #expect(try shop.leftOvers == [])
    }

    /// How SQLite finds where a slice ends, and its rows: of the package and of the store.
    private func plan(_ source: (Shadows) -> Shadows.Source) throws -> [String] {
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        let (raw, _) = try shop.pack(.delta(1, 2, .price([[1, "B", 1]])))
        defer { unlink(raw) }
        return try shop.applier.queue.writeWithoutTransaction { db in
            try db.execute(sql: "ATTACH DATABASE ? AS package", arguments: [raw])
            try db.execute(sql: PackageTables.storeStatement(Parcel.price, name: "_waybill_shadow_price"))
            let shadows = Shadows(
                db: db, manners: TillManners(pause: { _ in }, shouldStop: { false }, isAlone: { false }))
            let bounds = SliceBounds(db: db, source: source(shadows))
            try bounds.create()
            let statements =
                [bounds.moveStatement(isFirst: false, rows: 1_000)]
                + shadows.fillStatements(Parcel.price, bounds, isFirst: false, isLast: false)
            return try statements.flatMap { statement in
                try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN " + statement).map { row -> String in row["detail"] }
            }
        }
    }

    /// Else a slice costs as much as the whole table has rows in one zone, and holds the lock as long.
    @Test func eachSliceIsLookedUpByTheWholeKey() throws {
        let plan = try plan { $0.merged(Parcel.price) }
        let after = "USING PRIMARY KEY ((zone,product_id)>(?,?)"
        #expect(plan.filter { $0.contains(after + ")") }.count == 2)
        #expect(plan.filter { $0.contains(after + " AND (zone,product_id)<(?,?))") }.count == 2)
        #expect(plan.filter { $0.contains("USING PRIMARY KEY (zone=? AND product_id=?)") }.count == 2)
        #expect(!plan.contains { $0.contains("TEMP B-TREE") })
    }

    @Test func whereFewRowsCameTheOthersAreNotLookedUp() throws {
        let plan = try plan { $0.overlaid(Parcel.price, removes: false) }
        let after = "USING PRIMARY KEY ((zone,product_id)>(?,?)"
        #expect(plan.filter { $0.contains(after + ")") }.count == 2)
        #expect(plan.filter { $0.contains(after + " AND (zone,product_id)<(?,?))") }.count == 2)
        #expect(!plan.contains { $0.contains("zone=?") || $0.contains("TEMP B-TREE") })
    }

    /// Each of these goes through a copy of the table, in which a part of the rows is written over the others.
    @Test(arguments: 0..<6)
    func aCopyHasTheRowsThatCameInPlaceOfThoseTheyChangeAndNoneThatWent(seed: UInt64) throws {
        let shop = try Shop(lockBudgetMilliseconds: 0)
        var random = SplitMix(seed: seed)
        var held = Dictionary(uniqueKeysWithValues: (0..<3_000).map { ("K\($0)", $0) })
        func rows(_ some: [String: Int]) -> [TestRow] { some.map { [1, $0.key, $0.value] } }
        try shop.apply(.full(1, .price(rows(held))))
        for version in Int64(2)...4 {
            var came: [String: Int] = [:]
            for _ in 0..<Int.random(in: 0..<900, using: &random) {
                came["K\(Int.random(in: 0..<4_000, using: &random))"] = Int.random(in: 0..<9, using: &random)
            }
            let gone = (0..<Int.random(in: 0..<200, using: &random))
                .map { _ in "K\(Int.random(in: 0..<4_000, using: &random))" }
                .filter { came[$0] == nil && held[$0] != nil }
            came.forEach { held[$0] = $1 }
            gone.forEach { held[$0] = nil }
            try shop.apply(
                .delta(version - 1, version, .price(rows(came), removed: Set(gone).map { [1, $0] })))
            #expect(
                try shop.rows("SELECT product_id, cents FROM price ORDER BY 1")
                    == held.sorted { $0.key < $1.key }.map { "\($0.key)|\($0.value)" })
        }
    }

    @Test func aFullPackageReplacesEverything() throws {
        try shop.apply(.full(1, .price([[1, "A", 1], [1, "B", 2]])))
        #expect(try shop.apply(.full(2, .price([[1, "B", 3], [2, "C", nil]]))).rowsChanged == 2)
        #expect(try prices == ["1|B|3", "2|C|NULL"])
        #expect(try shop.leftOvers == [])
    }

    @Test func aDeltaIsLaidOverACopy() throws {
        try shop.apply(.full(1, .prices(3_000)))
        let changed: [TestRow] = [[0, "P0000000", -1], [1, "P0000700", nil], [7, "new", 5]]
        let result = try shop.apply(
            .delta(1, 2, .price(changed, removed: [[0, "P0000001"], [1, "P0001499"], [5, "none"]])))
        #expect(result.rowsChanged == 6)
        #expect(try shop.count("price") == 2_999)
        #expect(
            try shop.rows(
                "SELECT * FROM price WHERE product_id IN ('P0000000', 'P0000001', 'P0000700', 'P0001499', 'new')")
                == [
                    "0|P0000000|-1", "0|P0000700|1400", "0|P0001499|2998", "1|P0000000|1", "1|P0000001|3",
                    "1|P0000700|NULL", "7|new|5",
                ])
    }

    /// The same change by both ways, over rows drawn from a seed, ends in the same rows.
    @Test func bothWaysEndInTheSameRows() throws {
        let direct = try Shop()
        var random = SplitMix(seed: 7)
        var table: [String: TestRow] = [:]
        for version in Int64(1)...12 {
            var rows: [TestRow] = []
            var removed: [TestRow] = []
            for key in Set((0..<30).map { _ in Int.random(in: 0..<60, using: &random) }).sorted() {
                let (zone, product) = (key % 3, "P\(key / 3)")
                if Bool.random(using: &random), version > 1 {
                    removed.append([zone, product])
                    table["\(zone)|\(product)"] = nil
                } else {
                    let cents: Int? = Bool.random(using: &random) ? Int.random(in: 0..<5, using: &random) : nil
                    rows.append([zone, product, cents])
                    table["\(zone)|\(product)"] = [zone, product, cents]
                }
            }
            let parcel: Parcel =
                version == 1 ? .full(1, .price(rows)) : .delta(version - 1, version, .price(rows, removed: removed))
            try shop.apply(parcel)
            try direct.apply(parcel)
            let sql = "SELECT * FROM price ORDER BY zone, product_id"
            #expect(try shop.rows(sql) == direct.rows(sql))
            #expect(try shop.count("price") == table.count)
        }
    }

    @Test func aTillsIndexViewAndTriggerGoOnWorking() throws {
        try shop.apply(.full(1, .price([[1, "A", 100]])))
        try shop.execute(
            """
            CREATE INDEX till_by_cents ON price (cents);
            CREATE VIEW till_cheap AS SELECT product_id FROM price WHERE cents < 150;
            CREATE TABLE till_journal (what TEXT);
            CREATE TRIGGER till_watch AFTER UPDATE ON price BEGIN
                INSERT INTO till_journal VALUES (NEW.product_id || ' ' || NEW.cents);
            END;
            CREATE TABLE till_line (id INTEGER PRIMARY KEY, zone, product_id,
                FOREIGN KEY (zone, product_id) REFERENCES price (zone, product_id));
            """)
        try shop.apply(.full(2, .price([[1, "A", 100], [1, "B", 120], [1, "C", 900]])))
        #expect(try shop.rows("SELECT * FROM till_cheap ORDER BY 1") == ["A", "B"])
        #expect(
            try shop.rows("EXPLAIN QUERY PLAN SELECT 1 FROM price WHERE cents = 1").contains {
                $0.contains("till_by_cents")
            })
        #expect(try shop.rows("SELECT * FROM till_journal") == [])
        try shop.execute("UPDATE price SET cents = 5 WHERE product_id = 'C'")
        #expect(try shop.rows("SELECT * FROM till_journal") == ["C 5"])
        #expect(try shop.rows("SELECT \"table\" FROM pragma_foreign_key_list('till_line')") == ["price", "price"])
        try shop.execute("PRAGMA foreign_keys = ON; INSERT INTO till_line VALUES (1, 1, 'B')")
        #expect(try shop.rows("PRAGMA foreign_key_check") == [])
        #expect(try shop.rows("PRAGMA integrity_check") == ["ok"])
    }

    @Test func aTillThatIsOpenReadsTheNewTable() throws {
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        let statement = "SELECT cents FROM price WHERE product_id = 'A'"
        #expect(try shop.rows(statement) == ["1"])
        try shop.apply(.full(2, .price([[1, "A", 2]])))
        #expect(try shop.rows(statement) == ["2"])
    }

    @Test func allTablesOfASessionBecomeVisibleAtOnce() throws {
        // One table by a shadow, the other directly: whoever looks sees both old or both new.
        let shop = try Shop()
        try shop.apply(.full(1, .prices(20_000, cents: "1"), .unit([["kg", "1"]])))
        var seen: Set<String> = []
        shop.onPause = { [unowned shop] in
            let rows = try? shop.rows("SELECT (SELECT max(cents) FROM price), (SELECT name FROM unit)")
            seen.insert(rows?.first ?? "unreadable")
        }
        try shop.apply(.full(2, .prices(20_000, cents: "2"), .unit([["kg", "2"]])))
        #expect(seen == ["1|1", "2|2"])
    }

    @Test func aTillsUniqueIndexAndAValueThatMovesBetweenRows() throws {
        for budget in [0, 50] {
            let shop = try Shop(lockBudgetMilliseconds: budget)
            try shop.apply(.full(1, .price([[1, "A", 100], [1, "B", 200], [1, "C", 300]])))
            try shop.execute("CREATE UNIQUE INDEX till_cents ON price (cents)")
            try shop.apply(
                .delta(1, 2, .price([[1, "A", 200], [1, "B", 300], [1, "D", 100]], removed: [[1, "C"]])))
            #expect(try shop.rows("SELECT product_id, cents FROM price ORDER BY 1") == ["A|200", "B|300", "D|100"])
        }
    }

    @Test func aColumnIsAddedChangedAndRemovedByFullPackages() throws {
        for budget in [0, 50] {
            let shop = try Shop(lockBudgetMilliseconds: budget)
            try shop.apply(.full(1, .unit([["kg", "x"]])))
            var shape = Parcel.unit
            shape.columns.append(ColumnShape("digits", .integer))
            try shop.apply(.full(2, Parcel.Table(shape: shape, rows: [["kg", "x", 3]])))
            #expect(try shop.rows("SELECT * FROM unit") == ["kg|x|3"])
            shape.columns[2].type = .text
            try shop.apply(.full(3, Parcel.Table(shape: shape, rows: [["kg", "x", 3]])))
            #expect(try shop.rows("SELECT typeof(digits) FROM unit") == ["text"])
            shape.columns.removeLast(2)
            try shop.apply(.full(4, Parcel.Table(shape: shape, rows: [["kg"], ["g"]])))
            #expect(try shop.rows("SELECT * FROM unit ORDER BY 1") == ["g", "kg"])
        }
    }

    @Test func aDeltaOfAnotherShapeIsRefused() throws {
        let shop = try Shop()
        try shop.apply(.full(1, .unit([["kg", "x"]])))
        var shape = Parcel.unit
        shape.columns.append(ColumnShape("digits", .integer))
        let fault = shop.fault { try shop.apply(.delta(1, 2, Parcel.Table(shape: shape, rows: [["kg", "x", 3]]))) }
        #expect(fault?.isStale == true)
        #expect(fault?.description == "table unit has another shape at the store than in the delta")
        #expect(try shop.rows("SELECT * FROM unit") == ["kg|x"])
    }

    @Test func aTableThatSomebodyAlteredIsMadeAnewByTheNextFullPackage() throws {
        for damage in ["DROP TABLE unit", "ALTER TABLE unit DROP COLUMN name", "ALTER TABLE unit ADD COLUMN mine TEXT"]
        {
            let shop = try Shop()
            try shop.apply(.full(1, .unit([["kg", "x"]])))
            try shop.execute(damage)
            #expect(shop.fault { try shop.apply(.delta(1, 2, .unit([["g", "y"]]))) }?.isStale == true, "\(damage)")
            try shop.apply(.full(2, .unit([["g", "y"]])))
            #expect(try shop.rows("SELECT * FROM unit") == ["g|y"])
        }
    }

    @Test func aTableOfTheTillsOwnIsNotTouched() throws {
        for made in ["CREATE TABLE price (mine)", "CREATE VIEW PRICE AS SELECT 1", "CREATE TABLE Price (mine)"] {
            let shop = try Shop()
            try shop.execute(made)
            let fault = shop.fault { try shop.apply(.full(1, .unit([["kg", nil]]), .price([[1, "A", 1]]))) }
            #expect(fault?.isTransient == false)
            #expect(fault?.description.contains("has a table 'price' that is not Waybill's; rename it") == true)
            #expect(try shop.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'unit'") == ["0"])
            #expect(try shop.watermark == nil)
        }
    }

    @Test func whatAKilledApplyLeftIsRemoved() throws {
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        try shop.execute(
            """
            CREATE TABLE _waybill_shadow_price (a INTEGER, b TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID;
            WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 24999)
            INSERT INTO _waybill_shadow_price SELECT x, x % 3 FROM n;
            CREATE TABLE _waybill_old_gone (a INTEGER PRIMARY KEY) WITHOUT ROWID;
            """)
        let pausesBefore = shop.pauses
        try shop.applier.removeLeftOvers(pause: { _ in self.shop.pauses += 1 }, shouldStop: { false })
        #expect(try shop.leftOvers == [])
        #expect(shop.pauses - pausesBefore >= 4)
        try shop.execute("CREATE TABLE _waybill_shadow_price (a INTEGER PRIMARY KEY) WITHOUT ROWID")
        try shop.apply(.full(2, .price([[1, "A", 2]])))
        #expect(try prices == ["1|A|2"])
        #expect(try shop.leftOvers == [])
    }

    @Test func aStopLeavesTheStoreAsItWasAndTheNextApplyBeginsAnew() throws {
        try shop.apply(.full(1, .prices(3_000, cents: "1")))
        var slices = 0
        let fault = shop.fault {
            try shop.apply(.full(2, .prices(9_000, cents: "2"))) {
                slices += 1
                return slices > 4
            }
        }
        guard case .canceled = fault else {
            Issue.record("\(String(describing: fault))")
            return
        }
        #expect(try shop.rows("SELECT count(*), max(cents) FROM price") == ["3000|1"])
        #expect(try shop.leftOvers == ["_waybill_shadow_price"])
        try shop.apply(.full(2, .prices(9_000, cents: "2")))
        #expect(try shop.rows("SELECT count(*), max(cents) FROM price") == ["9000|2"])
        #expect(try shop.leftOvers == [])
    }

    @Test func aTillThatHoldsTheLockIsWaitedForAndThenNamed() throws {
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        try shop.applier.queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA busy_timeout = 20") }
        try shop.execute("BEGIN IMMEDIATE")
        let fault = shop.fault { try shop.apply(.full(2, .price([[1, "A", 2]]))) }
        try shop.execute("ROLLBACK")
        guard case .locked = fault else {
            Issue.record("\(String(describing: fault))")
            return
        }
        #expect(fault?.isTransient == true)
        #expect(try shop.apply(.full(2, .price([[1, "A", 2]]))).rowsChanged == 1)
    }

    @Test func whatFailsAfterTheCommitIsNoFailure() throws {
        try shop.apply(.full(1, .prices(3_000)))
        // A till takes the lock as soon as the new rows are there, and keeps it while the old ones should be freed.
        try shop.applier.queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA busy_timeout = 20") }
        var isLocked = false
        shop.onPause = { [unowned shop] in
            guard !isLocked, (try? shop.watermark) == Parcel.watermark(2) else { return }
            isLocked = (try? shop.execute("BEGIN IMMEDIATE")) != nil
        }
        #expect(try shop.apply(.full(2, .prices(3_000, cents: "-x"))).rowsChanged == 3_000)
        try shop.execute("ROLLBACK")
        #expect(try shop.leftOvers == ["_waybill_old_price"])
        shop.onPause = {}
        try shop.applier.removeLeftOvers(pause: { _ in }, shouldStop: { false })
        #expect(try shop.leftOvers == [])
    }

    @Test func aBrokenTriggerOfATillIsNamedAndDoesNotHealByWaiting() throws {
        let shop = try Shop()
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        try shop.execute("CREATE TRIGGER till_broken AFTER INSERT ON price BEGIN INSERT INTO nowhere VALUES (1); END")
        let fault = shop.fault { try shop.apply(.delta(1, 2, .price([[1, "B", 2]]))) }
        #expect(fault?.isTransient == false)
        #expect(fault?.description.contains("table price cannot be written: no such table: main.nowhere") == true)
        #expect(try shop.count("price") == 1)
    }
}
