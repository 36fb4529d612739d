import GRDB
import WaybillDatabase
import WaybillDigest
import WaybillModel
import WaybillPackage
import WaybillWire

extension TablePreparation {
    /// Within the ranges of a repair the store's table becomes the package's; outside of them nothing is touched.
    ///
    /// What differs is found first, without a lock, as for a full package over a table that we know. A repair of more
    /// than fits into the lock budget goes through a shadow: the package's rows, and the store's outside of the ranges.
    mutating func repair(_ table: PackageTable) throws -> TableChange {
        let shape = table.shape
        let here = "main." + quoted(shape.name) + " AS here"
        let there = "package." + quoted(shape.name) + " AS there"
        let sameKey = shape.key.map { "here.\(quoted($0)) = there.\(quoted($0))" }.joined(separator: " AND ")
        let sameValues = shape.valueColumns.map { " AND here.\(quoted($0.name)) IS there.\(quoted($0.name))" }.joined()
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        try refuseRowsOutside(table)
        let key = shape.key.map { "here.\(quoted($0)) AS \(quoted($0))" }.joined(separator: ", ")
        // Both by the other side's primary key, all of it.
        let rows = try difference(
            "_waybill_write_" + shape.name, limit: .max,
            "SELECT \(columns) FROM \(there) WHERE NOT EXISTS (SELECT 1 FROM \(here) WHERE \(sameKey)\(sameValues))")
        // The primary key's ranges, one after the other.
        let keyHere = shape.key.map { "here." + quoted($0) }
        let parts = table.ranges.map { range in
            """
            SELECT \(key) FROM \(here) WHERE \(KeyCondition.sql(range, columns: keyHere))
                AND NOT EXISTS (SELECT 1 FROM \(there) WHERE \(sameKey))
            """
        }
        let removed = try union(parts, as: "_waybill_remove_" + shape.name, isEmpty: table.keepsRows)
        let bytes = try tableBytes(table)
        guard rows.count + removed.count <= budget.rowsMax(tableBytes: bytes) else {
            let name = "_waybill_remove_" + shape.name
            let keyList = shape.key.map(quoted).joined(separator: ", ")
            try db.execute(sql: "CREATE INDEX temp.\(quoted(name + "_key")) ON \(quoted(name)) (\(keyList))")
            let source = shadows.repaired(shape, removed: removed.relation)
            _ = try shadows.fill(shape, from: source)
            return .swap(shape, rows: rows.count + removed.count, nil)
        }
        budget.spend(rows: rows.count + removed.count, tableBytes: bytes)
        return .direct(shape, isNew: false, rows: rows.relation, removed: removed.relation)
    }

    /// A row that the ranges do not hold would be written where nothing may be touched.
    private func refuseRowsOutside(_ table: PackageTable) throws {
        var within: Int64 = 0
        for range in table.ranges.joined(limit: .max) {
            let condition = KeyCondition.sql(range, columns: table.shape.key.map(quoted))
            within +=
                try Int64.fetchOne(
                    db, sql: "SELECT count(*) FROM package.\(quoted(table.shape.name)) WHERE \(condition)") ?? 0
        }
        guard within == table.rows else {
            throw ApplyFault.failed(
                "the package repairs ranges of table \(table.shape.name) and has rows outside of them")
        }
    }

    /// The parts one after the other into one TEMP table: a compound SELECT of so many is more than SQLite takes.
    private func union(
        _ parts: [String], as name: String, isEmpty: Bool
    ) throws -> (relation: String, count: Int64) {
        let first = parts.first ?? "SELECT 1 WHERE false"
        let made = try difference(name, limit: isEmpty ? 0 : .max, first)
        guard !isEmpty else { return made }
        var count = made.count
        for part in parts.dropFirst() {
            try db.execute(sql: "INSERT INTO \(made.relation) \(part)")
            count += Int64(db.changesCount)
        }
        return (made.relation, count)
    }
}

extension Shadows {
    /// The store's rows without those of a relation of keys, and the package's laid over them.
    func repaired(_ shape: TableShape, removed: String) -> Source {
        let columns = shape.columns.map { "here." + quoted($0.name) }.joined(separator: ", ")
        let key = shape.key.map { "here." + quoted($0) }
        let sameKey = shape.key.map { "there.\(quoted($0)) = here.\(quoted($0))" }.joined(separator: " AND ")
        return laidOver(
            shape, key: key,
            """
            SELECT \(columns) FROM main.\(quoted(shape.name)) AS here
            WHERE NOT EXISTS (SELECT 1 FROM package.\(quoted(shape.name)) AS there WHERE \(sameKey))
                AND NOT EXISTS (SELECT 1 FROM \(removed) AS there WHERE \(sameKey))
            """)
    }
}
