import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

extension Rows {
    /// Writes what a store must have within some ranges of its tables into a new SQLite file at `path`.
    ///
    /// - Parameters: as of ``fill(_:job:at:path:uniqueness:createTables:)``; `ranges` by table.
    /// - Returns: counts for every table of the job; nil when what the store has can no longer be told.
    public func fillRanges(
        _ ranges: [String: [KeyRange]], _ target: AuditTarget, path: String, uniqueness: Int32,
        createTables: (TableShape, String, Database) throws -> Void
    ) throws -> [FilledTable]? {
        let derivation = Derivation(
            job: target.job.id, version: Version(epoch: 0, number: target.base.version), token: target.base.token,
            hasChanges: false)
        guard try canTell(derivation) else { return nil }
        return try queue.writeWithoutTransaction { db in
            try db.execute(sql: "ATTACH DATABASE ? AS package", arguments: [path])
            defer { try? db.execute(sql: "DETACH DATABASE package") }
            // The file is worthless until it is sealed, so a crash may leave anything: no journal, no syncing.
            try db.execute(
                sql: """
                    PRAGMA package.journal_mode = OFF;
                    PRAGMA package.synchronous = OFF;
                    PRAGMA package.user_version = \(uniqueness);
                    """)
            var filled: [FilledTable] = []
            var ended = EndedByKey()
            try db.inTransaction(.deferred) {
                for subjob in target.job.subjobs {
                    try createTables(subjob.table, "package", db)
                    var reader = AuditReader(target: target, subjob: subjob, db: db)
                    var count: Int64 = 0
                    let ranges = ranges[subjob.table.name] ?? []
                    if ranges.count > 1 { reader.ended = try ended.table(for: reader, epoch: 0) }
                    for range in ranges { count += try reader.copy(range, to: "package") }
                    filled.append(FilledTable(shape: subjob.table, rows: count, removed: 0))
                }
                try ended.drop(in: db)
                return .commit
            }
            return filled
        }
    }
}

extension AuditReader {
    /// Copies the rows of a range into the table of the same name of an attached database, inside SQLite.
    func copy(_ range: KeyRange, to schema: String) throws -> Int64 {
        let columns = subjob.table.columns.map { quoted($0.name) }.joined(separator: ", ")
        try db.execute(
            sql: """
                INSERT INTO \(schema).\(quoted(subjob.table.name)) (\(columns))
                \(visible(columns, in: range)) ORDER BY \(key.joined(separator: ", "))
                """,
            arguments: visibleArguments)
        return Int64(db.changesCount)
    }
}
