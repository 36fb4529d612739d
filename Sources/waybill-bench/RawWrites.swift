import GRDB
import GRDBSQLite
import WaybillDatabase
import WaybillSessions

/// A new database with some of the tables of `hub.db`, their indexes and triggers, for SQLite's own interface.
private struct RawDatabase {
    let path: String
    /// Tables first, then what stands on them.
    private let schema: [String]

    init(_ tables: [String], hasTriggers: Bool, of template: Operations, path: String) throws {
        self.path = path
        schema = try template.read { db in
            try String.fetchAll(
                db,
                sql: """
                    SELECT sql FROM sqlite_schema
                    WHERE tbl_name IN (SELECT value FROM json_each(?)) AND sql IS NOT NULL AND (type <> 'trigger' OR ?)
                    ORDER BY type = 'table' DESC, type = 'index' DESC
                    """, arguments: ["[\(tables.map { "\"\($0)\"" }.joined(separator: ","))]", hasTriggers])
        }
    }

    func open<Result>(_ body: (RawConnection) throws -> Result) throws -> Result {
        let queue = try OpenDatabase.queue(at: path, label: "raw")
        defer { try? queue.close() }
        return try queue.writeWithoutTransaction { db in
            for statement in schema { try db.execute(sql: statement) }
            guard let connection = db.sqliteConnection else { throw BenchFault("SQLite has no connection") }
            return try body(RawConnection(connection: connection))
        }
    }
}

private struct RawConnection {
    let connection: OpaquePointer

    func run(_ sql: String) throws {
        guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else {
            throw BenchFault("SQLite refused '\(sql)': \(String(cString: sqlite3_errmsg(connection)))")
        }
    }

    /// A statement that takes a store's name as ?1 and a time as ?2.
    func prepare(_ sql: String) throws -> OpaquePointer {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK, let statement else {
            throw BenchFault("SQLite refused '\(sql)': \(String(cString: sqlite3_errmsg(connection)))")
        }
        return statement
    }

    func step(_ statement: OpaquePointer, store: String) throws {
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        sqlite3_bind_text(statement, 1, store, -1, transient)
        sqlite3_bind_int64(statement, 2, 1_790_000_000_000)
        guard sqlite3_step(statement) == SQLITE_DONE, sqlite3_changes(connection) == 1 else {
            throw BenchFault("a row was not written: \(String(cString: sqlite3_errmsg(connection)))")
        }
        sqlite3_reset(statement)
    }

    /// Every store in turn, so many in each synced transaction.
    func write(_ stores: [String], batch: Int, _ statements: [OpaquePointer]) throws {
        for start in stride(from: 0, to: stores.count, by: batch) {
            try run("BEGIN IMMEDIATE")
            for store in stores[start..<min(start + batch, stores.count)] {
                for statement in statements { try step(statement, store: store) }
            }
            try run("COMMIT")
        }
    }
}

private let package = String(repeating: "ab", count: 32)

/// The limit: rows of the shape of a delivery, put into a table with the same indexes by SQLite's own interface, so
/// many in each synced transaction. No decoding, no decision, no answer.
struct RawInserts {
    private let database: RawDatabase

    init(template: Operations, path: String) throws {
        database = try RawDatabase(["delivery"], hasTriggers: false, of: template, path: path)
    }

    func perSecond(rows: Int, batch: Int) throws -> Double {
        let stores = (0..<rows).map { "S\($0)" }
        return try database.open { raw in
            let insert = try raw.prepare(
                """
                INSERT INTO delivery (
                    session, store_id, session_id, job, epoch, version, package, status, is_open, is_no_data, run,
                    is_granted, told_outcome, told_attempt, attempts, requested_at, downloaded_at, applied_at,
                    rows_changed, longest_lock_ms)
                VALUES (1, ?1, '1-aabbccddeeff', 'bench-prices', 1, 7, '\(package)', 'Applied', 0, 0, 1, 1, 'applied', 1,
                    1, ?2, ?2, ?2, 100, 12)
                """)
            defer { sqlite3_finalize(insert) }
            return Double(rows) / (try seconds { try raw.write(stores, batch: batch, [insert]) })
        }
    }
}

/// What a fold writes when stores say that they have downloaded a package, and then that they have applied it: the same
/// rows, indexes and sums, by SQLite's own interface. Nothing is decoded, decided or answered.
struct RawFold {
    private let database: RawDatabase

    init(template: Operations, path: String) throws {
        database = try RawDatabase(
            ["delivery", "package", "session_tally", "store", "position", "reach"], hasTriggers: true, of: template,
            path: path)
    }

    /// Messages, two of each store.
    func perSecond(stores count: Int, batch: Int) throws -> Double {
        let stores = (0..<count).map { "S\($0)" }
        return try database.open { raw in
            try fill(raw, count)
            let downloaded = [
                try raw.prepare(
                    """
                    UPDATE delivery
                    SET status = 'Downloaded', told_outcome = 'downloaded', told_message = '', message = '',
                        downloaded_at = ?2
                    WHERE session = 1 AND store_id = ?1 AND run = 1 AND status = 'Requested'
                    """)
            ]
            let applied = [
                try raw.prepare(
                    """
                    UPDATE delivery
                    SET status = 'Applied', is_open = 0, told_outcome = 'applied', told_message = '', message = '',
                        applied_at = ?2, rows_changed = 100, longest_lock_ms = 12
                    WHERE session = 1 AND store_id = ?1 AND run = 1 AND status = 'Downloaded'
                    """),
                try raw.prepare("UPDATE store SET sequence = 2, last_seen = ?2, message = '' WHERE store_id = ?1"),
                try raw.prepare(
                    """
                    UPDATE position SET epoch = 1, version = 7, session = '1-aabbccddeeff'
                    WHERE store_id = ?1 AND job = 'bench-prices'
                    """),
            ]
            defer { for statement in downloaded + applied { sqlite3_finalize(statement) } }
            let time = try seconds {
                try raw.write(stores, batch: batch, downloaded)
                try raw.write(stores, batch: batch, applied)
            }
            return Double(2 * count) / time
        }
    }

    private func fill(_ raw: RawConnection, _ count: Int) throws {
        let stores = """
            WITH RECURSIVE store_number (number) AS (
                VALUES (0) UNION ALL SELECT number + 1 FROM store_number WHERE number + 1 < \(count)
            )
            """
        try raw.run(
            """
            BEGIN;
            INSERT INTO reach VALUES (1);
            INSERT INTO package VALUES ('\(package)', 1, 'delta', 100, 5000, zeroblob(900), zeroblob(64));
            INSERT INTO store (store_id, state, public_key, added_at)
            \(stores) SELECT 'S' || number, 'active', randomblob(32), 1 FROM store_number;
            INSERT INTO position (store_id, job, epoch, version, session)
            \(stores) SELECT 'S' || number, 'bench-prices', 1, 6, '0-aabbccddeeff' FROM store_number;
            INSERT INTO delivery (
                session, store_id, session_id, job, epoch, version, package, status, is_open, is_no_data, run,
                is_granted, told_outcome, told_attempt, attempts, requested_at)
            \(stores)
            SELECT 1, 'S' || number, '1-aabbccddeeff', 'bench-prices', 1, 7, '\(package)', 'Requested', 1, 0, 1, 1,
                'requested', 1, 1, 1790000000000
            FROM store_number;
            COMMIT
            """)
    }
}
