import GRDB
import WaybillDatabase
import WaybillModel

/// Takes rows back that were written and refer to a row in quarantine of which the store has nothing: a product must
/// not hang in the air because its category was refused. Inside the last transaction.
struct Dependants {
    let db: Database
    let occasion: QuarantineTable.Occasion
    let job: JobID

    /// A table that was written, and where to look for its new rows.
    struct Written {
        var shape: TableShape
        /// Relation that holds their keys: the rows that came, or, when the whole table was exchanged, all of it.
        var rows: String
        /// Relation with what the table had of them before; nil for nothing, or when none can have to wait.
        var older: String?
    }

    static func words(_ reference: References.Reference) -> String {
        "waits for its row of table \(reference.parent), which is in quarantine"
    }

    /// - Returns: the entries that the rows became, by table.
    func takeBack(from tables: [Written]) throws -> [String: [Int64]] {
        var entries: [String: [Int64]] = [:]
        var isProgress = true
        while isProgress {
            isProgress = false
            for table in tables {
                let taken = try takeBack(from: table)
                entries[table.shape.name, default: []] += taken
                if !taken.isEmpty { isProgress = true }
            }
        }
        return entries
    }

    /// Takes one row away, and puts back what was there before: a till with yesterday's product rather than with none.
    /// Not where that refers to a row in quarantine itself.
    private func takeBack(_ source: String, from written: Written) throws {
        let shape = written.shape
        let direct = DirectWrite(shape: shape, rows: "", removed: nil, db: db)
        _ = try direct.remove(keysOf: "(\(source))", isWatched: true)
        guard let older = written.older else { return }
        let sameKey = shape.key.map { "here.\(quoted($0)) = there.\(quoted($0))" }.joined(separator: " AND ")
        let blocked = try References(in: db).of(shape.name).map { " AND NOT \(References.isBlocked($0, "there"))" }
        let row = """
            (SELECT there.* FROM (\(source)) AS here CROSS JOIN \(older) AS there
                ON \(sameKey)\(blocked.joined()))
            """
        do {
            _ = try savepoint(db) { try direct.write(from: row, isWatched: true) }
        } catch {
            // Another row has taken its place under a till's index meanwhile.
            guard db.isInsideTransaction, RowRefusal.of(error) != nil else { throw error }
        }
    }

    private func takeBack(from written: Written) throws -> [Int64] {
        var entries: [Int64] = []
        let shape = written.shape
        let table = QuarantineTable(db: db, shape: shape, job: job)
        for reference in try References(in: db).of(shape.name)
        where shape.columns.contains(where: { $0.name.lowercased() == reference.column.lowercased() }) {
            let columns = shape.columns.map { "here." + quoted($0.name) }.joined(separator: ", ")
            let found = "temp." + quoted("_waybill_waiting")
            // The new rows once through; the table, its parent and the parent's quarantine by primary key.
            try db.execute(
                sql: """
                    DROP TABLE IF EXISTS \(found);
                    CREATE TEMP TABLE \(quoted("_waybill_waiting")) AS
                        SELECT \(columns) FROM \(written.rows) AS there
                            CROSS JOIN main.\(quoted(shape.name)) AS here ON \(table.sameKey("here", "there"))
                        WHERE \(References.isBlocked(reference, "here"))
                        LIMIT \(QuarantineLimits.entriesInStoreMax + 1);
                    """)
            for place in try Int64.fetchAll(db, sql: "SELECT rowid FROM \(found) ORDER BY rowid") {
                let names = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
                let source = "SELECT \(names) FROM \(found) WHERE rowid = \(place)"
                do {
                    try savepoint(db) { try takeBack(source, from: written) }
                } catch {
                    // A till's trigger holds it: then it stays, hanging in the air as tills want it.
                    guard db.isInsideTransaction, RowRefusal.of(error) != nil else { throw error }
                    continue
                }
                entries.append(
                    try table.note(
                        .depends, RowRefusal(words: Dependants.words(reference)), from: source, on: occasion))
            }
            guard try QuarantineSchema.count(in: db) <= QuarantineLimits.entriesInStoreMax else {
                throw ApplyFault.rowDoesNotFit(table: reference.parent, detail: Quarantine.tooMany)
            }
        }
        return entries
    }
}
