import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage

/// Shadow tables: filled beside the table that tills read, in slices with pauses, and swapped in at the end.
final class Shadows {
    private let db: Database
    private let manners: TillManners
    /// Milliseconds of the longest write lock of a slice.
    private(set) var longestLock: Int64 = 0
    private var rowsSinceCheckpoint = 0
    private var turns = TillTurns()
    /// As it was after the last slice.
    private var isAlone: Bool

    static let shadowPrefix = "_waybill_shadow_"
    static let oldPrefix = "_waybill_old_"

    init(db: Database, manners: TillManners) {
        self.db = db
        self.manners = manners
        isAlone = manners.isAlone()
    }

    func shadow(_ shape: TableShape) -> String { "main." + quoted(Shadows.shadowPrefix + shape.name) }

    /// Where the rows of a shadow come from.
    struct Source {
        /// A SELECT of rows. It is given what makes the condition for a slice's rows, from the key as it stands in that
        /// SELECT.
        typealias Layer = (_ isInSlice: (_ key: [String]) -> String) -> String
        /// Each over those before it: of rows with one key the last stays.
        var layers: [Layer]
        /// The relations that they walk through, with the key of each as it stands there.
        var walked: [(relation: String, key: [String])]
    }

    /// The package's rows.
    func packaged(_ shape: TableShape) -> Source {
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        let relation = "package." + quoted(shape.name)
        let key = shape.key.map(quoted)
        return Source(
            layers: [{ "SELECT \(columns) FROM \(relation) WHERE \($0(key))" }],
            walked: [(relation: relation, key: key)])
    }

    /// The store's rows with the package's written over them: for packages with few of a table's rows. Nearly all rows
    /// are copied without being looked up in the package.
    func overlaid(_ shape: TableShape, removes: Bool) -> Source {
        let packaged = self.packaged(shape)
        let columns = shape.columns.map { "here." + quoted($0.name) }.joined(separator: ", ")
        let key = shape.key.map { "here." + quoted($0) }
        let sameKey = zip(shape.key, key).map { "there.\(quoted($0)) = \($1)" }.joined(separator: " AND ")
        let removed = "package." + quoted(shape.name + PackageTables.removedSuffix)
        let staying = removes ? " AND NOT EXISTS (SELECT 1 FROM \(removed) AS there WHERE \(sameKey))" : ""
        let relation = "main.\(quoted(shape.name)) AS here"
        return Source(
            layers: [{ "SELECT \(columns) FROM \(relation) WHERE \($0(key))\(staying)" }] + packaged.layers,
            walked: packaged.walked + [(relation: relation, key: key)])
    }

    /// The store's rows with the package's laid over them.
    /// - Parameter evolution: how the store's table differs from the shape, if it does.
    func merged(_ shape: TableShape, from evolution: TableEvolution? = nil) -> Source {
        let values = evolution?.values ?? shape.columns.map { "here." + quoted($0.name) }
        let byName = Dictionary(zip(shape.columns.map(\.name), values), uniquingKeysWith: { first, _ in first })
        let key = shape.key.compactMap { byName[$0] }
        let sameKey = zip(shape.key, key).map { "there.\(quoted($0)) = \($1)" }.joined(separator: " AND ")
        func isIn(_ table: String) -> String {
            "EXISTS (SELECT 1 FROM package.\(quoted(table)) AS there WHERE \(sameKey))"
        }
        return laidOver(
            shape, key: key,
            """
            SELECT \(values.joined(separator: ", ")) FROM main.\(quoted(shape.name)) AS here
            WHERE NOT \(isIn(shape.name)) AND NOT \(isIn(shape.name + PackageTables.removedSuffix))
            """)
    }

    /// The package's rows and those of the store that stay.
    /// - Parameter staying: a SELECT of the store's table AS here, which ends in a condition.
    /// - Parameter key: as it stands there.
    func laidOver(_ shape: TableShape, key: [String], _ staying: String) -> Source {
        let packaged = self.packaged(shape)
        return Source(
            layers: [
                { isInSlice in
                    """
                    \(packaged.layers.map { $0(isInSlice) }.joined())
                    UNION ALL
                    \(staying) AND \(isInSlice(key))
                    """
                }
            ], walked: packaged.walked + [(relation: "main.\(quoted(shape.name)) AS here", key: key)])
    }

