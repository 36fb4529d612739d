import GRDB
import WaybillModel

/// Forgetting what is over.
public enum Retention {
    /// What was forgotten; the packages' files are the caller's to remove.
    public struct Purged: Sendable {
        public var sessions: Int
        public var packages: [(id: String, bytes: Int64)]
    }

    /// Forgets finished sessions created before a moment, with their deliveries and packages.
    ///
    /// Kept: a session with an open delivery, and one at which a store stands: it is the base of what comes next.
    public static func purge(before: Timestamp, in db: Database) throws -> Purged {
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.purged;
                CREATE TEMP TABLE purged (number INTEGER PRIMARY KEY);
                """)
        try db.execute(
            sql: """
                INSERT INTO temp.purged (number)
                SELECT number FROM session
                WHERE created_at < ? AND status <> 'Started'
                    AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.session = session.number AND delivery.is_open)
                    AND id NOT IN (SELECT session FROM position)
                """,
            arguments: [before.milliseconds])
        let packages = try Row.fetchAll(
            db, sql: "SELECT id, bytes FROM package WHERE session IN (SELECT number FROM temp.purged)"
        ).map { (id: $0["id"] as String, bytes: $0["bytes"] as Int64) }
        try db.execute(
            sql: """
                DELETE FROM package_base WHERE package IN (
                    SELECT id FROM package WHERE session IN (SELECT number FROM temp.purged));
                DELETE FROM package WHERE session IN (SELECT number FROM temp.purged);
                DELETE FROM delivery WHERE session IN (SELECT number FROM temp.purged);
                """)
        try db.execute(sql: "DELETE FROM session WHERE number IN (SELECT number FROM temp.purged)")
        let sessions = db.changesCount
        try db.execute(sql: "DROP TABLE temp.purged")
        return Purged(sessions: sessions, packages: packages)
    }
}
