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
                let direct = DirectWrite(shape: shape, rows: "", removed: nil, db: db)
                do {
                    _ = try savepoint(db) { try direct.remove(keysOf: "(\(source))", isWatched: true) }
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
