import GRDB
import WaybillCapture
import WaybillDatabase

/// Looks at the staged rows as sets: keys, references, trees, and what differs from HQ.
///
/// Changes nothing but TEMP tables and takes no lock on `hq.db`, so it can take its time, and be repeated.
struct Examination {
    let files: [StagedFile]
    let options: ImportOptions

    /// Keys that stand in several lines of one file. They do not depend on HQ, so one look is enough.
    func findDuplicateKeys(_ staged: StagedFile, in db: Database, _ faults: inout FaultList) throws {
        guard staged.hasKeys, try !staged.indexKeys(in: db) else { return }
        let key = staged.table.key.map(quoted)
        let list = key.joined(separator: ", ")
        let rows = try Row.fetchCursor(
            db,
            sql: """
                -- Groups come out of the index on the key.
                SELECT line, first_line, \(list)
                FROM (
                    SELECT line, min(line) OVER (PARTITION BY \(list)) AS first_line, \(list)
                    FROM \(staged.rowsTable)
                    WHERE \(key.map { "\($0) IS NOT NULL" }.joined(separator: " AND "))
                )
                WHERE line > first_line
                """)
        while let row = try rows.next() {
            let line: Int = row[0]
            let first: Int = row[1]
            let values = staged.table.key.enumerated().map { (name: $0.element, value: text(row[$0.offset + 2])) }
            if values.count == 1 {
                faults.add(
                    staged.file, staged.index, line: line, column: values[0].name, columnIndex: 0,
                    reason: "key \(values[0].value) already stands in line \(first)")
            } else {
                let named = values.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
                faults.add(
                    staged.file, staged.index, line: line, reason: "key (\(named)) already stands in line \(first)")
            }
        }
    }

    /// Everything that depends on what HQ holds at this moment.
    func checkReferences(in db: Database, _ faults: inout FaultList, _ warnings: inout FaultList) throws {
        for staged in files {
            for reference in staged.table.references {
                if reference.isRequired {
                    try checkReference(reference, of: staged, in: db, &faults)
                } else {
                    try checkReference(reference, of: staged, in: db, &warnings)
                }
                if reference.table == staged.table.name { try findCircles(reference, of: staged, in: db, &faults) }
            }
            if options.replace { try findOrphans(of: staged, in: db, &faults) }
        }
    }

    // MARK: References

    private func checkReference(
        _ reference: HQReference, of staged: StagedFile, in db: Database, _ faults: inout FaultList
    ) throws {
        let other = files.first { $0.table.name == reference.table }
        // A file that is not readable, or has no keys, is a fault of its own; it says nothing about others.
        if let other, !other.hasKeys || !other.isWhole { return }
        let column = quoted(reference.column)
        let wanted = quoted(reference.referencedColumn)
        let live = "main." + quoted(reference.table)
        var absent: [String] = []
        if let other {
            absent.append(
                "NOT EXISTS (SELECT 1 FROM \(other.rowsTable) AS other WHERE other.\(wanted) = mine.\(column))")
        }
        if other == nil || !options.replace {
            absent.append(
                "NOT EXISTS (SELECT 1 FROM \(live) AS live WHERE live.\(wanted) = mine.\(column))"
            )
        }
        let rows = try Row.fetchCursor(
            db,
            sql: """
                -- Both look-ups go by the key of the table that is named.
                SELECT mine.line, mine.\(column)
                FROM \(staged.rowsTable) AS mine
                WHERE mine.\(column) IS NOT NULL AND \(absent.joined(separator: " AND "))
                ORDER BY mine.line
                """)
        let columnIndex = staged.table.columns.firstIndex { $0.name == reference.column } ?? -1
        while let row = try rows.next() {
            let line: Int = row[0]
            faults.add(
                staged.file, staged.index, line: line, column: reference.column, columnIndex: columnIndex,
                reason: unknown(reference, value: text(row[1]), other: other))
        }
    }

    private func unknown(_ reference: HQReference, value: String, other: StagedFile?) -> String {
        let name = "\(reference.table) \(value)"
        let consequence = reference.isRequired ? "" : "; the line covers nothing"
        guard let other else { return "\(name) is not in HQ\(consequence)" }
        if options.replace { return "\(name) is not in \(other.file.displayName)\(consequence)" }
        return "\(name) is neither in HQ nor in \(other.file.displayName)\(consequence)"
    }

