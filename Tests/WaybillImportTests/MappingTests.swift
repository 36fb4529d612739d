import Foundation
import GRDB
import Testing
import WaybillDatabase

@testable import WaybillImport

/// Files of other programs, brought in by mappings.
@Suite struct MappingTests {
    let hq: Headquarters
    let folder: String

    init() throws {
        hq = try Headquarters()
        try hq.fill()
        folder = hq.folder + "/mappings"
        try DurableFile.createFolder(folder)
    }

    private func mapping(_ text: String, name: String = "erp.yaml") throws -> MappingFolder {
        try DurableFile.write(Array(text.utf8), to: folder + "/" + name)
        return MappingFolder(folder, tables: try HQImport.tables(of: hq.database))
    }

    private func file(_ name: String, _ content: String, _ mappings: MappingFolder) throws -> ImportFile {
        let path = hq.folder + "/" + name
        try DurableFile.write(Array(content.utf8), to: path)
        return try mappings.file(named: name, path: path).get()
    }

    private static let prices = """
        files: "ARTPREIS_*.txt"
        table: product_release
        separator: ";"
        numbers: { decimal: ",", thousands: "." }
        columns:
          product_id: ARTNR
          legal_entity_id: { constant: LE }
          base_price: { from: PREIS }
          stopped: { from: GESPERRT, values: { J: 1, N: 0 }, otherwise: 0 }
        skip: [LAGER]
        """

    @Test func columnsAreRenamedFilledMappedAndSkipped() throws {
        let mappings = try mapping(MappingTests.prices)
        #expect(mappings.broken.isEmpty)
        let file = try file(
            "ARTPREIS_0412.txt", "LAGER;ARTNR;PREIS;GESPERRT\r\nx;p1;1.234,50;J\r\n;p2;;?\r\n", mappings)
        #expect(file.table == "product_release" && file.mapping?.name == "erp.yaml")
        let report = try hq.run([file])
        #expect(report.tables.map(\.inserted) == [2])
        #expect(try hq.rows("product_release") == ["p1|LE|1234.5|1", "p2|LE|NULL|0"])
        let staged = try #require(try hq.staging.imports(limit: 1).first)
        #expect(staged.files.map(\.mapping) == ["erp.yaml"])
        #expect(staged.files.map(\.columns) == [["LAGER", "ARTNR", "PREIS", "GESPERRT"]])
        // As it stood in the file, not as it was mapped.
        #expect(try hq.staging.rows(of: staged, limit: 1).map(\.values) == [["x", "p1", "1.234,50", "J"]])
    }

