import Foundation
import GRDB
import Testing
import WaybillDatabase

@testable import WaybillImport

/// Leaving bad rows out, and what has to go with them.
@Suite struct SkippingTests {
    let hq: Headquarters

    init() throws {
        hq = try Headquarters()
        try hq.fill()
    }

    @Test func goodRowsComeInAndBadOnesAreNamed() throws {
        let file = try hq.write(
            "product",
            "product_id,category_id,name,sales_unit\np3,Food,Jam,ea\np4,Nil,Salt,ea\np5,Food\np3,Food,Twice,ea\n")
        let report = try hq.run([file], skipBadRows: true)
        #expect(
            report.faults.map(\.description) == [
                "product.csv:3: column category_id: category 'Nil' is not in HQ",
                "product.csv:4: the record has 2 fields, the header 4",
                "product.csv:5: column product_id: key 'p3' already stands in line 2",
            ])
        let table = try #require(report.tables.first)
        #expect(table.rows == 4 && table.inserted == 1 && table.updated == 0)
        #expect(table.unchanged == 0 && table.skipped == 3)
        #expect(try hq.rows("product") == ["p1|Food|Bread|ea", "p2|Food|Milk|ea", "p3|Food|Jam|ea"])
        let staged = try #require(try hq.staging.imports(limit: 1).first)
        #expect(staged.state == .finished && staged.skipsBadRows && staged.message == "3 bad rows were left out")
        let rows = try hq.staging.rows(of: staged, limit: 9)
        #expect(rows.map(\.line) == [3, 4, 5, 2])
        #expect(rows.map(\.state) == [.error, .error, .error, .finished])
    }

    @Test func ofTwoRowsWithOneKeyTheGoodOneIsTaken() throws {
        let file = try hq.write("price_group", "price_group_id,name,priority\nH,,x\nH,,2\n")
        let report = try hq.run([file], skipBadRows: true)
        #expect(report.faultsTotal == 1)
        #expect(try hq.rows("price_group") == ["G|Group|0", "H|NULL|2"])
    }

    @Test func whatNeedsABadRowIsBadAsWellThroughAllGenerations() throws {
        let files = try [
            hq.write("product", "product_id,category_id,name,sales_unit\np3,Rye,,ea\np4,Wine,,ea\n"),
            hq.write(
                "category",
                "category_id,parent_category_id,name\nBread,Food,\"\"\nDark,Bread,\nRye,Dark,\nWine,Food,\n"),
        ]
        let report = try hq.run(files, skipBadRows: true)
        #expect(
            report.faults.map(\.description) == [
                "product.csv:2: column category_id: category 'Rye' is a row of category.csv that is left out",
                "category.csv:2: column name: the value is an empty text; for no value leave out the quotes",
                "category.csv:3: column parent_category_id: "
                    + "category 'Bread' is a row of category.csv that is left out",
                "category.csv:4: column parent_category_id: "
                    + "category 'Dark' is a row of category.csv that is left out",
            ])
        #expect(report.tables.map(\.skipped) == [1, 3])
        #expect(try hq.rows("category") == ["ALL|NULL|All", "Food|ALL|Food", "Wine|Food|NULL"])
    }

    @Test func aBadRowOfAParentThatHQHasAlreadyHarmsNobody() throws {
        let files = try [
            hq.write("category", "category_id,parent_category_id,name\nFood,ALL,\"\"\nWine,ALL,\n"),
            hq.write("product", "product_id,category_id,name,sales_unit\np3,Food,,ea\n"),
        ]
        let report = try hq.run(files, skipBadRows: true)
        #expect(report.faultsTotal == 1)
        #expect(report.tables.map(\.inserted) == [1, 1])
        #expect(try hq.rows("category").contains("Food|ALL|Food"))
    }

    @Test func aCircleIsLeftOutWithAllThatHangsBelowIt() throws {
        let file = try hq.write(
            "category", "category_id,parent_category_id,name\nA,B,\nB,A,\nC,A,\nD,ALL,\n")
        #expect(try hq.run([file], skipBadRows: true).tables.map(\.skipped) == [3])
        #expect(try hq.rows("category") == ["ALL|NULL|All", "D|ALL|NULL", "Food|ALL|Food"])
    }

    @Test(arguments: [
        "product_id,name\np3,Jam\n", "", "product_id,category_id,name,sales_unit\np3,Food,\"Jam,ea\np4,Food,x,ea\n",
    ])
    func aFileWhoseHeaderOrEndIsWrongIsRefusedWhole(content: String) throws {
        let before = try hq.head
        #expect(throws: ImportRejected.self) { try hq.run([hq.write("product", content)], skipBadRows: true) }
        #expect(try hq.head == before)
    }

    @Test func filesWithoutAnyGoodRowAreRefused() throws {
        let file = try hq.write("price_group", "price_group_id,name,priority\nH,,x\nI,,y\n")
        let rejected = #expect(throws: ImportRejected.self) { try hq.run([file], skipBadRows: true) }
        #expect(rejected?.total == 2)
        #expect(try hq.staging.imports(limit: 1).first?.state == .rejected)
    }

    @Test func rowsThatHQsOwnConstraintsRefuseAreNamedAndCanBeLeftOut() throws {
        try hq.queue.write {
            try $0.execute(
                sql: """
                    CREATE TABLE shelf (
                        shelf_id TEXT PRIMARY KEY, width INTEGER CHECK (width < 100), code TEXT UNIQUE
                    );
                    INSERT INTO shelf VALUES ('S0', 1, 'A')
                    """)
        }
        let file = try hq.write("shelf", "shelf_id,width,code\nS1,50,B\nS2,150,C\nS3,20,A\n")
        let expected = [
            "shelf.csv:3: HQ's database refuses the row: CHECK constraint failed: width < 100",
            "shelf.csv:4: HQ's database refuses the row: UNIQUE constraint failed: shelf.code",
        ]
        #expect(try hq.faults([file]) == expected)
        #expect(try hq.rows("shelf") == ["S0|1|A"])
        let report = try hq.run([file], skipBadRows: true)
        #expect(report.faults.map(\.description) == expected)
        #expect(report.tables.map(\.inserted) == [1])
        #expect(try hq.rows("shelf") == ["S0|1|A", "S1|50|B"])
    }
}
