import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// The tables of `rows.db`: what every store must hold, at every version that some store may still stand at.
///
/// Each row of a store table is kept with the versions between which it was true: visible at version v when
/// `_born <= v < _died`. The content of a scope at any kept version, and the net difference between any two, are
/// therefore plain queries; no log of changes has to be replayed, and cancelled sessions leave nothing to repair.
///
/// Rows that stand are in `rows_TABLE`, rows that have ended in `ended_TABLE`: what stands is changed where it is, what
/// ends is written behind what has ended before, and forgotten from the other end.
enum RowsSchema {
    /// `_died` of a membership that is still true; of a row that stands, where it is asked together with those that ended.
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
                -- ended: rows that have ended then and are kept; the past is counted without reading it.
                CREATE TABLE IF NOT EXISTS scope_change (
                    table_name TEXT NOT NULL,
                    scope TEXT NOT NULL,
                    version INTEGER NOT NULL,
                    ended INTEGER NOT NULL,
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
    static let endedPrefix = "ended_"

    /// The name in `rows.db` of the rows of a store table that stand.
    static func rowsName(_ shape: TableShape) -> String { rowsPrefix + shape.name }

    /// The same, quoted.
    static func rowsTable(_ shape: TableShape) -> String { quoted(rowsName(shape)) }

    /// Those that have ended, quoted.
    static func endedTable(_ shape: TableShape) -> String { quoted(endedPrefix + shape.name) }

    /// Makes the versioned tables of a shape. Tables of another shape must have been dropped before.
    ///
    /// - Parameter version: of the derivation at hand. No base is older than the first that filled the table.
    static func createRowsTables(_ shape: TableShape, version: Int64, in db: Database) throws {
        let name = rowsTable(shape)
        let key = shape.key.map(quoted).joined(separator: ", ")
        try db.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS \(name) (
                    _scope TEXT NOT NULL,
                    \(columnDeclarations(shape)),
                    _born INTEGER NOT NULL,
                    PRIMARY KEY (_scope, \(key))
                ) WITHOUT ROWID, STRICT;
                -- What came after a version, in one scope. No delta asks for the rows of the first version, which are most
                -- of the table: they are not in it.
                CREATE INDEX IF NOT EXISTS \(quoted(bornIndex(shape))) ON \(name) (_scope, _born)
                    WHERE \(isBornLater(than: version));
                -- What went after a version, in one scope, is one range of it.
                CREATE TABLE IF NOT EXISTS \(endedTable(shape)) (
                    _scope TEXT NOT NULL,
                    _died INTEGER NOT NULL,
                    \(columnDeclarations(shape)),
                    _born INTEGER NOT NULL,
                    PRIMARY KEY (_scope, _died, \(key))
                ) WITHOUT ROWID, STRICT;
                """)
    }

    static func dropRowsTables(_ shape: TableShape, in db: Database) throws {
        try db.execute(sql: "DROP TABLE IF EXISTS \(rowsTable(shape)); DROP TABLE IF EXISTS \(endedTable(shape))")
    }

    /// Gives up what older programs kept, rows of the past among those that stand: the next derivation of each job is then
    /// its first, and stores get their tables whole once more.
    static func dropFormerTables(in db: Database) throws {
        let former = try String.fetchAll(
            db,
            sql: """
                SELECT name FROM main.sqlite_schema AS made WHERE type = 'table' AND name GLOB '\(rowsPrefix)*'
                    AND EXISTS (SELECT 1 FROM pragma_table_info(made.name, 'main') AS own WHERE own.name = '_died')
                """)
        guard !former.isEmpty else { return }
        for name in former { try db.execute(sql: "DROP TABLE main.\(quoted(name))") }
        try db.execute(sql: "DROP TABLE main.scope_change; UPDATE job SET shapes = ''")
    }

    private static func bornIndex(_ shape: TableShape) -> String { "born_" + shape.name }

    /// Not a bound: SQLite would take it for the one from which to read the index.
    private static func isBornLater(than version: Int64) -> String { "_born <> \(version)" }

    /// What a query for rows that came after a base must say, so that it may use the index (_scope, _born).
    static func isInBornIndex(_ shape: TableShape, in db: Database) throws -> String {
        let sql = try String.fetchOne(
            db, sql: "SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = ?",
            arguments: [bornIndex(shape)])
        guard let sql, let condition = sql.range(of: "WHERE ") else { return "true" }
        return String(sql[condition.upperBound...])
    }

    /// SELECT of columns of the rows that were visible at a version, from both tables.
    ///
    /// - Parameters:
    ///   - version: an SQL parameter.
    ///   - scopes: a condition on `_scope`, of which both primary keys make ranges.
    ///   - condition: more of it.
    ///   - isNewest: nothing in the scopes has changed since.
    ///   - ended: where rows that have ended since are, if not only in the table of all of them.
    static func visible(
        _ columns: String, of shape: TableShape, at version: String, scopes: String, condition: String = "true",
        isNewest: Bool = false, ended: String? = nil
    ) -> String {
        // The + keeps SQLite from the index (_scope, _born), which would look every row up in the table.
        let standing =
            "SELECT \(columns) FROM \(rowsTable(shape)) WHERE \(scopes) AND +_born <= \(version) AND \(condition)"
        guard !isNewest else { return standing }
        return """
            \(standing)
            UNION ALL
            SELECT \(columns) FROM \(ended ?? endedTable(shape))
            WHERE \(scopes) AND _died > \(version) AND _born <= \(version) AND \(condition)
            """
    }

    /// Makes a TEMP table of the rows that were visible at a version and have ended since, in the order of their keys:
    /// the table of all of them has them in the order in which they ended.
    ///
    /// - Parameters: as of ``visible(_:of:at:scopes:condition:isNewest:ended:)``; `table` is the TEMP table's quoted name.
    static func stageEnded(
        of shape: TableShape, at version: String, scopes: String, as table: String, _ arguments: StatementArguments,
        in db: Database
    ) throws {
        let key = shape.key.map(quoted).joined(separator: ", ")
        let columns = "_scope, \(shape.columns.map { quoted($0.name) }.joined(separator: ", ")), _born, _died"
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.\(table);
                CREATE TABLE temp.\(table) (
                    _scope TEXT NOT NULL,
                    \(columnDeclarations(shape)),
                    _born INTEGER NOT NULL,
                    _died INTEGER NOT NULL,
                    PRIMARY KEY (_scope, \(key))
                ) WITHOUT ROWID;
                """)
        // Primary key (_scope, _died, …), from the version on. A key stood once in a scope at one version.
        try db.execute(
            sql: """
                INSERT INTO temp.\(table) (\(columns))
                SELECT \(columns) FROM \(endedTable(shape))
                WHERE \(scopes) AND _died > \(version) AND _born <= \(version)
                ORDER BY _scope, \(key)
                """,
            arguments: arguments)
    }

    /// The key first: of other tables WITHOUT ROWID SQLite 3.40 takes one column for another when it checks a file.
    static func columnDeclarations(_ shape: TableShape) -> String {
        let key = shape.key.compactMap { name in shape.columns.first { $0.name == name } }
        return (key + shape.valueColumns)
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
