import GRDB
import WaybillDatabase
import WaybillModel

/// Trying again what lies in quarantine, from there: nothing has to be fetched for it. Inside a transaction.
struct SecondTry {
    let db: Database
    /// Rows that are left as they are: each would end the transaction.
    var skipped: Set<Int64> = []

    enum Outcome { case wentIn, refused, waits, gone }

    /// Tries one row.
    /// - Parameter isCounted: as an attempt, when it is refused again; not when nothing about the row has changed.
    func run(entry id: Int64, isCounted: Bool) throws -> Outcome {
        guard let (entry, table) = try find(id) else { return .gone }
        let shape = table.shape
        let source = source(id, table)
        if let blocked = try waitsFor(table, source) {
            if isCounted { try count(id, entry.kind, RowRefusal(words: blocked)) }
            return .waits
        }
        let direct = DirectWrite(shape: shape, rows: source, removed: nil, db: db)
        let isWatched = try direct.hasTriggers()
        do {
            _ = try savepoint(db) {
                entry.kind == .kept
                    ? try direct.remove(keysOf: source, isWatched: isWatched)
                    : try direct.write(from: source, isWatched: isWatched)
            }
        } catch {
            guard let refusal = RowRefusal.of(error) else { throw error }
            guard db.isInsideTransaction else { throw SecondTryEnded(entry: id, words: refusal.words) }
            if isCounted || entry.kind == .depends {
                try count(id, entry.kind == .kept ? .kept : .refused, refusal)
            }
            return .refused
        }
        try table.clear(entry: id)
        return .wentIn
    }

    /// - Returns: nil when there is no such row any more, and while its table has gone or was altered by somebody: then
    /// it cannot be written, and the next package makes the table anew.
    private func find(_ id: Int64) throws -> (QuarantineEntry, QuarantineTable)? {
        // Primary key.
        guard let row = try Row.fetchOne(db, sql: "SELECT * FROM _waybill_quarantine WHERE id = ?", arguments: [id]),
            let entry = QuarantineSchema.entry(row), let shape = try TableShape.standing(entry.table, in: db)
        else { return nil }
        let table = QuarantineTable(db: db, shape: shape, job: entry.job)
        return try table.exists() ? (entry, table) : nil
    }

    private func source(_ id: Int64, _ table: QuarantineTable) -> String {
        "(SELECT * FROM \(table.rows) WHERE \(quoted(QuarantineSchema.entryColumn)) = \(id))"
    }

    /// Forgets one row, whatever has become of its table.
    func forget(entry id: Int64) throws {
        let name = try String.fetchOne(
            db, sql: "SELECT table_name FROM _waybill_quarantine WHERE id = ?", arguments: [id])
        guard let name else { return }
        try db.execute(sql: "DELETE FROM _waybill_quarantine WHERE id = ?", arguments: [id])
        guard try QuarantineSchema.exists(QuarantineSchema.rowsPrefix + name, in: db) else { return }
        try db.execute(
            sql: """
                DELETE FROM main.\(quoted(QuarantineSchema.rowsPrefix + name))
                WHERE \(quoted(QuarantineSchema.entryColumn)) = ?
                """, arguments: [id])
    }

    /// Rows that wait, and need not any more: what they refer to is at the store, or not in quarantine.
    ///
    /// Index _waybill_quarantine_by_table; then each row's parents by their primary keys.
    func unblocked() throws -> [Int64] {
        let references = try References(in: db)
        let tables = try String.fetchAll(
            db, sql: "SELECT DISTINCT table_name FROM _waybill_quarantine WHERE kind = 'depends' ORDER BY table_name")
        var entries: [Int64] = []
        for name in tables {
            let rows = QuarantineSchema.rowsPrefix + name
            guard try QuarantineSchema.exists(rows, in: db) else { continue }
            let blocked = references.of(name).map { " AND NOT \(References.isBlocked($0, "held"))" }.joined()
            let entry = "held." + quoted(QuarantineSchema.entryColumn)
            entries += try Int64.fetchAll(
                db,
                sql: """
                    SELECT \(entry) FROM main.\(quoted(rows)) AS held
                    WHERE \(entry) IN (
                        SELECT id FROM _waybill_quarantine WHERE table_name = ? AND kind = 'depends')\(blocked)
                    """, arguments: [name])
        }
        return entries.sorted()
    }

    /// - Returns: nil, or what the row waits for.
    private func waitsFor(_ table: QuarantineTable, _ source: String) throws -> String? {
        for reference in try References(in: db).of(table.shape.name) {
            let isBlocked = try Bool.fetchOne(
                db, sql: "SELECT \(References.isBlocked(reference, "there")) FROM \(source) AS there")
            if isBlocked == true { return Dependants.words(reference) }
        }
        return nil
    }

    /// Counts an attempt that failed.
    /// - Parameter kind: nil when it stays what it is.
    func count(_ id: Int64, _ kind: QuarantineKind?, _ refusal: RowRefusal) throws {
        try db.execute(
            sql: """
                UPDATE _waybill_quarantine
                SET kind = ifnull(?, kind), detail = ?, code = ?, attempts = attempts + 1 WHERE id = ?
                """,
            arguments: [kind?.rawValue, QuarantineTable.detail(refusal.words), refusal.code, id])
    }

    /// Puts in what waited for rows that are there now, and what waited for those, and so on.
    /// - Returns: how many rows went in.
    func wakeDependants() throws -> Int {
        var woken = 0
        var tried: Set<Int64> = []
        while true {
            var isProgress = false
            for id in try unblocked() where !tried.contains(id) && !skipped.contains(id) {
                switch try run(entry: id, isCounted: false) {
                case .wentIn:
                    woken += 1
                    isProgress = true
                case .refused: tried.insert(id)
                case .waits, .gone: break
                }
            }
            if !isProgress { return woken }
        }
    }
}

/// A trigger has ended the transaction of a second try.
struct SecondTryEnded: Error {
    var entry: Int64
    var words: String
}
