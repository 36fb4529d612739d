import GRDB
import WaybillDatabase
import WaybillModel

/// Shortening the change log.
///
/// A reader that remembers a version must ask ``ChangeLog/reaches(_:in:schema:)`` before it trusts what it finds after it.
extension ChangeLog {
    /// Whether every change after `version` is still in the log. Otherwise whatever depends on it must be looked at whole.
    public static func reaches(_ version: Int64, in db: Database, schema: String = "main") throws -> Bool {
        // The rowid's smallest value: one step down the left edge.
        let oldest = try Int64.fetchOne(db, sql: "SELECT min(version) FROM \(schema)._waybill_change")
        return oldest.map { $0 <= version + 1 } ?? false
    }

    /// Rows up to `version`, which would go. Never counts the newest row.
    public static func count(upTo version: Int64, in db: Database, schema: String = "main") throws -> Int64 {
        // A range of the rowid.
        try Int64.fetchOne(
            db,
            sql: """
                SELECT count(*) FROM \(schema)._waybill_change
                WHERE version <= ? AND version < (SELECT max(version) FROM \(schema)._waybill_change)
                """,
            arguments: [version]) ?? 0
    }

    /// Removes the oldest rows up to `version`, at most `limit`, never the newest row of all: versions are numbers of
    /// this table's rows, and must not be used twice.
    /// - Returns: how many went; fewer than `limit` when there are no more.
    public static func forget(upTo version: Int64, limit: Int, in db: Database) throws -> Int {
        // A range of the rowid, from its left end.
        try db.execute(
            sql: """
                DELETE FROM _waybill_change WHERE version IN (
                    SELECT version FROM _waybill_change
                    WHERE version <= ? AND version < (SELECT max(version) FROM _waybill_change)
                    ORDER BY version LIMIT ?)
                """,
            arguments: [version, limit])
        return db.changesCount
    }

    /// Rows in the log and about how many bytes they take, from a look at its two ends and a sample: asked for often.
    public static func extent(in db: Database, schema: String = "main") throws -> (rows: Int64, bytes: Int64) {
        let row = try Row.fetchOne(
            db, sql: "SELECT min(version) AS oldest, max(version) AS newest FROM \(schema)._waybill_change")
        guard let oldest: Int64 = row?["oldest"], let newest: Int64 = row?["newest"] else { return (0, 0) }
        return (newest - oldest + 1, (newest - oldest + 1) * (try rowBytes(in: db, schema: schema)))
    }

    /// Bytes of a row with what its page spends on it, judged by the newest ones.
    public static func rowBytes(in db: Database, schema: String = "main") throws -> Int64 {
        let lengths = (1...Limits.keyColumnsMax).map { "coalesce(length(CAST(k\($0) AS BLOB)), 0)" }
        let mean = try Double.fetchOne(
            db,
            sql: """
                SELECT avg(\(lengths.joined(separator: " + "))) FROM (
                    SELECT * FROM \(schema)._waybill_change ORDER BY version DESC LIMIT 200)
                """)
        // Rowid, header and cell pointer; pages of a table that grows at its end are full.
        return Int64((mean ?? 0).rounded()) + 18
    }
}

/// A connection to `hq.db` that takes rows from its change log between the writes of others.
public final class ChangeLogPurge {
    private let queue: DatabaseQueue

    public init(hqPath: String) throws {
        queue = try OpenDatabase.queue(at: hqPath, label: "hq-purge")
        try queue.writeWithoutTransaction { db in
            // What a power cut may take back here is a purge, which is done again: no commit waits for the disk while
            // it holds the lock. Freed pages are not overwritten, for the same reason.
            try db.execute(sql: "PRAGMA synchronous = NORMAL; PRAGMA secure_delete = OFF")
        }
    }

    public func close() throws { try queue.close() }

    /// One slice; see ``ChangeLog/forget(upTo:limit:in:)``.
    public func forgetSlice(upTo version: Int64, limit: Int) throws -> Int {
        try queue.write { db in try ChangeLog.forget(upTo: version, limit: limit, in: db) }
    }
}
