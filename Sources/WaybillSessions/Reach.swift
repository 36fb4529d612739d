import GRDB
import WaybillModel

/// Whether stores can still be where they were: a number that grows whenever a store takes part, leaves, or stands
/// elsewhere.
///
/// A run of a job that found nothing for anybody need not ask thousands of stores again, as long as this number and
/// the job's rows are the same and nothing is on its way.
public enum Reach {
    static func createTables(in db: Database) throws {
        let grow = "UPDATE reach SET generation = generation + 1"
        try db.execute(
            sql: """
                CREATE TABLE reach (generation INTEGER NOT NULL);
                INSERT INTO reach VALUES (1);
                CREATE TRIGGER reach_position_insert AFTER INSERT ON position BEGIN \(grow); END;
                CREATE TRIGGER reach_position_update AFTER UPDATE ON position BEGIN \(grow); END;
                CREATE TRIGGER reach_position_delete AFTER DELETE ON position BEGIN \(grow); END;
                CREATE TRIGGER reach_store_insert AFTER INSERT ON store BEGIN \(grow); END;
                CREATE TRIGGER reach_store_update AFTER UPDATE OF state ON store
                    WHEN OLD.state IS NOT NEW.state BEGIN \(grow); END;
                CREATE TRIGGER reach_store_delete AFTER DELETE ON store BEGIN \(grow); END;
                -- What is on its way for a job, without looking at each store.
                CREATE INDEX delivery_open_of_job ON delivery (job) WHERE is_open;
                """)
    }

    public static func generation(in db: Database) throws -> Int64 {
        try Int64.fetchOne(db, sql: "SELECT generation FROM reach") ?? 0
    }

    /// Whether any delivery of the job is still open, or any session of it awaits approval.
    public static func isAnythingOpen(of job: JobID, in db: Database) throws -> Bool {
        // Index delivery_open_of_job: one step.
        let open = try Bool.fetchOne(
            db, sql: "SELECT EXISTS (SELECT 1 FROM delivery WHERE job = ? AND is_open)", arguments: [job.rawValue])
        return try open == true || !HeldSession.awaiting(job, in: db).isEmpty
    }
}
