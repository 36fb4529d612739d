import GRDBSQLite
import WaybillDatabase

/// A look at what SQL would do, without doing it: which tables a query reads, which columns it gives, where it is wrong.
///
/// A connection of its own, in memory, with HQ's database attached read-only: SQLite tells what a statement reads
/// through its authorizer, and one connection has but one of those. Nothing here runs a query over HQ's rows.
final class Inspector {
    /// What is wrong with a text, and how many bytes into it; nil where SQLite does not say.
    struct Fault: Error {
        var message: String
        var offset: Int?
    }

    /// What one query reads and gives.
    struct Query {
        var columns: [String]
        var hqTables: Set<String>
        /// Temporary tables.
        var temporary: Set<String>
        var parameters: [String]
    }

    private let connection: OpaquePointer
    private let reads = Reads()

    /// Written by the authorizer's callback while a statement is compiled, on the same thread.
    private final class Reads {
        var hqTables: Set<String> = []
        var temporary: Set<String> = []
        var refused: String?

        /// Functions whose answer is not a matter of HQ's tables alone, and those that reach beyond the database.
        static let forbidden: Set<String> = [
            "random", "randomblob", "current_date", "current_time", "current_timestamp", "changes", "total_changes",
            "last_insert_rowid", "load_extension",
        ]

        func note(
            _ action: Int32, _ first: UnsafePointer<CChar>?, _ second: UnsafePointer<CChar>?,
            _ database: UnsafePointer<CChar>?
        ) -> Int32 {
            switch action {
            case SQLITE_SELECT, SQLITE_RECURSIVE: return SQLITE_OK
            case SQLITE_FUNCTION:
                let name = second.map { String(cString: $0).lowercased() } ?? ""
                guard Reads.forbidden.contains(name) else { return SQLITE_OK }
                refused = "the query uses \(name)(): what stores hold must depend on HQ's tables alone"
                return SQLITE_DENY
            case SQLITE_READ:
                let table = first.map { String(cString: $0) } ?? ""
                switch database.map({ String(cString: $0) }) {
                case "hq": hqTables.insert(table)
                case "temp": temporary.insert(table)
                default: break
                }
                return SQLITE_OK
            default:
                refused = "only a SELECT may stand here"
                return SQLITE_DENY
            }
        }
    }

