import Foundation
import GRDB
import Testing
import WaybillCapture
import WaybillDatabase

@testable import WaybillImport

/// Tables that users made in HQ's database.
@Suite struct OwnTableTests {
    let hq: Headquarters

    init() throws {
        hq = try Headquarters()
        try hq.fill()
        try hq.queue.write {
            try $0.execute(
                sql: """
                    CREATE TABLE supplier (
                        supplier_id INTEGER PRIMARY KEY, name TEXT NOT NULL, since DATE, active BOOLEAN NOT NULL DEFAULT 1,
                        rating REAL, balance DECIMAL(10, 2) DEFAULT 0, note TEXT DEFAULT 'none', logo BLOB,
                        label TEXT GENERATED ALWAYS AS (name || '!') VIRTUAL
                    );
                    CREATE TABLE supplied (
                        product_id TEXT NOT NULL COLLATE NOCASE, supplier_id INTEGER NOT NULL REFERENCES supplier,
                        lead_days INTEGER, PRIMARY KEY (product_id, supplier_id),
                        FOREIGN KEY (product_id) REFERENCES product (product_id)
                    ) WITHOUT ROWID;
                    CREATE TABLE delivery_slot (
                        product_id TEXT, supplier_id INTEGER, weekday INTEGER,
                        PRIMARY KEY (product_id, supplier_id, weekday),
                        FOREIGN KEY (product_id, supplier_id) REFERENCES supplied (product_id, supplier_id)
                    );
                    CREATE TABLE heap (a TEXT, b TEXT);
                    CREATE TABLE picture (id INTEGER PRIMARY KEY, content BLOB NOT NULL);
                    CREATE VIEW cheap AS SELECT * FROM heap;
                    """)
        }
    }

    @Test func theListHasThemBehindTheRetailTablesParentsFirst() throws {
        let tables = try HQImport.tables(of: hq.database)
        #expect(Array(tables.names.prefix(19)) == HQCatalogue.tables.map(\.name))
        #expect(Array(tables.names.dropFirst(19)) == ["supplier", "supplied", "delivery_slot"])
        let heap = try hq.faults([hq.write("heap", "a,b\n1,2\n")])
        #expect(heap.count == 1 && heap[0].hasPrefix("heap.csv: table heap of HQ cannot be filled from a file: "))
        #expect(try hq.faults([hq.write("cheap", "a,b\n1,2\n")])[0].contains("HQ has no table 'cheap'"))
        #expect(try hq.faults([hq.write("_waybill_meta", "name,value\n1,2\n")])[0].contains("HQ has no table"))
        #expect(try hq.faults([hq.write("picture", "id\n1\n")])[0].contains("needs bytes (BLOB)"))
    }

    @Test func valuesAreReadByTheDeclaredTypes() throws {
        let file = try hq.write(
            "supplier",
            "supplier_id,name,since,active,rating,balance,note\n-1,Müller,2025-01-31,0,4.5,-12.50,\"\"\n2,,,1,,,\n")
        try hq.run([file])
        #expect(
            try hq.rows("supplier") == [
                "-1|Müller|2025-01-31|0|4.5|-12.5||NULL|Müller!", "2||NULL|1|NULL|NULL|NULL|NULL|!",
            ])
        let bad = try hq.write(
            "supplier", "supplier_id,name,since,active,rating\nx,A,2025-02-30,2,1e5\n1.5,A,,yes,\n")
        #expect(
            try hq.faults([bad]) == [
                "supplier.csv:2: column supplier_id: 'x' is not a whole number",
                "supplier.csv:2: column since: '2025-02-30' is not a calendar day (YYYY-MM-DD)",
                "supplier.csv:2: column active: '2' is neither 0 nor 1",
                "supplier.csv:2: column rating: '1e5' is not a number such as -12.50",
                "supplier.csv:3: column supplier_id: '1.5' is not a whole number",
                "supplier.csv:3: column active: 'yes' is neither 0 nor 1",
            ])
    }

    @Test func columnsThatAreLeftOutKeepTheirValuesAndNewRowsGetTheDefaults() throws {
        try hq.run([hq.write("supplier", "supplier_id,name,balance\n1,One,5\n")])
        try hq.run([hq.write("supplier", "supplier_id,name\n1,Uno\n2,Due\n")])
        let rows = try hq.queue.read {
            try Row.fetchAll($0, sql: "SELECT supplier_id, name, balance, active, note FROM supplier").map {
                $0.databaseValues.map { "\($0.storage.value ?? "NULL")" }.joined(separator: "|")
            }
        }
        #expect(rows == ["1|Uno|5|1|none", "2|Due|0|1|none"])
        #expect(
            try hq.faults([hq.write("supplier", "supplier_id,label,logo\n1,x,y\n")]) == [
                "supplier.csv:1: column label of table supplier is computed by the database",
                "supplier.csv:1: column logo of table supplier holds bytes (BLOB), which no CSV file can bring",
                "supplier.csv:1: column name: the header does not name the column",
            ])
    }

    @Test func declaredForeignKeysAreCheckedAlsoOfSeveralColumns() throws {
        let files = try [
            hq.write("delivery_slot", "product_id,supplier_id,weekday\np1,1,3\np2,1,4\n"),
            hq.write("supplied", "product_id,supplier_id,lead_days\np1,1,2\np1,9,2\np9,1,\n"),
            hq.write("supplier", "supplier_id,name\n1,One\n"),
        ]
        #expect(
            try hq.faults(files) == [
                "delivery_slot.csv:3: supplied (product_id 'p2', supplier_id '1') is neither in HQ nor in supplied.csv",
                "supplied.csv:3: column supplier_id: supplier '9' is neither in HQ nor in supplier.csv",
                "supplied.csv:4: column product_id: product 'p9' is not in HQ",
            ])
        let report = try hq.run(files, skipBadRows: true)
        #expect(report.tables.map(\.inserted) == [1, 1, 1])
        // Replacing a parent sees the children of users' tables as well.
        let products = try hq.write("product", "product_id,category_id,name,sales_unit\np2,Food,Milk,ea\n")
        #expect(
            try hq.faults([products], replace: true) == [
                "product.csv: product 'p1' is left out, but 1 row of supplied in HQ name it"
            ])
    }

    @Test func keysAreTheSameWhenTheDatabaseSaysSo() throws {
        try hq.run([hq.write("supplier", "supplier_id,name\n1,One\n")])
        try hq.queue.write { try $0.execute(sql: "INSERT INTO supplied VALUES ('P1', 1, 5)") }
        let twice = try hq.write("supplied", "product_id,supplier_id,lead_days\np1,1,2\nP1,1,3\n")
        #expect(try hq.faults([twice]).filter { $0.contains("already stands in line 2") }.count == 1)
        let report = try hq.run([hq.write("supplied", "product_id,supplier_id,lead_days\np1,1,2\n")])
        #expect(report.tables.map { [$0.inserted, $0.updated] } == [[0, 1]])
    }

    @Test func aCapturedTableLogsOnlyWhatChanged() throws {
        try hq.queue.write { try HQSchema.capture("supplier", key: ["supplier_id"], in: $0) }
        let file = try hq.write("supplier", "supplier_id,name,rating\n1,One,1.10\n2,Two,\n")
        try hq.run([file])
        let before = try hq.head
        #expect(try hq.run([file]).tables.map(\.unchanged) == [2])
        #expect(try hq.head == before)
    }
}
