import GRDB
import WaybillModel

/// Reads HQ's change log. `schema` is the name under which `hq.db` is attached (`main` on a connection of its own).
public enum ChangeLog {
    /// The version of the newest committed change.
    public static func head(in db: Database, schema: String = "main") throws -> Int64 {
        // The rowid's largest value: one step down the right edge of the table's own tree.
        try Int64.fetchOne(db, sql: "SELECT max(version) FROM \(schema)._waybill_change") ?? 0
    }

    /// Names of the tables with a change after `version`. Reads the log rows after it, and nothing else.
    public static func tablesChanged(after version: Int64, in db: Database, schema: String = "main") throws -> Set<
        String
    > {
        try String.fetchSet(
            db,
            sql: """
                SELECT DISTINCT subject.table_name
                FROM \(schema)._waybill_change AS change
                JOIN \(schema)._waybill_subject AS subject ON subject.id = change.subject
                WHERE change.version > ?
                """,
            arguments: [version])
    }

    /// The newest version of each table with a change after `version`. Reads the log rows after it, and nothing else.
    public static func newestChanges(
        after version: Int64, in db: Database, schema: String = "main"
    ) throws -> [String: Int64] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT subject.table_name, max(change.version) AS version
                FROM \(schema)._waybill_change AS change
                JOIN \(schema)._waybill_subject AS subject ON subject.id = change.subject
                WHERE change.version > ?
                GROUP BY change.subject
                """,
            arguments: [version])
        return Dictionary(rows.map { ($0["table_name"], $0["version"]) }, uniquingKeysWith: { a, _ in a })
    }

    /// Makes a version of its own for a change that no row shows: a job's definition, a restored database.
    public static func mark(atLeast version: Int64 = 0, in db: Database) throws -> Int64 {
        try db.execute(
            sql: """
                INSERT INTO _waybill_change (version, subject)
                VALUES (max(?, (SELECT max(version) FROM _waybill_change)) + 1, 0)
                """,
            arguments: [version])
        return db.lastInsertedRowID
    }
}
