import GRDB
import WaybillAdmin
import WaybillDatabase
import WaybillImport
import WaybillModel
import WaybillSocket

/// Feeding HQ: files, mappings, and what imports have left in the staging database.
extension HubBackend {
    func tables() async throws -> [String] {
        let path = home.hqDatabase
        return try await onOwnThread { try HQImport.tables(of: path).names }
    }

    func importFiles(
        _ files: [UploadedFile], _ request: ImportRequest, progress: @escaping @Sendable (ImportProgressLine) -> Void
    ) async throws -> ImportReply {
        let (home, staging) = (home, staging)
        let ticket = AuditTicket.current
        ticket?.note(files.map(\.name).joined(separator: ", "))
        return try await cancellable { check in
            do {
                let report = try HQImport.run(
                    files: try importSources(files, home), into: home.hqDatabase, staging: staging,
                    options: ImportOptions(
                        replace: request.replace, skipBadRows: request.skipBadRows, watch: request.watch)
                ) { step in
                    try check()
                    progress(ImportProgressLine(step))
                }
                ticket?.note(
                    "\(files.map(\.name).joined(separator: ", ")): HQ is at version \(report.version)")
                return ImportReply(report)
            } catch let rejected as ImportRejected {
                throw ImportFaults(faults: rejected.faults.map(ImportFaultLine.init), total: rejected.total)
            }
        }
    }

    func previewImport(
        _ files: [UploadedFile], _ request: ImportRequest, progress: @escaping @Sendable (ImportProgressLine) -> Void
    ) async throws -> ImportPreviewReply {
        let home = home
        return try await cancellable { check in
            do {
                let preview = try HQImport.preview(
                    files: try importSources(files, home), of: home.hqDatabase,
                    options: ImportOptions(replace: request.replace, skipBadRows: request.skipBadRows)
                ) { step in
                    try check()
                    progress(ImportProgressLine(step))
                }
                return ImportPreviewReply(preview)
            } catch let faults as ImportFaults {
                return ImportPreviewReply(
                    tables: [], faults: faults.faults, faultsTotal: faults.total, warnings: [], warningsTotal: 0,
                    rejected: true)
            }
        }
    }

    /// Runs `work` on a thread of its own; the closure it is given throws once nobody waits for it any more.
    private func cancellable<Value: Sendable>(
        _ work: @escaping @Sendable (_ check: () throws -> Void) throws -> Value
    ) async throws -> Value {
        let isCancelled = Flag()
        return try await withTaskCancellationHandler {
            try await onOwnThread {
                try work { if isCancelled.isSet { throw CancellationError() } }
            }
        } onCancel: {
            isCancelled.set()
        }
    }

    func mappings() async throws -> [MappingSummary] {
        let home = home
        return try await onOwnThread {
            let folder = MappingFolder(home.mappings, tables: try HQImport.tables(of: home.hqDatabase))
            let good = folder.mappings.map {
                MappingSummary(mapping: $0.name, files: $0.patterns, table: $0.table, faults: [])
            }
            let broken = folder.broken.map {
                MappingSummary(
                    mapping: $0.name, files: $0.patterns, table: nil, faults: $0.faults.map(ImportFaultLine.init))
            }
            return (good + broken).sorted { $0.mapping < $1.mapping }
        }
    }

    // MARK: Staging

    func stagedImports(limit: Int) async throws -> [StagedImportSummary] {
        let staging = staging
        return try await onOwnThread { try staging.imports(limit: limit).map(StagedImportSummary.init) }
    }

    func stagedImport(_ id: Int64, _ filter: StagedRowFilter) async throws -> StagedImportDetail {
        let staging = staging
        return try await onOwnThread {
            guard let found = try staging.find(id) else { throw unknownImport(id) }
            let rows = try staging.rows(
                of: found, state: filter.state.flatMap(StagedRow.State.init), table: filter.table, limit: filter.limit)
            return StagedImportDetail(
                summary: StagedImportSummary(found),
                rows: rows.map {
                    StagedRowLine(
                        file: $0.file, table: $0.table, line: $0.line, state: $0.state.rawValue, values: $0.values,
                        message: $0.message.isEmpty ? nil : $0.message)
                })
        }
    }

