import Foundation
import GRDB
import WaybillDatabase
import WaybillModel

/// The database in which imports are written down: each import, its files, and every row as it stood in its file.
///
/// It is a file of its own, because HQ's must not grow by raw rows. So an import touches two files, and one of them
/// first; the order in which, and how the truth is found after a crash between the two, is ``recover(hq:)``'s subject.
public struct StagingDatabase: Sendable {
    public let path: String
    let now: @Sendable () -> Timestamp

    /// Creates the database where it is missing.
    public init(path: String, now: @escaping @Sendable () -> Timestamp) throws {
        self.path = path
        self.now = now
        if access(path, F_OK) != 0 {
            // Only an empty file takes the setting, and one in WAL mode is not empty any more. With it, freed pages
            // can be given back slice by slice.
            let first = try DatabaseQueue(path: path)
            try first.writeWithoutTransaction { try $0.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL; VACUUM") }
            try first.close()
        }
        try write { try $0.execute(sql: StagingDatabase.schema) }
    }

    func open() throws -> DatabaseQueue { try OpenDatabase.queue(at: path, label: "staging") }

    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        let queue = try open()
        defer { try? queue.close() }
        return try queue.read(body)
    }

    func write<Value>(_ body: (Database) throws -> Value) throws -> Value {
        let queue = try open()
        defer { try? queue.close() }
        return try queue.write(body)
    }

    /// A row's state is not stored: with a message it is `Error`, otherwise `Finished` when its import is, and
    /// `NotStarted` when it is not. So a million rows are finished by one update, and can never contradict it.
    private static let schema = """
        CREATE TABLE IF NOT EXISTS import (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            -- Under this name hq.db says that the rows are in it.
            token TEXT NOT NULL UNIQUE,
            started_at INTEGER NOT NULL,
            ended_at INTEGER,
            state TEXT NOT NULL CHECK (state IN ('Running', 'Finished', 'Rejected', 'Failed')),
            replaces INTEGER NOT NULL,
            skips_bad_rows INTEGER NOT NULL,
            -- The folder in which the files were found; empty: somebody named them.
            watch TEXT NOT NULL,
            version INTEGER,
            message TEXT NOT NULL DEFAULT ''
        );
        CREATE TABLE IF NOT EXISTS import_file (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            import INTEGER NOT NULL REFERENCES import (id),
            name TEXT NOT NULL,
            table_name TEXT NOT NULL,
            mapping TEXT NOT NULL,
            header BLOB NOT NULL DEFAULT x'',
            sha256 BLOB,
            rows INTEGER NOT NULL DEFAULT 0,
            bad_rows INTEGER NOT NULL DEFAULT 0,
            inserted INTEGER NOT NULL DEFAULT 0,
            updated INTEGER NOT NULL DEFAULT 0,
            unchanged INTEGER NOT NULL DEFAULT 0,
            removed INTEGER NOT NULL DEFAULT 0,
            -- When a file of a watched folder was moved away; until then it must not be imported once more.
            filed_at INTEGER
        );
        CREATE INDEX IF NOT EXISTS import_file_import ON import_file (import);
        CREATE INDEX IF NOT EXISTS import_file_unfiled ON import_file (name)
            WHERE sha256 IS NOT NULL AND filed_at IS NULL;
        CREATE TABLE IF NOT EXISTS import_row (
            -- The file's id times 2^32, plus the line: rows are appended in the order of reading and come out as they
            -- stand in the file. One number costs half of what a key of two columns would.
            place INTEGER PRIMARY KEY,
            -- The record as one line of CSV, whatever bytes it has.
            raw BLOB NOT NULL,
            message TEXT
        );
        CREATE INDEX IF NOT EXISTS import_row_bad ON import_row (place) WHERE message IS NOT NULL;
        """
}

/// Where the row of a line stands among all staged rows.
enum RowPlace {
    private static let linesMax: Int64 = 1 << 32

    static func of(file: Int64, line: Int) -> Int64 { file * linesMax + Int64(line) }

    /// SQL: whether a row belongs to a file; a range of the primary key. `file` is an expression of ours.
    static func isOf(_ file: String) -> String {
        "place BETWEEN \(file) * \(linesMax) AND \(file) * \(linesMax) + \(linesMax - 1)"
    }

    /// SQL: the line of a row.
    static let line = "place % \(linesMax)"
}

// MARK: The truth after a crash

extension StagingDatabase {
    /// Ends the imports that a process which is no more has left running, with what was really done.
    ///
    /// An import first makes its staged rows durable, then writes HQ's rows and its own token in one transaction of
    /// `hq.db`, then ends here. So the token says it all: with it the rows are in HQ, without it none is.
    /// Call it before any import of this process begins.
    public func recover(hq hqPath: String) throws {
        let running = try read { db in
            try Row.fetchAll(db, sql: "SELECT id, token FROM import WHERE state = 'Running'")
                .map { (id: $0[0] as Int64, token: $0[1] as String) }
        }
        guard !running.isEmpty else { return }
        let hq = try OpenDatabase.queue(at: hqPath, label: "import", isReadOnly: true)
        defer { try? hq.close() }
        for (id, token) in running {
            let written = try hq.read { try ImportToken.report(of: token, in: $0) }
            try write { db in
                if let written {
                    try ImportRecord.finish(id, written, at: now(), in: db)
                } else {
                    try ImportRecord.end(
                        id, "Failed", at: now(),
                        message: "the hub ended before anything was written; nothing was imported", in: db)
                }
            }
        }
    }
}

/// The row of `hq.db` that says that an import is in it, and what it did.
enum ImportToken {
    private static let prefix = "import "

    static func name(_ token: String) -> String { prefix + token }

    /// Written in the transaction that writes the rows.
    static func write(_ token: String, _ report: ImportReport, in db: Database) throws {
        var report = report
        // What recovery needs; faults may be long, and stand beside their rows.
        report.warnings = []
        report.faults = []
        let json = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
        try db.execute(
            sql: "INSERT INTO main._waybill_meta (name, value) VALUES (?, ?)", arguments: [name(token), json])
    }

    static func report(of token: String, in db: Database) throws -> ImportReport? {
        let json = try String.fetchOne(
            db, sql: "SELECT value FROM main._waybill_meta WHERE name = ?", arguments: [name(token)])
        return try json.map { try JSONDecoder().decode(ImportReport.self, from: Data($0.utf8)) }
    }

    static func all(in db: Database) throws -> [String] {
        // A range of the primary key.
        try String.fetchAll(
            db, sql: "SELECT name FROM main._waybill_meta WHERE name >= ? AND name < ?",
            arguments: [prefix, "import!"]
        ).map { String($0.dropFirst(prefix.count)) }
    }

    static func remove(_ tokens: [String], in db: Database) throws {
        for token in tokens {
            try db.execute(sql: "DELETE FROM main._waybill_meta WHERE name = ?", arguments: [name(token)])
        }
    }
}
