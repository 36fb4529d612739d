import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase

/// One import, or the preview of one, on its connection.
struct ImportSession {
    let db: Database
    let files: [ImportFile]
    let options: ImportOptions
    let tables: HQTableList
    /// Where it is written down; nil: nowhere.
    let record: ImportRecord?
    let verdicts: RowVerdicts

    /// What is known before anything is written.
    private struct Examined {
        var staged: [StagedFile]
        var faults: FaultList
        var warnings: FaultList
        var versionSeen: Int64
    }

    func run(progress: (ImportProgress) throws -> Void) throws -> ImportReport {
        var now = ImportProgress(file: "", rowsRead: 0, bytesRead: 0, bytesTotal: bytesTotal, phase: .reading)
        var examined = try examine(&now, progress)
        if let record {
            try record.settle(examined.staged)
            CrashPoint.importStaged.pass()
        }
        var report: ImportReport?
        while report == nil {
            try compare(examined.staged, &now, progress)
            now.phase = .writing
            do {
                report = try write(&examined) { file in
                    now.file = file.displayName
                    try progress(now)
                }
            } catch let error as DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {
                try nameRefusedRows(&examined, error)
            }
        }
        guard var report else { throw ImportFailed("the import did not end") }
        CrashPoint.importWritten.pass()
        report.importID = record?.id
        do {
            try record?.finish(report)
        } catch {
            // The rows are in HQ: that is the answer. The next start of the hub brings the staging database along.
            report.warnings.append(
                ImportFault(file: "staging.db", line: 0, reason: "the end of the import could not be noted: \(error)"))
            report.warningsTotal += 1
        }
        return report
    }

    /// The same up to the writing. Faults are part of the answer.
    func preview(progress: (ImportProgress) throws -> Void) throws -> ImportPreview {
        var now = ImportProgress(file: "", rowsRead: 0, bytesRead: 0, bytesTotal: bytesTotal, phase: .reading)
        var preview = ImportPreview()
        do {
            let examined = try examine(&now, progress)
            try compare(examined.staged, &now, progress)
            preview.faults = examined.faults.first
            preview.faultsTotal = examined.faults.total
            preview.warnings = examined.warnings.first
            preview.warningsTotal = examined.warnings.total
            for staged in examined.staged {
                let writing = TableWriting(staged: staged)
                let (inserted, updated) = try writing.counts(in: db)
                let removed = options.replace ? try writing.countOthers(in: db) : 0
                preview.tables.append(
                    ImportPreview.Table(
                        counts: report(staged, inserted, updated, removed: removed),
                        columns: staged.table.columns.map(\.name),
                        rows: try writing.firstRows(ImportLimits.previewRowsMax, in: db)
                            .map { ImportPreview.Row(change: $0.change, values: $0.values) }))
            }
        } catch let rejected as ImportRejected {
            preview.faults = rejected.faults
            preview.faultsTotal = rejected.total
            preview.isRejected = true
        }
        return preview
    }

    // MARK: Reading and checking

    private func examine(
        _ now: inout ImportProgress, _ progress: (ImportProgress) throws -> Void
    ) throws -> Examined {
        var faults = FaultList(verdicts: verdicts)
        let staged = try resolved(&faults)
        guard faults.isEmpty else { throw rejection(faults) }
        for table in staged {
            if let obstacle = try TableWriting(staged: table).obstacle(in: db) { throw ImportFailed(obstacle) }
        }
        var examined = Examined(staged: [], faults: faults, warnings: FaultList(), versionSeen: 0)
        examined.staged = try stage(staged, &now, &examined.faults, progress)

        now.phase = .checking
        if options.skipBadRows {
            // A header or a file that cannot be read is not a bad row: nobody knows what is missing.
            guard examined.staged.allSatisfy({ $0.isWhole && $0.isHeaderGood }) else {
                throw rejection(examined.faults)
            }
            try leaveOut(&examined)
        }
        for index in examined.staged.indices {
            now.file = examined.staged[index].file.displayName
            try progress(now)
            try examination(examined).findDuplicateKeys(examined.staged[index], in: db, &examined.faults)
            if options.skipBadRows { try examined.staged[index].leaveOutBadRows(in: db) }
        }
        // Taken before HQ's rows are looked at: if it is the same in the transaction, what was seen still holds.
        examined.versionSeen = try dataVersion()
        try checkReferences(&examined)
        return examined
    }

    private func examination(_ examined: Examined) -> Examination {
        Examination(files: examined.staged, tables: tables, options: options)
    }

    /// Without bad rows to leave out, one look, which must find nothing. With them until nothing more is found:
    /// each row that is left out may be one that others name.
    private func checkReferences(_ examined: inout Examined) throws {
        for _ in 0..<ImportLimits.skipRoundsMax {
            let before = verdicts.count
            examined.warnings = FaultList()
            try examination(examined).checkReferences(in: db, &examined.faults, &examined.warnings)
            guard options.skipBadRows else {
                guard examined.faults.isEmpty else { throw rejection(examined.faults) }
                return
            }
            if verdicts.count == before {
                let isAnyGood = examined.staged.contains { $0.skipped < $0.rows } || examined.faults.isEmpty
                guard isAnyGood else { throw rejection(examined.faults) }
                return
            }
            try leaveOut(&examined)
        }
        throw rejection(examined.faults)
    }

    private func leaveOut(_ examined: inout Examined) throws {
        for index in examined.staged.indices { try examined.staged[index].leaveOutBadRows(in: db) }
    }

    private func rejection(_ faults: FaultList) -> ImportRejected {
        ImportRejected(faults: faults.first, total: faults.total)
    }

