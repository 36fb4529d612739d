import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// Runs a job's queries, as far as HQ's changes can concern them, and turns the difference to what is known into new
/// row versions. Inside one transaction.
struct Derive {
    let job: Job
    let reads: JobReads
    let version: Int64
    /// The version of the last run when its rows are of the same definition; nil: everything is worked out.
    let since: Int64?
    let db: Database

    /// Values of a slice up to which it is never asked whether everything would be cheaper.
    private static let slicePays = 1000
    /// Beyond this part of all values, everything is worked out: one pass is cheaper than many look-ups.
    private static let slicePart = 4

    struct Result {
        /// Whether any row or any store's scopes differ from before.
        var hasChanges = false
        /// Rows that the queries gave: what the run cost.
        var rowsWorkedOut = 0
    }

    func run() throws -> Result {
        try dropTemporaryTables()
        let changed = try since.flatMap { try Changes.tables(job, since: $0, in: db) }
        var known = changed
        if let changed, changed.contains(where: { reads.shapes[$0]?.hasOtherUniqueKeys == true }) { known = nil }
        if known != nil, try !remembered.isComplete { known = nil }
        let work = try prepareSlices(changed: known)
        for table in job.prepare where work.prepared.contains(table.name) {
            for statement in table.statements {
                try explaining("table \(table.name) of 'prepare'") { try db.execute(sql: statement) }
            }
        }
        let empty = try makeReady()
        var result = Result()
        for subjob in job.subjobsInOrderOfWork {
            try deriveRows(of: subjob, work, isEmpty: empty.contains(subjob.table.name), &result)
            if work.members.contains(subjob.table.name), try deriveMembers(of: subjob) { result.hasChanges = true }
        }
        if let known { try remembered.update(changed: known) } else { try remembered.fill() }
        try dropTemporaryTables()
        return result
    }

    /// Makes what the job's queries read their own rows through, and find them by.
    ///
    /// - Returns: the tables that hold nothing yet, to be filled without comparing.
    private func makeReady() throws -> Set<String> {
        var empty: Set<String> = []
        for subjob in job.subjobs {
            try RowsSchema.createRowsTables(subjob.table, version: version, in: db)
            let now = NowView(subjob: subjob, db: db)
            try now.create()
            if try RowsChange(subjob: subjob, version: version, db: db).isFirst() {
                // Its indexes are made when it has got its rows: sorted once, not row by row.
                empty.insert(subjob.table.name)
            } else {
                try now.createIndex()
                try now.createSliceIndex()
            }
        }
        return empty
    }

    private var remembered: Remembered { Remembered(job: job, reads: reads, db: db) }

    // MARK: slices

    /// Decides what to work out and fills the tables of the slices for it.
    private func prepareSlices(changed: Set<String>?) throws -> Work {
        if let changed, let since {
            try Changes(job: job, reads: reads, since: since, db: db).makeTables(changed: changed)
        }
        var tooLarge: Set<String> = []
        while true {
            let work = Work(job: job, reads: reads, changed: changed, tooLarge: tooLarge)
            var grown = tooLarge
            for slice in job.slices {
                let values = SliceValues(slice: slice, job: job, reads: reads, db: db)
                try explaining("slice \(slice.name)") {
                    try values.createTable()
                    if work.wholeSlices.contains(slice.name) {
                        try values.fillWithAll()
                    } else if work.touchedSlices.contains(slice.name), let changed {
                        let count = try values.fillWithTouched(changed)
                        if count > Derive.slicePays, let all = try values.countAll(), count * Derive.slicePart > all {
                            grown.insert(slice.name)
                        }
                    }
                }
            }
            // Each turn makes at least one slice whole, and there are few.
            if grown == tooLarge { return work }
            tooLarge = grown
        }
    }

    // MARK: rows

    private func deriveRows(of subjob: Subjob, _ work: Work, isEmpty: Bool, _ result: inout Result) throws {
        let extent = work.rows[subjob.table.name] ?? .nothing
        guard extent != .nothing else { return }
        let change = RowsChange(subjob: subjob, version: version, db: db)
        let slice = extent == .slice ? sliceTable(of: subjob) : nil
        let isFirst = slice == nil && isEmpty
        var count = 0
        try explaining("table \(subjob.table.name)") {
            do {
                count = isFirst ? try change.insertFirst() : try change.stage(slice: slice)
                if isFirst { try NowView(subjob: subjob, db: db).createIndex() }
            } catch let error as DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {
                guard let misfit = try Misfit(subjob: subjob, db: db).describe() else { throw error }
                throw DerivationFault(job: job.id, detail: "table \(subjob.table.name), \(misfit)")
            }
        }
        result.rowsWorkedOut += count
        let hasChanged =
            isFirst ? count > 0 : try slice.map { try change.replace(slice: $0) } ?? change.replaceAll()
        if hasChanged { result.hasChanges = true }
    }

