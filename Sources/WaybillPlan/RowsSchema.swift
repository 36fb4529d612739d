import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// The tables of `rows.db`: what every store must hold, at every version that some store may still stand at.
///
/// Each row of a store table is kept with the versions between which it was true: visible at version v when
/// `_born <= v < _died`. The content of a scope at any kept version, and the net difference between any two, are
/// therefore plain queries; no log of changes has to be replayed, and cancelled sessions leave nothing to repair.
enum RowsSchema {
    /// `_died` of a row that is still true.
    static let forever = Int64.max

    /// What hides an HQ table of the same name from a job's queries.
    static let tables = ["meta", "job", "derivation", "member", "scope_change", "past_mark", "unchanged"]

    static func install(in db: Database) throws {
        try db.execute(
            sql: """
                -- epoch; lineage: the token that hq.db must hold, see Lineage.
                CREATE TABLE IF NOT EXISTS meta (
                    name TEXT PRIMARY KEY,
                    value TEXT NOT NULL
                ) WITHOUT ROWID;

                -- What is derived at present. floor: versions below it cannot be told any more.
                CREATE TABLE IF NOT EXISTS job (
                    job TEXT PRIMARY KEY,
                    epoch INTEGER NOT NULL,
                    version INTEGER NOT NULL,
                    token INTEGER NOT NULL,
                    shapes TEXT NOT NULL,
                    queries TEXT NOT NULL,
                    floor INTEGER NOT NULL
                ) WITHOUT ROWID;

                -- Every derivation by its random token: a base is good only if this very history made it.
                CREATE TABLE IF NOT EXISTS derivation (
                    job TEXT NOT NULL,
                    token INTEGER NOT NULL,
                    epoch INTEGER NOT NULL,
                    version INTEGER NOT NULL,
                    PRIMARY KEY (job, token)
                ) WITHOUT ROWID;

                -- Which scopes a store sees in a table, by version like the rows themselves.
                CREATE TABLE IF NOT EXISTS member (
                    job TEXT NOT NULL,
                    store_id TEXT NOT NULL,
                    table_name TEXT NOT NULL,
                    scope TEXT NOT NULL,
                    _born INTEGER NOT NULL,
                    _died INTEGER NOT NULL,
                    PRIMARY KEY (job, store_id, table_name, scope, _born)
                ) WITHOUT ROWID;

                -- Versions at which something changed in a scope: tells "nothing new" without reading a row.
                CREATE TABLE IF NOT EXISTS scope_change (
                    table_name TEXT NOT NULL,
                    scope TEXT NOT NULL,
                    version INTEGER NOT NULL,
                    PRIMARY KEY (table_name, scope, version)
                ) WITHOUT ROWID;

                -- What was current when: the ages of versions. name: a job, or '' for the head of the change log.
                CREATE TABLE IF NOT EXISTS past_mark (
                    name TEXT NOT NULL,
                    at INTEGER NOT NULL,
                    version INTEGER NOT NULL,
                    PRIMARY KEY (name, at)
                ) WITHOUT ROWID;

                -- Up to where in the change log no input of a job has changed since the derivation with this token.
                CREATE TABLE IF NOT EXISTS unchanged (
                    job TEXT PRIMARY KEY,
                    token INTEGER NOT NULL,
                    version INTEGER NOT NULL
                ) WITHOUT ROWID;
                """)
    }

    static let rowsPrefix = "rows_"

    /// The name in `rows.db` of the versioned rows of a store table.
    static func rowsName(_ shape: TableShape) -> String { rowsPrefix + shape.name }

    /// The same, quoted.
    static func rowsTable(_ shape: TableShape) -> String { quoted(rowsName(shape)) }

    /// Makes the versioned table of a shape. A table of another shape must have been dropped before.
    ///
    /// - Parameter version: of the derivation at hand. No base is older than the first that filled the table.
    static func createRowsTable(_ shape: TableShape, version: Int64, in db: Database) throws {
        let name = rowsTable(shape)
        let key = shape.key.map(quoted).joined(separator: ", ")
        try db.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS \(name) (
                    _scope TEXT NOT NULL,
                    \(columnDeclarations(shape)),
                    _born INTEGER NOT NULL,
                    _died INTEGER NOT NULL,
                    PRIMARY KEY (_scope, \(key), _born)
                ) WITHOUT ROWID, STRICT;
                -- What came and what went after a version, in one scope: the whole cost of a delta. No delta asks for the
                -- rows of the first version, which are most of the table: they are not in it.
                CREATE INDEX IF NOT EXISTS \(quoted(bornIndex(shape))) ON \(name) (_scope, _born)
                    WHERE \(isBornLater(than: version));
                CREATE INDEX IF NOT EXISTS \(quoted("died_" + shape.name)) ON \(name) (_scope, _died)
                    WHERE _died < \(forever);
                """)
    }

    private static func bornIndex(_ shape: TableShape) -> String { "born_" + shape.name }

    /// Not a bound: SQLite would take it for the one from which to read the index.
    private static func isBornLater(than version: Int64) -> String { "_born <> \(version)" }

    /// What a query for rows that came after a base must say, so that it may use the index (_scope, _born).
    static func isInBornIndex(_ shape: TableShape, in db: Database) throws -> String {
        let sql = try String.fetchOne(
            db, sql: "SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = ?",
            arguments: [bornIndex(shape)])
        // Those of older programs hold every row.
        guard let sql, let condition = sql.range(of: "WHERE ") else { return "true" }
        return String(sql[condition.upperBound...])
    }

    static func columnDeclarations(_ shape: TableShape) -> String {
        shape.columns
            .map { "\(quoted($0.name)) \($0.type.rawValue)\($0.isNullable ? "" : " NOT NULL")" }
            .joined(separator: ",\n    ")
    }

    /// All tables of a job in one line each: when it changes, rows of before cannot be compared with rows of after.
    ///
    /// Whether stores keep rows is part of it: a delta could not take away what they have kept until then.
    static func shapesText(_ job: Job) -> String {
        job.subjobs.map { subjob in
            let columns = subjob.table.columns.map { "\($0.name) \($0.type.rawValue)\($0.isNullable ? "?" : "")" }
            let keeps = subjob.removal == .keep ? " keeps" : ""
            return
                "\(subjob.table.name)(\(columns.joined(separator: ", "))) key \(subjob.table.key.joined(separator: ", "))\(keeps)"
        }.joined(separator: "\n")
    }

    /// All queries of a job with the views they read, and the columns of what it remembers: when any of it changes, the
    /// job is derived anew although no HQ row has changed.
    static func queriesText(_ job: Job, _ reads: JobReads) -> String {
        let views = reads.views.sorted { $0.key < $1.key }.map(\.value)
        let remembered = job.remembered.map { name in "\(name)(\(reads.shapes[name]?.columns ?? []))" }
        return ([queriesText(job)] + views + remembered).joined(separator: "\n;\n")
    }

    /// What the job itself says of that.
    static func queriesText(_ job: Job) -> String {
        var texts = job.prepare.flatMap(\.statements) + job.subjobs.flatMap { [$0.rows, $0.members] }
        for slice in job.slices {
            texts.append(slice.all?.text ?? "")
            texts += slice.touched.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value.text] }
        }
        texts += job.subjobs.map { "\($0.slice?.slice ?? "") \($0.slice?.column ?? "")" }
        return texts.joined(separator: "\n;\n")
    }
}
