import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// Head office in a temporary folder: `hq.db` as the hub makes it, and what the jobs make of it for each store.
///
/// Runs a job's SQL in the simplest way that keeps its contract: rows staged under the key (scope, key), members
/// beside them, and each store's tables filled from the scopes it belongs to, under their own key. A scope that
/// holds a key twice, or two scopes of one store that hold the same key, therefore fail here.
final class Headquarters {
    private let folder: String
    private let hq: DatabaseQueue
    private let rows: DatabaseQueue

    init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/waybill-jobs-" + UUID().uuidString
        try DurableFile.createFolder(folder)
        hq = try OpenDatabase.queue(at: folder + "/hq.db", label: "hq")
        try hq.write { db in try HQSchema.install(in: db) }
        rows = try OpenDatabase.queue(at: folder + "/rows.db", label: "rows")
        let path = folder + "/hq.db"
        try rows.writeWithoutTransaction { db in try db.execute(sql: "ATTACH ? AS hq", arguments: [path]) }
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

    /// Runs the jobs from scratch; afterwards ``withStore(_:_:)`` shows each store's tables.
    func run(_ jobs: [Job]) throws {
        for job in jobs {
            try rows.write { db in
                for statement in job.prepare { try db.execute(sql: statement) }
                for subjob in job.subjobs { try stage(subjob, in: db) }
                for table in job.temporaryTables { try db.execute(sql: "DROP TABLE temp.\(quoted(table))") }
            }
        }
    }

    private func stage(_ subjob: Subjob, in db: Database) throws {
        let table = subjob.table
        let scoped = TableShape(
            name: "staged_" + table.name, columns: [ColumnShape("scope", .text)] + table.columns,
            key: ["scope"] + table.key)
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS main.\(scoped.name);
                DROP TABLE IF EXISTS main.member_\(table.name);
                \(create(scoped, in: "main"));
                CREATE TABLE main.member_\(table.name) (
                    store_id TEXT NOT NULL, scope TEXT NOT NULL, PRIMARY KEY (store_id, scope)
                ) WITHOUT ROWID;
                INSERT INTO main.\(scoped.name) \(subjob.rows);
                INSERT INTO main.member_\(table.name) \(subjob.members);
                """)
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

    /// The scope of a store in a subjob's members, in order.
    func scopes(of store: String, in table: String) throws -> [String] {
        try rows.read { db in
            try String.fetchAll(
                db, sql: "SELECT scope FROM main.member_\(table) WHERE store_id = ? ORDER BY scope", arguments: [store])
        }
    }

    /// Opens the tables that the jobs, run before, give to one store.
    func withStore<Value>(_ store: String, _ jobs: [Job], _ body: (Database) throws -> Value) throws -> Value {
        let path = folder + "/" + UUID().uuidString + ".db"
        try rows.writeWithoutTransaction { db in
            try db.execute(sql: "ATTACH ? AS store", arguments: [path])
            defer { try? db.execute(sql: "DETACH store") }
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

    private func deliver(_ table: TableShape, to store: String, in db: Database) throws {
        let columns = table.columns.map { quoted($0.name) }.joined(separator: ", ")
        try db.execute(sql: create(table, in: "store"))
        try db.execute(
            sql: """
                INSERT INTO store.\(quoted(table.name))
                SELECT \(columns)
                FROM main.member_\(table.name) AS member
                JOIN main.staged_\(table.name) AS staged ON staged.scope = member.scope
                WHERE member.store_id = ?
                """,
            arguments: [store])
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
