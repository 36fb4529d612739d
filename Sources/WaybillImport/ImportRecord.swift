import Foundation
import GRDB
import GRDBSQLite
import WaybillDatabase
import WaybillModel

/// Writes one import down in the staging database while it runs. Belongs to the import's thread.
final class ImportRecord {
    let id: Int64
    let token: String
    private let db: Database
    private let now: () -> Timestamp
    private var files: [Int64] = []
    private let insertion: Statement
    private let noting: Statement

    /// Writes down that the import has begun.
    init(
        _ importFiles: [ImportFile], hashes: [[UInt8]?], options: ImportOptions, in db: Database,
        now: @escaping () -> Timestamp
    ) throws {
        self.db = db
        self.now = now
        token = String(UInt64.random(in: .min ... .max), radix: 16)
        insertion = try db.makeStatement(
            sql: "INSERT INTO import_row (place, raw, message) VALUES (?, ?, ?)")
        noting = try db.makeStatement(
            sql: """
                UPDATE import_row SET message = CASE WHEN message IS NULL THEN ?2 ELSE message || '; ' || ?2 END
                WHERE place = ?1
                """)
        try db.beginTransaction(.immediate)
        try db.execute(
            sql: """
                INSERT INTO import (token, started_at, state, replaces, skips_bad_rows, watch)
                VALUES (?, ?, 'Running', ?, ?, ?)
                """,
            arguments: [token, now().milliseconds, options.replace, options.skipBadRows, options.watch ?? ""])
        id = db.lastInsertedRowID
        for (file, hash) in zip(importFiles, hashes) {
            try db.execute(
                sql: "INSERT INTO import_file (import, name, table_name, mapping, sha256) VALUES (?, ?, ?, ?, ?)",
                arguments: [id, file.displayName, file.table, file.mapping?.name ?? "", hash.map { Data($0) }])
            files.append(db.lastInsertedRowID)
        }
        try db.commit()
        // From here on batches need not be on the disk one by one: ``settle()`` makes all of them durable at once.
        try db.execute(sql: "PRAGMA synchronous = NORMAL")
    }

    // MARK: Rows

    func header(_ file: Int, _ raw: [UInt8]) throws {
        try begin()
        try db.execute(
            sql: "UPDATE import_file SET header = ? WHERE id = ?", arguments: [Data(raw), files[file]])
    }

    /// - Parameter message: what is wrong with the row, as far as it is known by now.
    func row(_ file: Int, line: Int, _ raw: [UInt8], message: String?) throws {
        try begin()
        let handle = insertion.sqliteStatement
        var code = sqlite3_bind_int64(handle, 1, RowPlace.of(file: files[file], line: line))
        try raw.withUnsafeBytes { bytes in
            if code == SQLITE_OK { code = sqlite3_bind_blob(handle, 2, bytes.baseAddress, Int32(bytes.count), nil) }
            if var message {
                message.withUTF8 { text in
                    text.withMemoryRebound(to: CChar.self) {
                        // SQLite copies (-1): the text is gone when this closure ends.
                        let copies = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
                        code =
                            code == SQLITE_OK
                            ? sqlite3_bind_text(handle, 3, $0.baseAddress, Int32($0.count), copies) : code
                    }
                }
            } else if code == SQLITE_OK {
                code = sqlite3_bind_null(handle, 3)
            }
            if code == SQLITE_OK { code = sqlite3_step(handle) }
            sqlite3_reset(handle)
            guard code == SQLITE_DONE else { throw DatabaseError(resultCode: ResultCode(rawValue: code)) }
        }
    }

    /// Something is wrong with a row that is written down already.
    func note(_ file: Int, line: Int, message: String) throws {
        try begin()
        try noting.execute(arguments: [RowPlace.of(file: files[file], line: line), message])
    }

    private func begin() throws {
        if !db.isInsideTransaction { try db.beginTransaction(.immediate) }
    }

    /// Lets others write to the staging database: called every few milliseconds.
    func endBatch() throws {
        if db.isInsideTransaction { try db.commit() }
    }

    /// Makes everything durable that was written down so far.
    func settle(_ staged: [StagedFile]) throws {
        try endBatch()
        try db.execute(sql: "PRAGMA synchronous = FULL")
        try db.inTransaction(.immediate) {
            for file in staged {
                try db.execute(
                    sql: "UPDATE import_file SET rows = ? WHERE id = ?", arguments: [file.rows, files[file.index]])
            }
            try ImportRecord.countBadRows(of: id, in: db)
            return .commit
        }
    }

    /// Tokens of `hq.db` that nobody asks for any more: their imports have ended here, or are not known.
    func unneeded(_ tokens: [String]) throws -> [String] {
        try tokens.filter { token in
            try
                !(Bool.fetchOne(
                    db, sql: "SELECT EXISTS (SELECT 1 FROM import WHERE token = ? AND state = 'Running')",
                    arguments: [token]) ?? false)
        }
    }

    // MARK: Its end

    func finish(_ report: ImportReport) throws {
        try endBatch()
        try db.inTransaction(.immediate) {
            try ImportRecord.countBadRows(of: id, in: db)
            try ImportRecord.finish(id, report, at: now(), in: db)
            return .commit
        }
    }

    /// Ends an import that has changed nothing.
    func end(_ error: any Error) throws {
        if db.isInsideTransaction { try db.commit() }
        try db.execute(sql: "PRAGMA synchronous = FULL")
        let state = error is ImportRejected ? "Rejected" : "Failed"
        try db.inTransaction(.immediate) {
            try db.execute(
                sql: """
                    -- A range of the primary key for each file.
                    UPDATE import_file SET rows = (SELECT count(*) FROM import_row WHERE \(RowPlace.isOf("import_file.id")))
                    WHERE import = ?
                    """, arguments: [id])
            try ImportRecord.countBadRows(of: id, in: db)
            let message = error is CancellationError ? "called off; nothing was imported" : "\(error)"
            try ImportRecord.end(id, state, at: now(), message: message, in: db)
            return .commit
        }
    }

    static func finish(_ id: Int64, _ report: ImportReport, at time: Timestamp, in db: Database) throws {
        for table in report.tables {
            try db.execute(
                sql: """
                    UPDATE import_file SET inserted = ?, updated = ?, unchanged = ?, removed = ?
                    WHERE import = ? AND table_name = ?
                    """,
                arguments: [table.inserted, table.updated, table.unchanged, table.removed, id, table.table])
        }
        let skipped =
            report.skipped == 0 ? "" : "\(report.skipped) bad \(report.skipped == 1 ? "row was" : "rows were") left out"
        try db.execute(sql: "UPDATE import SET version = ? WHERE id = ?", arguments: [report.version, id])
        try end(id, "Finished", at: time, message: skipped, in: db)
    }

    static func end(_ id: Int64, _ state: String, at time: Timestamp, message: String, in db: Database) throws {
        try db.execute(
            sql: "UPDATE import SET state = ?, ended_at = ?, message = ? WHERE id = ?",
            arguments: [state, time.milliseconds, message, id])
    }

    private static func countBadRows(of id: Int64, in db: Database) throws {
        try db.execute(
            sql: """
                -- Counts in the index on bad rows alone.
                UPDATE import_file SET bad_rows = (
                    SELECT count(*) FROM import_row
                    WHERE \(RowPlace.isOf("import_file.id")) AND message IS NOT NULL
                )
                WHERE import = ?
                """, arguments: [id])
    }
}