    /// Makes the shadow of a table and fills it, a slice at a time.
    /// - Returns: rows written into the shadow.
    func fill(_ shape: TableShape, from source: Source) throws -> Int64 {
        try slice {
            try self.db.execute(
                sql: PackageTables.storeStatement(shape, name: Shadows.shadowPrefix + shape.name, schema: "main"))
        }
        let bounds = SliceBounds(db: db, source: source)
        try bounds.create()
        var total: Int64 = 0
        var isFirst = true
        var isLast = false
        while !isLast {
            guard !manners.shouldStop() else { throw ApplyFault.canceled }
            let rows = isAlone ? ApplyLimits.loneSliceRows : ApplyLimits.sliceRows
            isLast = try !bounds.moveOn(isFirst: isFirst, rows: rows)
            let statements = try fillStatements(shape, bounds, isFirst: isFirst, isLast: isLast)
                .map { try db.cachedStatement(sql: $0) }
            try slice(rows: rows) {
                for statement in statements {
                    try statement.execute()
                    total += Int64(self.db.changesCount)
                }
            }
            isFirst = false
        }
        try bounds.drop()
        return total
    }

    /// Copies a slice's rows in key order: values do not pass through here. By the primary keys of all tables, all
    /// columns of them.
    func fillStatements(_ shape: TableShape, _ bounds: SliceBounds, isFirst: Bool, isLast: Bool) -> [String] {
        let key = shape.key.map(quoted).joined(separator: ", ")
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        return bounds.source.layers.enumerated().map { place, layer in
            let rows = layer { bounds.condition($0, isFirst: isFirst, isLast: isLast) }
            let insert = place == 0 ? "INSERT" : "INSERT OR REPLACE"
            return "\(insert) INTO \(shadow(shape)) (\(columns)) SELECT \(columns) FROM (\(rows)) ORDER BY \(key)"
        }
    }

    /// One short transaction, timed, and a pause after it where somebody may be waiting.
    /// - Parameter rows: how many are written in it, more or less.
    func slice(rows: Int = ApplyLimits.sliceRows, _ body: () throws -> Void) throws {
        // Not anybody's rows yet, or any more: the last transaction syncs the log, and with it all that stands before.
        try db.execute(sql: "PRAGMA synchronous = NORMAL")
        defer { try? db.execute(sql: "PRAGMA synchronous = FULL") }
        let held = try LockTimer.transaction(db) { _ in try body() }
        longestLock = max(longestLock, held.milliseconds)
        CrashPoint.sliceWritten.pass()
        pauseForTills(after: held.microseconds)
        rowsSinceCheckpoint += rows
        if rowsSinceCheckpoint >= ApplyLimits.checkpointRows {
            rowsSinceCheckpoint = 0
            try db.execute(sql: "PRAGMA wal_checkpoint(PASSIVE)")
            pauseForTills(after: 0)
        }
    }

    private func pauseForTills(after microseconds: Int64) {
        isAlone = manners.isAlone()
        let milliseconds = turns.pause(after: microseconds)
        if !isAlone { manners.pause(milliseconds) }
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
            guard !manners.shouldStop() else { return }
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
            guard !manners.shouldStop() else { throw ApplyFault.canceled }
            try slice {
                // The primary key from its beginning to the slice's last row.
                try self.db.execute(
                    sql: """
                        DELETE FROM \(table) WHERE (\(columns)) <= (
                            SELECT \(cursor) FROM (
                                SELECT \(columns) FROM \(table) ORDER BY \(columns)
                                LIMIT 1 OFFSET \(ApplyLimits.freedSliceRows - 1)))
                        """)
                count = self.db.changesCount
            }
        } while count == ApplyLimits.freedSliceRows
    }
}
