import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase

/// Imports CSV files into HQ's business tables: all rows of all files, or nothing.
///
/// Files are read into TEMP tables, with every value checked; then the rows are checked as sets; then what differs
/// from HQ is written in one transaction. Only that last step holds HQ's write lock, and only for rows that change.
public enum HQImport {
    /// Imports `files` into the HQ database at `databasePath`. Blocks until done.
    ///
    /// - Parameter progress: called on this thread, about every 256 KiB read and at each further step. What it throws
    ///   stops the import, with nothing changed.
    /// - Throws: ``ImportRejected`` with all faults of the files, ``ImportFailed`` when the database is in the way,
    ///   and what `progress` throws. Nothing is changed in any of these cases.
    @discardableResult
    public static func run(
        files: [ImportFile], into databasePath: String, options: ImportOptions = ImportOptions(),
        progress: (ImportProgress) throws -> Void = { _ in }
    ) throws -> ImportReport {
        var faults = FaultList()
        let staged = tables(of: files, &faults)
        guard faults.isEmpty else { throw ImportRejected(faults: faults.first, total: faults.total) }
        guard access(databasePath, F_OK) == 0 else { throw ImportFailed(FileFault("open", databasePath).description) }
        do {
            let queue = try OpenDatabase.queue(at: databasePath, label: "import")
            return try queue.writeWithoutTransaction { db in
                // Pages of the key indexes: more of them in memory means fewer seeks, and the bound is known.
                try db.execute(sql: "PRAGMA temp.cache_size = -65536; PRAGMA main.cache_size = -65536")
                let session = ImportSession(db: db, files: files, options: options)
                return try session.run(staged, progress: progress)
            }
        } catch let error as DatabaseError {
            throw ImportFailed(sentence(error, databasePath))
        }
    }

    private static func tables(of files: [ImportFile], _ faults: inout FaultList) -> [StagedFile] {
        var staged: [StagedFile] = []
        for (index, file) in files.enumerated() {
            if let first = staged.first(where: { $0.table.name == file.table }) {
                faults.add(
                    file, index, line: 0,
                    reason: "table \(file.table) is already filled by \(first.file.path); one file a table")
            } else if let table = HQCatalogue.table(file.table) {
                staged.append(StagedFile(file, index: index, table: table))
            } else {
                faults.add(file, index, line: 0, reason: noSuchTable(file.table))
            }
        }
        return staged
    }

    /// Why a file of this name cannot be imported.
    public static func noSuchTable(_ name: String) -> String {
        "HQ has no table \(excerpt(Array(name.utf8))); its tables are "
            + HQCatalogue.tables.map(\.name).joined(separator: ", ")
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

/// One import on its connection.
private struct ImportSession {
    let db: Database
    let files: [ImportFile]
    let options: ImportOptions

    func run(_ tables: [StagedFile], progress: (ImportProgress) throws -> Void) throws -> ImportReport {
        for table in tables {
            if let obstacle = try TableWriting(staged: table).obstacle(in: db) { throw ImportFailed(obstacle) }
        }
        var faults = FaultList()
        var now = ImportProgress(file: "", rowsRead: 0, bytesRead: 0, bytesTotal: bytesTotal, phase: .reading)
        let staged = try stage(tables, &now, &faults, progress)
        let examination = Examination(files: staged, options: options)

        now.phase = .checking
        for table in staged {
            now.file = table.file.displayName
            try progress(now)
            try examination.findDuplicateKeys(table, in: db, &faults)
        }
        // Taken before HQ's rows are looked at: if it is the same in the transaction, what was seen still holds.
        let versionSeen = try dataVersion()
        var warnings = FaultList()
        try examination.checkReferences(in: db, &faults, &warnings)
        guard faults.isEmpty else { throw ImportRejected(faults: faults.first, total: faults.total) }

        now.phase = .comparing
        for table in staged {
            now.file = table.file.displayName
            try progress(now)
            try TableWriting(staged: table).compare(in: db)
        }
        now.phase = .writing
        return try write(staged, examination, versionSeen, warnings) { file in
            now.file = file.displayName
            try progress(now)
        }
    }

    private var bytesTotal: Int64 {
        // A file that cannot be read is named when its turn comes.
        files.reduce(0) { $0 + ((try? CSVFile.size(of: $1.path)) ?? 0) }
    }

    private func stage(
        _ tables: [StagedFile], _ now: inout ImportProgress, _ faults: inout FaultList,
        _ progress: (ImportProgress) throws -> Void
    ) throws -> [StagedFile] {
        var staged: [StagedFile] = []
        for table in tables {
            var staging = try FileStaging(table, in: db)
            let before = now
            now.file = table.file.displayName
            try progress(now)
            // Deferred: the rows go to TEMP tables, and HQ's file is neither read nor locked.
            try db.inTransaction(.deferred) {
                try staging.read(into: &faults) { rows, bytesRead in
                    now.rowsRead = before.rowsRead + rows
                    now.bytesRead = before.bytesRead + bytesRead
                    try progress(now)
                }
                return .commit
            }
            now.rowsRead = before.rowsRead + staging.staged.rows
            staged.append(staging.staged)
        }
        return staged
    }

    /// Writes everything in one transaction, parents first.
    private func write(
        _ staged: [StagedFile], _ examination: Examination, _ versionSeen: Int64, _ warningsSeen: FaultList,
        progress: (ImportFile) throws -> Void
    ) throws -> ImportReport {
        var warnings = warningsSeen
        var reports: [String: ImportReport.Table] = [:]
        var version: Int64 = 0
        if let first = staged.first { try progress(first.file) }
        try db.inTransaction(.immediate) {
            if try dataVersion() != versionSeen {
                try examineAgain(staged, examination, &warnings)
            }
            let byCatalogue = HQCatalogue.tables.compactMap { table in staged.first { $0.table.name == table.name } }
            for table in byCatalogue {
                try progress(table.file)
                let writing = TableWriting(staged: table)
                let (inserted, updated) = try writing.counts(in: db)
                try writing.upsert(in: db)
                reports[table.table.name] = ImportReport.Table(
                    table: table.table.name, file: table.file.displayName, rows: table.rows, inserted: inserted,
                    updated: updated, unchanged: table.rows - inserted - updated, removed: 0)
            }
            if options.replace {
                for table in byCatalogue.reversed() {
                    reports[table.table.name]?.removed = try TableWriting(staged: table).removeOthers(in: db)
                }
            }
            version = try ChangeLog.head(in: db)
            return .commit
        }
        return ImportReport(
            tables: staged.compactMap { reports[$0.table.name] }, warnings: warnings.first,
            warningsTotal: warnings.total, version: version)
    }

    /// Somebody changed HQ since it was looked at. Now nobody can, so this look is the last one needed.
    private func examineAgain(
        _ staged: [StagedFile], _ examination: Examination, _ warnings: inout FaultList
    ) throws {
        var faults = FaultList()
        warnings = FaultList()
        try examination.checkReferences(in: db, &faults, &warnings)
        guard faults.isEmpty else { throw ImportRejected(faults: faults.first, total: faults.total) }
        for table in staged { try TableWriting(staged: table).compare(in: db) }
    }

    /// Another number whenever another connection has committed to HQ's database.
    private func dataVersion() throws -> Int64 {
        try Int64.fetchOne(db, sql: "PRAGMA main.data_version") ?? 0
    }
}
