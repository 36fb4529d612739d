import Foundation
import GRDB
import WaybillDatabase
import WaybillModel

/// An import as the staging database has it.
public struct StagedImport: Sendable, Equatable {
    public enum State: String, Sendable, CaseIterable {
        case running = "Running"
        /// HQ has its rows.
        case finished = "Finished"
        /// Refused because of what stands in the files; HQ has none of its rows.
        case rejected = "Rejected"
        /// Could not be carried out; HQ has none of its rows.
        case failed = "Failed"
    }

    public struct File: Sendable, Equatable {
        public var name: String
        public var table: String
        /// Empty: none.
        public var mapping: String
        public var columns: [String]
        public var rows: Int
        public var badRows: Int
        public var inserted: Int
        public var updated: Int
        public var unchanged: Int
        public var removed: Int
    }

    public var id: Int64
    public var startedAt: Timestamp
    public var endedAt: Timestamp?
    public var state: State
    public var replaces: Bool
    public var skipsBadRows: Bool
    /// Empty: somebody named the files.
    public var watch: String
    /// HQ's version after it; nil unless finished.
    public var version: Int64?
    public var message: String
    public var files: [File]
}

/// A row as it stood in its file.
public struct StagedRow: Sendable, Equatable {
    public enum State: String, Sendable, CaseIterable {
        /// Nothing is wrong with it, and it is not in HQ: its import did not finish.
        case notStarted = "NotStarted"
        /// Something is wrong with it. It is not in HQ.
        case error = "Error"
        /// It is in HQ, or was there already.
        case finished = "Finished"
    }

    public var file: String
    public var table: String
    public var line: Int
    public var state: State
    /// Bytes that are no UTF-8 are shown as `�`.
    public var values: [String]
    /// Empty: nothing is wrong.
    public var message: String
}

extension StagingDatabase {
    /// Newest first.
    public func imports(limit: Int) throws -> [StagedImport] {
        try read { db in
            // Walks the primary key from its end.
            try Row.fetchAll(db, sql: "SELECT * FROM import ORDER BY id DESC LIMIT ?", arguments: [limit])
                .compactMap { try StagedImport(row: $0, in: db) }
        }
    }

    public func find(_ id: Int64) throws -> StagedImport? {
        try read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM import WHERE id = ?", arguments: [id])
                .flatMap { try StagedImport(row: $0, in: db) }
        }
    }

    /// Rows of an import in the order of its files; without a state the bad ones first, for they are looked for.
    public func rows(
        of staged: StagedImport, state: StagedRow.State? = nil, table: String? = nil, limit: Int
    ) throws -> [StagedRow] {
        let good: StagedRow.State = staged.state == .finished ? .finished : .notStarted
        return try read { db in
            var rows: [StagedRow] = []
            if state == nil || state == .error {
                rows += try fetch(db, staged.id, .error, "row.message IS NOT NULL", table, limit)
            }
            if state == nil || state == good {
                rows += try fetch(db, staged.id, good, "row.message IS NULL", table, limit - rows.count)
            }
            return rows
        }
    }

    private func fetch(
        _ db: Database, _ id: Int64, _ state: StagedRow.State, _ condition: String, _ table: String?, _ limit: Int
    ) throws -> [StagedRow] {
        guard limit > 0 else { return [] }
        return try Row.fetchAll(
            db,
            sql: """
                -- Files by their index, then rows in the order of their key: the limit ends the walk.
                SELECT file.name, file.table_name, \(RowPlace.line), row.raw, coalesce(row.message, '')
                FROM import_file AS file CROSS JOIN import_row AS row ON \(RowPlace.isOf("file.id"))
                WHERE file.import = ? AND (? IS NULL OR file.table_name = ?) AND \(condition)
                ORDER BY file.id, row.place LIMIT ?
                """, arguments: [id, table, table, limit]
        ).map { row in
            StagedRow(
                file: row[0], table: row[1], line: row[2], state: state, values: RawLine.values(row[3]),
                message: row[4])
        }
    }
}

extension StagedImport {
    fileprivate init?(row: Row, in db: Database) throws {
        guard let state = State(rawValue: row["state"]) else { return nil }
        id = row["id"]
        startedAt = Timestamp(milliseconds: row["started_at"])
        endedAt = (row["ended_at"] as Int64?).map(Timestamp.init)
        self.state = state
        replaces = row["replaces"]
        skipsBadRows = row["skips_bad_rows"]
        watch = row["watch"]
        version = row["version"]
        message = row["message"]
        // By import_file_import.
        files = try Row.fetchAll(db, sql: "SELECT * FROM import_file WHERE import = ? ORDER BY id", arguments: [id])
            .map { row in
                File(
                    name: row["name"], table: row["table_name"], mapping: row["mapping"],
                    columns: RawLine.values(row["header"]), rows: row["rows"], badRows: row["bad_rows"],
                    inserted: row["inserted"], updated: row["updated"], unchanged: row["unchanged"],
                    removed: row["removed"])
            }
    }
}

/// The line of CSV that a staged row is kept as.
enum RawLine {
    static func values(_ raw: Data) -> [String] {
        var values: [String] = []
        var parser = CSVParser()
        let take = { (record: borrowing CSVRecord) in
            for field in record.fields {
                values.append(String(decoding: record.bytes[field.range], as: UTF8.self))
            }
        }
        Array(raw).withUnsafeBufferPointer { parser.feed($0, take: take) }
        parser.finish(take: take)
        return values
    }
}
