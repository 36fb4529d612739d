import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// What a job would give stores now.
public struct TrialTable: Sendable, Equatable {
    public var table: String
    /// Rows of all scopes.
    public var rows: Int64
    /// Stores that see any scope.
    public var stores: Int64
}

extension Rows {
    /// Runs a job's queries over HQ's tables as they are, and keeps nothing of it.
    ///
    /// - Parameter scratchPath: a file that does not exist; it is removed again.
    /// - Throws: ``WaybillJobs/JobFaults`` for queries that do not fit HQ's tables, ``DerivationFault`` for rows that do
    ///   not fit the store tables.
    public static func trial(_ job: Job, hqPath: String, scratchPath: String) throws -> [TrialTable] {
        let reads = try JobAnalysis.reads(of: job, hqPath: hqPath)
        defer { for suffix in ["", "-wal", "-shm", "-journal"] { unlink(scratchPath + suffix) } }
        let queue = try DatabaseQueue(path: scratchPath)
        defer { try? queue.close() }
        return try queue.writeWithoutTransaction { db in
            // Thrown away: nobody waits for this disk.
            try db.execute(sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            try db.execute(sql: "ATTACH DATABASE ? AS hq", arguments: [readOnlyURI(hqPath)])
            try RowsSchema.install(in: db)
            return try job.subjobs.isEmpty ? [] : trial(job, reads, in: db)
        }
    }

    private static func trial(_ job: Job, _ reads: JobReads, in db: Database) throws -> [TrialTable] {
        let version = try ChangeLog.head(in: db, schema: "hq")
        _ = try Derive(job: job, reads: reads, version: version, since: nil, db: db).run()
        return try job.subjobs.map(\.table).map { table in
            TrialTable(
                table: table.name,
                rows: try Int64.fetchOne(db, sql: "SELECT count(*) FROM \(RowsSchema.rowsTable(table))") ?? 0,
                stores: try Int64.fetchOne(
                    db, sql: "SELECT count(DISTINCT store_id) FROM member WHERE table_name = ?", arguments: [table.name]
                )
                    ?? 0)
        }
    }
}
