import Foundation
import GRDB
import WaybillDatabase

/// Imports CSV files into HQ's business tables: all rows of all files, or nothing; or all good rows, if asked for.
///
/// Files are read into TEMP tables, with every value checked, and into the staging database as they stand; then the
/// rows are checked as sets; then what differs from HQ is written in one transaction. Only that last step holds HQ's
/// write lock, and only for rows that change.
public enum HQImport {
    /// Imports `files` into the HQ database at `databasePath`. Blocks until done.
    ///
    /// - Parameters:
    ///   - staging: where the import and its rows are written down; nil: nowhere.
    ///   - progress: called on this thread, about every 256 KiB read and at each further step. What it throws
    ///     stops the import, with nothing changed.
    /// - Throws: ``ImportRejected`` with all faults of the files, ``ImportFailed`` when the database is in the way,
    ///   and what `progress` throws. Nothing is changed in any of these cases.
    @discardableResult
    public static func run(
        files: [ImportFile], into databasePath: String, staging: StagingDatabase? = nil,
        options: ImportOptions = ImportOptions(), progress: (ImportProgress) throws -> Void = { _ in }
    ) throws -> ImportReport {
        guard let staging else {
            return try connected(databasePath) { db in
                try session(db, files, options, nil).run(progress: progress)
            }
        }
        do {
            return try staged(files, into: databasePath, staging, options, progress)
        } catch let error as DatabaseError {
            throw ImportFailed(sentence(error, staging.path))
        }
    }

    private static func staged(
        _ files: [ImportFile], into databasePath: String, _ staging: StagingDatabase, _ options: ImportOptions,
        _ progress: (ImportProgress) throws -> Void
    ) throws -> ImportReport {
        let (fresh, hashes, already) = try staging.unknown(files, options: options)
        // A connection of its own: the rows of one file are written in many small transactions.
        let queue = try staging.open()
        defer { try? queue.close() }
        return try queue.writeWithoutTransaction { stagingDB in
            if fresh.isEmpty, !already.isEmpty {
                return ImportReport(tables: [], warnings: [], warningsTotal: 0, version: 0, already: already)
            }
            let record = try ImportRecord(
                fresh, hashes: hashes, options: options, in: stagingDB, now: staging.now)
            do {
                var report = try connected(databasePath) { db in
                    try session(db, fresh, options, record).run(progress: progress)
                }
                report.already = already
                return report
            } catch {
                // When this fails as well, the next start of the hub finds out what was done.
                try? record.end(error)
                throw error
            }
        }
    }

    /// What ``run(files:into:staging:options:progress:)`` would do, without doing it. Writes nothing anywhere.
    public static func preview(
        files: [ImportFile], of databasePath: String, options: ImportOptions = ImportOptions(),
        progress: (ImportProgress) throws -> Void = { _ in }
    ) throws -> ImportPreview {
        try connected(databasePath) { db in
            try session(db, files, options, nil).preview(progress: progress)
        }
    }

    /// The tables that files can fill.
    public static func tables(of databasePath: String) throws -> HQTableList {
        let queue = try OpenDatabase.queue(at: databasePath, label: "import", isReadOnly: true)
        defer { try? queue.close() }
        return try queue.read { try HQTableList(in: $0) }
    }

    private static func session(
        _ db: Database, _ files: [ImportFile], _ options: ImportOptions, _ record: ImportRecord?
    ) throws -> ImportSession {
        ImportSession(
            db: db, files: files, options: options, tables: try HQTableList(in: db), record: record,
            verdicts: try RowVerdicts(record: record, leavingOutIn: options.skipBadRows ? db : nil))
    }

    private static func connected<Value>(_ databasePath: String, _ body: (Database) throws -> Value) throws -> Value {
        guard access(databasePath, F_OK) == 0 else { throw ImportFailed(FileFault("open", databasePath).description) }
        do {
            let queue = try OpenDatabase.queue(at: databasePath, label: "import")
            defer { try? queue.close() }
            return try queue.writeWithoutTransaction { db in
                // Pages of the key indexes: more of them in memory means fewer seeks, and the bound is known.
                try db.execute(sql: "PRAGMA temp.cache_size = -65536; PRAGMA main.cache_size = -65536")
                return try body(db)
            }
        } catch let error as DatabaseError {
            throw ImportFailed(sentence(error, databasePath))
        }
    }

    private static func sentence(_ error: DatabaseError, _ path: String) -> String {
        switch error.resultCode {
        case .SQLITE_BUSY:
            "another program has held the write lock of \(path) for \(OpenDatabase.busyMilliseconds / 1000) s; "
                + "try again when it has finished"
        case .SQLITE_FULL:
            "the disk of \(path) or of its temporary files is full"
        default:
            "\(path): \(error.message ?? "SQLite error \(error.extendedResultCode.rawValue)")"
        }
    }
}
