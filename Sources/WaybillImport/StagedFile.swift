import GRDB
import GRDBSQLite
import WaybillDatabase

/// One file's rows in TEMP tables of the import's own connection: nobody else sees them, and they end with it.
///
/// The table of rows has the HQ table's columns, all nullable, and `line`, the record's line. A faulty field is NULL
/// there, so that a row with one bad field still counts as a key for the rows that name it. Rows that are left out
/// (``ImportOptions/skipBadRows``) move to a second table of the same shape.
struct StagedFile {
    let file: ImportFile
    /// The file's position in the call: faults are ordered by it.
    let index: Int
    /// With the columns that the file fills.
    var table: ImportTable
    /// Whether the header had all key columns. Without them nothing can be said about keys.
    var hasKeys = true
    /// Whether the file could be read to its end.
    var isWhole = true
    /// Whether the header was as it must be. Without that no row of the file can be called good.
    var isHeaderGood = true
    var rows = 0
    var skipped = 0

    init(_ file: ImportFile, index: Int, table: ImportTable) {
        self.file = file
        self.index = index
        self.table = table
    }

    /// The staged rows, for use in SQL.
    var rowsTable: String { "temp." + quoted("_rows_\(table.name)") }
    /// Rows that were left out.
    var badTable: String { "temp." + quoted("_bad_\(table.name)") }
    /// The lines that differ from HQ's rows, in key order: `line`, `is_new`.
    var changesTable: String { "temp." + quoted("_changes_\(table.name)") }
    var liveTable: String { "main." + quoted(table.name) }
    var keyIndex: String { "temp." + quoted("_key_\(table.name)") }

    func has(_ column: String) -> Bool { table.columns.contains { $0.name == column } }

    func createTables(in db: Database) throws {
        let columns = table.columns.map { column in
            let collation = column.collation.map { " COLLATE " + quoted($0) } ?? ""
            return quoted(column.name) + " " + column.affinity + collation
        }.joined(separator: ", ")
        try db.execute(
            sql: """
                CREATE TABLE \(rowsTable) (line INTEGER PRIMARY KEY, \(columns));
                CREATE TABLE \(badTable) (line INTEGER PRIMARY KEY, \(columns));
                CREATE INDEX temp.\(quoted("_badkey_\(table.name)")) ON \(quoted("_bad_\(table.name)"))
                    (\(table.key.map(quoted).joined(separator: ", ")));
                CREATE TABLE \(changesTable) (line INTEGER NOT NULL, is_new INTEGER NOT NULL);
                """)
    }

    /// Makes the index on the key, by which all later questions find their rows.
    /// - Returns: whether each key stands in one line only.
    func indexKeys(in db: Database) throws -> Bool {
        let on = "\(keyIndex) ON \(quoted("_rows_\(table.name)")) (\(table.key.map(quoted).joined(separator: ", ")))"
        do {
            // Cheapest way to learn that there are no duplicates, the normal case. NULLs do not count as equal.
            try db.execute(sql: "CREATE UNIQUE INDEX \(on)")
            return true
        } catch let error as DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {
            try db.execute(sql: "CREATE INDEX \(on)")
            return false
        }
    }
}

/// Puts rows into a staging table.
///
/// Values are bound from the record's bytes as they are: a `String` for each of some ten fields of a million rows
/// would cost more than reading, checking and storing them together.
final class StagingInsert {
    private let statement: Statement
    private let emptyText: StaticString = ""

    init(_ staged: StagedFile, in db: Database) throws {
        let columns = ["line"] + staged.table.columns.map { quoted($0.name) }
        let slots = columns.map { _ in "?" }.joined(separator: ", ")
        statement = try db.makeStatement(
            sql: "INSERT INTO \(staged.rowsTable) (\(columns.joined(separator: ", "))) VALUES (\(slots))")
    }

    func insert(line: Int, _ values: [FieldValue], bytes: UnsafeBufferPointer<UInt8>) throws {
        let handle = statement.sqliteStatement
        var code = sqlite3_bind_int64(handle, 1, Int64(line))
        for (index, value) in values.enumerated() where code == SQLITE_OK {
            code = bind(value, at: Int32(index + 2), bytes, handle)
        }
        if code == SQLITE_OK { code = sqlite3_step(handle) }
        // Also lets go of the bytes, which are only lent for this call.
        sqlite3_reset(handle)
        guard code == SQLITE_DONE else { throw DatabaseError(resultCode: ResultCode(rawValue: code)) }
    }

    private func bind(
        _ value: FieldValue, at slot: Int32, _ bytes: UnsafeBufferPointer<UInt8>, _ handle: SQLiteStatement
    ) -> Int32 {
        switch value {
        case .null, .faulty: return sqlite3_bind_null(handle, slot)
        case .integer(let number): return sqlite3_bind_int64(handle, slot, number)
        case .real(let number): return sqlite3_bind_double(handle, slot, number)
        case .text(let range):
            // An empty text still needs an address: without one SQLite binds NULL. A static string's always holds.
            let base = range.isEmpty ? emptyText.utf8Start : bytes.baseAddress.map { $0 + range.lowerBound }
            guard let base else { return SQLITE_MISUSE }
            return UnsafeRawPointer(base).withMemoryRebound(to: CChar.self, capacity: range.count) {
                // No destructor: SQLite does not copy, and the statement is reset before the bytes change.
                sqlite3_bind_text(handle, slot, $0, Int32(range.count), nil)
            }
        }
    }
}
