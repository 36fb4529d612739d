import GRDB
import WaybillDatabase
import WaybillJobs

/// HQ's changed rows since a job's last run, as its slices' queries read them: `changed_TABLE`.
///
/// For a table that the job remembers it holds the changed rows as they were then and as they are now, else their
/// keys. What was remembered stands in `rows.db` beside the rows, and moves on with them in one transaction.
struct Changes {
    let job: Job
    let reads: JobReads
    /// The version of the last run.
    let since: Int64
    let db: Database

    /// Rows beyond which working out everything is no dearer than looking at each change.
    static let rowsMax = 100_000

    /// The tables with changes; nil when what has changed cannot be told from the log.
    static func tables(_ job: Job, since: Int64, in db: Database) throws -> Set<String>? {
        // Whatever was written before is gone from the log when its first row is newer: reads two ends of the tree.
        let first = try Int64.fetchOne(db, sql: "SELECT min(version) FROM hq._waybill_change") ?? 0
        guard first <= since + 1 else { return nil }
        // One pass over the rows after `since`, by the primary key. A row without a key stands for a whole table.
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT subject.table_name, count(*) AS changes, count(*) - count(change.k1) AS unknown
                FROM hq._waybill_change AS change
                JOIN hq._waybill_subject AS subject ON subject.id = change.subject
                WHERE change.version > ?
                GROUP BY subject.table_name
                """,
            arguments: [since])
        guard rows.allSatisfy({ $0["unknown"] == 0 }) else { return nil }
        guard rows.reduce(0, { $0 + ($1["changes"] as Int) }) <= rowsMax else { return nil }
        return Set(rows.map { $0["table_name"] as String })
    }

    /// Makes `changed_TABLE` for every table that the queries of slices may read; empty where nothing has changed.
    func makeTables(changed: Set<String>) throws {
        for (name, shape) in reads.shapes.sorted(by: { $0.key < $1.key }) where isWatched(name) {
            let isRemembered = job.remembered.contains(name)
            let columns = isRemembered ? shape.columns : shape.key
            try drop("changed_" + name)
            try db.execute(
                sql: "CREATE TEMP TABLE \(quoted("changed_" + name)) (\(columns.map(quoted).joined(separator: ", ")))")
            guard changed.contains(name) else { continue }
            if isRemembered { try fillWithRows(name, shape) } else { try fillWithKeys(name, shape) }
        }
    }

    func dropTables() throws {
        for name in reads.shapes.keys where isWatched(name) { try drop("changed_" + name) }
    }

    private func isWatched(_ name: String) -> Bool {
        job.remembered.contains(name) || job.slices.contains { $0.touched[name] != nil }
    }

    private func drop(_ table: String) throws { try db.execute(sql: "DROP TABLE IF EXISTS temp.\(quoted(table))") }

    /// SELECT of the changed keys, named as the key's columns.
    private func keys(_ name: String, _ shape: JobReads.Shape) -> String {
        let columns = shape.key.enumerated().map { "k\($0 + 1) AS \(quoted($1))" }.joined(separator: ", ")
        return """
            SELECT DISTINCT \(columns) FROM hq._waybill_change
            WHERE version > \(since)
                AND subject = (SELECT id FROM hq._waybill_subject WHERE table_name = \(literal(name)))
            """
    }

    private func fillWithKeys(_ name: String, _ shape: JobReads.Shape) throws {
        try db.execute(sql: "INSERT INTO temp.\(quoted("changed_" + name)) \(keys(name, shape))")
    }

    private func fillWithRows(_ name: String, _ shape: JobReads.Shape) throws {
        let columns = shape.columns.map { "source." + quoted($0) }.joined(separator: ", ")
        let same = shape.key.map { "source.\(quoted($0)) = changed.\(quoted($0))" }.joined(separator: " AND ")
        for source in ["main." + quoted(Remembered.table(job, name)), "hq." + quoted(name)] {
            // CROSS JOIN: the few changed keys first, each found by the other's primary key.
            try db.execute(
                sql: """
                    INSERT INTO temp.\(quoted("changed_" + name))
                    SELECT \(columns) FROM (\(keys(name, shape))) AS changed CROSS JOIN \(source) AS source ON \(same)
                    """)
        }
    }

    private func literal(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }
}

/// HQ's rows as they were at a job's last run.
struct Remembered {
    let job: Job
    let reads: JobReads
    let db: Database

    static func table(_ job: Job, _ name: String) -> String { "remembered_\(job.id)_\(name)" }

    /// Takes over all rows.
    func fill() throws {
        for name in job.remembered {
            guard let shape = reads.shapes[name] else { continue }
            let table = quoted(Remembered.table(job, name))
            let columns = shape.columns.map(quoted).joined(separator: ", ")
            let key = shape.key.map(quoted).joined(separator: ", ")
            try db.execute(
                sql: """
                    DROP TABLE IF EXISTS main.\(table);
                    CREATE TABLE main.\(table) (\(columns), PRIMARY KEY (\(key))) WITHOUT ROWID;
                    INSERT INTO main.\(table) (\(columns)) SELECT \(columns) FROM hq.\(quoted(name));
                    """)
        }
    }

    /// Takes over the changed rows, which `changed_TABLE` holds in both versions.
    func update(changed: Set<String>) throws {
        for name in job.remembered where changed.contains(name) {
            guard let shape = reads.shapes[name] else { continue }
            let table = quoted(Remembered.table(job, name))
            let columns = shape.columns.map(quoted).joined(separator: ", ")
            let key = shape.key.map(quoted).joined(separator: ", ")
            let same = shape.key.map { "source.\(quoted($0)) = changed.\(quoted($0))" }.joined(separator: " AND ")
            let sources = shape.columns.map { "source." + quoted($0) }.joined(separator: ", ")
            try db.execute(
                sql: """
                    DELETE FROM main.\(table) WHERE (\(key)) IN (
                        SELECT \(key) FROM temp.\(quoted("changed_" + name))
                    );
                    INSERT INTO main.\(table) (\(columns))
                    SELECT \(sources)
                    FROM (SELECT DISTINCT \(key) FROM temp.\(quoted("changed_" + name))) AS changed
                    CROSS JOIN hq.\(quoted(name)) AS source ON \(same);
                    """)
        }
    }

    /// Whether every table is there: one is missing after the job began to remember it.
    var isComplete: Bool {
        get throws {
            for name in job.remembered {
                let exists = try Bool.fetchOne(
                    db, sql: "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = ?)",
                    arguments: [Remembered.table(job, name)])
                if exists != true { return false }
            }
            return true
        }
    }
}
