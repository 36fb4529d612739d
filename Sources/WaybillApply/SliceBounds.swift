import GRDB

/// Between which keys a slice of a shadow lies: two TEMP tables, for values do not pass through here.
///
/// Each slice ends at the key that is so many keys further on in what it walks through. It must not end where it has
/// written so many rows: of a delta with nearly all rows, or one that removes nearly all, each slice would first read
/// past all rows of the store that do not stay, with the lock in its hands.
struct SliceBounds {
    let db: Database
    let source: Shadows.Source

    private static let after = "temp._waybill_slice_after"
    private static let upTo = "temp._waybill_slice_up_to"

    private var columns: [String] { (1...(source.walked.first?.key.count ?? 1)).map { "k\($0)" } }

    func create() throws {
        try drop()
        for table in [SliceBounds.after, SliceBounds.upTo] {
            // Without types: a value is kept as the key has it.
            try db.execute(sql: "CREATE TABLE \(table) (\(columns.joined(separator: ", ")))")
        }
    }

    func drop() throws {
        for table in [SliceBounds.after, SliceBounds.upTo] { try db.execute(sql: "DROP TABLE IF EXISTS \(table)") }
    }

    /// Finds where the next slice ends. Reads keys, and takes no lock.
    /// - Parameter rows: how many keys further on.
    /// - Returns: false when it has no end, because what is left is less than a slice.
    func moveOn(isFirst: Bool, rows: Int) throws -> Bool {
        for statement in [
            "DELETE FROM \(SliceBounds.after)",
            "INSERT INTO \(SliceBounds.after) SELECT * FROM \(SliceBounds.upTo)",
            "DELETE FROM \(SliceBounds.upTo)",
            moveStatement(isFirst: isFirst, rows: rows),
        ] { try db.cachedStatement(sql: statement).execute() }
        return db.changesCount > 0
    }

    /// All relations side by side in key order, each by its primary key from the last slice on.
    func moveStatement(isFirst: Bool, rows: Int) -> String {
        let keys = source.walked.map { walked in
            "SELECT \(walked.key.joined(separator: ", ")) FROM \(walked.relation) "
                + "WHERE \(condition(walked.key, isFirst: isFirst, isLast: true))"
        }
        let order = (1...columns.count).map(String.init).joined(separator: ", ")
        return """
            INSERT INTO \(SliceBounds.upTo)
            \(keys.joined(separator: " UNION "))
            ORDER BY \(order) LIMIT 1 OFFSET \(rows - 1)
            """
    }

    /// Whether a key lies in the slice. Without the plus signs, which take away the bounds' affinity, SQLite looks up the
    /// first column only and reads every row that shares it.
    func condition(_ key: [String], isFirst: Bool, isLast: Bool) -> String {
        let listed = "(\(key.joined(separator: ", ")))"
        let values = columns.map { "+" + $0 }.joined(separator: ", ")
        let parts = [
            isFirst ? nil : "\(listed) > (SELECT \(values) FROM \(SliceBounds.after))",
            isLast ? nil : "\(listed) <= (SELECT \(values) FROM \(SliceBounds.upTo))",
        ].compactMap(\.self)
        return parts.isEmpty ? "true" : parts.joined(separator: " AND ")
    }
}
