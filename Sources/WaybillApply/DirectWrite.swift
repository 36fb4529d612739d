import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage

/// Writes rows into a store's table one by one, inside the last transaction: first what goes, then what comes.
struct DirectWrite {
    let shape: TableShape
    /// Relation with the rows to write.
    let rows: String
    /// Relation with the keys to remove.
    let removed: String?
    let db: Database

    private var table: String { "main." + quoted(shape.name) }
    private var columns: String { shape.columns.map { quoted($0.name) }.joined(separator: ", ") }
    private var key: String { shape.key.map(quoted).joined(separator: ", ") }

    /// - Returns: rows written and removed; a row that is there already as it should be is not written.
    func run() throws -> Int64 {
        var changed: Int64 = 0
        if let removed { changed += try remove(keysOf: removed) }
        return changed + (try write())
    }

    /// - Returns: how many of the keys were there.
    private func remove(keysOf relation: String) throws -> Int64 {
        let sameKey = shape.key.map { "here.\(quoted($0)) = there.\(quoted($0))" }.joined(separator: " AND ")
        // The table's primary key, all of it: one step down its tree for each key.
        let count =
            try Int64.fetchOne(
                db,
                sql: """
                    SELECT count(*) FROM \(relation) AS there
                    WHERE EXISTS (SELECT 1 FROM \(table) AS here WHERE \(sameKey))
                    """) ?? 0
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
        return count
    }

    private func write() throws -> Int64 {
        do {
            var written: Int64 = 0
            try db.inSavepoint {
                try db.execute(sql: upsert)
                written = Int64(db.changesCount)
                return .commit
            }
            return written
        } catch let error as DatabaseError where error.extendedResultCode == .SQLITE_CONSTRAINT_UNIQUE {
            // A till's own unique index, and a value that moves from one row to another: first take all of them away.
            _ = try remove(keysOf: rows)
            try db.execute(sql: "INSERT INTO \(table) (\(columns)) SELECT \(columns) FROM \(rows)")
            return Int64(db.changesCount)
        }
    }

    private var upsert: String {
        let values = shape.valueColumns.map { quoted($0.name) }
        let action =
            values.isEmpty
            ? "DO NOTHING"
            : """
            DO UPDATE SET \(values.map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
            WHERE \(values.map { "\(quoted(shape.name)).\($0) IS NOT excluded.\($0)" }.joined(separator: " OR "))
            """
        // WHERE true: without it SQLite takes ON for a join's.
        return
            "INSERT INTO \(table) (\(columns)) SELECT \(columns) FROM \(rows) WHERE true ON CONFLICT (\(key)) \(action)"
    }
}
