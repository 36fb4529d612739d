import WaybillAdmin
import WaybillHub

/// What the fake hub knows of previews, mappings and the staging database.
extension FakeBackend {
    func previewImport(
        _ files: [UploadedFile], _ request: ImportRequest, progress: @escaping @Sendable (ImportProgressLine) -> Void
    ) async throws -> ImportPreviewReply {
        let fault = ImportFaultLine(file: "product.csv", line: 4, column: "name", reason: "is empty")
        return ImportPreviewReply(
            tables: [
                .init(
                    counts: FakeBackend.reply.tables[0], columns: ["product_id", "name"],
                    rows: [.init(change: "new", values: ["p1", nil])])
            ],
            faults: request.skipBadRows ? [fault] : [], faultsTotal: request.skipBadRows ? 1 : 0, warnings: [],
            warningsTotal: 0, rejected: false)
    }

    func mappings() async throws -> [MappingSummary] {
        [
            MappingSummary(mapping: "erp.yaml", files: ["ART*.txt"], table: "product", faults: []),
            MappingSummary(
                mapping: "old.yaml", files: [], table: nil,
                faults: [.init(file: "mappings/old.yaml", line: 3, column: nil, reason: "is not YAML")]),
        ]
    }

    private static let staged = StagedImportSummary(
        id: 7, state: "Finished", startedAt: FakeBackend.time, endedAt: nil, replace: false, skipBadRows: true,
        watch: nil, version: 17, message: "1 bad row was left out",
        files: [
            .init(
                file: "product.csv", table: "product", mapping: nil, columns: ["product_id", "name"], rows: 3,
                badRows: 1, inserted: 1, updated: 1, unchanged: 0, removed: 0)
        ])

    func stagedImports(limit: Int) async throws -> [StagedImportSummary] { [FakeBackend.staged] }

    func stagedImport(_ id: Int64, _ filter: StagedRowFilter) async throws -> StagedImportDetail {
        guard id == 7 else { throw AdminError.notFound("there is no import \(id)") }
        return StagedImportDetail(
            summary: FakeBackend.staged,
            rows: [
                .init(
                    file: "product.csv", table: "product", line: 4, state: "Error", values: ["p3", ""],
                    message: "column name: is empty")
            ])
    }

    func cleanStaging(_ request: StagingCleanRequest) async throws -> StagingCleanReply {
        StagingCleanReply(rows: request.force ? 3 : 2, bytesFreed: 8192, imports: 0, keptRows: request.force ? 0 : 1)
    }

    func unfiledFiles(watch: String) async throws -> [UnfiledFile] { [UnfiledFile(import: 7, file: "product.csv")] }

    func markFiled(_ id: Int64, _ request: FiledRequest) async throws {
        guard id == 7 else { throw AdminError.notFound("there is no import \(id)") }
    }
}
