import GRDB
import WaybillCapture
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
        try db.execute(
            sql: """
                -- CROSS JOIN keeps the order: each noted line finds its staged row by number.
                INSERT INTO \(staged.liveTable) (\(list))
                SELECT \(columns.map { "mine.\($0)" }.joined(separator: ", "))
                FROM \(staged.changesTable) AS change
                CROSS JOIN \(staged.rowsTable) AS mine ON mine.line = change.line
                WHERE true
                ON CONFLICT (\(key.joined(separator: ", "))) \(onConflict)
                """)
    }

    /// Removes HQ's rows that are not in the file. Returns their number.
    func removeOthers(in db: Database) throws -> Int {
        let sameKey = key.map { "mine.\($0) = live.\($0)" }.joined(separator: " AND ")
        try db.execute(
            sql: """
                -- Each row of HQ is looked up in the index on the staged key.
                DELETE FROM \(staged.liveTable) AS live
                WHERE NOT EXISTS (SELECT 1 FROM \(staged.rowsTable) AS mine WHERE \(sameKey))
                """)
        return db.changesCount
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
