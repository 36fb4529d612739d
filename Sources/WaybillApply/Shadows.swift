import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage

/// Shadow tables: filled beside the table that tills read, in slices with pauses, and swapped in at the end.
final class Shadows {
    private let db: Database
    private let pause: (Int) -> Void
    private let shouldStop: () -> Bool
    /// Milliseconds of the longest write lock of a slice.
    private(set) var longestLock: Int64 = 0
    private var slicesSinceCheckpoint = 0

    static let shadowPrefix = "_waybill_shadow_"
    static let oldPrefix = "_waybill_old_"

    init(db: Database, pause: @escaping (Int) -> Void, shouldStop: @escaping () -> Bool) {
        self.db = db
        self.pause = pause
        self.shouldStop = shouldStop
    }

    func shadow(_ shape: TableShape) -> String { "main." + quoted(Shadows.shadowPrefix + shape.name) }

    /// A SELECT of rows for the shadow. It is given what makes the condition for rows after the shadow's last one, from
    /// the key as it stands in that SELECT.
    typealias Source = (_ after: (_ key: [String]) -> String) -> String

    /// The package's rows.
    func packaged(_ shape: TableShape) -> Source {
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        return { "SELECT \(columns) FROM package.\(quoted(shape.name)) WHERE \($0(shape.key.map(quoted)))" }
    }

    /// The store's rows with the package's laid over them.
    /// - Parameter evolution: how the store's table differs from the shape, if it does.
    func merged(_ shape: TableShape, from evolution: TableEvolution? = nil) -> Source {
        let values = evolution?.values ?? shape.columns.map { "here." + quoted($0.name) }
        let byName = Dictionary(zip(shape.columns.map(\.name), values), uniquingKeysWith: { first, _ in first })
        let key = shape.key.compactMap { byName[$0] }
        let sameKey = zip(shape.key, key).map { "there.\(quoted($0)) = \($1)" }.joined(separator: " AND ")
        let packaged = self.packaged(shape)
        func isIn(_ table: String) -> String {
            "EXISTS (SELECT 1 FROM package.\(quoted(table)) AS there WHERE \(sameKey))"
        }
        return { after in
            """
            \(packaged(after))
            UNION ALL
            SELECT \(values.joined(separator: ", ")) FROM main.\(quoted(shape.name)) AS here
            WHERE NOT \(isIn(shape.name)) AND NOT \(isIn(shape.name + PackageTables.removedSuffix)) AND \(after(key))
            """
        }
    }

    /// Makes the shadow of a table and fills it, a slice at a time.
    /// - Returns: rows in the shadow.
    func fill(_ shape: TableShape, from source: Source) throws -> Int64 {
        try slice {
            try self.db.execute(
                sql: PackageTables.storeStatement(shape, name: Shadows.shadowPrefix + shape.name, schema: "main"))
        }
        var total: Int64 = 0
        while true {
            guard !shouldStop() else { throw ApplyFault.canceled }
            let statement = fillStatement(shape, isFirst: total == 0, from: source)
            var count = 0
            try slice {
                try self.db.execute(sql: statement)
                count = self.db.changesCount
            }
            total += Int64(count)
            if count < ApplyLimits.sliceRows { return total }
        }
    }

    /// Copies the next rows in key order. The shadow's own last key is the cursor: values do not pass through here.
    ///
    /// By the primary keys of all tables, all columns of them: without the plus signs, which take away the cursor's
    /// affinity, SQLite looks up the first column only and reads every row that shares it.
    func fillStatement(_ shape: TableShape, isFirst: Bool, from source: Source) -> String {
        let key = shape.key.map(quoted).joined(separator: ", ")
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        let cursor = shape.key.map { "+" + quoted($0) }.joined(separator: ", ")
        let lastFirst = shape.key.map { quoted($0) + " DESC" }.joined(separator: ", ")
        let last = "SELECT \(cursor) FROM \(shadow(shape)) ORDER BY \(lastFirst) LIMIT 1"
        let rows = source { key in isFirst ? "true" : "(\(key.joined(separator: ", "))) > (\(last))" }
        return """
            INSERT INTO \(shadow(shape)) (\(columns))
            SELECT \(columns) FROM (\(rows)) ORDER BY \(key) LIMIT \(ApplyLimits.sliceRows)
            """
    }

    /// One short transaction, timed, and a pause after it.
    func slice(_ body: () throws -> Void) throws {
        // Not anybody's rows yet, or any more: the last transaction syncs the log, and with it all that stands before.
        try db.execute(sql: "PRAGMA synchronous = NORMAL")
        defer { try? db.execute(sql: "PRAGMA synchronous = FULL") }
        longestLock = max(longestLock, try LockTimer.transaction(db) { _ in try body() })
        CrashPoint.sliceWritten.pass()
        pause(ApplyLimits.slicePauseMilliseconds)
        slicesSinceCheckpoint += 1
        if slicesSinceCheckpoint >= ApplyLimits.checkpointSlices {
            slicesSinceCheckpoint = 0
            try db.execute(sql: "PRAGMA wal_checkpoint(PASSIVE)")
            pause(ApplyLimits.slicePauseMilliseconds)
        }
    }

    /// Puts the shadow in the table's place, with the indexes and triggers that tills have made. Inside the last
    /// transaction, with legacy_alter_table on and foreign keys off: views and references keep meaning the name.
    ///
    /// A till's index is built anew under the lock, because SQLite cannot rename one that was built before: some
    /// 0.3 s for a million rows.
    /// - Parameter evolution: how the columns change, if they do.
    /// - Returns: what of the tills' own could not go on.
    func swap(_ shape: TableShape, _ evolution: TableEvolution?) throws -> [String] {
        let table = quoted(shape.name)
        let isThere =
            try Bool.fetchOne(
                db,
                sql:
                    "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE AND type = 'table')",
                arguments: [shape.name]) ?? false
        guard isThere else {
            try db.execute(sql: "ALTER TABLE \(shadow(shape)) RENAME TO \(table)")
            return []
        }
        var tillObjects = try TillObjects(on: shape, isEvolving: evolution != nil, in: db)
        if let evolution { try tillObjects.follow(evolution.renames) }
        try tillObjects.detach()
        try db.execute(sql: "ALTER TABLE main.\(table) RENAME TO \(quoted(Shadows.oldPrefix + shape.name))")
        try db.execute(sql: "ALTER TABLE \(shadow(shape)) RENAME TO \(table)")
        return try tillObjects.attach()
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
            guard !shouldStop() else { return }
            try empty(name)
            try slice { try self.db.execute(sql: "DROP TABLE main.\(quoted(name))") }
        }
    }

    /// Removes rows from the beginning on, until less than a slice is left.
    private func empty(_ name: String) throws {
        let key = try String.fetchAll(
            db, sql: "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", arguments: [name])
        let columns = key.map(quoted).joined(separator: ", ")
        let cursor = key.map { "+" + quoted($0) }.joined(separator: ", ")
        let table = "main." + quoted(name)
        var count = 0
        repeat {
            guard !shouldStop() else { throw ApplyFault.canceled }
            try slice {
                // The primary key from its beginning to the slice's last row.
                try self.db.execute(
                    sql: """
                        DELETE FROM \(table) WHERE (\(columns)) <= (
                            SELECT \(cursor) FROM (
                                SELECT \(columns) FROM \(table) ORDER BY \(columns)
                                LIMIT 1 OFFSET \(ApplyLimits.sliceRows - 1)))
                        """)
                count = self.db.changesCount
            }
        } while count == ApplyLimits.sliceRows
    }
}
