import GRDB
import WaybillDatabase
import WaybillModel

/// The part of the quarantine that belongs to one table of the store. Inside a transaction that changes it.
struct QuarantineTable {
    let db: Database
    let shape: TableShape
    let job: JobID

    /// The session at hand, as entries name it.
    struct Occasion {
        var session: SessionID
        var version: Version
        var at: Timestamp
    }

    /// Relation with the rows.
    var rows: String { "main." + quoted(QuarantineSchema.rowsPrefix + shape.name) }
    private var entry: String { quoted(QuarantineSchema.entryColumn) }
    private var table: String { "main." + quoted(shape.name) }

    /// Whether any row of the table is, or was lately, in quarantine.
    func exists() throws -> Bool { try QuarantineSchema.exists(QuarantineSchema.rowsPrefix + shape.name, in: db) }

    /// Whether there are rows, and with the very columns of the shape.
    func isOfThisShape() throws -> Bool {
        try String.fetchOne(
            db, sql: "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE",
            arguments: [QuarantineSchema.rowsPrefix + shape.name]) == QuarantineSchema.rowsStatement(shape)
    }

    func sameKey(_ a: String, _ b: String) -> String {
        shape.key.map { "\(a).\(quoted($0)) = \(b).\(quoted($0))" }.joined(separator: " AND ")
    }

    func sameValues(_ a: String, _ b: String) -> String {
        shape.valueColumns.map { " AND \(a).\(quoted($0.name)) IS \(b).\(quoted($0.name))" }.joined()
    }

    // MARK: entries in

    /// Puts one row into quarantine, or notes that it was tried once more.
    /// - Parameter source: SELECT of the one row, with all columns, or, of a row that is kept, with the key's.
    /// - Returns: the entry.
    @discardableResult
    func note(_ kind: QuarantineKind, _ refusal: RowRefusal, from source: String, on occasion: Occasion) throws
        -> Int64
    {
        if try !exists() { try db.execute(sql: QuarantineSchema.rowsStatement(shape)) }
        let names = shape.columns.filter { kind != .kept || shape.key.contains($0.name) }.map { quoted($0.name) }
        let columns = names.joined(separator: ", ")
        // Each by a primary key.
        let known = try Row.fetchOne(
            db,
            sql: """
                SELECT entry.id, entry.since, entry.attempts
                FROM (\(source)) AS there CROSS JOIN \(rows) AS held ON \(sameKey("held", "there"))
                    CROSS JOIN _waybill_quarantine AS entry ON entry.id = held.\(entry)
                """)
        let facts = try Row.fetchOne(
            db,
            sql: """
                SELECT \(QuarantineSchema.keyText(shape, of: "there")) AS key,
                    EXISTS (SELECT 1 FROM \(table) AS here WHERE \(sameKey("here", "there"))) AS is_there
                FROM (\(source)) AS there
                """)
        guard let facts else {
            throw ApplyFault.failed("a row of table \(shape.name) was gone before it could be noted")
        }
        let noted = QuarantineEntry(
            job: job, table: shape.name, key: facts["key"], kind: kind, detail: QuarantineTable.detail(refusal.words),
            hasOlderRow: facts["is_there"], session: occasion.session, version: occasion.version,
            since: known.map { Timestamp(milliseconds: $0["since"]) } ?? occasion.at,
            attempts: (known?["attempts"] ?? 0) + 1)
        let id = try save(noted, code: refusal.code, id: known?["id"])
        try db.execute(
            sql: "INSERT OR REPLACE INTO \(rows) (\(columns), \(entry)) SELECT \(columns), ? FROM (\(source))",
            arguments: [id])
        return id
    }

    private func save(_ noted: QuarantineEntry, code: Int, id: Int64?) throws -> Int64 {
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO _waybill_quarantine (
                    id, job, table_name, key, kind, reason, detail, code, has_older_row, session, epoch, version, since,
                    attempts
                ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                id, noted.job.rawValue, noted.table, noted.key, noted.kind.rawValue, noted.consequence, noted.detail,
                code, noted.hasOlderRow, noted.session.rawValue, noted.version.epoch, noted.version.number,
                noted.since.milliseconds, noted.attempts,
            ])
        return id ?? db.lastInsertedRowID
    }

    static func detail(_ words: String) -> String {
        var text = words
        while text.utf8.count > QuarantineLimits.detailBytesMax { text.removeLast() }
        return text
    }

    // MARK: entries out

    /// Forgets the rows for which a condition on `held` holds.
    func clear(where condition: String) throws {
        guard try exists() else { return }
        try db.execute(
            sql: """
                DELETE FROM _waybill_quarantine
                WHERE id IN (SELECT held.\(entry) FROM \(rows) AS held WHERE \(condition));
                DELETE FROM \(rows) AS held WHERE \(condition);
                """)
    }

    func clear(entry id: Int64) throws {
        try db.execute(sql: "DELETE FROM _waybill_quarantine WHERE id = ?", arguments: [id])
        guard try exists() else { return }
        try db.execute(sql: "DELETE FROM \(rows) WHERE \(entry) = ?", arguments: [id])
    }

    /// Frees the table of rows when it is empty: the tills' people need not see it for ever.
    func tidy() throws {
        if try exists() { try QuarantineTable.tidy(QuarantineSchema.rowsPrefix + shape.name, in: db) }
    }

    static func tidy(_ name: String, in db: Database) throws {
        let rows = "main." + quoted(name)
        guard try Bool.fetchOne(db, sql: "SELECT NOT EXISTS (SELECT 1 FROM \(rows))") == true else { return }
        try db.execute(sql: "DROP TABLE \(rows)")
    }

    /// Forgets what belongs to another shape of the table, or to another job's: HQ sends all of it anew with the first
    /// package of this one.
    /// - Returns: how many rows were forgotten.
    func forgetStrangers() throws -> Int {
        guard try exists() else { return 0 }
        let isOfOtherJob = try Bool.fetchOne(
            db, sql: "SELECT EXISTS (SELECT 1 FROM _waybill_quarantine WHERE table_name = ? AND job <> ?)",
            arguments: [shape.name, job.rawValue])
        guard try !isOfThisShape() || isOfOtherJob == true else { return 0 }
        try db.execute(sql: "DELETE FROM _waybill_quarantine WHERE table_name = ?", arguments: [shape.name])
        let count = db.changesCount
        try db.execute(sql: "DROP TABLE \(rows)")
        return count
    }
}
