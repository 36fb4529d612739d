import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// Compares a subjob's rows with what is known of its table, and writes the difference down as of a version.
struct RowsChange {
    /// The values that are worked out in this run, and where the table holds them.
    struct SliceTable {
        var table: String
        var value: String
        var column: String
    }

    let subjob: Subjob
    let version: Int64
    let db: Database

    /// From so many rows that end on, and from such a part of all: indexes are cheaper made anew than followed.
    private static let goneMin = 10_000
    private static let gonePart = 8

    private var shape: TableShape { subjob.table }
    private var rows: String { RowsSchema.rowsTable(shape) }
    private var columns: String { list(shape.columns.map(\.name)) }
    private var key: String { list(shape.key) }

    private func list(_ names: [String], of table: String? = nil) -> String {
        names.map { (table.map { $0 + "." } ?? "") + quoted($0) }.joined(separator: ", ")
    }

    private var sameKey: String {
        shape.key.map { "staged.\(quoted($0)) = known.\(quoted($0))" }.joined(separator: " AND ")
    }

    private var sameRow: String {
        let values = shape.valueColumns.map { " AND staged.\(quoted($0.name)) IS known.\(quoted($0.name))" }
        return sameKey + values.joined()
    }

    /// Whether nothing was ever worked out for the table, and it refuses what `staged` would refuse.
    func isFirst() throws -> Bool {
        guard try Bool.fetchOne(db, sql: "SELECT NOT EXISTS (SELECT 1 FROM \(rows))") == true else { return false }
        // Older programs made it without STRICT.
        return try Bool.fetchOne(
            db, sql: "SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = ?",
            arguments: [RowsSchema.rowsName(shape)]) ?? false
    }

    /// Runs the subjob's query straight into a table that holds nothing: there is nothing to compare with.
    ///
    /// - Returns: the rows it gave.
    func insertFirst() throws -> Int {
        try db.execute(
            sql: """
                INSERT INTO \(rows) (_scope, \(columns), _born, _died)
                SELECT _scope, \(columns), :version, \(RowsSchema.forever) FROM (\(subjob.rows))
                """,
            arguments: ["version": version])
        let born = db.changesCount
        try noteScopes("\(scopesOfTable) SELECT name AS _scope FROM scope WHERE name IS NOT NULL")
        return born
    }

