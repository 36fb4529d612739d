import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage

/// Writes rows into a store's table one by one, inside the last transaction: first what goes, then what comes.
///
/// All rows in one statement. When the store's own schema refuses that, ``CarefulWrite`` finds the rows it is about.
struct DirectWrite {
    let shape: TableShape
    /// Relation with the rows to write.
    let rows: String
    /// Relation with the keys to remove.
    let removed: String?
    let db: Database

    var table: String { "main." + quoted(shape.name) }
    var columns: String { shape.columns.map { quoted($0.name) }.joined(separator: ", ") }
    var key: String { shape.key.map(quoted).joined(separator: ", ") }

    /// - Returns: how many of the keys were there.
    func remove(keysOf relation: String, isWatched: Bool = false) throws -> Int64 {
        let sameKey = shape.key.map { "here.\(quoted($0)) = there.\(quoted($0))" }.joined(separator: " AND ")
        // The table's primary key, all of it: one step down its tree for each key.
        func countThere() throws -> Int64 {
            try Int64.fetchOne(
                db,
                sql: """
                    SELECT count(*) FROM \(relation) AS there
                    WHERE EXISTS (SELECT 1 FROM \(table) AS here WHERE \(sameKey))
                    """) ?? 0
        }
        let count = try countThere()
        guard count > 0 else { return 0 }
        // DELETE … WHERE (key) IN (SELECT key …) uses as many key columns as the planner likes: with a first column
        // of few values that was one, and 2,000 keys read a table of 250,000 rows. The trigger looks up each whole key.
        let removing = quoted("_waybill_removing")
        let names = shape.key.map { "NULL AS \(quoted($0))" }.joined(separator: ", ")
        let sameAsNew = shape.key.map { "\(quoted($0)) = NEW.\(quoted($0))" }.joined(separator: " AND ")
        try db.execute(
            sql: """
                CREATE TEMP VIEW \(removing) AS SELECT \(names);
                CREATE TEMP TRIGGER \(quoted("_waybill_remove_one")) INSTEAD OF INSERT ON \(removing) BEGIN
                    DELETE FROM \(quoted(shape.name)) WHERE \(sameAsNew);
                END;
                INSERT INTO temp.\(removing) (\(key)) SELECT \(key) FROM \(relation);
                DROP VIEW temp.\(removing);
                """)
        // SQLite says nothing when a trigger keeps a row with IGNORE.
        if isWatched, try countThere() > 0 { throw RowsIgnored() }
        return count
    }

    /// - Parameter isWatched: tills have triggers on the table, and one might let rows get lost without an error.
    /// - Returns: rows written; one that is there already as it should be is not.
    func write(from relation: String, isWatched: Bool = false) throws -> Int64 {
        let expected = isWatched ? try countDiffering(in: relation) : 0
        try db.execute(sql: upsert(from: relation))
        let written = Int64(db.changesCount)
        if written < expected { throw RowsIgnored() }
        return written
    }

    /// Tills' own unique indexes, and a value that moves from one row to another: first takes all of them away.
    func replace(from relation: String, isWatched: Bool = false) throws -> Int64 {
        _ = try remove(keysOf: relation, isWatched: isWatched)
        return try write(from: relation, isWatched: isWatched)
    }

    /// Rows of a relation that the table does not have like that. By the table's primary key.
    private func countDiffering(in relation: String) throws -> Int64 {
        let same = shape.columns.map { column in
            let isKey = shape.key.contains(column.name)
            return "here.\(quoted(column.name)) \(isKey ? "=" : "IS") there.\(quoted(column.name))"
        }
        return try Int64.fetchOne(
            db,
            sql: """
                SELECT count(*) FROM \(relation) AS there
                WHERE NOT EXISTS (SELECT 1 FROM \(table) AS here WHERE \(same.joined(separator: " AND ")))
                """) ?? 0
    }

    /// Whether tills have triggers on the table.
    func hasTriggers() throws -> Bool {
        try Bool.fetchOne(
            db,
            sql: """
                SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE)
                """, arguments: [shape.name]) ?? false
    }

    func upsert(from relation: String) -> String {
        let values = shape.valueColumns.map { quoted($0.name) }
        let action =
            values.isEmpty
            ? "DO NOTHING"
            : """
            DO UPDATE SET \(values.map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
            WHERE \(values.map { "\(quoted(shape.name)).\($0) IS NOT excluded.\($0)" }.joined(separator: " OR "))
            """
        // WHERE true: without it SQLite takes ON for a join's.
        return """
            INSERT INTO \(table) (\(columns)) SELECT \(columns) FROM \(relation) AS there
            WHERE true ON CONFLICT (\(key)) \(action)
            """
    }
}
