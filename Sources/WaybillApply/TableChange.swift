import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillWire

/// How one table of a package gets into the store's table in the last transaction.
enum TableChange {
    /// Row by row, from these relations: rows to write, keys to remove.
    case direct(TableShape, isNew: Bool, rows: String, removed: String?)
    /// The shadow is filled; only names change, and perhaps the columns.
    case swap(TableShape, rows: Int64, TableEvolution?, note: String? = nil)

    var shape: TableShape {
        switch self {
        case .direct(let shape, _, _, _), .swap(let shape, _, _, _): shape
        }
    }

    /// Where the rows are found afterwards that have come, and those that were there before. To be asked before the
    /// rows are written.
    func written(_ quarantine: Quarantine) throws -> Dependants.Written {
        switch self {
        case .direct(let shape, let isNew, let rows, _):
            let older = isNew ? nil : try quarantine.keepOlder(shape, rows: rows)
            return Dependants.Written(shape: shape, rows: rows, older: older)
        case .swap(let shape, _, let evolution, _):
            let older = "main." + quoted(Shadows.oldPrefix + shape.name)
            let isThere = try evolution == nil && QuarantineSchema.exists(shape.name, in: quarantine.db)
            return Dependants.Written(
                shape: shape, rows: "main." + quoted(shape.name), older: isThere ? older : nil)
        }
    }

    /// - Parameter sifted: what was taken out of the shadow, because it does not fit under a till's index.
    /// - Returns: what has become of the rows, and what somebody at the store should know.
    func write(
        in db: Database, shadows: Shadows, endings: Endings, sifted: WriteResult?
    ) throws -> (result: WriteResult, notes: [String]) {
        do {
            switch self {
            case .direct(let shape, let isNew, let rows, let removed):
                if isNew { try db.execute(sql: PackageTables.storeStatement(shape, name: shape.name, schema: "main")) }
                let direct = DirectWrite(shape: shape, rows: rows, removed: removed, db: db)
                return (try CarefulWrite(direct: direct, endings: endings).run(), [])
            case .swap(let shape, let rows, let evolution, let note):
                let notes = [note].compactMap(\.self) + (try shadows.swap(shape, evolution))
                var result = sifted ?? WriteResult()
                result.changed = max(0, rows - Int64(result.refused.count))
                return (result, notes)
            }
        } catch let error as DatabaseError {
            if case .swap(let shape, _, let evolution, _) = self,
                error.extendedResultCode == .SQLITE_CONSTRAINT_UNIQUE, evolution?.renames.isEmpty ?? true
            {
                throw IndexRefused(shape: shape, words: error.message ?? "UNIQUE constraint failed")
            }
            throw ApplyFault.from(error, table: shape.name)
        }
    }
}

/// Chooses the way for each table by what differs, and does all of it that needs no lock or only short ones.
///
/// Few rows: written in the last transaction. Many, or other columns: a shadow table, filled in slices and swapped in.
/// A full package over a table that we know, and a whole table, are compared first, without a lock: most of the time
/// little differs.
struct TablePreparation {
    let db: Database
    let manifest: Manifest
    let shadows: Shadows
    var budget: LockBudget

    /// Up to such a part of a table's rows is written twice, rather than looking up each of the others.
    private static let overlaidPart: Int64 = 3

    /// Bytes of a row, more or less: there is no cheaper way to a table's size than its rows.
    private var rowBytes: Int64 {
        let rows = manifest.tables.reduce(0) { $0 + $1.rows + $1.removed }
        return max(16, manifest.rawBytes / max(1, rows))
    }

    mutating func prepare(_ table: PackageTable) throws -> TableChange {
        do {
            switch try existingTable(table) {
            case .none: return try create(table)
            case .ofOtherShape(let evolution): return try evolve(table, evolution)
            case .ofThisShape where !table.ranges.isEmpty: return try repair(table)
            case .ofThisShape: return try manifest.kind == .full || table.isWhole ? compare(table) : change(table)
            }
        } catch {
            throw ApplyFault.from(error, table: table.shape.name)
        }
    }

    private enum Existing {
        case none, ofThisShape
        case ofOtherShape(TableEvolution)
    }

    /// Looks at the table itself, not only at what we remember of it: somebody may have altered or dropped it.
    private func existingTable(_ table: PackageTable) throws -> Existing {
        let shape = table.shape
        let found = try Row.fetchOne(
            db,
            sql: "SELECT type, sql FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')",
            arguments: [shape.name])
        guard let found else { return .none }
        let isOurs = try Bool.fetchOne(
            db, sql: "SELECT EXISTS (SELECT 1 FROM _waybill_table WHERE name = ? COLLATE NOCASE)",
            arguments: [shape.name])
        guard found["type"] == "table", isOurs == true else { throw ApplyFault.foreignTable(shape.name) }
        if found["sql"] == PackageTables.storeStatement(shape, name: shape.name) { return .ofThisShape }
        return .ofOtherShape(TableEvolution(from: try TableEvolution.columns(of: shape.name, in: db), to: table))
    }

    private mutating func create(_ table: PackageTable) throws -> TableChange {
        guard manifest.kind == .full else { throw ApplyFault.shapeChanged(table: table.shape.name) }
        let bytes = table.rows * rowBytes
        guard table.rows <= budget.rowsMax(tableBytes: bytes) else {
            let rows = try shadows.fill(table.shape, from: shadows.packaged(table.shape))
            return .swap(table.shape, rows: rows, nil)
        }
        budget.spend(rows: table.rows, tableBytes: bytes)
        return .direct(table.shape, isNew: true, rows: packaged(table), removed: nil)
    }

