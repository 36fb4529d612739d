import GRDB
import Testing
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// A query that is run for a few values must begin with these, and not read a table that grows with the range.
///
/// SQLite decides on the order; there are no statistics in `hq.db`, so what it decides for these few rows it decides for
/// a large range too.
@Suite struct SlicePlanTests {
    /// Not among them are lines of assortments and modes, and price adjustments: of those there are few.
    private static let tablesOfTheRange: Set = [
        "category", "product", "product_release", "trade_agreement", "rows_category", "rows_product",
        "rows_assorted_product", "rows_product_delivery_mode", "rows_price_base", "rows_trade_agreement",
        "rows_price_adjustment",
    ]

    @Test(arguments: RetailJobs.all)
    func whatIsRunForASliceReadsNoWholeTableOfTheRange(_ job: Job) throws {
        var random = SeededRandom(5)
        let chain = try RandomChain(&random)
        _ = try chain.rows.derive(job)
        let queue = try OpenDatabase.queue(at: chain.folder + "/rows.db", label: "rows")
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "ATTACH DATABASE ? AS hq", arguments: [chain.folder + "/hq.db"])
            for slice in job.slices {
                let column = slice.name == "line" ? "line_id" : slice.name + "_id"
                try db.execute(
                    sql: "CREATE TEMP TABLE \(slice.table) (\(column) TEXT PRIMARY KEY) WITHOUT ROWID")
            }
            for subjob in job.subjobs { try createView(of: subjob.table, in: db) }
            for table in job.prepare {
                try expectNoScan(table.query.text, "\(job.id), \(table.name)", in: db)
                for statement in table.statements { try db.execute(sql: statement) }
            }
            for subjob in job.subjobs {
                guard let slice = subjob.slice else { continue }
                let query = """
                    SELECT * FROM (\(subjob.rows)) WHERE \(slice.column) IN (SELECT * FROM slice_\(slice.slice))
                    """
                try expectNoScan(query, "\(job.id), \(subjob.table.name)", in: db)
            }
        }
    }

    private func createView(of table: TableShape, in db: Database) throws {
        let columns = table.columns.map { quoted($0.name) }.joined(separator: ", ")
        try db.execute(
            sql: """
                CREATE TEMP VIEW now_\(table.name) AS
                SELECT _scope AS scope, \(columns) FROM rows_\(table.name)
                """)
    }

    /// Looks at the program that SQLite makes of the query: what it opens, and what of that it walks from one end.
    private func expectNoScan(_ query: String, _ place: String, in db: Database) throws {
        var tables: [Place: String] = [:]
        for schema in try Row.fetchAll(db, sql: "PRAGMA database_list") {
            let name = quoted(schema["name"])
            for row in try Row.fetchAll(db, sql: "SELECT tbl_name, rootpage FROM \(name).sqlite_schema") {
                tables[Place(database: schema["seq"], page: row["rootpage"] ?? 0)] = row["tbl_name"]
            }
        }
        var opened: [Int64: String] = [:]
        for step in try Row.fetchAll(db, sql: "EXPLAIN \(query)") {
            let cursor: Int64 = step["p1"]
            switch step["opcode"] as String {
            case "OpenRead": opened[cursor] = tables[Place(database: step["p3"], page: step["p2"])]
            case "OpenEphemeral", "OpenAutoindex", "OpenPseudo": opened[cursor] = nil
            case "Rewind", "Last", "Sort":
                let table = opened[cursor] ?? ""
                #expect(!SlicePlanTests.tablesOfTheRange.contains(table), "\(place) reads all of \(table)")
            default: break
            }
        }
    }

    private struct Place: Hashable {
        var database: Int64
        var page: Int64
    }
}