    /// Rows that stay in HQ and name a row that the replacement would remove.
    private func findOrphans(of staged: StagedFile, in db: Database, _ faults: inout FaultList) throws {
        guard staged.hasKeys, staged.isWhole else { return }
        for child in HQCatalogue.tables where !files.contains(where: { $0.table.name == child.name }) {
            for reference in child.references where reference.table == staged.table.name && reference.isRequired {
                let column = quoted(reference.column)
                let wanted = quoted(reference.referencedColumn)
                let rows = try Row.fetchCursor(
                    db,
                    sql: """
                        -- The rows to be removed first: usually few. Then one pass over the tables that name them.
                        WITH removed (name) AS MATERIALIZED (
                            SELECT live.\(wanted) FROM \(staged.liveTable) AS live
                            WHERE NOT EXISTS (
                                SELECT 1 FROM \(staged.rowsTable) AS mine WHERE mine.\(wanted) = live.\(wanted)
                            )
                        )
                        SELECT child.\(column), count(*)
                        FROM main.\(quoted(child.name)) AS child
                        WHERE child.\(column) IN (SELECT name FROM removed)
                        GROUP BY child.\(column)
                        ORDER BY child.\(column)
                        """)
                while let row = try rows.next() {
                    let count: Int = row[1]
                    faults.add(
                        staged.file, staged.index, line: 0,
                        reason: "\(staged.table.name) \(text(row[0])) is left out, but \(count) "
                            + "\(count == 1 ? "row" : "rows") of \(child.name) in HQ name it")
                }
            }
        }
    }

    // MARK: Trees

    /// Rows that hang below themselves. Walks down from the roots; what it does not reach is in a circle or below one.
    private func findCircles(
        _ reference: HQReference, of staged: StagedFile, in db: Database, _ faults: inout FaultList
    ) throws {
        guard staged.hasKeys, staged.isWhole else { return }
        let id = quoted(reference.referencedColumn)
        let parent = quoted(reference.column)
        let liveNodes =
            options.replace
            ? ""
            : """
            UNION ALL
            SELECT \(id), \(parent) FROM \(staged.liveTable) AS live
            WHERE NOT EXISTS (SELECT 1 FROM \(staged.rowsTable) AS mine WHERE mine.\(id) = live.\(id))
            """
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp._tree;
                CREATE TABLE temp._tree AS
                SELECT \(id) AS id, \(parent) AS parent FROM \(staged.rowsTable) WHERE \(id) IS NOT NULL
                \(liveNodes);
                CREATE INDEX temp._tree_id ON _tree (id);
                CREATE INDEX temp._tree_parent ON _tree (parent);
                """)
        let rows = try Row.fetchCursor(
            db,
            sql: """
                -- Roots have no parent, or one that nobody knows (a fault of its own). Each step goes by _tree_parent.
                WITH RECURSIVE reached (id) AS (
                    SELECT id FROM temp._tree AS node
                    WHERE NOT EXISTS (SELECT 1 FROM temp._tree AS above WHERE above.id = node.parent)
                    UNION
                    SELECT below.id FROM reached JOIN temp._tree AS below ON below.parent = reached.id
                )
                SELECT line, \(id) FROM \(staged.rowsTable)
                WHERE \(id) IS NOT NULL AND \(id) NOT IN (SELECT id FROM reached)
                ORDER BY line
                """)
        let columnIndex = staged.table.columns.firstIndex { $0.name == reference.column } ?? -1
        while let row = try rows.next() {
            let line: Int = row[0]
            faults.add(
                staged.file, staged.index, line: line, column: reference.column, columnIndex: columnIndex,
                reason: "\(staged.table.name) \(text(row[1])) hangs below itself, or below a row that does")
        }
        try db.execute(sql: "DROP TABLE temp._tree")
    }

    private func text(_ value: DatabaseValue) -> String {
        excerpt(String.fromDatabaseValue(value)?.utf8.map { $0 } ?? Array(value.description.utf8))
    }
}
