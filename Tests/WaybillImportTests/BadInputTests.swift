import Foundation
import GRDB
import Testing
import WaybillCapture
import WaybillDatabase

@testable import WaybillImport

/// Each kind of bad input: named with file, line, column and reason, all of them, and nothing imported.
@Suite struct BadInputTests {
    let hq: Headquarters

    init() throws {
        hq = try Headquarters()
        try hq.fill()
    }

    @Test func aWrongHeaderNamesEachColumnAndRowsAreStillChecked() throws {
        let file = try hq.write("product", "product_id,categori_id,name,name\np9,Food,x,y\n,Food,x,y\np8,Food,x\n")
        #expect(
            try hq.faults([file]) == [
                "product.csv:1: 'categori_id' is no column of table product; "
                    + "its columns are product_id, category_id, name, sales_unit",
                "product.csv:1: column name stands in the header twice",
                "product.csv:1: column category_id: the header does not name the column",
                "product.csv:1: column sales_unit: the header does not name the column",
                "product.csv:3: column product_id: the value is missing",
                "product.csv:4: the record has 3 fields, the header 4",
            ])
    }

    @Test func anEmptyFileIsAFault() throws {
        #expect(
            try hq.faults([hq.write("legal_entity", "")]) == [
                "legal_entity.csv:1: the file is empty; its first line must name the columns legal_entity_id, currency"
            ])
    }

    @Test func aDuplicateKeyNamesBothLines() throws {
        let files = try [
            hq.write("category", "category_id,parent_category_id,name\nA,ALL,\nB,ALL,\nA,ALL,\nA,ALL,\n"),
            hq.write("assortment_node", "node_id,assortment_id\nN1,A\nROOT,A\nN1,A\n"),
        ]
        #expect(
            try hq.faults(files) == [
                "category.csv:4: column category_id: key 'A' already stands in line 2",
                "category.csv:5: column category_id: key 'A' already stands in line 2",
                "assortment_node.csv:4: key (assortment_id 'A', node_id 'N1') already stands in line 2",
            ])
    }

    @Test func unknownStoresAndCategoriesAreNamed() throws {
        let files = try [
            hq.write("store_price_group", "store_id,price_group_id\nS1,G\nS7,G\nS1,H\n"),
            hq.write("category", "category_id,parent_category_id,name\nNew,ALL,\n"),
            hq.write("product", "product_id,category_id,name,sales_unit\np3,New,,ea\np4,Food,,ea\np5,X,,ea\np6,,,ea\n"),
        ]
        #expect(
            try hq.faults(files) == [
                "store_price_group.csv:3: column store_id: store 'S7' is not in HQ",
                "store_price_group.csv:4: column price_group_id: price_group 'H' is not in HQ",
                "product.csv:4: column category_id: category 'X' is neither in HQ nor in category.csv",
            ])
    }

    @Test func aRowThatIsBadItselfStillCountsAsTheKeyThatOthersName() throws {
        let files = try [
            hq.write("category", "category_id,parent_category_id,name\nNew,ALL,\"\"\n"),
            hq.write("product", "product_id,category_id,name,sales_unit\np3,New,,ea\n"),
        ]
        #expect(
            try hq.faults(files) == [
                "category.csv:2: column name: the value is an empty text; for no value leave out the quotes"
            ])
    }

    @Test func invalidBytesAreNamedWithLineAndColumn() throws {
        let header = Array("category_id,parent_category_id,name\r\n".utf8)
        let file = try hq.write(
            "category",
            header + Array("C1,ALL,caf".utf8) + [0xe9] + Array("\r\nC2,ALL,ok\r\nC".utf8) + [0]
                + Array("3,ALL,x\r\nC4,ALL,a\tb\r\n".utf8))
        #expect(
            try hq.faults([file]) == [
                "category.csv:2: column name: 'caf\u{fffd}' is not valid UTF-8",
                "category.csv:4: column category_id: the value holds a NUL byte",
                "category.csv:5: column name: 'a\\tb' holds a control character (\\t)",
            ])
    }

    @Test func badDaysQuantitiesAndWordsAreAllNamed() throws {
        let file = try hq.write(
            "trade_agreement",
            agreementHeader + "L1,all,,p1,ea,EUR,-1,,2025-02-30,,1.5,,1\n" + "L2,some,,p1,ea,EUR,,,,,1.23456,,2\n"
                + "L3,all,,p1,ea,EUR,1,5,2025-01-01,2025-01-31,9.99,,0\n" + "L4,all,,p9,ea,EUR,,,,,,,0\n")
        #expect(
            try hq.faults([file]) == [
                "trade_agreement.csv:2: column qty_from: '-1' is negative",
                "trade_agreement.csv:2: column from_date: '2025-02-30' is not a calendar day (YYYY-MM-DD)",
                "trade_agreement.csv:3: column account_code: 'some' is none of table, group, all",
                "trade_agreement.csv:3: column amount: '1.23456' has more than 4 digits after the point",
                "trade_agreement.csv:3: column find_next: '2' is neither 0 nor 1",
                "trade_agreement.csv:5: column product_id: product 'p9' is not in HQ",
                "trade_agreement.csv:5: column amount: the value is missing",
            ])
    }

    @Test func fieldsThatContradictEachOtherAreNamed() throws {
        let files = try [
            hq.write(
                "assortment",
                "assortment_id,name,status,effective_from,effective_to\nB,,draft,2025-02-01,2025-01-31\n"
                    + "C,,draft,2025-02-01,2025-02-01\n"),
            hq.write(
                "assortment_line",
                "assortment_id,line_no,line_type,category_id,product_id\nA,1,include,,\nA,2,include,Food,p1\n"
                    + "A,3,include,,p1\n"),
            hq.write(
                "trade_agreement",
                agreementHeader + "L1,all,S1,p1,ea,EUR,5,2,,,1,,1\n"
                    + "L2,group,,p1,ea,EUR,2,2,2025-03-01,2025-02-01,1,,1\n"),
            hq.write(
                "price_adjustment",
                "adjustment_id,status,price_group_id,category_id,product_id,from_date,to_date,currency,kind,value\n"
                    + "J1,enabled,G,,p1,,,,percent,100.01\nJ2,enabled,G,,p1,,,,price,100.01\n"),
            hq.write("exchange_rate", "from_currency,to_currency,valid_from,rate\nEUR,USD,2025-01-01,0.000000\n"),
        ]
        #expect(
            try hq.faults(files) == [
                "assortment.csv:2: column effective_to: '2025-01-31' is before effective_from '2025-02-01'",
                "assortment_line.csv:2: neither category_id nor product_id has a value",
                "assortment_line.csv:3: category_id and product_id have both a value; one must be empty",
                "trade_agreement.csv:2: column account_relation: there is a value, although account_code is 'all'",
                "trade_agreement.csv:2: column qty_to: the value is below qty_from",
                "trade_agreement.csv:3: column account_relation: "
                    + "the value is missing, although account_code is 'group'",
                "trade_agreement.csv:3: column to_date: '2025-02-01' is before from_date '2025-03-01'",
                "price_adjustment.csv:2: column value: the value is over 100, although kind is 'percent'",
                "exchange_rate.csv:2: column rate: the value must be over 0",
            ])
    }

    @Test func aRowBelowItselfIsNamed() throws {
        let file = try hq.write(
            "category",
            "category_id,parent_category_id,name\nFood,Bread,\nBread,Food,\nRye,Bread,\nWine,ALL,\nOdd,Odd,\n")
        let expected = [(2, "Food"), (3, "Bread"), (4, "Rye"), (6, "Odd")].map { line, id in
            "category.csv:\(line): column parent_category_id: "
                + "category '\(id)' hangs below itself, or below a row that does"
        }
        #expect(try hq.faults([file]) == expected)
    }

    @Test func faultsOfWritingAreNamed() throws {
        let files = try [
            hq.write(
                "category",
                "category_id,parent_category_id,name\n\"A\"x,ALL,\nB,ALL,b\"c\nC,ALL\n\n D,ALL,\"x\nE,ALL,\n"),
            hq.write("product", "product_id,category_id,name,sales_unit\np3,E,,ea\n"),
        ]
        #expect(
            try hq.faults(files) == [
                "category.csv:2: column category_id: there is text after the closing quote",
                "category.csv:3: column name: there is a quote inside a value that does not start with one",
                "category.csv:4: the record has 2 fields, the header 3",
                "category.csv:6: column name: "
                    + "the quote that opens the value is never closed; what follows could not be read",
            ])
    }

    @Test func anOverlongFieldIsNamedAndTheNextRowIsRead() throws {
        let long = String(repeating: "x", count: CSVLimits.fieldBytesMax + 1)
        let file = try hq.write("category", "category_id,parent_category_id,name\nA,ALL,\(long)\nB,Nil,\n")
        #expect(
            try hq.faults([file]) == [
                "category.csv:2: column name: the value is over 65536 bytes long; perhaps a quote is not closed",
                "category.csv:3: column parent_category_id: category 'Nil' is neither in HQ nor in category.csv",
            ])
    }

    @Test func anUnreadableFileAndAnUnknownTableAreNamed() throws {
        let absent = ImportFile(table: "product", displayName: "product.csv", path: hq.folder + "/none/product.csv")
        #expect(
            try hq.faults([absent, hq.write("category", "category_id,parent_category_id,name\nA,Nil,\n")]) == [
                "product.csv: cannot open \(hq.folder)/none/product.csv: No such file or directory",
                "category.csv:2: column parent_category_id: category 'Nil' is neither in HQ nor in category.csv",
            ])
        let odd = ImportFile(table: "produkt", displayName: "produkt.csv", path: "/nowhere")
        #expect(try hq.faults([odd])[0].hasPrefix("produkt.csv: HQ has no table 'produkt'; its tables are org_node, "))
    }

    @Test func oneGoodFileIsNotImportedBesideABadOne() throws {
        let files = try [
            hq.write("price_group", "price_group_id,name,priority\nNew,,1\n"),
            hq.write("legal_entity", "legal_entity_id,currency\nLE2,\n"),
        ]
        #expect(try hq.faults(files) == ["legal_entity.csv:2: column currency: the value is missing"])
        #expect(try hq.rows("price_group") == ["G|Group|0"])
    }

    @Test func allFaultsAreCountedAndTheFirstAreKeptInOrder() throws {
        // Each row has a bad flag and an unknown product: the latter are found after all rows have been read.
        let rows = (1...6000).map { "L\($0),all,,px,ea,EUR,,,,,1,,9\n" }.joined()
        let file = try hq.write("trade_agreement", agreementHeader + rows)
        let rejected = #expect(throws: ImportRejected.self) { try hq.run([file]) }
        #expect(rejected?.total == 12_000)
        #expect(rejected?.faults.count == 10_000)
        #expect(rejected?.faults.map(\.line) == (2...5001).flatMap { [$0, $0] })
        #expect(
            rejected?.description
                == "nothing was imported: 12000 faults, the first in trade_agreement.csv:2: column product_id: "
                + "product 'px' is not in HQ")
    }

    @Test func aDatabaseInTheWayIsNamed() throws {
        let file = try hq.write("legal_entity", "legal_entity_id,currency\nLE2,EUR\n")
        let absent = #expect(throws: ImportFailed.self) { try HQImport.run(files: [file], into: hq.folder + "/no.db") }
        #expect(
            absent?.description == "nothing was imported: cannot open \(hq.folder)/no.db: No such file or directory")
        try hq.queue.write { try $0.execute(sql: "DROP TABLE legal_entity") }
        let dropped = #expect(throws: ImportFailed.self) { try hq.run([file]) }
        #expect(dropped?.description.contains("HQ's database has no table legal_entity") == true)
    }
}