    init(hqPath: String) throws {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX
        guard sqlite3_open_v2(":memory:", &handle, flags, nil) == SQLITE_OK, let handle else {
            sqlite3_close_v2(handle)
            throw Fault(message: "SQLite cannot be opened")
        }
        connection = handle
        // A mistyped name in double quotes is a fault, not a text; as on the connection that runs the queries.
        _disableDoubleQuotedStringLiterals(handle)
        sqlite3_busy_timeout(handle, Int32(OpenDatabase.busyMilliseconds))
        try run("ATTACH DATABASE '\(Rows.readOnlyURI(hqPath).replacing("'", with: "''"))' AS hq")
        watch()
    }

    deinit { sqlite3_close_v2(connection) }

    /// Runs statements of our own, whose text is known to be good.
    func run(_ sql: String) throws {
        sqlite3_set_authorizer(connection, nil, nil)
        defer { watch() }
        guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else { throw fault() }
    }

    /// Compiles one SELECT that a person wrote.
    func inspect(_ sql: String) throws -> Query {
        reads.hqTables = []
        reads.temporary = []
        reads.refused = nil
        var statement: OpaquePointer?
        defer { sqlite3_finalize(statement) }
        var rest = ""
        let status = sql.withCString { start in
            var tail: UnsafePointer<CChar>?
            let status = sqlite3_prepare_v2(connection, start, -1, &statement, &tail)
            if let tail { rest = String(cString: tail) }
            return status
        }
        if let refused = reads.refused { throw Fault(message: refused) }
        guard status == SQLITE_OK else { throw fault() }
        guard let statement else { throw Fault(message: "there is no query") }
        guard sqlite3_stmt_readonly(statement) != 0, sqlite3_column_count(statement) > 0 else {
            throw Fault(message: "only a SELECT may stand here")
        }
        if !rest.allSatisfy({ $0.isWhitespace || $0 == ";" }) {
            throw Fault(message: "one query may stand here; there is more after the ';'")
        }
        let columns = (0..<sqlite3_column_count(statement)).map { index in
            sqlite3_column_name(statement, index).map { String(cString: $0) } ?? ""
        }
        let parameters = (0..<sqlite3_bind_parameter_count(statement)).map { index in
            sqlite3_bind_parameter_name(statement, index + 1).map { String(cString: $0) } ?? "?"
        }
        return Query(
            columns: columns, hqTables: reads.hqTables, temporary: reads.temporary, parameters: parameters)
    }

    /// Names and key of one of HQ's tables; nil when no table is spelled like that: the change log tells names apart by
    /// their letters, where SQL does not mind capitals. A key is in its own order.
    func table(_ name: String) throws -> (columns: [String], key: [String])? {
        guard try exists("SELECT 1 FROM hq.sqlite_schema WHERE type IN ('table', 'view') AND name = ?", name) else {
            return nil
        }
        var statement: OpaquePointer?
        defer { sqlite3_finalize(statement) }
        sqlite3_set_authorizer(connection, nil, nil)
        defer { watch() }
        let sql = "SELECT name, pk FROM pragma_table_xinfo(?, 'hq') WHERE hidden = 0 ORDER BY cid"
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { throw fault() }
        sqlite3_bind_text(statement, 1, name, -1, unsafeBitCast(-1, to: sqlite3_destructor_type.self))
        var columns: [String] = []
        var key: [(Int32, String)] = []
        while sqlite3_step(statement) == SQLITE_ROW {
            let column = sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? ""
            columns.append(column)
            let position = sqlite3_column_int(statement, 1)
            if position > 0 { key.append((position, column)) }
        }
        return columns.isEmpty ? nil : (columns, key.sorted { $0.0 < $1.0 }.map(\.1))
    }

    /// HQ's tables and views, for hints.
    func tableNames() throws -> [String] {
        var statement: OpaquePointer?
        defer { sqlite3_finalize(statement) }
        sqlite3_set_authorizer(connection, nil, nil)
        defer { watch() }
        let sql = "SELECT name FROM hq.sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { throw fault() }
        var names: [String] = []
        while sqlite3_step(statement) == SQLITE_ROW {
            if let text = sqlite3_column_text(statement, 0) { names.append(String(cString: text)) }
        }
        return names.filter { !$0.hasPrefix("_waybill") && !$0.hasPrefix("sqlite_") }
    }

    /// The SQL of those of these names that are views.
    func views(_ names: Set<String>) throws -> [String: String] {
        guard !names.isEmpty else { return [:] }
        sqlite3_set_authorizer(connection, nil, nil)
        defer { watch() }
        var statement: OpaquePointer?
        defer { sqlite3_finalize(statement) }
        let sql = "SELECT name, sql FROM hq.sqlite_schema WHERE type = 'view'"
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { throw fault() }
        var views: [String: String] = [:]
        while sqlite3_step(statement) == SQLITE_ROW {
            let name = sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? ""
            if names.contains(name) {
                views[name] = sqlite3_column_text(statement, 1).map { String(cString: $0) } ?? ""
            }
        }
        return views
    }

    func isView(_ name: String) throws -> Bool {
        try exists("SELECT 1 FROM hq.sqlite_schema WHERE type = 'view' AND name = ?", name)
    }

    func hasOtherUniqueKeys(_ name: String) throws -> Bool {
        try exists("SELECT 1 FROM pragma_index_list(?, 'hq') WHERE \"unique\" AND origin <> 'pk'", name)
    }

    private func exists(_ sql: String, _ name: String) throws -> Bool {
        sqlite3_set_authorizer(connection, nil, nil)
        defer { watch() }
        var statement: OpaquePointer?
        defer { sqlite3_finalize(statement) }
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { throw fault() }
        sqlite3_bind_text(statement, 1, name, -1, unsafeBitCast(-1, to: sqlite3_destructor_type.self))
        return sqlite3_step(statement) == SQLITE_ROW
    }

    /// Has SQLite tell what the next statements read.
    private func watch() {
        sqlite3_set_authorizer(
            connection,
            { context, action, first, second, database, _ in
                guard let context else { return SQLITE_DENY }
                let reads = Unmanaged<Reads>.fromOpaque(context).takeUnretainedValue()
                return reads.note(action, first, second, database)
            }, Unmanaged.passUnretained(reads).toOpaque())
    }

    private func fault() -> Fault {
        let offset = Int(sqlite3_error_offset(connection))
        return Fault(message: String(cString: sqlite3_errmsg(connection)), offset: offset >= 0 ? offset : nil)
    }
}
