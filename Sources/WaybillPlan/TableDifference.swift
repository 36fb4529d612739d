import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// What stores lack of one table: the queries that a delta is filled with. The scopes are staged.
struct TableDifference {
    /// From so many rows that came on, and from such a part of what a scope holds: reading all of the scope in its order
    /// is cheaper than looking the rows up.
    private static let cameMin = 10_000
    private static let camePart = 4

    let shape: TableShape
    let base: Int64
    let version: Int64
    let db: Database
    /// See ``cameRows(of:in:)``.
    private let cameRows: String
    /// Nearly everything has changed, in the one scope that the stores see and saw.
    private let isMuch: Bool

    init(shape: TableShape, base: Int64, version: Int64, in db: Database) throws {
        self.shape = shape
        self.base = base
        self.version = version
        self.db = db
        cameRows = try TableDifference.cameRows(of: shape, in: db)
        isMuch = try TableDifference.isMuch(shape, base: base, version: version, db)
    }

    /// Query for the rows that came after the base in a scope seen all along, and for all rows of a scope seen newly;
    /// some of them the stores may have just so, from another scope or from before. To be bound: base, now.
    static func cameRows(of shape: TableShape, in db: Database) throws -> String {
        let rows = RowsSchema.rowsTable(shape)
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        return """
            -- Index (_scope, _born).
            SELECT \(columns) FROM \(rows)
            WHERE _scope IN (SELECT scope FROM temp.scope_now WHERE is_before) AND _born > :base
                AND _born <= :now AND \(try RowsSchema.isInBornIndex(shape, in: db)) AND _died > :now
            UNION ALL
            -- Primary key (_scope, …).
            SELECT \(columns) FROM \(rows)
            WHERE _scope IN (SELECT scope FROM temp.scope_now WHERE NOT is_before) AND _born <= :now AND _died > :now
            """
    }

    var arguments: StatementArguments { ["base": base, "now": version] }

    private var rows: String { RowsSchema.rowsTable(shape) }
    private var key: String { shape.key.map(quoted).joined(separator: ", ") }

    private static func isMuch(
        _ shape: TableShape, base: Int64, version: Int64, _ db: Database
    ) throws -> Bool {
        let isOne = try Bool.fetchOne(
            db,
            sql: """
                SELECT count(*) = 1 AND min(is_before) AND min(scope) IS (SELECT min(scope) FROM temp.scope_before)
                    AND (SELECT count(*) FROM temp.scope_before) = 1
                FROM temp.scope_now
                """)
        guard isOne == true else { return false }
        let rows = RowsSchema.rowsTable(shape)
        // Index (_scope, _born), which holds all that is asked for: as many steps as rows came.
        let came =
            try Int.fetchOne(
                db,
                sql: """
                    SELECT count(*) FROM \(rows)
                    WHERE _scope = (SELECT scope FROM temp.scope_now) AND _born > ? AND _born <= ?
                        AND \(try RowsSchema.isInBornIndex(shape, in: db))
                    """,
                arguments: [base, version]) ?? 0
        guard came >= cameMin else { return false }
        // Primary key (_scope, …), left at the bound.
        let held =
            try Int.fetchOne(
                db,
                sql: """
                    SELECT count(*) FROM (
                        SELECT 1 FROM \(rows) WHERE _scope = (SELECT scope FROM temp.scope_now) AND +_born <= ? LIMIT ?
                    )
                    """,
                arguments: [version, came * camePart + 1]) ?? 0
        return held <= came * camePart
    }

    /// Whether the stores lack anything of the table. Ends at the first row that differs.
    func isAny(removal: Subjob.Removal) throws -> Bool {
        let removed = removal == .delete ? " OR EXISTS (\(removedKeys))" : ""
        return try Bool.fetchOne(db, sql: "SELECT EXISTS (\(changedRows))\(removed)", arguments: arguments) ?? true
    }

    /// Of the rows that came, those that the store has not just so already.
    var changedRows: String {
        let listed = shape.columns.map { "new." + quoted($0.name) }.joined(separator: ", ")
        let same =
            (shape.key.map { "old.\(quoted($0)) = new.\(quoted($0))" }
            + shape.valueColumns.map { "old.\(quoted($0.name)) IS new.\(quoted($0.name))" }).joined(separator: " AND ")
        guard !isMuch else {
            return """
                -- Primary key (_scope, key…): in its order, and the row of before is the neighbour.
                SELECT \(listed) FROM \(rows) AS new
                WHERE new._scope = (SELECT scope FROM temp.scope_now)
                    AND +new._born > :base AND +new._born <= :now AND new._died > :now
                    AND NOT EXISTS (
                        SELECT 1 FROM \(rows) AS old
                        WHERE old._scope = new._scope AND \(same) AND old._born <= :base AND old._died > :base
                    )
                """
        }
        return """
            SELECT \(listed) FROM (
                \(cameRows)
            ) AS new
            WHERE NOT EXISTS (
                -- Primary key (_scope, key…): a step for each scope the store had.
                SELECT 1 FROM \(rows) AS old
                WHERE old._scope IN (SELECT scope FROM temp.scope_before) AND \(same)
                    AND old._born <= :base AND old._died > :base
            )
            """
    }

    /// Keys that the store has and that no row it shall see now has.
    var removedKeys: String {
        let sameKey = shape.key.map { "new.\(quoted($0)) = old.\(quoted($0))" }.joined(separator: " AND ")
        let oldKey = shape.key.map { "old." + quoted($0) }.joined(separator: ", ")
        guard !isMuch else {
            return """
                -- Primary key (_scope, key…): in its order, and the row of now is the neighbour.
                SELECT \(oldKey) FROM \(rows) AS old
                WHERE old._scope = (SELECT scope FROM temp.scope_before)
                    AND +old._died > :base AND +old._died <= :now AND old._born <= :base
                    AND NOT EXISTS (
                        SELECT 1 FROM \(rows) AS new
                        WHERE new._scope = old._scope AND \(sameKey) AND new._born <= :now AND new._died > :now
                    )
                """
        }
        return """
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
            """
    }
}
