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
    /// What the stores had, in the scopes to look at.
    let held: RowsAt
    /// What they are to have.
    let shown: RowsAt
    /// The stores see and saw one scope, the same: what stands of what they had is what they are to have.
    private let isOneScope: Bool
    /// Scopes that they see and did not see, or the other way round.
    private let (hasNewScopes, hasLostScopes): (Bool, Bool)
    /// Query for the rows that came after the base in a scope seen all along, and for all rows of a scope seen newly;
    /// some of them the stores may have just so, from another scope or from before.
    let cameRows: String

    init(shape: TableShape, base: Int64, version: Int64, in db: Database) throws {
        self.shape = shape
        self.base = base
        self.version = version
        held = try RowsAt(shape, at: base, as: ":base", scopes: "scope_before", in: db)
        shown = try RowsAt(shape, at: version, as: ":now", scopes: "scope_now", in: db)
        func isAny(_ condition: String) throws -> Bool {
            try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM temp.\(condition))") ?? false
        }
        hasNewScopes = try isAny("scope_now WHERE NOT is_before")
        hasLostScopes = try isAny("scope_before WHERE NOT is_now")
        isOneScope =
            try !hasNewScopes && !hasLostScopes
            && Int.fetchOne(db, sql: "SELECT count(*) FROM temp.scope_now") == 1
        let isMuch =
            try isOneScope && TableDifference.isMuch(shape, base: base, version: version, in: db)
        cameRows = try TableDifference.cameQuery(shown, isMuch: isMuch, hasNewScopes: hasNewScopes, in: db)
    }

    var arguments: StatementArguments { ["base": base, "now": version] }

    private static func list(_ names: [String], of table: String) -> String {
        names.map { "\(table).\(quoted($0))" }.joined(separator: ", ")
    }

    private static func cameQuery(
        _ shown: RowsAt, isMuch: Bool, hasNewScopes: Bool, in db: Database
    ) throws -> String {
        let shape = shown.shape
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        let came =
            isMuch
            // Primary key (_scope, key), which gives them in the package's order.
            ? "_scope = (SELECT scope FROM temp.scope_now) AND +_born > :base AND +_born <= :now"
            // Index (_scope, _born).
            : """
            _scope IN (SELECT scope FROM temp.scope_now WHERE is_before) AND _born > :base
                AND _born <= :now AND \(try RowsSchema.isInBornIndex(shape, in: db))
            """
        var queries = ["SELECT \(columns) FROM \(RowsSchema.rowsTable(shape)) WHERE \(came)"]
        if !shown.isNewest {
            // Primary key (_scope, _died, …).
            queries.append(
                """
                SELECT \(columns) FROM \(RowsSchema.endedTable(shape))
                WHERE _scope IN (SELECT scope FROM temp.scope_now WHERE is_before) AND _died > :now
                    AND _born > :base AND _born <= :now
                """)
        }
        if hasNewScopes {
            let new = "_scope IN (SELECT scope FROM temp.scope_now WHERE NOT is_before)"
            queries.append(shown.select(columns, scopes: new))
        }
        return queries.joined(separator: "\nUNION ALL\n")
    }

    private static func isMuch(_ shape: TableShape, base: Int64, version: Int64, in db: Database) throws -> Bool {
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
        let stand =
            try Int.fetchOne(
                db,
                sql: """
                    SELECT count(*) FROM (
                        SELECT 1 FROM \(rows) WHERE _scope = (SELECT scope FROM temp.scope_now) LIMIT ?
                    )
                    """,
                arguments: [came * camePart + 1]) ?? 0
        return stand <= came * camePart
    }

    /// Whether the stores lack anything of the table. Ends at the first row that differs.
    func isAny(removal: Subjob.Removal, in db: Database) throws -> Bool {
        let removed = removal == .delete ? " OR EXISTS (\(removedKeys))" : ""
        return try Bool.fetchOne(db, sql: "SELECT EXISTS (\(changedRows))\(removed)", arguments: arguments) ?? true
    }

    /// Whether the stores had a row with the key of `new`, one that came; for more of a condition on `old`.
    func isHeld(_ condition: String = "true") -> String {
        held.exists("old", isEndedOnly: isOneScope, "\(TableDifference.sameKey(shape)) AND \(condition)")
    }

    static func sameKey(_ shape: TableShape) -> String {
        shape.key.map { "old.\(quoted($0)) = new.\(quoted($0))" }.joined(separator: " AND ")
    }

    /// Of `old` and `new`, beside the key.
    var sameValues: String {
        let pairs = shape.valueColumns.map { "old.\(quoted($0.name)) IS new.\(quoted($0.name))" }
        return pairs.isEmpty ? "true" : pairs.joined(separator: " AND ")
    }

    /// Of the rows that came, those that the store has not just so already.
    var changedRows: String {
        // What one derivation has written differs from what stood there, or it would not have written it.
        if isOneScope && held.isOneStepBehind { return cameRows }
        return """
            SELECT \(TableDifference.list(shape.columns.map(\.name), of: "new")) FROM (
                \(cameRows)
            ) AS new
            WHERE NOT \(isHeld(sameValues))
            """
    }

    /// Keys that the store has and that no row it shall see now has.
    var removedKeys: String {
        let key = shape.key.map(quoted).joined(separator: ", ")
        var queries = [
            """
            -- Primary key (_scope, _died, …).
            SELECT \(key) FROM \(RowsSchema.endedTable(shape))
            WHERE _scope IN (SELECT scope FROM temp.scope_before WHERE is_now) AND _died > :base
                AND _died <= :now AND _born <= :base
            """
        ]
        if hasLostScopes {
            let lost = "_scope IN (SELECT scope FROM temp.scope_before WHERE NOT is_now)"
            queries.append(held.select(key, scopes: lost))
        }
        return """
            SELECT \(TableDifference.list(shape.key, of: "old")) FROM (
                \(queries.joined(separator: "\nUNION ALL\n"))
            ) AS old
            WHERE NOT \(shown.exists("new", TableDifference.sameKey(shape)))
            """
    }
}
