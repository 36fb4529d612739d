import GRDB
import WaybillDatabase
import WaybillModel

/// What is to be removed from the staging database.
public struct StagingCleaning: Sendable, Equatable {
    /// Only what was staged for this table; nil: for every table.
    public var table: String?
    /// Only of this import; nil: of all.
    public var importID: Int64?
    /// Only of imports that began before; nil: whenever they began.
    public var before: Timestamp?
    /// Also rows that are in no state to be forgotten: those with an error, and those of imports that did not finish.
    public var force: Bool

    public init(table: String? = nil, importID: Int64? = nil, before: Timestamp? = nil, force: Bool = false) {
        self.table = table
        self.importID = importID
        self.before = before
        self.force = force
    }
}

public struct StagingCleaned: Sendable, Equatable {
    public var rows = 0
    /// What the file system has got back.
    public var bytes: Int64 = 0
    /// Imports of which nothing is left.
    public var imports = 0
    /// Rows that were asked for and stayed, because they are unfinished.
    public var kept = 0
}

extension StagingDatabase {
    /// Rows removed in one transaction: some ten milliseconds, so that a running import hardly waits.
    private static let sliceRows = 10_000
    /// Pages given back in one step, for the same reason.
    private static let slicePages = 1_000

    /// Removes staged rows, in slices. Those of running imports stay in any case, and so does what keeps a file that
    /// still lies in a watched folder from being imported again.
    public func clean(_ cleaning: StagingCleaning) throws -> StagingCleaned {
        let queue = try open()
        defer { try? queue.close() }
        var cleaned = StagingCleaned()
        let files = try queue.read { try StagingDatabase.files(cleaning, in: $0) }
        for file in files {
            if cleaning.force || file.isFinished {
                try removeRows(of: file.id, withErrors: cleaning.force, queue, &cleaned)
            }
            try queue.write { db in
                cleaned.kept +=
                    try Int.fetchOne(
                        db, sql: "SELECT count(*) FROM import_row WHERE \(RowPlace.isOf("?1"))", arguments: [file.id])
                    ?? 0
                try StagingDatabase.forgetEmpty(file.id, in: db)
            }
        }
        try queue.write { db in
            // By import_file_import.
            try db.execute(
                sql: """
                    DELETE FROM import
                    WHERE state <> 'Running' AND NOT EXISTS (SELECT 1 FROM import_file WHERE import = import.id)
                    """)
            cleaned.imports = db.changesCount
        }
        cleaned.bytes = try giveBack(queue)
        return cleaned
    }

    /// Rows that ``clean(_:)`` would remove.
    public func count(_ cleaning: StagingCleaning) throws -> Int {
        let queue = try open()
        defer { try? queue.close() }
        return try queue.read { db in
            try StagingDatabase.files(cleaning, in: db).filter { cleaning.force || $0.isFinished }.reduce(0) {
                sum, file in
                sum
                    + (try Int.fetchOne(
                        db,
                        sql: "SELECT count(*) FROM import_row WHERE \(RowPlace.isOf("?1")) AND (?2 OR message IS NULL)",
                        arguments: [file.id, cleaning.force]) ?? 0)
            }
        }
    }

    private static func files(_ cleaning: StagingCleaning, in db: Database) throws -> [(id: Int64, isFinished: Bool)] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT file.id, import.state = 'Finished'
                FROM import_file AS file JOIN import ON import.id = file.import
                WHERE import.state <> 'Running' AND (?1 IS NULL OR file.table_name = ?1)
                    AND (?2 IS NULL OR import.id = ?2) AND (?3 IS NULL OR import.started_at < ?3)
                ORDER BY file.id
                """, arguments: [cleaning.table, cleaning.importID, cleaning.before?.milliseconds]
        ).map { ($0[0], $0[1]) }
    }

    private func removeRows(
        of file: Int64, withErrors: Bool, _ queue: DatabaseQueue, _ cleaned: inout StagingCleaned
    ) throws {
        while true {
            let removed = try queue.write { db in
                // A range of the primary key from its start.
                try db.execute(
                    sql: """
                        DELETE FROM import_row WHERE place IN (
                            SELECT place FROM import_row WHERE \(RowPlace.isOf("?1")) AND (?2 OR message IS NULL)
                            ORDER BY place LIMIT ?3
                        )
                        """, arguments: [file, withErrors, StagingDatabase.sliceRows])
                return db.changesCount
            }
            cleaned.rows += removed
            if removed < StagingDatabase.sliceRows { return }
        }
    }

    private static func forgetEmpty(_ file: Int64, in db: Database) throws {
        try db.execute(
            sql: """
                DELETE FROM import_file
                WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM import_row WHERE \(RowPlace.isOf("?1")))
                    AND NOT (
                        sha256 IS NOT NULL AND filed_at IS NULL
                        AND (SELECT state FROM import WHERE id = import_file.import) = 'Finished'
                    )
                """, arguments: [file])
    }

    /// Makes the file smaller by the pages that are free, and says by how many bytes.
    private func giveBack(_ queue: DatabaseQueue) throws -> Int64 {
        func pages(_ db: Database) throws -> Int64 { try Int64.fetchOne(db, sql: "PRAGMA page_count") ?? 0 }
        let before = try queue.read(pages)
        while try queue.read({ try Int.fetchOne($0, sql: "PRAGMA freelist_count") ?? 0 }) > 0 {
            let now = try queue.read(pages)
            _ = try queue.writeWithoutTransaction { db in
                // Each of its steps frees a page: it must be stepped to its end.
                try Row.fetchAll(db, sql: "PRAGMA incremental_vacuum(\(StagingDatabase.slicePages))")
            }
            if try queue.read(pages) == now { break }
        }
        return try queue.writeWithoutTransaction { db in
            _ = try Row.fetchAll(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
            let pageSize = try Int64.fetchOne(db, sql: "PRAGMA page_size") ?? 0
            return (before - (try pages(db))) * pageSize
        }
    }
}
