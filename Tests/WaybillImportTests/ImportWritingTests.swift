import Foundation
import GRDB
import Testing
import WaybillCapture
import WaybillDatabase

@testable import WaybillImport

@Suite struct ImportWritingTests {
    let hq: Headquarters

    init() throws {
        hq = try Headquarters()
        try hq.fill()
    }

    private func counts(_ report: ImportReport) -> [[Int]] {
        report.tables.map { [$0.rows, $0.inserted, $0.updated, $0.unchanged, $0.removed] }
    }

    @Test func importingTheSameFileAgainChangesNothingAndLogsNothing() throws {
        let file = try hq.write(
            "trade_agreement",
            agreementHeader + "L1,all,,p1,ea,EUR,1.0000,,2025-01-01,,12.2900,50,1\r\nL2,group,G,p2,ea,EUR,,,,,7,,0\r\n")
        let first = try hq.run([file])
        #expect(counts(first) == [[2, 2, 0, 0, 0]])
        #expect(
            try hq.rows("trade_agreement") == [
                "L1|all|NULL|p1|ea|EUR|1|NULL|2025-01-01|NULL|12.29|50|1",
                "L2|group|G|p2|ea|EUR|NULL|NULL|NULL|NULL|7|NULL|0",
            ])
        let before = try hq.head
        #expect(first.version == before)
        let second = try hq.run([file])
        #expect(counts(second) == [[2, 0, 0, 2, 0]])
        #expect(try hq.head == before)
        #expect(second.version == before)
    }

    @Test func oneChangedRowLogsOneKey() throws {
        let before = try hq.head
        let file = try hq.write("product", "sales_unit,name,product_id,category_id\nea,Bread,p1,Food\nl,Milk,p2,Food\n")
        #expect(try counts(hq.run([file])) == [[2, 0, 1, 1, 0]])
        let keys = try hq.queue.read {
            try String.fetchAll($0, sql: "SELECT k1 FROM _waybill_change WHERE version > ?", arguments: [before])
        }
        #expect(keys == ["p2"])
        #expect(try hq.rows("product") == ["p1|Food|Bread|ea", "p2|Food|Milk|l"])
    }

    @Test func aTableOfKeysOnlyIsImportedAgainWithoutAChange() throws {
        let file = try hq.write("assortment_node", "assortment_id,node_id\nA,N1\nA,ROOT\n")
        #expect(try counts(hq.run([file])) == [[2, 2, 0, 0, 0]])
        let before = try hq.head
        #expect(try counts(hq.run([file])) == [[2, 0, 0, 2, 0]])
        #expect(try hq.head == before)
    }

    @Test func nullAndEmptyStatesAreOneKey() throws {
        let file = try hq.write("address", "country,state\nDE,\nUS,MA\n")
        try hq.run([file])
        #expect(try hq.rows("address") == ["DE|", "US|MA"])
        let again = try hq.write("address", "country,state\nDE,\"\"\nDE,\n")
        #expect(try hq.faults([again]) == ["address.csv:3: key (country 'DE', state '') already stands in line 2"])
    }

    @Test func filesMayNameEachOthersRowsInAnyOrder() throws {
        let report = try hq.run([
            hq.write("product", "product_id,category_id,name,sales_unit\np3,Rye,,ea\n"),
            hq.write("category", "category_id,parent_category_id,name\nRye,Bread,\nBread,Food,\n"),
        ])
        #expect(report.tables.map(\.table) == ["product", "category"])
        #expect(counts(report) == [[1, 1, 0, 0, 0], [2, 2, 0, 0, 0]])
    }

    @Test func linesThatCoverNothingAreImportedWithAWarning() throws {
        let report = try hq.run([
            hq.write(
                "assortment_line",
                "assortment_id,line_no,line_type,category_id,product_id\nA,1,include,Food,\nA,2,exclude,,p9\n"
                    + "A,3,exclude,Toys,\n")
        ])
        #expect(counts(report) == [[3, 3, 0, 0, 0]])
        #expect(report.warningsTotal == 2)
        #expect(
            report.warnings.map(\.description) == [
                "assortment_line.csv:3: column product_id: product 'p9' is not in HQ; the line covers nothing",
                "assortment_line.csv:4: column category_id: category 'Toys' is not in HQ; the line covers nothing",
            ])
    }

    @Test func replacingRemovesTheRowsThatAreLeftOut() throws {
        let file = try hq.write("product", "product_id,category_id,name,sales_unit\np2,Food,Milk,ea\np3,Food,Jam,ea\n")
        let before = try hq.head
        #expect(try counts(hq.run([file])) == [[2, 1, 0, 1, 0]])
        #expect(try counts(hq.run([file], replace: true)) == [[2, 0, 0, 2, 1]])
        #expect(try hq.rows("product") == ["p2|Food|Milk|ea", "p3|Food|Jam|ea"])
        #expect(try hq.head == before + 2)
    }

    @Test func replacingRefusesToRemoveWhatOthersName() throws {
        let categories = try hq.write("category", "category_id,parent_category_id,name\nALL,,All\nToys,ALL,\n")
        #expect(
            try hq.faults([categories], replace: true) == [
                "category.csv: category 'Food' is left out, but 2 rows of product in HQ name it"
            ])
        let products = try hq.write("product", "product_id,category_id,name,sales_unit\np1,Food,,ea\np2,Toys,,ea\n")
        #expect(
            try hq.faults([categories, products], replace: true) == [
                "product.csv:2: column category_id: category 'Food' is not in category.csv"
            ])
        let moved = try hq.write("product", "product_id,category_id,name,sales_unit\np1,Toys,,ea\n")
        #expect(try counts(hq.run([moved, categories], replace: true)) == [[1, 0, 1, 0, 1], [2, 1, 0, 1, 1]])
        #expect(try hq.rows("category") == ["ALL|NULL|All", "Toys|ALL|NULL"])
    }

    @Test func aCategoryThatVanishesBeforeWritingIsNoticed() throws {
        let file = try hq.write("product", "product_id,category_id,name,sales_unit\np3,Food,,ea\n")
        let rejected = #expect(throws: ImportRejected.self) {
            try HQImport.run(files: [file], into: hq.database) { progress in
                guard progress.phase == .comparing else { return }
                try hq.queue.write { try $0.execute(sql: "DELETE FROM category WHERE category_id = 'Food'") }
            }
        }
        #expect(
            rejected?.faults.map(\.description) == ["product.csv:2: column category_id: category 'Food' is not in HQ"])
        #expect(try hq.rows("product").count == 2)
    }

    @Test func aRowThatSomebodyWritesMeanwhileIsComparedAgain() throws {
        let file = try hq.write("price_group", "price_group_id,name,priority\nG,Group,0\nH,,1\n")
        var isFirst = true
        let report = try HQImport.run(files: [file], into: hq.database) { progress in
            guard progress.phase == .writing, isFirst else { return }
            isFirst = false
            try hq.queue.write {
                try $0.execute(
                    sql: """
                        UPDATE price_group SET priority = 9;
                        INSERT INTO price_group VALUES ('H', NULL, 1)
                        """)
            }
        }
        #expect(counts(report) == [[2, 0, 1, 1, 0]])
        #expect(try hq.rows("price_group") == ["G|Group|0", "H|NULL|1"])
    }

    @Test func progressGrowsThroughThePhasesAndMayStopTheImport() throws {
        let files = try [
            hq.write("price_group", "price_group_id,name,priority\nH,,1\nI,,1\n"),
            hq.write("legal_entity", "legal_entity_id,currency\nLE2,EUR\n"),
        ]
        var seen: [ImportProgress] = []
        try HQImport.run(files: files, into: hq.database) { seen.append($0) }
        #expect(seen.map(\.rowsRead) == seen.map(\.rowsRead).sorted())
        #expect(seen.last?.rowsRead == 3)
        #expect(seen.last?.bytesRead == seen.last?.bytesTotal)
        let phases = seen.map(\.phase).reduce(into: [ImportProgress.Phase]()) { if $0.last != $1 { $0.append($1) } }
        #expect(phases == ImportProgress.Phase.allCases)

        struct Stop: Error {}
        let before = try hq.head
        let more = try hq.write("price_group", "price_group_id,name,priority\nJ,,1\n")
        #expect(throws: Stop.self) {
            try HQImport.run(files: [more], into: hq.database) { if $0.phase == .writing { throw Stop() } }
        }
        #expect(try hq.head == before)
    }

    @Test func theReportIsOneJSONDocumentWithStableKeys() throws {
        let report = try hq.run([hq.write("legal_entity", "legal_entity_id,currency\nLE2,EUR\n")])
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let json = String(decoding: try encoder.encode(report), as: UTF8.self)
        #expect(
            json == """
                {"already":{},"faults":[],"faults_total":0,"import":\(report.importID ?? 0),"tables":[\
                {"file":"legal_entity.csv","inserted":1,"removed":0,"rows":1,"skipped":0,"table":"legal_entity",\
                "unchanged":0,"updated":0}],"version":\(report.version),"warnings":[],"warnings_total":0}
                """)
    }
}
