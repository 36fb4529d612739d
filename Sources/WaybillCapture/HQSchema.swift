import GRDB
import WaybillDatabase
import WaybillModel

/// Makes `hq.db`: the business tables, the change log, and the triggers that fill it.
public enum HQSchema {
    /// Creates what is missing; leaves what is there, so that it can run at every start.
    ///
    /// A table of the catalogue that exists already (an ERP made it) is taken as it is, provided it has the columns.
    public static func install(in db: Database, tables: [HQTable] = HQCatalogue.tables) throws {
        try db.execute(
            sql: """
                -- One row for each changed key. The row number is the version: assigned inside the writer's own
                -- transaction, so commit order and version order agree. The newest row is never deleted, hence
                -- numbers are never used again.
                CREATE TABLE IF NOT EXISTS _waybill_change (
                    version INTEGER PRIMARY KEY,
                    subject INTEGER NOT NULL,
                    k1, k2, k3, k4, k5, k6, k7, k8
                );
                CREATE TABLE IF NOT EXISTS _waybill_subject (
                    id INTEGER PRIMARY KEY,
                    table_name TEXT NOT NULL UNIQUE
                );
                -- lineage: a token that the hub renews; one that it does not know means a restored hq.db.
                CREATE TABLE IF NOT EXISTS _waybill_meta (
                    name TEXT PRIMARY KEY,
                    value TEXT NOT NULL
                ) WITHOUT ROWID;
                INSERT INTO _waybill_change (version, subject) SELECT 1, 0
                WHERE NOT EXISTS (SELECT 1 FROM _waybill_change);
                """)
        for table in tables {
            let isThere = try db.tableExists(table.name)
            try db.execute(sql: createTable(table))
            try capture(table.name, key: table.key, isNew: !isThere, in: db)
        }
    }

    /// Puts the three triggers on a table, so that every writer's changes are noted, whoever it is.
    ///
    /// An update of a key notes the old and the new one. A value that did not really change costs a log row and
    /// nothing else: the plan compares rows before it calls anything a change.
    ///
    /// - Parameter isNew: the table was made in this very transaction and is empty.
    public static func capture(_ table: String, key: [String], isNew: Bool = false, in db: Database) throws {
        guard !key.isEmpty, key.count <= Limits.keyColumnsMax else {
            throw DatabaseError(
                message: "HQ table \(table) needs a primary key of 1 to \(Limits.keyColumnsMax) columns to be captured")
        }
        try db.execute(
            sql: "INSERT INTO _waybill_subject (table_name) VALUES (?) ON CONFLICT (table_name) DO NOTHING",
            arguments: [table])
        guard
            let subject = try Int64.fetchOne(
                db, sql: "SELECT id FROM _waybill_subject WHERE table_name = ?", arguments: [table])
        else { return }
        // What was written before nobody has noted: a row without a key says that all of the table may differ.
        if try !isNew && !isCaptured(table, in: db) {
            try db.execute(sql: "INSERT INTO _waybill_change (subject) VALUES (?)", arguments: [subject])
            // A table that was renamed took our triggers with it.
            for event in ["insert", "update", "delete"] {
                try db.execute(sql: "DROP TRIGGER IF EXISTS \(quoted("_waybill_\(table)_\(event)"))")
            }
        }
        let slots = (1...key.count).map { "k\($0)" }.joined(separator: ", ")
        func note(_ row: String) -> String {
            let values = key.map { "\(row).\(quoted($0))" }.joined(separator: ", ")
            return "INSERT INTO _waybill_change (subject, \(slots)) VALUES (\(subject), \(values));"
        }
        let keyChanged = key.map { "OLD.\(quoted($0)) IS NOT NEW.\(quoted($0))" }.joined(separator: " OR ")
        let noteOldKey = key.map { "OLD.\(quoted($0))" }.joined(separator: ", ")
        func trigger(_ event: String) -> String { quoted("_waybill_\(table)_\(event)") }
        try db.execute(
            sql: """
                CREATE TRIGGER IF NOT EXISTS \(trigger("insert")) AFTER INSERT ON \(quoted(table)) BEGIN
                    \(note("NEW"))
                END;
                CREATE TRIGGER IF NOT EXISTS \(trigger("delete")) AFTER DELETE ON \(quoted(table)) BEGIN
                    \(note("OLD"))
                END;
                CREATE TRIGGER IF NOT EXISTS \(trigger("update")) AFTER UPDATE ON \(quoted(table)) BEGIN
                    INSERT INTO _waybill_change (subject, \(slots)) SELECT \(subject), \(noteOldKey) WHERE \(keyChanged);
                    \(note("NEW"))
                END;
                """)
    }

    /// Whether every change to a table is noted. A table that was dropped and made anew is not, until it is captured.
    public static func isCaptured(_ table: String, in db: Database, schema: String = "main") throws -> Bool {
        try Int.fetchOne(
            db,
            sql: """
                SELECT count(*) FROM \(schema).sqlite_schema
                WHERE type = 'trigger' AND tbl_name = :table
                    AND name IN ('_waybill_' || :table || '_insert', '_waybill_' || :table || '_update',
                        '_waybill_' || :table || '_delete')
                """,
            arguments: ["table": table]) == 3
    }

    /// The CREATE statement of a catalogue table. CHECKs refuse what no rule could use, whoever writes it.
    static func createTable(_ table: HQTable) -> String {
        let columns = table.columns.map { "    " + declaration(of: $0) }
        let key = table.key.map(quoted).joined(separator: ", ")
        return """
            CREATE TABLE IF NOT EXISTS \(quoted(table.name)) (
            \(columns.joined(separator: ",\n")),
                PRIMARY KEY (\(key))
            ) WITHOUT ROWID
            """
    }

    private static func declaration(of column: HQColumn) -> String {
        let name = quoted(column.name)
        let presence = column.isNullable ? "" : " NOT NULL"
        switch column.kind {
        case .text:
            return "\(name) TEXT\(presence) CHECK (\(name) <> '')"
        case .textOrEmpty:
            return "\(name) TEXT NOT NULL DEFAULT ''"
        case .date:
            return
                "\(name) TEXT\(presence) CHECK (\(name) GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]' AND date(\(name), '+0 days') IS \(name))"
                .replacing("CHECK (", with: column.isNullable ? "CHECK (\(name) IS NULL OR " : "CHECK (")
        case .decimal:
            return
                "\(name) NUMERIC\(presence) CHECK (\(name) IS NULL OR (typeof(\(name)) IN ('integer', 'real') AND \(name) >= 0))"
        case .integer(let allowsNegative):
            let floor = allowsNegative ? "" : " AND \(name) >= 0"
            return "\(name) INTEGER\(presence) CHECK (\(name) IS NULL OR (typeof(\(name)) = 'integer'\(floor)))"
        case .flag:
            return "\(name) INTEGER\(presence) CHECK (\(name) IN (0, 1))"
        case .word(let words):
            let list = words.map { "'\($0)'" }.joined(separator: ", ")
            return "\(name) TEXT\(presence) CHECK (\(name) IN (\(list)))"
        }
    }
}