    private func resolved(_ faults: inout FaultList) throws -> [StagedFile] {
        var staged: [StagedFile] = []
        for (index, file) in files.enumerated() {
            if let first = staged.first(where: { $0.table.name == file.table }) {
                try faults.add(
                    file, index, line: 0,
                    reason: "table \(file.table) is already filled by \(first.file.path); one file a table")
            } else if let table = tables.table(file.table) {
                staged.append(StagedFile(file, index: index, table: table))
            } else {
                try faults.add(file, index, line: 0, reason: tables.noSuchTable(file.table))
            }
        }
        return staged
    }

    private var bytesTotal: Int64 {
        // A file that cannot be read is named when its turn comes.
        files.reduce(0) { $0 + ((try? CSVFile.size(of: $1.path)) ?? 0) }
    }

    /// Reads all files, in the order of the call; those with look-ups last, when what they look for is there.
    private func stage(
        _ tables: [StagedFile], _ now: inout ImportProgress, _ faults: inout FaultList,
        _ progress: (ImportProgress) throws -> Void
    ) throws -> [StagedFile] {
        var staged: [StagedFile] = []
        func looksUp(_ table: StagedFile) -> Bool { table.file.mapping?.columns.contains { $0.lookup != nil } ?? false }
        let inOrder =
            tables.filter { !looksUp($0) }
            + tables.filter(looksUp).sorted { position(of: $0) < position(of: $1) }
        for table in inOrder {
            var staging = FileStaging(table, earlier: staged, verdicts: verdicts, in: db)
            let before = now
            now.file = table.file.displayName
            try progress(now)
            // Deferred: the rows go to TEMP tables, and HQ's file is neither written nor locked.
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
        return staged.sorted { $0.index < $1.index }
    }

    private func position(of staged: StagedFile) -> Int { tables.position(of: staged.table.name) }

    // MARK: Comparing and writing

    private func compare(
        _ staged: [StagedFile], _ now: inout ImportProgress, _ progress: (ImportProgress) throws -> Void
    ) throws {
        now.phase = .comparing
        for table in staged {
            now.file = table.file.displayName
            try progress(now)
            try TableWriting(staged: table).compare(in: db)
        }
    }

    /// Writes everything in one transaction, parents first.
    private func write(_ examined: inout Examined, progress: (ImportFile) throws -> Void) throws -> ImportReport {
        var reports: [String: ImportReport.Table] = [:]
        var report = ImportReport(tables: [], warnings: [], warningsTotal: 0, version: 0)
        if let first = examined.staged.first { try progress(first.file) }
        let unneeded = try record.map { try $0.unneeded(ImportToken.all(in: db)) } ?? []
        try db.inTransaction(.immediate) {
            if try dataVersion() != examined.versionSeen {
                // Somebody changed HQ since it was looked at. Now nobody can, so this look is the last one needed.
                try checkReferences(&examined)
                for table in examined.staged { try TableWriting(staged: table).compare(in: db) }
            }
            let parentsFirst = examined.staged.sorted { position(of: $0) < position(of: $1) }
            for table in parentsFirst {
                try progress(table.file)
                let writing = TableWriting(staged: table)
                let (inserted, updated) = try writing.counts(in: db)
                try writing.upsert(in: db)
                reports[table.table.name] = self.report(table, inserted, updated, removed: 0)
            }
            if options.replace {
                for table in parentsFirst.reversed() {
                    reports[table.table.name]?.removed = try TableWriting(staged: table).removeOthers(in: db)
                }
            }
            report.tables = examined.staged.compactMap { reports[$0.table.name] }
            report.version = try ChangeLog.head(in: db)
            if let record {
                try ImportToken.remove(unneeded, in: db)
                try ImportToken.write(record.token, report, in: db)
            }
            return .commit
        }
        report.warnings = examined.warnings.first
        report.warningsTotal = examined.warnings.total
        report.faults = examined.faults.first
        report.faultsTotal = examined.faults.total
        return report
    }

    private func report(_ staged: StagedFile, _ inserted: Int, _ updated: Int, removed: Int) -> ImportReport.Table {
        ImportReport.Table(
            table: staged.table.name, file: staged.file.displayName, rows: staged.rows, inserted: inserted,
            updated: updated, unchanged: staged.rows - staged.skipped - inserted - updated, removed: removed,
            skipped: staged.skipped)
    }

    /// Finds out which rows the database has refused: those that break a CHECK, a UNIQUE or a trigger that HQ's
    /// owner has put on a table. They are faults of the rows like others.
    private func nameRefusedRows(_ examined: inout Examined, _ error: DatabaseError) throws {
        var refused: [(staged: StagedFile, line: Int, reason: String)] = []
        try db.inTransaction(.immediate) {
            for staged in examined.staged.sorted(by: { position(of: $0) < position(of: $1) }) {
                try TableWriting(staged: staged).refusedLines(in: db) { line, reason in
                    refused.append((staged, line, reason))
                }
            }
            return .rollback
        }
        guard !refused.isEmpty else { throw error }
        // Only now: the rollback would have taken the verdicts along.
        for (staged, line, reason) in refused {
            try examined.faults.add(staged.file, staged.index, line: line, reason: reason)
        }
        guard options.skipBadRows else { throw rejection(examined.faults) }
        try leaveOut(&examined)
        examined.versionSeen = try dataVersion()
        try checkReferences(&examined)
    }

    /// Another number whenever another connection has committed to HQ's database.
    private func dataVersion() throws -> Int64 {
        try Int64.fetchOne(db, sql: "PRAGMA main.data_version") ?? 0
    }
}