    func cleanStaging(_ request: StagingCleanRequest) async throws -> StagingCleanReply {
        let staging = staging
        return try await onOwnThread {
            if let id = request.import {
                guard let found = try staging.find(id) else { throw unknownImport(id) }
                guard found.state != .running else {
                    throw AdminError.conflict("import \(id) is running; clean it when it has ended")
                }
            }
            let cleaned = try staging.clean(
                StagingCleaning(table: request.table, importID: request.import, force: request.force))
            return StagingCleanReply(
                rows: Int64(cleaned.rows), bytesFreed: cleaned.bytes, imports: Int64(cleaned.imports),
                keptRows: Int64(cleaned.kept))
        }
    }

    func unfiledFiles(watch: String) async throws -> [UnfiledFile] {
        let staging = staging
        return try await onOwnThread {
            try staging.unfiled(in: watch).map { UnfiledFile(import: $0.importID, file: $0.name) }
        }
    }

    func markFiled(_ id: Int64, _ request: FiledRequest) async throws {
        let staging = staging
        try await onOwnThread {
            guard try staging.find(id) != nil else { throw unknownImport(id) }
            try staging.markFiled(id, files: request.files)
        }
    }
}

private func unknownImport(_ id: Int64) -> AdminError {
    .notFound("there is no import \(id) in the staging database; waybill staging list shows those that are there")
}

/// A file is imported by the mapping that is for its name, else into the table of that name.
private func importSources(_ files: [UploadedFile], _ home: HubHome) throws -> [ImportFile] {
    let mappings = MappingFolder(home.mappings, tables: try HQImport.tables(of: home.hqDatabase))
    var faults: [ImportFault] = []
    var sources: [ImportFile] = []
    for file in files {
        switch mappings.file(named: file.name, path: file.path) {
        case .success(let source): sources.append(source)
        // A broken mapping is named once, however many files it is for.
        case .failure(let failure): faults += failure.faults.filter { !faults.contains($0) }
        }
    }
    guard faults.isEmpty else { throw ImportFaults(faults: faults.map(ImportFaultLine.init), total: faults.count) }
    return sources
}

// MARK: As administrators see it

extension ImportProgressLine {
    init(_ step: ImportProgress) {
        self.init(
            phase: "\(step.phase)", file: step.file, rows: Int64(step.rowsRead), bytesDone: step.bytesRead,
            bytes: step.bytesTotal)
    }
}

extension ImportFaultLine {
    init(_ fault: ImportFault) {
        self.init(file: fault.file, line: fault.line, column: fault.column, reason: fault.reason)
    }
}

extension ImportReply.Table {
    init(_ table: ImportReport.Table) {
        self.init(
            table: table.table, file: table.file, rows: Int64(table.rows), inserted: Int64(table.inserted),
            updated: Int64(table.updated), unchanged: Int64(table.unchanged), removed: Int64(table.removed),
            skipped: Int64(table.skipped))
    }
}

extension ImportReply {
    init(_ report: ImportReport) {
        self.init(
            tables: report.tables.map(ImportReply.Table.init), warnings: report.warnings.map(ImportFaultLine.init),
            warningsTotal: report.warningsTotal, faults: report.faults.map(ImportFaultLine.init),
            faultsTotal: report.faultsTotal, version: report.version, import: report.importID,
            already: report.already)
    }
}

extension ImportPreviewReply {
    init(_ preview: ImportPreview) {
        self.init(
            tables: preview.tables.map { table in
                ImportPreviewReply.Table(
                    counts: ImportReply.Table(table.counts), columns: table.columns,
                    rows: table.rows.map { ImportPreviewReply.Row(change: $0.change, values: $0.values) })
            },
            faults: preview.faults.map(ImportFaultLine.init), faultsTotal: preview.faultsTotal,
            warnings: preview.warnings.map(ImportFaultLine.init), warningsTotal: preview.warningsTotal,
            rejected: preview.isRejected)
    }
}

extension StagedImportSummary {
    init(_ staged: StagedImport) {
        self.init(
            id: staged.id, state: staged.state.rawValue, startedAt: UTCTime(staged.startedAt),
            endedAt: staged.endedAt.map(UTCTime.init), replace: staged.replaces, skipBadRows: staged.skipsBadRows,
            watch: staged.watch.isEmpty ? nil : staged.watch, version: staged.version,
            message: staged.message.isEmpty ? nil : staged.message,
            files: staged.files.map {
                StagedImportSummary.File(
                    file: $0.name, table: $0.table, mapping: $0.mapping.isEmpty ? nil : $0.mapping,
                    columns: $0.columns, rows: Int64($0.rows), badRows: Int64($0.badRows),
                    inserted: Int64($0.inserted), updated: Int64($0.updated), unchanged: Int64($0.unchanged),
                    removed: Int64($0.removed))
            })
    }
}
