import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage

/// Shadow tables: filled beside the table that tills read, in slices with pauses, and swapped in at the end.
final class Shadows {
    private let db: Database
    private let order: Applier.Order
    /// Milliseconds of the longest write lock of a slice.
    private(set) var longestLock: Int64 = 0

    static let shadowPrefix = "_waybill_shadow_"
    static let oldPrefix = "_waybill_old_"

    init(db: Database, order: Applier.Order) {
        self.db = db
        self.order = order
    }

    private func shadow(_ shape: TableShape) -> String { "main." + quoted(Shadows.shadowPrefix + shape.name) }

    /// The package's rows after the last one in the shadow, in key order.
    func packaged(_ shape: TableShape) -> (_ after: String) -> String {
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        return { after in
            "SELECT \(columns) FROM package.\(quoted(shape.name)) \(after.isEmpty ? "" : "WHERE \(after)")"
        }
    }

    /// The store's rows with a delta's laid over them, after the last one in the shadow, in key order.
    func merged(_ shape: TableShape) -> (_ after: String) -> String {
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        let packaged = self.packaged(shape)
        func isIn(_ table: String) -> String {
            let sameKey = shape.key.map { "there.\(quoted($0)) = here.\(quoted($0))" }.joined(separator: " AND ")
            return "EXISTS (SELECT 1 FROM package.\(quoted(table)) AS there WHERE \(sameKey))"
        }
        return { after in
            """
            \(packaged(after))
            UNION ALL
            SELECT \(columns) FROM main.\(quoted(shape.name)) AS here
            WHERE NOT \(isIn(shape.name)) AND NOT \(isIn(shape.name + PackageTables.removedSuffix))
                \(after.isEmpty ? "" : "AND \(after)")
            """
        }
    }

    /// Makes the shadow of a table and fills it, a slice at a time.
    /// - Returns: rows in the shadow.
    func fill(_ shape: TableShape, from source: (_ after: String) -> String) throws -> Int64 {
        let key = shape.key.map(quoted).joined(separator: ", ")
        let newestFirst = shape.key.map { quoted($0) + " DESC" }.joined(separator: ", ")
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        try slice {
            try self.db.execute(
                sql: PackageTables.createStatement(shape, name: Shadows.shadowPrefix + shape.name, schema: "main"))
        }
        // Not yet anybody's rows: the last transaction syncs the log, and with it all that stands before.
        try db.execute(sql: "PRAGMA synchronous = NORMAL")
        defer { try? db.execute(sql: "PRAGMA synchronous = FULL") }
        // The shadow's own last key is the cursor: values do not pass through here. Primary keys throughout.
        let after = "(\(key)) > (SELECT \(key) FROM \(shadow(shape)) ORDER BY \(newestFirst) LIMIT 1)"
        var total: Int64 = 0
        while true {
            guard !order.shouldStop() else { throw ApplyFault.canceled }
            let statement = """
                INSERT INTO \(shadow(shape)) (\(columns))
                SELECT \(columns) FROM (\(source(total == 0 ? "" : after))) ORDER BY \(key) LIMIT \(ApplyLimits.sliceRows)
                """
            var count = 0
            try slice {
                try self.db.execute(sql: statement)
                count = self.db.changesCount
            }
            total += Int64(count)
            if count < ApplyLimits.sliceRows { return total }
        }
    }

    /// One short transaction, timed, and a pause after it.
    private func slice(_ body: () throws -> Void) throws {
        longestLock = max(longestLock, try LockTimer.transaction(db, body))
        CrashPoint.sliceWritten.pass()
        order.pause(ApplyLimits.slicePauseMilliseconds)
    }

    /// Puts the shadow in the table's place, with the indexes and triggers that tills have made. Inside the last
    /// transaction, with legacy_alter_table on and foreign keys off: views and references keep meaning the name.
    func swap(_ shape: TableShape) throws {
        let table = quoted(shape.name)
        let isThere =
            try Bool.fetchOne(
                db, sql: "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = ? AND type = 'table')",
                arguments: [shape.name]) ?? false
        var tillsOwn: [Row] = []
        if isThere {
            tillsOwn = try Row.fetchAll(
                db,
                sql: """
                    SELECT type, name, sql FROM main.sqlite_schema
                    WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL
                    ORDER BY type, name
                    """,
                arguments: [shape.name])
            for object in tillsOwn {
                let kind = object["type"] == "index" ? "INDEX" : "TRIGGER"
                try db.execute(sql: "DROP \(kind) main.\(quoted(object["name"]))")
            }
            try db.execute(sql: "ALTER TABLE main.\(table) RENAME TO \(quoted(Shadows.oldPrefix + shape.name))")
        }
        try db.execute(sql: "ALTER TABLE \(shadow(shape)) RENAME TO \(table)")
        for object in tillsOwn { try db.execute(sql: object["sql"]) }
    }

    /// Frees old tables and shadows of an apply that was cut short, a slice at a time: dropping 62 MB at once would
    /// hold the lock for a third of a second.
    func sweep() throws {
        let names = try String.fetchAll(
            db,
            sql: """
                SELECT name FROM main.sqlite_schema
                WHERE type = 'table' AND (name GLOB '_waybill_shadow_*' OR name GLOB '_waybill_old_*')
                """)
        for name in names {
            let key = try String.fetchAll(
                db, sql: "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", arguments: [name])
            let columns = key.map(quoted).joined(separator: ", ")
            var count = ApplyLimits.sliceRows
            while count == ApplyLimits.sliceRows {
                try slice {
                    try self.db.execute(
                        sql: """
                            DELETE FROM main.\(quoted(name)) WHERE (\(columns)) IN (
                                SELECT \(columns) FROM main.\(quoted(name)) ORDER BY \(columns) LIMIT \(ApplyLimits.sliceRows))
                            """)
                    count = self.db.changesCount
                }
            }
            try slice { try self.db.execute(sql: "DROP TABLE main.\(quoted(name))") }
        }
    }
}
