import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// Rows of one table in a package that was filled.
public struct FilledTable: Sendable, Equatable {
    public var shape: TableShape
    public var rows: Int64
    public var removed: Int64
    /// In a delta: all rows of the table, because some of it differs and the subjob's policy says so.
    public var isWhole = false

    /// Nothing of the table is in the package. A whole table without rows is not that: it empties the store's.
    public var isEmpty: Bool { rows == 0 && removed == 0 && !isWhole }
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
                    let fill = FillTable(subjob: subjob, plan: plan, version: derivation.version.number, db: db)
                    do {
                        filled.append(try fill.run())
                    } catch let error as DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {
                        guard let detail = try fill.describeSharedKey() else { throw error }
                        throw DerivationFault(job: job.id, detail: detail)
                    }
                }
                return .commit
            }
            return filled
        }
    }
}

/// Fills one table of a package.
private struct FillTable {
    let subjob: Subjob
    let plan: PackagePlan
    /// The version the package leads to.
    let version: Int64
    let db: Database

    private var shape: TableShape { subjob.table }
    private var target: String { "package." + quoted(shape.name) }
    private var removedTarget: String { "package." + quoted(shape.name + Rows.removedSuffix) }
    private var columns: String { shape.columns.map { quoted($0.name) }.joined(separator: ", ") }
    private var key: String { shape.key.map(quoted).joined(separator: ", ") }

    func run() throws -> FilledTable {
        try plan.stageScopes(of: shape.name, in: db)
        guard let base = plan.contentVersion else {
            return FilledTable(shape: shape, rows: try insertAll(), removed: 0)
        }
        let difference = try TableDifference(shape: shape, base: base, version: version, in: db)
        if subjob.policy == .full {
            guard try difference.isAny(removal: subjob.removal, in: db) else {
                return FilledTable(shape: shape, rows: 0, removed: 0)
            }
            return FilledTable(shape: shape, rows: try insertAll(), removed: 0, isWhole: true)
        }
        try db.execute(
            sql: "INSERT INTO \(target) (\(columns)) \(difference.changedRows) ORDER BY \(key)",
            arguments: difference.arguments)
        let written = Int64(db.changesCount)
        guard subjob.removal == .delete else { return FilledTable(shape: shape, rows: written, removed: 0) }
        try db.execute(
            sql: "INSERT OR IGNORE INTO \(removedTarget) (\(key)) \(difference.removedKeys) ORDER BY \(key)",
            arguments: difference.arguments)
        return FilledTable(shape: shape, rows: written, removed: Int64(db.changesCount))
    }

    private func seen() throws -> RowsAt {
        try RowsAt(shape, at: version, as: ":now", scopes: "scope_seen", in: db)
    }

    /// A sentence about a key that stands in two of the scopes that these stores see. Asked only when SQLite has
    /// refused it.
    func describeSharedKey() throws -> String? {
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT min(_scope) AS _one, max(_scope) AS _other, \(key)
                FROM (\(try seen().select("_scope, \(key)")))
                GROUP BY \(key) HAVING count(*) > 1 ORDER BY \(key) LIMIT 1
                """,
            arguments: ["now": version])
        guard let row else { return nil }
        let named = shape.key.map { "\($0) = \(Misfit.text(row[$0]))" }.joined(separator: ", ")
        let store = plan.stores.first.map { "store \($0)" } ?? "a store"
        return "table \(shape.name), row \(named): \(store) sees it in scope \(Misfit.text(row["_one"])) "
            + "and in scope \(Misfit.text(row["_other"])), and a key can stand only once"
    }

    /// All rows that the stores see, also in scopes where nothing has changed.
    private func insertAll() throws -> Int64 {
        // The rows of one scope stand in key order already, those of several are sorted.
        let isOne = try Int.fetchOne(db, sql: "SELECT count(*) FROM temp.scope_seen") == 1
        let scopes = "_scope \(isOne ? "=" : "IN") (SELECT scope FROM temp.scope_seen)"
        try db.execute(
            sql: "INSERT INTO \(target) (\(columns)) \(try seen().select(columns, scopes: scopes)) ORDER BY \(key)",
            arguments: ["now": version])
        return Int64(db.changesCount)
    }
}
