import GRDB
import WaybillModel

/// Whether the chain of the audit log holds.
public struct AuditVerdict: Hashable, Sendable {
    public struct Break: Hashable, Sendable {
        /// The first row that does not fit.
        public var sequence: Int64
        public var fault: String
    }

    public var rows: Int64 = 0
    /// The first row that is still there; 0 when there is none.
    public var first: Int64 = 0
    public var head: Int64 = 0
    public var headHash: [UInt8] = AuditLog.origin
    public var firstBreak: Break?
}

extension AuditLog {
    /// Follows the chain from its first row to its end and stops at the first row that does not fit.
    ///
    /// - Parameter witness: a row and its hash as somebody else has noted them, for instance the journal. Without one a
    ///   log whose newest rows were cut off looks whole.
    public static func verify(witness: (sequence: Int64, hash: [UInt8])? = nil, in db: Database) throws -> AuditVerdict
    {
        var verdict = AuditVerdict()
        var previous: AuditRow?
        // In the order of the primary key, one at a time: the log may have millions of rows.
        let cursor = try Row.fetchCursor(db, sql: "SELECT * FROM audit ORDER BY sequence")
        while let values = try cursor.next() {
            let sequence: Int64 = values["sequence"]
            guard let row = AuditRow(values) else {
                verdict.firstBreak = .init(sequence: sequence, fault: "it holds a word that no hub has written")
                return verdict
            }
            let fault =
                if let previous { fault(of: row, after: previous) } else { try faultOfFirst(row, in: db) }
            if let fault = fault ?? mismatch(of: row, witness) {
                verdict.firstBreak = .init(sequence: sequence, fault: fault)
                return verdict
            }
            if previous == nil { verdict.first = sequence }
            verdict.rows += 1
            verdict.head = sequence
            verdict.headHash = row.hash
            previous = row
        }
        if let witness, witness.sequence > verdict.head {
            verdict.firstBreak = .init(
                sequence: verdict.head + 1, fault: "the log ends before row \(witness.sequence), which has been there")
        }
        return verdict
    }

    private static func fault(of row: AuditRow, after previous: AuditRow) -> String? {
        if row.sequence != previous.sequence + 1 {
            return "rows \(previous.sequence + 1) to \(row.sequence - 1) before it are missing"
        }
        if row.previousHash != previous.hash { return "it does not follow row \(previous.sequence)" }
        return ownFault(of: row)
    }

    /// The first row there is either begins the chain or is where a checkpoint has carried it on.
    private static func faultOfFirst(_ row: AuditRow, in db: Database) throws -> String? {
        if row.sequence == 1 {
            return row.previousHash == origin ? ownFault(of: row) : "it does not begin the log"
        }
        // Index audit_checkpoint.
        let carried = try String.fetchOne(
            db, sql: "SELECT message FROM audit WHERE through IS NOT NULL AND through = ?",
            arguments: [row.sequence - 1])
        guard let carried else { return "the rows before it are missing" }
        return carried == row.previousHash.hexText ? ownFault(of: row) : "it does not follow what the checkpoint says"
    }

    private static func ownFault(of row: AuditRow) -> String? {
        row.entry.hash(sequence: row.sequence, after: row.previousHash) == row.hash ? nil : "it was changed"
    }

    private static func mismatch(of row: AuditRow, _ witness: (sequence: Int64, hash: [UInt8])?) -> String? {
        guard let witness, witness.sequence == row.sequence, !row.hash.starts(with: witness.hash) else { return nil }
        return "it has another hash than the one that was noted"
    }
}

// MARK: forgetting

extension AuditLog {
    /// How many rows at the beginning are older than `before`.
    public static func countForgettable(before: Timestamp, in db: Database) throws -> Int64 {
        // Rows are in the order of time, as near as clocks allow: all before the first one that is too young.
        let firstYoung = try Int64.fetchOne(
            db, sql: "SELECT sequence FROM audit WHERE at >= ? ORDER BY sequence LIMIT 1",
            arguments: [before.milliseconds])
        guard let first = try Int64.fetchOne(db, sql: "SELECT min(sequence) FROM audit"),
            let last = try Int64.fetchOne(db, sql: "SELECT max(sequence) FROM audit")
        else { return 0 }
        // The last row stays, whatever its age: the chain goes on from it.
        return min(firstYoung ?? last, last) - first
    }

    /// Removes the rows older than `before`, after a checkpoint that carries the chain on: what is left can be verified
    /// as before.
    public static func forget(before: Timestamp, at now: Timestamp, in db: Database) throws -> Int64 {
        let count = try countForgettable(before: before, in: db)
        guard count > 0, let first = try Int64.fetchOne(db, sql: "SELECT min(sequence) FROM audit"),
            let last = try Row.fetchOne(
                db, sql: "SELECT * FROM audit WHERE sequence = ?", arguments: [first + count - 1]
            ).flatMap(AuditRow.init)
        else { return 0 }
        var checkpoint = AuditEntry(
            at: now, who: AuditWho(name: "hub", door: .hub), action: checkpointAction,
            subject: "rows \(first) to \(last.sequence)", outcome: .done, message: last.hash.hexText)
        checkpoint.through = last.sequence
        try append(checkpoint, in: db)
        try db.execute(sql: "DELETE FROM audit WHERE sequence <= ?", arguments: [last.sequence])
        return count
    }
}
