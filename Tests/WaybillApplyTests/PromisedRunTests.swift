import Foundation
import GRDB
import Testing
import WaybillModel
import WaybillWire

@testable import WaybillApply

@Suite struct PromisedRunTests {
    /// A hub that was restored from a backup does not know of the cancel and offers the session again.
    @Test func aRunThatWasPromisedNeverToBeAppliedIsAnsweredAgainInsteadOfApplied() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "promised-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "store.db").path
        let ledger = try StoreDatabase(path: path, store: try #require(StoreID("S001")))
        try ledger.startIncarnation(random: 1)
        let manifest = try manifest()
        let promise = try ledger.cancel(
            session: manifest.session, job: manifest.job, run: 1, at: Timestamp(milliseconds: 1000))
        try ledger.acknowledge([promise.name])

        let package = folder.appending(path: "package.db").path
        try DatabaseQueue(path: package).write { try $0.execute(sql: "CREATE TABLE price (id INTEGER PRIMARY KEY)") }
        let applier = try Applier(path: path)
        var fault: ApplyFault?
        do throws(ApplyFault) {
            _ = try applier.apply(
                rawPath: package, manifest: manifest, run: 1, attempt: 1, at: { Timestamp(milliseconds: 2000) },
                pause: { _ in }, shouldStop: { false })
        } catch { fault = error }

        guard case .canceled = fault else {
            Issue.record("not canceled: \(String(describing: fault))")
            return
        }
        let answers = try ledger.outbox(limit: 10)
        #expect(answers.map(\.outcome) == [.canceled])
        #expect(answers.first?.session == manifest.session)
        #expect(answers.first?.at == Timestamp(milliseconds: 1000))
        #expect(try ledger.state().watermarks.isEmpty)
    }

    private func manifest() throws -> Manifest {
        let hash = try #require(PackageID([UInt8](repeating: 7, count: 32)))
        let shape = TableShape(name: "price", columns: [ColumnShape("id", .integer)], key: ["id"])
        return Manifest(
            job: try #require(JobID("prices")), session: SessionID(number: 4, random: 9),
            version: Version(epoch: 1, number: 10), kind: .full, bases: [],
            tables: [PackageTable(shape: shape, rows: 0, removed: 0)], created: Timestamp(milliseconds: 0), id: hash,
            bytes: 10, chunkBytes: 131_072, chunkHashes: [hash], rawSHA256: hash, rawBytes: 10)
    }
}