    /// A table of the package's shape in place of another: by a shadow, whatever there is to write.
    private func evolve(_ table: PackageTable, _ evolution: TableEvolution) throws -> TableChange {
        guard manifest.kind == .full else { throw ApplyFault.shapeChanged(table: table.shape.name) }
        return try replace(table, evolution)
    }

    /// All rows of the package, and of the store those that are to stay.
    private func replace(_ table: PackageTable, _ evolution: TableEvolution? = nil) throws -> TableChange {
        let shape = table.shape
        guard table.keepsRows else {
            return .swap(shape, rows: try shadows.fill(shape, from: shadows.packaged(shape)), evolution)
        }
        guard evolution?.canKeepRows != false else {
            return .swap(
                shape, rows: try shadows.fill(shape, from: shadows.packaged(shape)), evolution,
                note: "table \(shape.name) has another key now: rows that were to be kept are gone")
        }
        return .swap(shape, rows: try shadows.fill(shape, from: shadows.merged(shape, from: evolution)), evolution)
    }

    /// A delta's rows: into the table when they are few, over a copy of it when they are not.
    private mutating func change(_ table: PackageTable) throws -> TableChange {
        let rows = table.rows + table.removed
        var bytes = Int64.max / LockBudget.microsecondsPerPage
        if rows > budget.scatteredRowsMax { bytes = try tableBytes(table) }
        guard rows <= budget.rowsMax(tableBytes: bytes) else {
            let isSmallPart = table.rows * TablePreparation.overlaidPart <= bytes / rowBytes
            let source =
                isSmallPart
                ? shadows.overlaid(table.shape, removes: table.removed > 0) : shadows.merged(table.shape)
            _ = try shadows.fill(table.shape, from: source)
            return .swap(table.shape, rows: rows, nil)
        }
        budget.spend(rows: rows, tableBytes: bytes)
        return .direct(
            table.shape, isNew: false, rows: packaged(table),
            removed: "package." + quoted(table.shape.name + PackageTables.removedSuffix))
    }

    /// All rows over a table of ours: finds the difference into TEMP tables, or gives up and fills a shadow.
    private mutating func compare(_ table: PackageTable) throws -> TableChange {
        let shape = table.shape
        let bytes = max(try tableBytes(table), table.rows * rowBytes)
        let limit = budget.rowsMax(tableBytes: bytes)
        let here = "main." + quoted(shape.name) + " AS here"
        let there = packaged(table) + " AS there"
        let key = shape.key.map(quoted).joined(separator: ", ")
        let sameKey = shape.key.map { "here.\(quoted($0)) = there.\(quoted($0))" }.joined(separator: " AND ")
        let sameValues = shape.valueColumns.map { " AND here.\(quoted($0.name)) IS there.\(quoted($0.name))" }.joined()
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        let (isTried, isRemovalTried) = try untried(table)
        // Both by the other side's primary key, all of it. One row more than may be written shows that it is too many.
        let rows = try difference(
            "_waybill_write_" + shape.name, limit: limit + 1,
            "SELECT \(columns) FROM \(there) WHERE NOT EXISTS (SELECT 1 FROM \(here) WHERE \(sameKey)\(sameValues))\(isTried)"
        )
        guard rows.count <= limit else { return try replace(table) }
        guard !table.keepsRows else {
            budget.spend(rows: rows.count, tableBytes: bytes)
            return .direct(shape, isNew: false, rows: rows.relation, removed: nil)
        }
        let removed = try difference(
            "_waybill_remove_" + shape.name, limit: limit + 1 - rows.count,
            "SELECT \(key) FROM \(here) WHERE NOT EXISTS (SELECT 1 FROM \(there) WHERE \(sameKey))\(isRemovalTried)")
        guard rows.count + removed.count <= limit else { return try replace(table) }
        budget.spend(rows: rows.count + removed.count, tableBytes: bytes)
        return .direct(shape, isNew: false, rows: rows.relation, removed: removed.relation)
    }

    /// A table that is sent whole with each delta has rows in it that lie in quarantine, and have not changed: they are
    /// not tried again each time. By the primary key of the quarantine.
    /// - Returns: conditions on `there`, the package's rows, and on `here`, the store's.
    private func untried(_ table: PackageTable) throws -> (rows: String, removals: String) {
        let held = QuarantineTable(db: db, shape: table.shape, job: manifest.job)
        guard manifest.kind == .delta, try held.isOfThisShape() else { return ("", "") }
        let entry = "held." + quoted(QuarantineSchema.entryColumn)
        let isKept = "\(entry) IN (SELECT id FROM main._waybill_quarantine WHERE kind = 'kept')"
        func isNone(_ condition: String) -> String {
            " AND NOT EXISTS (SELECT 1 FROM \(held.rows) AS held WHERE \(condition))"
        }
        return (
            isNone("\(held.sameKey("held", "there"))\(held.sameValues("held", "there")) AND NOT \(isKept)"),
            isNone("\(held.sameKey("held", "here")) AND \(isKept)")
        )
    }

    func difference(_ name: String, limit: Int64, _ query: String) throws -> (relation: String, count: Int64) {
        let relation = "temp." + quoted(name)
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS \(relation);
                CREATE TEMP TABLE \(quoted(name)) AS \(query) LIMIT \(limit);
                """)
        return (relation, try Int64.fetchOne(db, sql: "SELECT count(*) FROM \(relation)") ?? 0)
    }

    private func packaged(_ table: PackageTable) -> String { "package." + quoted(table.shape.name) }

    /// Reads the table's pages, not its rows, and takes no lock: some tens of milliseconds for a million rows.
    func tableBytes(_ table: PackageTable) throws -> Int64 {
        let rows = try Int64.fetchOne(db, sql: "SELECT count(*) FROM main.\(quoted(table.shape.name))") ?? 0
        return rows * rowBytes
    }
}
