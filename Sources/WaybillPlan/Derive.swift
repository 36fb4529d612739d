import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// Runs a job's queries and turns the difference to what is known into new row versions. Inside one transaction.
struct Derive {
    let job: Job
    let version: Int64
    let db: Database

    /// Whether any row or any store's scopes differ from before.
    func run() throws -> Bool {
        defer { dropTemporaryTables() }
        dropTemporaryTables()
        for statement in job.prepare { try explaining("prepare") { try db.execute(sql: statement) } }
        var hasChanges = false
        for subjob in job.subjobs {
            try RowsSchema.createRowsTable(subjob.table, in: db)
            if try deriveRows(of: subjob) { hasChanges = true }
            if try deriveMembers(of: subjob) { hasChanges = true }
        }
        return hasChanges
    }

    private func deriveRows(of subjob: Subjob) throws -> Bool {
        let shape = subjob.table
        let rows = RowsSchema.rowsTable(shape)
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        let key = shape.key.map(quoted).joined(separator: ", ")
        let sameKey = shape.key.map { "staged.\(quoted($0)) = known.\(quoted($0))" }.joined(separator: " AND ")
        let sameValues =
            shape.valueColumns.map { "staged.\(quoted($0.name)) IS known.\(quoted($0.name))" }.joined(
                separator: " AND ")
        let same = sameKey + (sameValues.isEmpty ? "" : " AND " + sameValues)
        try explaining("table \(shape.name)") {
            try db.execute(
                sql: """
                    DROP TABLE IF EXISTS temp.staged;
                    CREATE TEMP TABLE staged (
                        _scope TEXT NOT NULL,
                        \(RowsSchema.columnDeclarations(shape)),
                        PRIMARY KEY (_scope, \(key))
                    ) WITHOUT ROWID;
                    """)
            try db.execute(
                sql: "INSERT INTO temp.staged (_scope, \(columns)) SELECT scope, \(columns) FROM (\(subjob.rows))")
        }
        // Both look-ups go by the primary keys (_scope, key): one ordered pass over either side.
        try db.execute(
            sql: """
                UPDATE \(rows) AS known SET _died = :version
                WHERE known._died = \(RowsSchema.forever) AND NOT EXISTS (
                    SELECT 1 FROM temp.staged AS staged WHERE staged._scope = known._scope AND \(same)
                )
                """,
            arguments: ["version": version])
        let died = db.changesCount
        try db.execute(
            sql: """
                INSERT INTO \(rows) (_scope, \(columns), _born, _died)
                SELECT staged._scope, \(shape.columns.map { "staged." + quoted($0.name) }.joined(separator: ", ")),
                       :version, \(RowsSchema.forever)
                FROM temp.staged AS staged
                WHERE NOT EXISTS (
                    SELECT 1 FROM \(rows) AS known
                    WHERE known._scope = staged._scope AND \(sameKey) AND known._died = \(RowsSchema.forever)
                )
                """,
            arguments: ["version": version])
        let born = db.changesCount
        try db.execute(sql: "DROP TABLE temp.staged")
        guard died + born > 0 else { return false }
        // One pass over the narrow indexes (_scope, _born) and (_scope, _died); only when something changed.
        try db.execute(
            sql: """
                INSERT INTO scope_change (table_name, scope, version)
                SELECT :table, _scope, :version FROM (
                    SELECT DISTINCT _scope FROM \(rows) WHERE _born = :version
                    UNION
                    SELECT DISTINCT _scope FROM \(rows) WHERE _died = :version AND _died < \(RowsSchema.forever)
                )
                """,
            arguments: ["table": shape.name, "version": version])
        return true
    }

    private func deriveMembers(of subjob: Subjob) throws -> Bool {
        try explaining("members of table \(subjob.table.name)") {
            try db.execute(
                sql: """
                    DROP TABLE IF EXISTS temp.staged_member;
                    CREATE TEMP TABLE staged_member (
                        store_id TEXT NOT NULL,
                        scope TEXT NOT NULL,
                        PRIMARY KEY (store_id, scope)
                    ) WITHOUT ROWID;
                    """)
            try db.execute(
                sql: """
                    INSERT INTO temp.staged_member (store_id, scope)
                    SELECT store_id, scope FROM (\(subjob.members)) WHERE true
                    ON CONFLICT DO NOTHING
                    """)
        }
        let arguments: StatementArguments = [
            "job": job.id.rawValue, "table": subjob.table.name, "version": version,
        ]
        try db.execute(
            sql: """
                UPDATE member SET _died = :version
                WHERE job = :job AND table_name = :table AND _died = \(RowsSchema.forever)
                    AND (store_id, scope) NOT IN (SELECT store_id, scope FROM temp.staged_member)
                """,
            arguments: arguments)
        let died = db.changesCount
        try db.execute(
            sql: """
                INSERT INTO member (job, store_id, table_name, scope, _born, _died)
                SELECT :job, store_id, :table, scope, :version, \(RowsSchema.forever)
                FROM temp.staged_member AS staged
                WHERE NOT EXISTS (
                    SELECT 1 FROM member AS known
                    WHERE known.job = :job AND known.store_id = staged.store_id AND known.table_name = :table
                        AND known.scope = staged.scope AND known._died = \(RowsSchema.forever)
                )
                """,
            arguments: arguments)
        let born = db.changesCount
        try db.execute(sql: "DROP TABLE temp.staged_member")
        return died + born > 0
    }

    /// SQLite's words about a job's own SQL, with the place in the job that they are about.
    private func explaining(_ place: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as DatabaseError {
            throw DerivationFault(
                job: job.id, detail: "\(place): \(error.message ?? "SQLite error \(error.resultCode)")")
        }
    }

    private func dropTemporaryTables() {
        for table in job.temporaryTables {
            // A table that is not there is the normal case; one that cannot be dropped shows when it is created.
            try? db.execute(sql: "DROP TABLE IF EXISTS temp.\(quoted(table))")
        }
    }
}
