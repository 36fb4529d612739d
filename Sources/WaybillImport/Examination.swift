import GRDB
import WaybillDatabase

/// Looks at the staged rows as sets: keys, references, trees, and what differs from HQ.
///
/// Changes nothing but TEMP tables and takes no lock on `hq.db`, so it can take its time, and be repeated.
struct Examination {
    let files: [StagedFile]
    let tables: HQTableList
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
                try faults.add(
                    staged.file, staged.index, line: line, column: values[0].name, columnIndex: 0,
                    reason: "key \(values[0].value) already stands in line \(first)")
            } else {
                let named = values.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
                try faults.add(
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
                if reference.isTree { try findCircles(reference, of: staged, in: db, &faults) }
            }
            if options.replace { try findOrphans(of: staged, in: db, &faults) }
        }
    }

    // MARK: References

    private func checkReference(
        _ reference: ImportReference, of staged: StagedFile, in db: Database, _ faults: inout FaultList
    ) throws {
        // A file may leave the column out; then its rows say nothing new.
        guard reference.columns.allSatisfy(staged.has) else { return }
        let other = files.first {
            $0.table.name == reference.table && reference.referencedColumns.allSatisfy($0.has)
        }
        // A file that is not readable, or has no keys, is a fault of its own; it says nothing about others.
        if let other, !other.hasKeys || !other.isWhole { return }
        func names(_ row: String) -> String {
            zip(reference.columns, reference.referencedColumns)
                .map { "\(row).\(quoted($1)) = mine.\(quoted($0))" }.joined(separator: " AND ")
        }
        var absent: [String] = []
        if let other { absent.append("NOT EXISTS (SELECT 1 FROM \(other.rowsTable) AS other WHERE \(names("other")))") }
        if other == nil || !options.replace {
            let live = "main." + quoted(reference.table)
            absent.append("NOT EXISTS (SELECT 1 FROM \(live) AS live WHERE \(names("live")))")
        }
        let isBad = other.map { "EXISTS (SELECT 1 FROM \($0.badTable) AS bad WHERE \(names("bad")))" } ?? "0"
        let columns = reference.columns.map { "mine.\(quoted($0))" }
        let rows = try Row.fetchCursor(
            db,
            sql: """
                -- Both look-ups go by the key of the table that is named.
                SELECT mine.line, \(isBad), \(columns.joined(separator: ", "))
                FROM \(staged.rowsTable) AS mine
                WHERE \(columns.map { "\($0) IS NOT NULL" }.joined(separator: " AND "))
                    AND \(absent.joined(separator: " AND "))
                ORDER BY mine.line
                """)
        let first = reference.columns[0]
        let columnIndex = staged.table.columns.firstIndex { $0.name == first } ?? -1
        while let row = try rows.next() {
            let line: Int = row[0]
            let isBad: Bool = row[1]
            let values = reference.columns.indices.map { text(row[$0 + 2]) }
            try faults.add(
                staged.file, staged.index, line: line, column: values.count == 1 ? first : nil,
                columnIndex: columnIndex, reason: unknown(reference, values, other: other, isBad: isBad))
        }
    }

    private func unknown(_ reference: ImportReference, _ values: [String], other: StagedFile?, isBad: Bool) -> String {
        let value =
            values.count == 1
            ? values[0]
            : "(" + zip(reference.referencedColumns, values).map { "\($0) \($1)" }.joined(separator: ", ") + ")"
        let name = "\(reference.table) \(value)"
        let consequence = reference.isRequired ? "" : "; the line covers nothing"
        guard let other else { return "\(name) is not in HQ\(consequence)" }
        if isBad { return "\(name) is a row of \(other.file.displayName) that is left out\(consequence)" }
        if options.replace { return "\(name) is not in \(other.file.displayName)\(consequence)" }
        return "\(name) is neither in HQ nor in \(other.file.displayName)\(consequence)"
    }

    /// Rows that stay in HQ and name a row that the replacement would remove.
    private func findOrphans(of staged: StagedFile, in db: Database, _ faults: inout FaultList) throws {
        guard staged.hasKeys, staged.isWhole else { return }
        for child in tables.tables where !files.contains(where: { $0.table.name == child.name }) {
            for reference in child.references
            where reference.table == staged.table.name && reference.isRequired
                && reference.referencedColumns.allSatisfy(staged.has)
            {
                try findOrphans(of: staged, named: reference, by: child.name, in: db, &faults)
            }
        }
    }

    private func findOrphans(
        of staged: StagedFile, named reference: ImportReference, by child: String, in db: Database,
        _ faults: inout FaultList
    ) throws {
        let wanted = reference.referencedColumns.map(quoted)
        let columns = reference.columns.map { "child.\(quoted($0))" }.joined(separator: ", ")
        let isKept = wanted.map { "mine.\($0) = live.\($0)" }.joined(separator: " AND ")
        let rows = try Row.fetchCursor(
            db,
            sql: """
                -- The rows to be removed first: usually few. Then one pass over the tables that name them.
                WITH removed AS MATERIALIZED (
                    SELECT \(wanted.map { "live.\($0)" }.joined(separator: ", ")) FROM \(staged.liveTable) AS live
                    WHERE NOT EXISTS (SELECT 1 FROM \(staged.rowsTable) AS mine WHERE \(isKept))
                )
                SELECT count(*), \(columns)
                FROM main.\(quoted(child)) AS child
                WHERE (\(columns)) IN (SELECT * FROM removed)
                GROUP BY \(columns)
                ORDER BY \(columns)
                """)
        while let row = try rows.next() {
            let count: Int = row[0]
            let value = reference.columns.indices.map { text(row[$0 + 1]) }.joined(separator: ", ")
            try faults.add(
                staged.file, staged.index, line: 0,
                reason: "\(staged.table.name) \(value) is left out, but \(count) "
                    + "\(count == 1 ? "row" : "rows") of \(child) in HQ name it")
        }
    }

    // MARK: Trees

    /// Rows that hang below themselves. Walks down from the roots; what it does not reach is in a circle or below one.
    private func findCircles(
        _ reference: ImportReference, of staged: StagedFile, in db: Database, _ faults: inout FaultList
    ) throws {
        guard staged.hasKeys, staged.isWhole, reference.columns.allSatisfy(staged.has) else { return }
        // A tree has one parent column: only tables of the catalogue are declared to be one.
        let id = quoted(reference.referencedColumns[0])
        let parent = quoted(reference.columns[0])
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
        let columnIndex = staged.table.columns.firstIndex { $0.name == reference.columns[0] } ?? -1
        while let row = try rows.next() {
            let line: Int = row[0]
            try faults.add(
                staged.file, staged.index, line: line, column: reference.columns[0], columnIndex: columnIndex,
                reason: "\(staged.table.name) \(text(row[1])) hangs below itself, or below a row that does")
        }
        try db.execute(sql: "DROP TABLE temp._tree")
    }

    private func text(_ value: DatabaseValue) -> String {
        excerpt(String.fromDatabaseValue(value)?.utf8.map { $0 } ?? Array(value.description.utf8))
    }
}
