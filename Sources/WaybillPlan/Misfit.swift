import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// Finds the rows of a subjob's query that its table cannot hold, and says which. Asked only after SQLite has refused
/// them: it runs the query once more.
struct Misfit {
    let subjob: Subjob
    let db: Database

    private var shape: TableShape { subjob.table }
    private static let staged = "temp.staged_misfit"

    /// A sentence about the first row that does not fit, and how many more there are like it; nil when all do.
    func describe() throws -> String? {
        defer { try? db.execute(sql: "DROP TABLE IF EXISTS \(Misfit.staged)") }
        try stage()
        let nothing = try describeRows(where: "_scope IS NULL") { _ in "its scope is NULL" }
        if let nothing { return nothing }
        for column in shape.columns {
            if let fault = try describe(column) { return fault }
        }
        return try describeRepeatedKey()
    }

    /// As the staging table has them, with SQLite's conversions, but without any check.
    private func stage() throws {
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        let declarations = shape.columns.map { "\(quoted($0.name)) \($0.type.rawValue)" }.joined(separator: ", ")
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS \(Misfit.staged);
                CREATE TEMP TABLE staged_misfit (_scope TEXT, \(declarations));
                INSERT INTO \(Misfit.staged) SELECT _scope, \(columns) FROM (\(subjob.rows));
                """)
    }

    private func describe(_ column: ColumnShape) throws -> String? {
        let name = quoted(column.name)
        if !column.isNullable {
            let fault = try describeRows(where: "\(name) IS NULL") { _ in
                "column \(column.name) is NULL, which it must not be"
            }
            if let fault { return fault }
        }
        let type = column.type.rawValue
        return try describeRows(where: "typeof(\(name)) NOT IN ('\(type.lowercased())', 'null')") { row in
            "column \(column.name) is \(Misfit.text(row[column.name])), which does not fit its type \(type)"
        }
    }

    private func describeRows(where condition: String, _ fault: (Row) -> String) throws -> String? {
        let order = shape.key.map(quoted).joined(separator: ", ")
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT count(*) OVER () AS _count, * FROM \(Misfit.staged)
                WHERE \(condition) ORDER BY _scope, \(order) LIMIT 1
                """)
        guard let row else { return nil }
        return "row \(key(of: row)): \(fault(row))" + Misfit.more(row["_count"] - 1, "row like it", "rows like it")
    }

    private func describeRepeatedKey() throws -> String? {
        let key = shape.key.map(quoted).joined(separator: ", ")
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT count(*) AS _times, count(*) OVER () AS _count, _scope, \(key) FROM \(Misfit.staged)
                GROUP BY _scope, \(key) HAVING count(*) > 1 ORDER BY _scope, \(key) LIMIT 1
                """)
        guard let row else { return nil }
        return "row \(self.key(of: row)) comes \(row["_times"] as Int) times, and a key can stand only once"
            + Misfit.more(row["_count"] - 1, "key more than once", "keys more than once")
    }

    /// `item_id = 'i' in scope 'x'`.
    private func key(of row: Row) -> String {
        let key = shape.key.map { "\($0) = \(Misfit.text(row[$0]))" }.joined(separator: ", ")
        return "\(key) in scope \(Misfit.text(row["_scope"]))"
    }

    private static func more(_ count: Int, _ one: String, _ many: String) -> String {
        count == 0 ? "" : "; \(count) more \(count == 1 ? one : many)"
    }

    /// A value as SQL has it, short enough for a sentence.
    static func text(_ value: DatabaseValue) -> String {
        switch value.storage {
        case .null: "NULL"
        case .int64(let number): "\(number)"
        case .double(let number): "\(number)"
        case .string(let text): "'\(text.prefix(60))\(text.count > 60 ? "…" : "")'"
        case .blob(let data): "a blob of \(data.count) bytes"
        }
    }
}
