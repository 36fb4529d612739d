import GRDB
import GRDBSQLite
import WaybillDatabase

/// Brings one table's staged rows into HQ.
struct TableWriting {
    let staged: StagedFile

    private var columns: [String] { staged.table.columns.map { quoted($0.name) } }
    private var key: [String] { staged.table.key.map(quoted) }
    private var values: [String] {
        staged.table.columns.map(\.name).filter { !staged.table.key.contains($0) }.map(quoted)
    }

    /// Notes the lines that are new or differ, in key order, so that writing touches nothing else.
    ///
    /// Done without a lock: in a file that repeats what HQ has, this is nearly all of the work.
    func compare(in db: Database) throws {
        let sameKey = key.map { "live.\($0) = mine.\($0)" }.joined(separator: " AND ")
        let differs = (["live.\(key[0]) IS NULL"] + values.map { "live.\($0) IS NOT mine.\($0)" })
            .joined(separator: " OR ")
        try db.execute(
            sql: """
                DELETE FROM \(staged.changesTable);
                -- Walks the index on the staged key, hence through HQ's own key in its order.
                INSERT INTO \(staged.changesTable) (line, is_new)
                SELECT mine.line, live.\(key[0]) IS NULL
                FROM \(staged.rowsTable) AS mine
                LEFT JOIN \(staged.liveTable) AS live ON \(sameKey)
                WHERE \(differs)
                ORDER BY \(key.map { "mine.\($0)" }.joined(separator: ", "))
                """)
    }

    /// Writes the noted lines. An update whose row has become the same meanwhile is none, and fires no trigger.
    func upsert(in db: Database) throws {
        try db.execute(sql: upsertStatement(where: "true"))
    }

    /// Tries each noted line by itself and tells of those that HQ's database refuses. For finding out which rows are
    /// at fault when it has refused them together; the caller rolls back.
    func refusedLines(in db: Database, _ found: (_ line: Int, _ reason: String) throws -> Void) throws {
        let lines = try Int.fetchAll(db, sql: "SELECT line FROM \(staged.changesTable) ORDER BY line")
        let statement = try db.makeStatement(sql: upsertStatement(where: "change.line = ?"))
        for line in lines {
            do {
                try statement.execute(arguments: [line])
            } catch let error as DatabaseError where error.resultCode == .SQLITE_CONSTRAINT && db.isInsideTransaction {
                // The failed statement says the same once more when it is reset, and would be taken for the next line.
                sqlite3_reset(statement.sqliteStatement)
                try found(line, "HQ's database refuses the row: \(error.message ?? "constraint failed")")
            }
        }
    }

    private func upsertStatement(where condition: String) -> String {
        let list = columns.joined(separator: ", ")
        let onConflict: String
        if values.isEmpty {
            onConflict = "DO NOTHING"
        } else {
            let table = quoted(staged.table.name)
            onConflict = """
                DO UPDATE SET \(values.map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
                WHERE \(values.map { "\(table).\($0) IS NOT excluded.\($0)" }.joined(separator: " OR "))
                """
        }
        return """
            -- CROSS JOIN keeps the order: each noted line finds its staged row by number.
            INSERT INTO \(staged.liveTable) (\(list))
            SELECT \(columns.map { "mine.\($0)" }.joined(separator: ", "))
            FROM \(staged.changesTable) AS change
            CROSS JOIN \(staged.rowsTable) AS mine ON mine.line = change.line
            WHERE \(condition)
            ON CONFLICT (\(key.joined(separator: ", "))) \(onConflict)
            """
    }

    /// Removes HQ's rows that are not in the file. Returns their number.
    func removeOthers(in db: Database) throws -> Int {
        try db.execute(sql: "DELETE FROM \(staged.liveTable) AS live WHERE \(isOther)")
        return db.changesCount
    }

    /// How many rows of HQ are not in the file.
    func countOthers(in db: Database) throws -> Int {
        try Int.fetchOne(db, sql: "SELECT count(*) FROM \(staged.liveTable) AS live WHERE \(isOther)") ?? 0
    }

    /// Each row of HQ is looked up in the index on the staged key.
    private var isOther: String {
        let sameKey = key.map { "mine.\($0) = live.\($0)" }.joined(separator: " AND ")
        return "NOT EXISTS (SELECT 1 FROM \(staged.rowsTable) AS mine WHERE \(sameKey))"
    }

    /// The first staged rows as they would come into HQ, each with whether it is new, changes a row, or neither.
    func firstRows(_ limit: Int, in db: Database) throws -> [(change: String, values: [String?])] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT CASE change.is_new WHEN 1 THEN 'new' WHEN 0 THEN 'changed' ELSE 'same' END,
                    \(columns.map { "CAST(mine.\($0) AS TEXT)" }.joined(separator: ", "))
                FROM \(staged.rowsTable) AS mine
                LEFT JOIN \(staged.changesTable) AS change ON change.line = mine.line
                ORDER BY mine.line LIMIT ?
                """, arguments: [limit])
        return rows.map { row in (row[0], (1..<row.count).map { row[$0] }) }
    }

    /// How many of the noted lines are new to HQ, and how many change a row.
    func counts(in db: Database) throws -> (inserted: Int, updated: Int) {
        let row = try Row.fetchOne(
            db, sql: "SELECT count(*), coalesce(sum(is_new), 0) FROM \(staged.changesTable)")
        let changes: Int = row?[0] ?? 0
        let inserted: Int = row?[1] ?? 0
        return (inserted, changes - inserted)
    }

    /// Why HQ's table cannot take the rows, or nil.
    func obstacle(in db: Database) throws -> String? {
        let name = staged.table.name
        guard try db.tableExists(name, in: "main") else {
            return "HQ's database has no table \(name); start the hub on it once, which creates what is missing"
        }
        let present = Set(try db.columns(in: name, in: "main").map(\.name))
        if let missing = staged.table.columns.first(where: { !present.contains($0.name) }) {
            return "table \(name) of HQ's database has no column \(missing.name)"
        }
        guard try db.table(name, hasUniqueKey: staged.table.key) else {
            return
                "table \(name) of HQ's database has no primary or unique key "
                + "(\(staged.table.key.joined(separator: ", ")))"
        }
        return nil
    }
}