    private func sliceTable(of subjob: Subjob) -> RowsChange.SliceTable? {
        guard let mine = subjob.slice else { return nil }
        return RowsChange.SliceTable(
            table: "temp." + quoted("slice_" + mine.slice), value: quoted(reads.sliceColumns[mine.slice] ?? "value"),
            column: mine.column)
    }

    // MARK: members

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

    // MARK: around

    /// SQLite's words about a job's own SQL, with the place in the job that they are about.
    private func explaining(_ place: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as DatabaseError {
            throw DerivationFault(
                job: job.id, detail: "\(place): \(error.message ?? "SQLite error \(error.resultCode)")")
        }
    }

    /// After a failure they are left, for the transaction that made them is rolled back with them in it.
    private func dropTemporaryTables() throws {
        for subjob in job.subjobs { try NowView(subjob: subjob, db: db).drop() }
        let names = job.prepare.map(\.name) + job.slices.map(\.table)
        for name in names { try db.execute(sql: "DROP TABLE IF EXISTS temp.\(quoted(name))") }
        try Changes(job: job, reads: reads, since: 0, db: db).dropTables()
    }
}

/// `now_TABLE`: the rows of a table as they now stand, with their scope.
struct NowView {
    let subjob: Subjob
    let db: Database

    func create() throws {
        let shape = subjob.table
        // A column of the table that is called scope stands before the row's own.
        let scope = shape.columns.contains { $0.name == "scope" } ? "" : "_scope AS scope, "
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        try db.execute(
            sql: """
                CREATE TEMP VIEW \(quoted("now_" + shape.name)) AS
                SELECT \(scope)\(columns) FROM main.\(RowsSchema.rowsTable(shape))
                """)
    }

    private var index: String { "seek_" + subjob.table.name }
    private var sliceIndex: String { "slice_" + subjob.table.name }

    /// What other subjobs of the job look rows up by.
    func createIndex() throws {
        if !subjob.index.isEmpty { try create(index, subjob.index) }
    }

    /// What the next derivation finds a slice's rows by: by scope and key when its column leads the key, else by an
    /// index of its own.
    func createSliceIndex() throws {
        if let slice = sliceOfItsOwn { try create(sliceIndex, [slice.column]) }
    }

    func lacksSliceIndex() throws -> Bool {
        guard sliceOfItsOwn != nil else { return false }
        return try Bool.fetchOne(
            db, sql: "SELECT NOT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE type = 'index' AND name = ?)",
            arguments: [sliceIndex]) ?? true
    }

    private var sliceOfItsOwn: SliceColumn? { subjob.slice.flatMap { $0.column == subjob.table.key.first ? nil : $0 } }

    private func create(_ name: String, _ columns: [String]) throws {
        try db.execute(
            sql: """
                CREATE INDEX IF NOT EXISTS main.\(quoted(name))
                ON \(RowsSchema.rowsTable(subjob.table)) (\(columns.map(quoted).joined(separator: ", ")))
                """)
    }

    /// For as long as most rows change: in the order of the table's key each would be a step to somewhere else.
    func dropIndexes() throws {
        for name in [index, sliceIndex] { try db.execute(sql: "DROP INDEX IF EXISTS main.\(quoted(name))") }
    }

    func drop() throws { try db.execute(sql: "DROP VIEW IF EXISTS temp.\(quoted("now_" + subjob.table.name))") }
}

/// The temporary table `slice_NAME` of one run.
struct SliceValues {
    let slice: Slice
    let job: Job
    let reads: JobReads
    let db: Database

    private var column: String { reads.sliceColumns[slice.name] ?? "value" }

    /// The type of the column that holds the values, so that they compare as they do there.
    private var type: String {
        for subjob in job.subjobs {
            guard let mine = subjob.slice, mine.slice == slice.name else { continue }
            if let column = subjob.table.columns.first(where: { $0.name == mine.column }) {
                return column.type.rawValue
            }
        }
        return ""
    }

    func createTable() throws {
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.\(quoted(slice.table));
                CREATE TEMP TABLE \(quoted(slice.table)) (\(quoted(column)) \(type) PRIMARY KEY) WITHOUT ROWID;
                """)
    }

    func fillWithAll() throws {
        if let all = slice.all { try fill(all.text) }
    }

    func countAll() throws -> Int? {
        try slice.all.flatMap { try Int.fetchOne(db, sql: "SELECT count(*) FROM (\n\($0.text)\n)") }
    }

    /// - Returns: how many values the changes touch.
    func fillWithTouched(_ changed: Set<String>) throws -> Int {
        for (table, sql) in slice.touched.sorted(by: { $0.key < $1.key })
        where table == Slice.any || changed.contains(table) {
            try fill(sql.text)
        }
        return try Int.fetchOne(db, sql: "SELECT count(*) FROM temp.\(quoted(slice.table))") ?? 0
    }

    private func fill(_ query: String) throws {
        try db.execute(
            sql: """
                INSERT OR IGNORE INTO temp.\(quoted(slice.table))
                SELECT value FROM (WITH given (value) AS (\n\(query)\n) SELECT value FROM given) WHERE value IS NOT NULL
                """)
    }
}
