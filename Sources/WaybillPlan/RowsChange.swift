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
    private var ended: String { RowsSchema.endedTable(shape) }
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

    /// Whether no row of the table stands, and none has ended that a store may still have.
    func isFirst() throws -> Bool {
        try Bool.fetchOne(
            db, sql: "SELECT NOT EXISTS (SELECT 1 FROM \(rows)) AND NOT EXISTS (SELECT 1 FROM \(ended))") ?? false
    }

    /// Runs the subjob's query straight into a table that holds nothing: there is nothing to compare with.
    ///
    /// - Returns: the rows it gave.
    func insertFirst() throws -> Int {
        try db.execute(
            sql: """
                INSERT INTO \(rows) (_scope, \(columns), _born)
                SELECT _scope, \(columns), :version FROM (\(subjob.rows))
                """,
            arguments: ["version": version])
        let born = db.changesCount
        try noteScopes("\(scopes(of: rows)) SELECT name AS _scope FROM scope WHERE name IS NOT NULL")
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
        let born = try writeFresh()
        if isMuch { try removeEach() }
        if isMuch { try now.createIndex() }
        if died + born > 0 {
            // One pass over the narrow index (_scope, _born), which SQLite does not take for "=", and a step for each scope.
            try noteScopes(
                """
                SELECT DISTINCT _scope FROM \(rows)
                WHERE _born >= :version AND \(try RowsSchema.isInBornIndex(shape, in: db))
                UNION
                SELECT hop.name FROM (\(scopes(of: ended)) SELECT name FROM scope) AS hop
                WHERE EXISTS (SELECT 1 FROM \(ended) WHERE _scope = hop.name AND _died = :version)
                """)
        }
        try db.execute(sql: "DROP TABLE temp.gone; DROP TABLE temp.staged")
        return died + born > 0
    }

    /// Rows that stand and are not in `staged`, in `temp.gone`; some of them when they are many.
    ///
    /// - Returns: whether they are many.
    private func findGone() throws -> Bool {
        let count = try Int.fetchOne(db, sql: "SELECT count(*) FROM temp.staged") ?? 0
        let most = max(RowsChange.goneMin, count / RowsChange.gonePart)
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.gone;
                CREATE TEMP TABLE gone AS
                SELECT \(knownRow) FROM \(rows) AS known WHERE \(isGone) LIMIT \(most)
                """)
        return try Int.fetchOne(db, sql: "SELECT count(*) FROM temp.gone") ?? 0 >= most
    }

    /// Ends the rows of `temp.gone`. Those of which another version is staged are left standing for it.
    private func endGone() throws -> Int {
        try db.execute(
            sql: """
                INSERT INTO \(ended) (_scope, \(columns), _born, _died)
                SELECT _scope, \(columns), _born, :version FROM temp.gone ORDER BY _scope, \(key)
                """,
            arguments: ["version": version])
        let died = db.changesCount
        try db.execute(
            sql: """
                DELETE FROM \(rows) WHERE (_scope, \(key)) IN (
                    SELECT _scope, \(key) FROM temp.gone AS known
                    WHERE NOT EXISTS (SELECT 1 FROM temp.staged AS staged WHERE staged._scope = known._scope AND \(sameKey))
                )
                """)
        return died
    }

    /// The same of all rows that are not in `staged`, in one pass; none is removed.
    private func endEach() throws -> Int {
        try db.execute(
            sql: """
                INSERT INTO \(ended) (_scope, \(columns), _born, _died)
                SELECT \(knownRow), :version FROM \(rows) AS known WHERE \(isGone)
                """,
            arguments: ["version": version])
        return db.changesCount
    }

    /// Removes rows whose key is not staged. When all that is staged stands, the numbers tell whether there are any.
    private func removeEach() throws {
        let isAny = try Bool.fetchOne(
            db, sql: "SELECT (SELECT count(*) FROM \(rows)) > (SELECT count(*) FROM temp.staged)")
        guard isAny == true else { return }
        try db.execute(
            sql: """
                DELETE FROM \(rows) AS known WHERE NOT EXISTS (
                    SELECT 1 FROM temp.staged AS staged WHERE staged._scope = known._scope AND \(sameKey)
                )
                """)
    }

    /// The columns of a row that stands as those of `temp.gone`.
    private var knownRow: String { "known._scope, \(list(shape.columns.map(\.name), of: "known")), known._born" }

    /// Of a row that stands. Look-ups by the primary key (_scope, key): one ordered pass over either side.
    private var isGone: String {
        "NOT EXISTS (SELECT 1 FROM temp.staged AS staged WHERE staged._scope = known._scope AND \(sameRow))"
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
        let born = try writeFresh()
        if died + born > 0 {
            // Index (_scope, _born): a step for each scope.
            try noteScopes(
                """
                SELECT _scope FROM temp.gone
                UNION
                SELECT _scope FROM (SELECT DISTINCT _scope FROM temp.staged) AS staged
                WHERE EXISTS (
                    SELECT 1 FROM \(rows) AS known WHERE known._scope = staged._scope AND known._born >= :version
                        AND \(try RowsSchema.isInBornIndex(shape, in: db))
                )
                """)
        }
        try db.execute(sql: "DROP TABLE temp.gone; DROP TABLE temp.staged")
        return died + born > 0
    }

    /// SELECT of the rows that stand with the slice's values; for a condition.
    private func known(_ slice: SliceTable) -> String {
        let selected = "SELECT \(knownRow)"
        let column = "known." + quoted(slice.column)
        guard slice.column == shape.key.first else {
            // By the index slice_TABLE (column).
            return """
                \(selected)
                FROM \(slice.table) AS slice CROSS JOIN \(rows) AS known ON \(column) = slice.\(slice.value)
                """
        }
        // Each scope and value by the primary key (_scope, key).
        return """
            \(scopes(of: rows))
            \(selected)
            FROM scope CROSS JOIN \(slice.table) AS slice
            CROSS JOIN \(rows) AS known ON known._scope = scope.name AND \(column) = slice.\(slice.value)
            """
    }

    /// `scope (name)`: all scopes of a table, and a NULL after the last. By hops over the primary key (_scope, …): a step
    /// for each of them, not for each row.
    private func scopes(of table: String) -> String {
        """
        WITH RECURSIVE scope (name) AS (
            SELECT min(_scope) FROM \(table)
            UNION ALL
            SELECT (SELECT min(_scope) FROM \(table) WHERE _scope > scope.name) FROM scope WHERE scope.name IS NOT NULL
        )
        """
    }

    /// Staged rows that do not stand yet become rows of this version, in place of those with their keys.
    private func writeFresh() throws -> Int {
        // What stands is compared where it is found: a condition that reads the table would have SQLite copy all first.
        let values = shape.valueColumns.map { quoted($0.name) }
        let differing = values.map { "\(rows).\($0) IS NOT excluded.\($0)" }.joined(separator: " OR ")
        let update = """
            UPDATE SET \(values.map { "\($0) = excluded.\($0), " }.joined())_born = excluded._born WHERE \(differing)
            """
        try db.execute(
            sql: """
                INSERT INTO \(rows) (_scope, \(columns), _born)
                SELECT _scope, \(columns), :version FROM temp.staged WHERE true
                ON CONFLICT (_scope, \(key)) DO \(values.isEmpty ? "NOTHING" : update)
                """,
            arguments: ["version": version])
        return db.changesCount
    }

    private func noteScopes(_ scopes: String) throws {
        try db.execute(
            sql: """
                INSERT INTO scope_change (table_name, scope, version, ended)
                SELECT :table, changed._scope, :version, (
                    -- Primary key (_scope, _died, …): one range for each scope.
                    SELECT count(*) FROM \(ended) AS past
                    WHERE past._scope = changed._scope AND past._died = :version
                )
                FROM (\(scopes)) AS changed
                """,
            arguments: ["table": shape.name, "version": version])
    }
}
