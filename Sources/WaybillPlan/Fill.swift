import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// Rows of one table in a package that was filled.
public struct FilledTable: Sendable, Equatable {
    public var shape: TableShape
    public var rows: Int64
    public var removed: Int64
}

extension Rows {
    /// The suffix of the table of a package that holds the keys to delete.
    public static let removedSuffix = "__removed"

    /// Writes a plan's rows into a new SQLite file at `path`, entirely inside SQLite.
    ///
    /// A delta holds the net difference between the content the stores have and the derivation; a row that changed
    /// and changed back is not in it.
    /// - Parameter uniqueness: written into the file's header, so that no two packages are the same file although
    ///   they may hold the same rows: a package's name then stands for one manifest.
    /// - Parameter createTables: makes the empty tables of a shape in the attached schema (the package format's own).
    /// - Returns: counts for every table of the job; all zero when there is no net difference.
    public func fill(
        _ plan: PackagePlan, job: Job, at derivation: Derivation, path: String, uniqueness: Int32,
        createTables: (TableShape, String, Database) throws -> Void
    ) throws -> [FilledTable] {
        try queue.writeWithoutTransaction { db in
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
            try db.inTransaction(.deferred) {
                for subjob in job.subjobs {
                    try createTables(subjob.table, "package", db)
                    let fill = FillTable(shape: subjob.table, plan: plan, version: derivation.version.number, db: db)
                    filled.append(try fill.run())
                }
                return .commit
            }
            return filled
        }
    }
}

/// Fills one table of a package.
private struct FillTable {
    let shape: TableShape
    let plan: PackagePlan
    /// The version the package leads to.
    let version: Int64
    let db: Database

    private var rows: String { RowsSchema.rowsTable(shape) }
    private var target: String { "package." + quoted(shape.name) }
    private var removedTarget: String { "package." + quoted(shape.name + Rows.removedSuffix) }
    private var columns: String { shape.columns.map { quoted($0.name) }.joined(separator: ", ") }
    private var key: String { shape.key.map(quoted).joined(separator: ", ") }

    func run() throws -> FilledTable {
        try plan.stageScopes(of: shape.name, in: db)
        guard let base = plan.contentVersion else {
            try db.execute(
                sql: """
                    -- Primary key (_scope, …): the scopes' rows in key order.
                    INSERT INTO \(target) (\(columns))
                    SELECT \(columns) FROM \(rows)
                    WHERE _scope IN (SELECT scope FROM temp.scope_now) AND _born <= :now AND _died > :now
                    ORDER BY \(key)
                    """,
                arguments: ["now": version])
            return FilledTable(shape: shape, rows: Int64(db.changesCount), removed: 0)
        }
        let arguments: StatementArguments = ["base": base, "now": version]
        try db.execute(sql: insertChanged, arguments: arguments)
        let written = Int64(db.changesCount)
        try db.execute(sql: insertRemoved, arguments: arguments)
        return FilledTable(shape: shape, rows: written, removed: Int64(db.changesCount))
    }

    /// Rows that came after the base in a scope seen all along, and all rows of a scope seen newly; but for those
    /// that the store has just so already.
    private var insertChanged: String {
        let listed = shape.columns.map { "new." + quoted($0.name) }.joined(separator: ", ")
        let same =
            (shape.key.map { "old.\(quoted($0)) = new.\(quoted($0))" }
            + shape.valueColumns.map { "old.\(quoted($0.name)) IS new.\(quoted($0.name))" }).joined(separator: " AND ")
        return """
            INSERT INTO \(target) (\(columns))
            SELECT \(listed) FROM (
                -- Index (_scope, _born).
                SELECT \(columns) FROM \(rows)
                WHERE _scope IN (SELECT scope FROM temp.scope_now WHERE is_before) AND _born > :base
                    AND _born <= :now AND _died > :now
                UNION ALL
                -- Primary key (_scope, …).
                SELECT \(columns) FROM \(rows)
                WHERE _scope IN (SELECT scope FROM temp.scope_now WHERE NOT is_before)
                    AND _born <= :now AND _died > :now
            ) AS new
            WHERE NOT EXISTS (
                -- Primary key (_scope, key…): a step for each scope the store had.
                SELECT 1 FROM \(rows) AS old
                WHERE old._scope IN (SELECT scope FROM temp.scope_before) AND \(same)
                    AND old._born <= :base AND old._died > :base
            )
            ORDER BY \(key)
            """
    }

    /// Keys that the store has and that no row it shall see now has.
    private var insertRemoved: String {
        let sameKey = shape.key.map { "new.\(quoted($0)) = old.\(quoted($0))" }.joined(separator: " AND ")
        let oldKey = shape.key.map { "old." + quoted($0) }.joined(separator: ", ")
        return """
            INSERT OR IGNORE INTO \(removedTarget) (\(key))
            SELECT \(oldKey) FROM (
                -- Index (_scope, _died).
                SELECT \(key) FROM \(rows)
                WHERE _scope IN (SELECT scope FROM temp.scope_before WHERE is_now) AND _died > :base
                    AND _died <= :now AND _died < \(RowsSchema.forever) AND _born <= :base
                UNION ALL
                -- Primary key (_scope, …).
                SELECT \(key) FROM \(rows)
                WHERE _scope IN (SELECT scope FROM temp.scope_before WHERE NOT is_now)
                    AND _born <= :base AND _died > :base
            ) AS old
            WHERE NOT EXISTS (
                SELECT 1 FROM \(rows) AS new
                WHERE new._scope IN (SELECT scope FROM temp.scope_now) AND \(sameKey)
                    AND new._born <= :now AND new._died > :now
            )
            ORDER BY \(oldKey)
            """
    }
}
