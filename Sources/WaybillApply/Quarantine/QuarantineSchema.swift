import Foundation
import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage

/// Where a store keeps the rows that it cannot take: a list for people, and beside it, for each table that has some, a
/// table of the same columns with the rows themselves, so that they can be tried again without fetching them.
enum QuarantineSchema {
    static let rowsPrefix = "_waybill_refused_"
    /// In the tables of rows: the entry that a row belongs to.
    static let entryColumn = "_waybill_entry"
    static let revisionName = "quarantine_revision"

    static func install(in db: Database) throws {
        try db.execute(
            sql: """
                -- reason: for whoever looks into this database; detail: SQLite's words. code: SQLite's extended code.
                CREATE TABLE IF NOT EXISTS _waybill_quarantine (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    job TEXT NOT NULL,
                    table_name TEXT NOT NULL COLLATE NOCASE,
                    key TEXT NOT NULL,
                    kind TEXT NOT NULL CHECK (kind IN ('refused', 'depends', 'kept')),
                    reason TEXT NOT NULL,
                    detail TEXT NOT NULL,
                    code INTEGER NOT NULL,
                    has_older_row INTEGER NOT NULL,
                    session TEXT NOT NULL,
                    epoch INTEGER NOT NULL,
                    version INTEGER NOT NULL,
                    since INTEGER NOT NULL,
                    attempts INTEGER NOT NULL
                );
                CREATE INDEX IF NOT EXISTS _waybill_quarantine_by_table ON _waybill_quarantine (table_name, key);
                -- What the jobs say about which table refers to which.
                CREATE TABLE IF NOT EXISTS _waybill_reference (
                    table_name TEXT NOT NULL COLLATE NOCASE,
                    column_name TEXT NOT NULL COLLATE NOCASE,
                    parent TEXT NOT NULL COLLATE NOCASE,
                    PRIMARY KEY (table_name, column_name)
                ) WITHOUT ROWID;
                -- Orders of the hub that were carried out.
                CREATE TABLE IF NOT EXISTS _waybill_quarantine_order (
                    place INTEGER PRIMARY KEY AUTOINCREMENT,
                    id TEXT NOT NULL UNIQUE
                );
                """)
        if try !db.columns(in: "_waybill_outcome").contains(where: { $0.name == "exceptions" }) {
            try db.execute(sql: "ALTER TABLE _waybill_outcome ADD COLUMN exceptions INTEGER NOT NULL DEFAULT 0")
        }
    }

    static func exists(_ name: String, in db: Database) throws -> Bool {
        try Bool.fetchOne(
            db.cachedStatement(
                sql: "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE AND type = 'table')"
            ),
            arguments: [name]) ?? false
    }

    /// The declaration of the table that holds a table's rows in quarantine: no till's index or trigger is on it, and of
    /// a row that is only kept it holds the key alone.
    static func rowsStatement(_ shape: TableShape) -> String {
        let columns = (shape.key.compactMap { key in shape.columns.first { $0.name == key } } + shape.valueColumns)
            .map { "\(quoted($0.name)) \($0.type.rawValue)\(shape.key.contains($0.name) ? " NOT NULL" : "")" }
        let key = shape.key.map(quoted).joined(separator: ", ")
        return """
            CREATE TABLE \(quoted(rowsPrefix + shape.name)) (\(columns.joined(separator: ", ")), \
            \(quoted(entryColumn)) INTEGER NOT NULL, PRIMARY KEY (\(key))) WITHOUT ROWID
            """
    }

    /// A key as people see it and ask for it: SQL over the key's columns of `alias`.
    static func keyText(_ shape: TableShape, of alias: String) -> String {
        let parts = shape.key.map { name in
            let column = "\(alias).\(quoted(name))"
            return "CASE typeof(\(column)) WHEN 'blob' THEN hex(\(column)) ELSE CAST(\(column) AS TEXT) END"
        }
        // Characters, not bytes: a quarter of the bytes always fits.
        return "substr(\(parts.joined(separator: " || ',' || ")), 1, \(QuarantineLimits.keyBytesMax / 4))"
    }

    // MARK: what there is

    static func count(in db: Database) throws -> Int {
        try Int.fetchOne(db.cachedStatement(sql: "SELECT count(*) FROM _waybill_quarantine")) ?? 0
    }

    /// Names the content anew. Part of each transaction that changes it; the incarnation and the count of its changes
    /// make the name one that no other content, also of a restored copy of this database, ever has.
    static func change(in db: Database) throws {
        guard try count(in: db) > 0 else { return try StoreSchema.set(revisionName, Int64(0), in: db) }
        let life = try StoreSchema.incarnation(in: db)
        var mixed =
            life.random ^ UInt64(bitPattern: try StoreSchema.integer("sequence", in: db)) &* 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        mixed ^= UInt64(bitPattern: life.counter)
        try StoreSchema.set(revisionName, Int64(bitPattern: max(1, mixed)), in: db)
    }

    static func revision(in db: Database) throws -> UInt64 {
        UInt64(bitPattern: try StoreSchema.integer(revisionName, in: db))
    }

    static func entry(_ row: Row) -> QuarantineEntry? {
        guard let job = JobID(row["job"]), let kind = QuarantineKind(rawValue: row["kind"]),
            let session = SessionID(row["session"])
        else { return nil }
        return QuarantineEntry(
            job: job, table: row["table_name"], key: row["key"], kind: kind, detail: row["detail"],
            hasOlderRow: row["has_older_row"], session: session,
            version: Version(epoch: row["epoch"], number: row["version"]),
            since: Timestamp(milliseconds: row["since"]), attempts: row["attempts"])
    }
}

extension StoreDatabase {
    /// What a hub is told of the quarantine.
    public func quarantine() throws -> QuarantineReport {
        try queue.read { db in
            let entries = try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM _waybill_quarantine
                    ORDER BY CASE kind WHEN 'refused' THEN 0 WHEN 'kept' THEN 1 ELSE 2 END, job, table_name, key, id
                    LIMIT \(QuarantineLimits.entriesMax)
                    """)
            return QuarantineReport(
                revision: try QuarantineSchema.revision(in: db), total: try QuarantineSchema.count(in: db),
                entries: entries.compactMap(QuarantineSchema.entry),
                ordersDone: try String.fetchAll(
                    db.cachedStatement(sql: "SELECT id FROM _waybill_quarantine_order ORDER BY place")))
        }
    }

    /// Names what ``quarantine()`` tells; 0 when nothing is in quarantine.
    public func quarantineRevision() throws -> UInt64 { try queue.read(QuarantineSchema.revision) }
}
