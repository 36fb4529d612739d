import GRDB
import WaybillModel

/// What the hub orders done with rows in quarantine: one transaction for each order, once.
extension StoreDatabase {
    /// Carries an order out, unless that was done before.
    ///
    /// Not while a package is being applied: a table that is filled beside the tills' would not have what is put into
    /// theirs meanwhile.
    /// - Returns: what is in quarantine then.
    public func carryOut(_ order: QuarantineOrder, at now: Timestamp) throws -> QuarantineReport {
        try queue.writeWithoutTransaction { db in
            var ended: [Int64: String] = [:]
            while true {
                do {
                    try LockTimer.transaction(db) { _ in try StoreDatabase.carryOut(order, ended, in: db) }
                    break
                } catch let ending as SecondTryEnded where ended.count < QuarantineLimits.endingsMax {
                    // Everything else of the order is done anew, without that row.
                    ended[ending.entry] = ending.words
                }
            }
        }
        return try quarantine()
    }

    private static func carryOut(_ order: QuarantineOrder, _ ended: [Int64: String], in db: Database) throws {
        let isDone = try Bool.fetchOne(
            db, sql: "SELECT EXISTS (SELECT 1 FROM _waybill_quarantine_order WHERE id = ?)", arguments: [order.id])
        guard isDone == false else { return }
        let sumBefore = try QuarantineSum(in: db)
        switch order.action {
        case .retry: try retry(try entries(order, in: db), ended, in: db)
        case .drop: try drop(try entries(order, in: db), in: db)
        }
        try db.execute(sql: "INSERT INTO _waybill_quarantine_order (id) VALUES (?)", arguments: [order.id])
        try db.execute(
            sql: """
                DELETE FROM _waybill_quarantine_order WHERE place <= (
                    SELECT max(place) FROM _waybill_quarantine_order) - \(QuarantineLimits.ordersRemembered)
                """)
        guard try QuarantineSum(in: db) != sumBefore else { return }
        try StoreSchema.set("sequence", try StoreSchema.integer("sequence", in: db) + 1, in: db)
        try QuarantineSchema.change(in: db)
    }

    /// Index _waybill_quarantine_by_table when a table is named.
    private static func entries(_ order: QuarantineOrder, in db: Database) throws -> [Int64] {
        try Int64.fetchAll(
            db,
            sql: """
                SELECT id FROM _waybill_quarantine
                WHERE (:job IS NULL OR job = :job) AND (:table IS NULL OR table_name = :table)
                    AND (:key IS NULL OR key = :key)
                ORDER BY kind = 'depends', id
                """,
            arguments: ["job": order.job?.rawValue, "table": order.table, "key": order.key])
    }

    private static func retry(_ entries: [Int64], _ ended: [Int64: String], in db: Database) throws {
        let again = SecondTry(db: db, skipped: Set(ended.keys))
        for id in entries {
            if let words = ended[id] {
                try again.count(id, nil, RowRefusal(words: words))
            } else {
                _ = try again.run(entry: id, isCounted: true)
            }
        }
        _ = try again.wakeDependants()
        try tidy(in: db)
    }

    /// What waits for a row that is dropped is dropped with it: else it would hang in the air, or wait for ever.
    private static func drop(_ entries: [Int64], in db: Database) throws {
        let again = SecondTry(db: db)
        for id in entries { try again.forget(entry: id) }
        var isProgress = true
        while isProgress {
            isProgress = false
            for id in try again.unblocked() {
                try again.forget(entry: id)
                isProgress = true
            }
        }
        try tidy(in: db)
    }

    private static func tidy(in db: Database) throws {
        let names = try String.fetchAll(
            db,
            sql:
                "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name GLOB '\(QuarantineSchema.rowsPrefix)*'"
        )
        for name in names {
            try QuarantineTable.tidy(name, in: db)
        }
    }
}
