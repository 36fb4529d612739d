import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillWire

/// How one table of a package gets into the store's table in the last transaction.
enum TableChange {
    /// Row by row, from these relations: rows to write, keys to remove.
    case direct(TableShape, isNew: Bool, rows: String, removed: String?)
    /// The shadow is filled; only names change.
    case swap(TableShape, rows: Int64)

    /// - Returns: rows written and removed.
    func write(in db: Database, shadows: Shadows) throws -> Int64 {
        switch self {
        case .direct(let shape, let isNew, let rows, let removed):
            do {
                if isNew { try db.execute(sql: PackageTables.createStatement(shape, name: shape.name, schema: "main")) }
                return try Upsert(shape: shape, rows: rows, removed: removed, db: db).run()
            } catch {
                throw ApplyFault.from(error, table: shape.name)
            }
        case .swap(let shape, let rows):
            do { try shadows.swap(shape) } catch { throw ApplyFault.from(error, table: shape.name) }
            return rows
        }
    }
}

extension ApplyRun {
    /// Chooses the way for a table by what differs, and does all of it that needs no lock or only short ones.
    ///
    /// Few rows: written in the last transaction. Many: a shadow table, filled in slices and swapped in. A full
    /// package over a table that we know is compared first, without a lock: most of the time little differs.
    func prepare(_ table: PackageTable) throws -> TableChange {
        let shape = table.shape
        let packaged = "package." + quoted(shape.name)
        let packagedRemoved = "package." + quoted(shape.name + PackageTables.removedSuffix)
        let existing = try existingTable(shape)
        do {
            switch existing {
            case .none where manifest.kind == .delta: throw ApplyFault.shapeChanged(table: shape.name)
            case .none:
                if table.rows <= ApplyLimits.directRowsMax {
                    return .direct(shape, isNew: true, rows: packaged, removed: nil)
                }
            case .ofOtherShape:
                guard manifest.kind == .full else { throw ApplyFault.shapeChanged(table: shape.name) }
            case .ofThisShape:
                if manifest.kind == .delta {
                    if table.rows + table.removed <= ApplyLimits.directRowsMax {
                        return .direct(shape, isNew: false, rows: packaged, removed: packagedRemoved)
                    }
                    let kept = try shadows.fill(shape, from: shadows.merged(shape))
                    _ = kept
                    return .swap(shape, rows: table.rows + table.removed)
                }
                if let difference = try difference(of: shape, from: packaged) { return difference }
            }
            return .swap(shape, rows: try shadows.fill(shape, from: shadows.packaged(shape)))
        } catch {
            throw ApplyFault.from(error, table: shape.name)
        }
    }

    private enum Existing { case none, ofThisShape, ofOtherShape }

    private func existingTable(_ shape: TableShape) throws -> Existing {
        let isThere =
            try Bool.fetchOne(
                db,
                sql:
                    "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE lower(name) = lower(?) AND type IN ('table', 'view'))",
                arguments: [shape.name]) ?? false
        let declaration = try String.fetchOne(
            db, sql: "SELECT declaration FROM _waybill_table WHERE name = ?", arguments: [shape.name])
        guard isThere else { return .none }
        guard let declaration else { throw ApplyFault.foreignTable(shape.name) }
        return declaration == PackageTables.createStatement(shape, name: shape.name) ? .ofThisShape : .ofOtherShape
    }

    /// Compares a full package with the store's table into TEMP tables; nil when too much differs to write it at once.
    private func difference(of shape: TableShape, from packaged: String) throws -> TableChange? {
        let main = "main." + quoted(shape.name)
        let rows = "temp." + quoted("_waybill_write_" + shape.name)
        let removed = "temp." + quoted("_waybill_remove_" + shape.name)
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        let key = shape.key.map(quoted).joined(separator: ", ")
        let sameKey = shape.key.map { "here.\(quoted($0)) = there.\(quoted($0))" }.joined(separator: " AND ")
        let sameRow =
            ([sameKey] + shape.valueColumns.map { "here.\(quoted($0.name)) IS there.\(quoted($0.name))" })
            .joined(separator: " AND ")
        // One row more than would be written: enough to know that it is too many. Primary keys on both sides.
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS \(rows);
                DROP TABLE IF EXISTS \(removed);
                CREATE TEMP TABLE \(quoted("_waybill_write_" + shape.name)) AS
                SELECT \(columns) FROM \(packaged) AS there
                WHERE NOT EXISTS (SELECT 1 FROM \(main) AS here WHERE \(sameRow))
                LIMIT \(ApplyLimits.directRowsMax + 1);
                CREATE TEMP TABLE \(quoted("_waybill_remove_" + shape.name)) AS
                SELECT \(key) FROM \(main) AS here
                WHERE NOT EXISTS (SELECT 1 FROM \(packaged) AS there WHERE \(sameKey))
                LIMIT \(ApplyLimits.directRowsMax + 1);
                """)
        let count =
            try Int64.fetchOne(db, sql: "SELECT (SELECT count(*) FROM \(rows)) + (SELECT count(*) FROM \(removed))")
            ?? 0
        guard count <= ApplyLimits.directRowsMax else { return nil }
        return .direct(shape, isNew: false, rows: rows, removed: removed)
    }
}

/// Deletes, then writes: a value that moves between rows must be gone before it comes.
struct Upsert {
    let shape: TableShape
    let rows: String
    let removed: String?
    let db: Database

    private var table: String { "main." + quoted(shape.name) }
    private var columns: String { shape.columns.map { quoted($0.name) }.joined(separator: ", ") }
    private var key: String { shape.key.map(quoted).joined(separator: ", ") }

    func run() throws -> Int64 {
        var changed: Int64 = 0
        if let removed {
            // Primary key, a step for each key to remove.
            try db.execute(sql: "DELETE FROM \(table) WHERE (\(key)) IN (SELECT \(key) FROM \(removed))")
            changed += Int64(db.changesCount)
        }
        return changed + (try write())
    }

    private func write() throws -> Int64 {
        do {
            var written: Int64 = 0
            try db.inSavepoint {
                try db.execute(sql: upsert)
                written = Int64(db.changesCount)
                return .commit
            }
            return written
        } catch let error as DatabaseError where error.extendedResultCode == .SQLITE_CONSTRAINT_UNIQUE {
            // A till's own unique index, and a value that moves from one row to another: first take all of them away.
            try db.execute(
                sql: """
                    DELETE FROM \(table) WHERE (\(key)) IN (SELECT \(key) FROM \(rows));
                    INSERT INTO \(table) (\(columns)) SELECT \(columns) FROM \(rows);
                    """)
            return Int64(db.changesCount)
        }
    }

    private var upsert: String {
        let values = shape.valueColumns.map { quoted($0.name) }
        let action =
            values.isEmpty
            ? "DO NOTHING"
            : """
            DO UPDATE SET \(values.map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
            WHERE \(values.map { "\(quoted(shape.name)).\($0) IS NOT excluded.\($0)" }.joined(separator: " OR "))
            """
        // WHERE true: without it SQLite takes ON for a join's.
        return
            "INSERT INTO \(table) (\(columns)) SELECT \(columns) FROM \(rows) WHERE true ON CONFLICT (\(key)) \(action)"
    }
}