    /// Runs the subjob's query into `staged`; with a slice, for its values only.
    ///
    /// - Returns: the rows it gave.
    func stage(slice: SliceTable?) throws -> Int {
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.staged;
                CREATE TEMP TABLE staged (
                    _scope TEXT NOT NULL,
                    \(RowsSchema.columnDeclarations(shape)),
                    PRIMARY KEY (_scope, \(key))
                ) WITHOUT ROWID, STRICT;
                """)
        let restriction = slice.map { " WHERE \(quoted($0.column)) IN (SELECT \($0.value) FROM \($0.table))" } ?? ""
        try db.execute(
            sql: """
                INSERT INTO temp.staged (_scope, \(columns))
                SELECT _scope, \(columns) FROM (\(subjob.rows))\(restriction)
                """)
        return db.changesCount
    }

    /// Takes `staged` for all rows of the table.
    ///
    /// - Returns: whether anything differs.
    func replaceAll() throws -> Bool {
        let isMuch = try findGone()
        let now = NowView(subjob: subjob, db: db)
        if isMuch { try now.dropIndexes() }
        let died = try isMuch ? endEach() : endGone()
        let born = try insertFresh()
        if isMuch { try now.createIndex() }
        try db.execute(sql: "DROP TABLE temp.gone; DROP TABLE temp.staged")
        guard died + born > 0 else { return false }
        // One pass over the narrow indexes (_scope, _born) and (_scope, _died); only when something changed.
        try noteScopes(
            """
            SELECT DISTINCT _scope FROM \(rows)
            WHERE _born = :version AND \(try RowsSchema.isInBornIndex(shape, in: db))
            UNION
            SELECT DISTINCT _scope FROM \(rows) WHERE _died = :version AND _died < \(RowsSchema.forever)
            """)
        return true
    }

    /// Keys of rows that stand and are not in `staged`, in `temp.gone`; some of them when they are many.
    ///
    /// - Returns: whether they are many.
    private func findGone() throws -> Bool {
        let count = try Int.fetchOne(db, sql: "SELECT count(*) FROM temp.staged") ?? 0
        let most = max(RowsChange.goneMin, count / RowsChange.gonePart)
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.gone;
                CREATE TEMP TABLE gone AS
                SELECT known._scope, \(list(shape.key, of: "known")), known._born FROM \(rows) AS known
                WHERE \(isGone) LIMIT \(most)
                """)
        return try Int.fetchOne(db, sql: "SELECT count(*) FROM temp.gone") ?? 0 >= most
    }

    /// Ends the rows of `temp.gone`: by the primary key, all of it.
    private func endGone() throws -> Int {
        try db.execute(
            sql: """
                UPDATE \(rows) SET _died = :version
                WHERE (_scope, \(key), _born) IN (SELECT _scope, \(key), _born FROM temp.gone)
                """,
            arguments: ["version": version])
        return db.changesCount
    }

    /// Ends all rows that are not in `staged`, in one pass.
    private func endEach() throws -> Int {
        try db.execute(
            sql: "UPDATE \(rows) AS known SET _died = :version WHERE \(isGone)", arguments: ["version": version])
        return db.changesCount
    }

    /// Of a row that stands. Look-ups by the primary key (_scope, key): one ordered pass over either side.
    private var isGone: String {
        """
        known._died = \(RowsSchema.forever) AND NOT EXISTS (
            SELECT 1 FROM temp.staged AS staged WHERE staged._scope = known._scope AND \(sameRow)
        )
        """
    }

    /// Takes `staged` for all rows with these values, and touches no other.
    func replace(slice: SliceTable) throws -> Bool {
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.gone;
                CREATE TEMP TABLE gone AS
                \(known(slice)) WHERE \(isGone)
                """)
        let died = try endGone()
        try db.execute(
            sql: """
                DELETE FROM temp.staged AS staged WHERE EXISTS (
                    SELECT 1 FROM \(rows) AS known
                    WHERE known._scope = staged._scope AND \(sameKey) AND known._died = \(RowsSchema.forever)
                )
                """)
        let born = try insertFresh()
        if died + born > 0 {
            try noteScopes("SELECT _scope FROM temp.gone UNION SELECT _scope FROM temp.staged")
        }
        try db.execute(sql: "DROP TABLE temp.gone; DROP TABLE temp.staged")
        return died + born > 0
    }

    /// SELECT of the scope, key and birth of rows with the slice's values; for a condition that they stand.
    private func known(_ slice: SliceTable) -> String {
        let selected = "SELECT known._scope, \(list(shape.key, of: "known")), known._born"
        let column = "known." + quoted(slice.column)
        guard slice.column == shape.key.first else {
            // By the index slice_TABLE (column) of the rows that stand.
            return """
                \(selected)
                FROM \(slice.table) AS slice CROSS JOIN \(rows) AS known ON \(column) = slice.\(slice.value)
                """
        }
        // Each scope and value by the primary key (_scope, key).
        return """
            \(scopesOfTable)
            \(selected)
            FROM scope CROSS JOIN \(slice.table) AS slice
            CROSS JOIN \(rows) AS known ON known._scope = scope.name AND \(column) = slice.\(slice.value)
            """
    }

    /// `scope (name)`: all scopes of the table, and a NULL after the last. By hops over the primary key (_scope, …): a
    /// step for each of them, not for each row.
    private var scopesOfTable: String {
        """
        WITH RECURSIVE scope (name) AS (
            SELECT min(_scope) FROM \(rows)
            UNION ALL
            SELECT (SELECT min(_scope) FROM \(rows) WHERE _scope > scope.name) FROM scope WHERE scope.name IS NOT NULL
        )
        """
    }

    /// Staged rows that do not stand yet become rows of this version.
    private func insertFresh() throws -> Int {
        try db.execute(
            sql: """
                INSERT INTO \(rows) (_scope, \(columns), _born, _died)
                SELECT staged._scope, \(list(shape.columns.map(\.name), of: "staged")), :version, \(RowsSchema.forever)
                FROM temp.staged AS staged
                WHERE NOT EXISTS (
                    SELECT 1 FROM \(rows) AS known
                    WHERE known._scope = staged._scope AND \(sameKey) AND known._died = \(RowsSchema.forever)
                )
                """,
            arguments: ["version": version])
        return db.changesCount
    }

    private func noteScopes(_ scopes: String) throws {
        try db.execute(
            sql: """
                INSERT INTO scope_change (table_name, scope, version)
                SELECT :table, _scope, :version FROM (\(scopes))
                """,
            arguments: ["table": shape.name, "version": version])
    }
}
