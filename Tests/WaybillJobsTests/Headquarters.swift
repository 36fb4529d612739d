import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan

/// Head office in a temporary folder: `hq.db` as the hub makes it, and what the jobs make of it for each store.
///
/// Each store's tables are filled from the scopes it belongs to, under their own key: a scope that holds a key twice,
/// or two scopes of one store that hold the same key, fail here.
final class Headquarters {
    private let folder: String
    private let hq: DatabaseQueue
    private var rows: Rows

    init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/waybill-jobs-" + UUID().uuidString
        try DurableFile.createFolder(folder)
        hq = try OpenDatabase.queue(at: folder + "/hq.db", label: "hq")
        try hq.write { db in try HQSchema.install(in: db) }
        rows = try Headquarters.openRows(folder)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: folder)
    }

    // MARK: Filling

    /// Adds records in CSV form, columns in the catalogue's order.
    func fill(_ table: String, _ records: String...) throws {
        guard let columns = HQCatalogue.table(table)?.columns.map(\.name) else { throw Unknown(table: table) }
        let text = records.map { $0 + "\r\n" }.joined()
        try insert(table, columns: columns, records: CSV.split(text, name: table))
    }

    /// Loads every HQ table from `TABLE.csv` in the folder.
    func load(_ folder: String) throws {
        for table in HQCatalogue.tables {
            let file = try CSV(path: "\(folder)/\(table.name).csv")
            try insert(table.name, columns: file.header, records: file.records)
        }
    }

    func execute(_ sql: String) throws {
        try hq.write { db in try db.execute(sql: sql) }
    }

    private func insert(_ table: String, columns: [String], records: [[String?]]) throws {
        guard let shape = HQCatalogue.table(table) else { throw Unknown(table: table) }
        let emptyIsText = columns.map { name in
            shape.columns.contains { $0.name == name && $0.kind == .textOrEmpty }
        }
        let sql = """
            INSERT INTO \(quoted(table)) (\(columns.map(quoted).joined(separator: ", ")))
            VALUES (\(columns.map { _ in "?" }.joined(separator: ", ")))
            """
        try hq.write { db in
            let statement = try db.makeStatement(sql: sql)
            for record in records {
                let values = zip(record, emptyIsText).map { field, isText in field ?? (isText ? "" : nil) }
                try statement.execute(arguments: StatementArguments(values))
            }
        }
    }

    // MARK: Running jobs

    /// Works the jobs out as far as HQ's changes concern them; afterwards ``withStore(_:_:)`` shows each store's tables.
    func run(_ jobs: [Job]) throws {
        for job in jobs { _ = try rows.derive(job) }
    }

    /// The same with everything worked out anew, by rows that know nothing yet.
    func runFromNothing(_ jobs: [Job]) throws {
        try rows.close()
        for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: folder + "/rows.db" + suffix) }
        rows = try Headquarters.openRows(folder)
        try run(jobs)
    }

    /// What the hub finds out about a row; `today` is a day of the sample dates.
    ///
    /// - Parameter base: where the store stands; nil for a store that has nothing.
    func why(
        _ store: String, _ table: String, _ key: String..., today: String = "2026-06-15", base: Base? = nil
    ) throws -> RowFindings {
        for job in RetailJobs.all {
            guard let subjob = job.subjobs.first(where: { $0.table.name == table }), let store = StoreID(store) else {
                continue
            }
            return try rows.why(
                RowQuestion(
                    job: job, subjob: subjob, store: store, key: try RowKey(key, of: subjob.table), base: base,
                    today: today))
        }
        throw Unknown(table: table)
    }

    private static func openRows(_ folder: String) throws -> Rows {
        var token: UInt64 = 0
        return try Rows(path: folder + "/rows.db", hqPath: folder + "/hq.db", newest: nil) {
            token += 1
            return token
        }
    }

    private func create(_ table: TableShape, in schema: String) -> String {
        let columns = table.columns.map { column in
            "\(quoted(column.name)) \(column.type.rawValue)" + (column.isNullable ? "" : " NOT NULL")
        }
        let key = table.key.map(quoted).joined(separator: ", ")
        return """
            CREATE TABLE \(schema).\(quoted(table.name)) (
                \(columns.joined(separator: ", ")), PRIMARY KEY (\(key))
            ) WITHOUT ROWID
            """
    }

    // MARK: Looking at the results

    func storeIDs() throws -> [String] {
        try hq.read { db in try String.fetchAll(db, sql: "SELECT store_id FROM store ORDER BY store_id") }
    }

    /// The scopes of a store in a table's members, in order.
    func scopes(of store: String, in table: String) throws -> [String] {
        try withRows { db in
            try String.fetchAll(
                db,
                sql: """
                    SELECT scope FROM main.member WHERE store_id = ? AND table_name = ? AND _died = ? ORDER BY scope
                    """,
                arguments: [store, table, Int64.max])
        }
    }

    /// Opens the tables that the jobs, run before, give to one store.
    func withStore<Value>(_ store: String, _ jobs: [Job], _ body: (Database) throws -> Value) throws -> Value {
        let path = folder + "/" + UUID().uuidString + ".db"
        try withRows { db in
            try db.execute(sql: "ATTACH ? AS store", arguments: [path])
            // Thrown away after the test: nobody waits for this disk.
            try db.execute(sql: "PRAGMA store.journal_mode = OFF; PRAGMA store.synchronous = OFF")
            try db.inTransaction {
                for table in jobs.flatMap(\.subjobs).map(\.table) { try deliver(table, to: store, in: db) }
                return .commit
            }
        }
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try OpenDatabase.queue(at: path, label: store, isReadOnly: true).read(body)
    }

    private func withRows<Value>(_ body: (Database) throws -> Value) throws -> Value {
        let queue = try DatabaseQueue(path: folder + "/rows.db")
        defer { try? queue.close() }
        return try queue.writeWithoutTransaction(body)
    }

    private func deliver(_ table: TableShape, to store: String, in db: Database) throws {
        let columns = table.columns.map { quoted($0.name) }.joined(separator: ", ")
        try db.execute(sql: create(table, in: "store"))
        try db.execute(
            sql: """
                INSERT INTO store.\(quoted(table.name))
                SELECT \(columns)
                FROM main.member AS member
                JOIN main.\(quoted("rows_" + table.name)) AS staged
                    ON staged._scope = member.scope
                WHERE member.store_id = :store AND member.table_name = :table AND member._died = :forever
                """,
            arguments: ["store": store, "table": table.name, "forever": Int64.max])
    }

    struct Unknown: Error, CustomStringConvertible {
        let table: String
        var description: String { "HQ has no table \(table)" }
    }
}

/// A query's rows as text, in the form of the golden files.
func texts(_ db: Database, _ sql: String) throws -> [[String?]] {
    try Row.fetchAll(db, sql: sql).map { row in row.databaseValues.map { String.fromDatabaseValue($0) } }
}

/// What a till asks.
struct PriceQuestion {
    var product: String
    var unit = "ea"
    var currency = "EUR"
    var quantity = "1"
    var date = "2026-06-15"
    var customer: String?
}

/// The till statement's answer, field by field as in the golden files.
func price(_ question: PriceQuestion, in db: Database) throws -> [String?] {
    let rows = try Row.fetchAll(
        db.cachedStatement(sql: TillStatement.price),
        arguments: [
            "product_id": question.product, "unit": question.unit, "currency": question.currency,
            "quantity": question.quantity, "date": question.date, "customer_id": question.customer,
        ])
    guard rows.count == 1, let row = rows.first else { return [] }
    return row.databaseValues.map { String.fromDatabaseValue($0) }
}
