import Foundation
import GRDB
import WaybillModel

/// The audit log in `hub.db`: rows that are only ever added, each holding the hash of the one before.
///
/// Triggers keep programs from changing it by mistake. Somebody who may write the file can take the triggers away and
/// write a new chain; he cannot make it end in a hash that the journal has seen. That is why every row's hash goes to
/// the log as well.
public enum AuditLog {
    /// What stands before the first row.
    static let origin = [UInt8](repeating: 0, count: 32)
    public static let checkpointAction = "audit checkpoint"

    static func createTables(in db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE audit (
                    sequence INTEGER PRIMARY KEY,
                    at INTEGER NOT NULL,
                    who TEXT NOT NULL,
                    uid INTEGER,
                    door TEXT NOT NULL,
                    action TEXT NOT NULL,
                    subject TEXT NOT NULL,
                    arguments TEXT NOT NULL,
                    outcome TEXT NOT NULL,
                    message TEXT NOT NULL,
                    asked INTEGER,
                    through INTEGER,
                    prev_hash BLOB NOT NULL,
                    hash BLOB NOT NULL
                );
                CREATE INDEX audit_checkpoint ON audit (through) WHERE through IS NOT NULL;

                CREATE TRIGGER audit_grows_at_its_end BEFORE INSERT ON audit
                WHEN NEW.sequence IS NOT (SELECT ifnull(max(sequence), 0) + 1 FROM audit)
                    OR (NEW.sequence > 1
                        AND NEW.prev_hash IS NOT (SELECT hash FROM audit ORDER BY sequence DESC LIMIT 1))
                BEGIN
                    SELECT RAISE(ABORT, 'a row of the audit log follows the last one');
                END;
                CREATE TRIGGER audit_stays_as_it_is BEFORE UPDATE ON audit
                BEGIN
                    SELECT RAISE(ABORT, 'the audit log is only added to');
                END;
                -- Rows that a checkpoint has carried on may go.
                CREATE TRIGGER audit_stays BEFORE DELETE ON audit
                WHEN NOT EXISTS (SELECT 1 FROM audit WHERE through IS NOT NULL AND through >= OLD.sequence)
                BEGIN
                    SELECT RAISE(ABORT, 'the audit log is only added to');
                END;
                """)
    }

    /// Adds a row, in the transaction of what it tells about.
    @discardableResult
    public static func append(_ entry: AuditEntry, in db: Database) throws -> AuditRow {
        let last = try Row.fetchOne(db, sql: "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
        let sequence = (last?["sequence"] as Int64? ?? 0) + 1
        let previous = (last?["hash"] as Data?).map { [UInt8]($0) } ?? origin
        let row = AuditRow(
            sequence: sequence, entry: entry, previousHash: previous,
            hash: entry.hash(sequence: sequence, after: previous))
        try db.execute(
            sql: """
                INSERT INTO audit (sequence, at, who, uid, door, action, subject, arguments, outcome, message, asked,
                    through, prev_hash, hash)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                sequence, entry.at.milliseconds, entry.who.name, entry.who.uid, entry.who.door.rawValue, entry.action,
                entry.subject, entry.arguments, entry.outcome.rawValue, entry.message, entry.asked, entry.through,
                Data(previous), Data(row.hash),
            ])
        return row
    }

    /// The last row.
    public static func head(in db: Database) throws -> AuditRow? {
        try Row.fetchOne(db, sql: "SELECT * FROM audit ORDER BY sequence DESC LIMIT 1").flatMap(AuditRow.init)
    }

    /// Newest first.
    /// - Parameter who: a name, or the number of a user.
    public static func rows(
        since: Timestamp? = nil, who: String? = nil, limit: Int, in db: Database
    ) throws -> [AuditRow] {
        // From the end by the primary key; people ask for the newest, so few rows are looked at in vain.
        try Row.fetchAll(
            db,
            sql: """
                SELECT * FROM audit
                WHERE at >= ? AND (?2 IS NULL OR who = ?2 OR CAST(uid AS TEXT) = ?2)
                ORDER BY sequence DESC LIMIT ?
                """,
            arguments: [since?.milliseconds ?? .min, who, limit]
        ).compactMap(AuditRow.init)
    }
}

extension AuditRow {
    /// nil for a row with values that this program does not write.
    init?(_ row: Row) {
        guard let door = AuditWho.Door(rawValue: row["door"]), let outcome = AuditOutcome(rawValue: row["outcome"])
        else { return nil }
        sequence = row["sequence"]
        entry = AuditEntry(
            at: Timestamp(milliseconds: row["at"]), who: AuditWho(name: "", uid: row["uid"], door: door), action: "",
            outcome: outcome, asked: row["asked"])
        // As they stand there, not as we would have written them: the hash is over these.
        entry.who.name = row["who"]
        entry.action = row["action"]
        entry.subject = row["subject"]
        entry.arguments = row["arguments"]
        entry.message = row["message"]
        entry.through = row["through"]
        previousHash = [UInt8](row["prev_hash"] as Data)
        hash = [UInt8](row["hash"] as Data)
    }
}