    @Test func faultsQuoteWhatStandsInTheFile() throws {
        let mappings = try mapping(MappingTests.prices.replacing(", otherwise: 0", with: ""))
        let file = try file(
            "ARTPREIS_1.txt", "LAGER;ARTNR;PREIS;GESPERRT\n;p1;1.23,50;J\n;p9;3,123456;N\n;p2;-1,00;X\n", mappings)
        #expect(
            try hq.faults([file]) == [
                "ARTPREIS_1.txt:2: column base_price: '1.23,50' is not a number such as 1.234,50",
                "ARTPREIS_1.txt:3: column product_id: product 'p9' is not in HQ",
                "ARTPREIS_1.txt:3: column base_price: '3.123456' has more than 4 digits after the point",
                "ARTPREIS_1.txt:4: column base_price: '-1.00' is negative",
                "ARTPREIS_1.txt:4: column stopped: 'X' is none of J, N, which the mapping has a value for",
            ])
    }

    @Test func theHeaderMustFitTheMapping() throws {
        let mappings = try mapping(MappingTests.prices)
        let file = try file("ARTPREIS_1.txt", "ARTNR;GESPERRT;FARBE\np1;J;rot\n", mappings)
        #expect(
            try hq.faults([file]) == [
                "ARTPREIS_1.txt:1: mapping erp.yaml neither uses nor skips 'FARBE', which is no column of table "
                    + "product_release",
                "ARTPREIS_1.txt:1: column base_price: "
                    + "the header does not name 'PREIS', from which mapping erp.yaml fills the column",
            ])
    }

    @Test func nullableColumnsThatNeitherMappingNorFileNameKeepTheirValues() throws {
        let mappings = try mapping("files: WGR.csv\ntable: product\nskip: \"*\"\ncolumns: { category_id: WGR }\n")
        try hq.run([file("WGR.csv", "product_id,WGR,X\np1,ALL,y\n", mappings)])
        #expect(try hq.rows("product") == ["p1|ALL|Bread|ea", "p2|Food|Milk|ea"])
    }

    @Test func aLookupFindsTheKeyInAnotherTableAndInFilesOfTheSameImport() throws {
        let mappings = try mapping(
            """
            files: [ARTIKEL.csv]
            table: product
            columns:
              category_id: { from: WGR, lookup: { table: category, match: name, take: category_id } }
            """)
        let products = try file(
            "ARTIKEL.csv",
            "product_id,WGR,name,sales_unit\np3,Wein,Rot,l\np4,Food,Brot,ea\np5,Bier,,l\np6,Doppelt,,l\n",
            mappings)
        let categories = try hq.write(
            "category", "category_id,parent_category_id,name\nW1,ALL,Wein\nD1,ALL,Doppelt\nD2,ALL,Doppelt\n")
        #expect(
            try hq.faults([products, categories]) == [
                "ARTIKEL.csv:4: column category_id: 'Bier' is in no row of category.name",
                "ARTIKEL.csv:5: column category_id: "
                    + "'Doppelt' is in several rows of category.name, with different category_id",
            ])
        let report = try hq.run([products, categories], skipBadRows: true)
        #expect(report.tables.map(\.table) == ["product", "category"])
        #expect(try hq.rows("product").contains("p3|W1|Rot|l"))
        #expect(try hq.rows("product").contains("p4|Food|Brot|ea"))
    }

    @Test func duplicateKeysAreFoundAmongMappedValues() throws {
        let mappings = try mapping(
            "files: E.csv\ntable: legal_entity\ncolumns: { currency: { from: W, values: { Euro: EUR, EURO: EUR } },"
                + " legal_entity_id: { from: L, values: { Eins: LE1, eins: LE1 } } }")
        #expect(
            try hq.faults([file("E.csv", "L,W\nEins,Euro\neins,EURO\n", mappings)]) == [
                "E.csv:3: column legal_entity_id: key 'LE1' already stands in line 2"
            ])
    }

    @Test func aBrokenMappingIsNamedWithFileAndLineAndStopsItsOwnFilesOnly() throws {
        let mappings = try mapping(
            """
            files: BAD_*.csv
            table: product
            separtor: ";"
            numbers: { decimal: "x" }
            columns:
              product_no: ARTNR
              name: { from: A, constant: B }
              sales_unit: { from: X, lookup: { table: unit, match: a, take: b } }
              category_id: { from: W, date: "DD.MM" }
            """)
        let expected = [
            "mappings/erp.yaml:3: 'separtor' is no key of a mapping, which has files, table, separator, numbers, dates, "
                + "columns, skip",
            "mappings/erp.yaml:4: 'decimal' is \",\" or \".\"",
            "mappings/erp.yaml:6: table product has no column 'product_no'; its columns are product_id, category_id, "
                + "name, sales_unit",
            "mappings/erp.yaml:7: column name has both 'from' and 'constant'; it can come from one of them",
        ]
        let faults = try #require(mappings.broken.first).faults.map(\.description)
        #expect(Array(faults.prefix(4)) == expected)
        #expect(faults[4].hasPrefix("mappings/erp.yaml:8: HQ has no table 'unit'"))
        #expect(faults[5].hasPrefix("mappings/erp.yaml:9: a format of days has yyyy or yy"))
        #expect(throws: MappingFaults.self) { try mappings.file(named: "BAD_1.csv", path: "").get() }
        #expect(try mappings.file(named: "product.csv", path: "").get().mapping == nil)
    }

    @Test func whatIsNoYAMLIsNamedWithItsLine() throws {
        let mappings = try mapping("files: a.csv\ntable: [product\ncolumns: x\n")
        let fault = try #require(mappings.broken.first?.faults.first)
        #expect(fault.file == "mappings/erp.yaml" && fault.line >= 2 && fault.reason.hasPrefix("not YAML: "))
        let twice = try mapping("files: a.csv\ntable: product\ntable: product\n")
        #expect(
            twice.broken.first?.faults.map(\.description) == [
                "mappings/erp.yaml:2: the key 'table' stands here and once more"
            ])
    }

    @Test func twoMappingsForOneFileAreAFault() throws {
        _ = try mapping("files: A*.csv\ntable: product\n", name: "a.yaml")
        let mappings = try mapping("files: \"*1.csv\"\ntable: store\n", name: "b.yaml")
        let failure = #expect(throws: MappingFaults.self) { try mappings.file(named: "A1.csv", path: "").get() }
        #expect(
            failure?.faults.map(\.description) == [
                "A1.csv: mappings a.yaml and b.yaml are both for it; make their patterns name different files"
            ])
        #expect(try mappings.file(named: "A2.csv", path: "").get().table == "product")
    }

    @Test(arguments: [
        ("dd.MM.yyyy", "31.01.2025", "2025-01-31"), ("d.M.yy", "1.2.25", "2025-02-01"),
        ("yyyyMMdd", "20250131", "2025-01-31"), ("MM/dd/yyyy", "01/31/2025", "2025-01-31"),
        ("yyyy-MM-dd HH:mm:ss", "2025-01-31 23:59:00", "2025-01-31"),
    ])
    func daysAreReadAsWritten(pattern: String, text: String, day: String) throws {
        let format = try #require(DayFormat(pattern))
        #expect(try format.canonical(Array(text.utf8)) == Array(day.utf8))
    }

    @Test func whatIsNoDayOfItsFormatIsAFault() throws {
        let format = try #require(DayFormat("dd.MM.yyyy"))
        for text in ["2025-01-31", "1.2.2025", "31.01.2025 ", "31.01.25", "x"] {
            #expect(throws: FieldFault.self, "\(text)") { try format.canonical(Array(text.utf8)) }
        }
        for pattern in ["dd.MM", "yyyy-MM-dd-dd", "DD.MM.yyyy", "yyy-MM-dd", ""] { #expect(DayFormat(pattern) == nil) }
    }

    @Test func numbersAreReadAsWritten() throws {
        let german = NumberFormat(decimal: UInt8(ascii: ","), thousands: UInt8(ascii: "."))
        for (text, number) in [
            ("1.234.567,80", "1234567.80"), ("12", "12"), ("0,5", "0.5"), ("1234,5", "1234.5"), ("7,00-", "-7.00"),
        ] {
            #expect(try german.canonical(Array(text.utf8)) == Array(number.utf8))
        }
        for text in ["1.23", "1,2,3", "1.2345,0", ",5", "5,", "", "-", "1 234", ".123", "1e5"] {
            #expect(throws: FieldFault.self, "\(text)") { try german.canonical(Array(text.utf8)) }
        }
    }
}
