import GRDB
import WaybillModel

/// The tables of `hub.db`: sessions, deliveries, stores, packages. HQ's business data is not here.
enum OperationsSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 sessions, deliveries, stores, packages") { db in
            try db.execute(
                sql: """
                    CREATE TABLE meta (
                        name TEXT PRIMARY KEY,
                        value TEXT NOT NULL
                    ) WITHOUT ROWID;

                    -- counter, random, sequence: the newest incarnation heard of, and its newest durable change.
                    CREATE TABLE store (
                        store_id TEXT PRIMARY KEY,
                        state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retired')),
                        public_key BLOB,
                        machine TEXT NOT NULL DEFAULT '',
                        agent_version TEXT NOT NULL DEFAULT '',
                        counter INTEGER NOT NULL DEFAULT 0,
                        random INTEGER NOT NULL DEFAULT 0,
                        sequence INTEGER NOT NULL DEFAULT 0,
                        last_seen INTEGER,
                        added_at INTEGER NOT NULL,
                        enrolled_at INTEGER,
                        retired_at INTEGER,
                        message TEXT NOT NULL DEFAULT ''
                    ) WITHOUT ROWID;
                    CREATE UNIQUE INDEX store_by_key ON store (public_key) WHERE public_key IS NOT NULL;

                    CREATE TABLE enrolment (
                        secret_sha256 BLOB PRIMARY KEY,
                        store_id TEXT NOT NULL,
                        created_at INTEGER NOT NULL,
                        expires_at INTEGER NOT NULL,
                        used_at INTEGER,
                        public_key BLOB
                    ) WITHOUT ROWID;

                    -- token: the derivation the session distributes, see rows.db. number is never used twice.
                    CREATE TABLE session (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        id TEXT NOT NULL UNIQUE,
                        job TEXT NOT NULL,
                        kind TEXT NOT NULL,
                        status TEXT NOT NULL,
                        epoch INTEGER NOT NULL DEFAULT 0,
                        version INTEGER NOT NULL DEFAULT 0,
                        token INTEGER NOT NULL DEFAULT 0,
                        created_at INTEGER NOT NULL,
                        rows INTEGER NOT NULL DEFAULT 0,
                        bytes INTEGER NOT NULL DEFAULT 0,
                        message TEXT NOT NULL DEFAULT '',
                        -- What was asked for, so that a build cut short can be begun again: JSON.
                        request TEXT NOT NULL DEFAULT '{}',
                        -- Sessions on their way that bring the same rows, separated by spaces.
                        waits_for TEXT NOT NULL DEFAULT ''
                    );
                    CREATE INDEX session_by_job ON session (job, number);

                    CREATE TABLE package (
                        id TEXT PRIMARY KEY,
                        session INTEGER NOT NULL,
                        kind TEXT NOT NULL,
                        rows INTEGER NOT NULL,
                        bytes INTEGER NOT NULL,
                        manifest BLOB NOT NULL,
                        signature BLOB NOT NULL
                    ) WITHOUT ROWID;
                    CREATE INDEX package_by_session ON package (session);

                    CREATE TABLE package_base (
                        package TEXT NOT NULL,
                        epoch INTEGER NOT NULL,
                        version INTEGER NOT NULL,
                        session TEXT NOT NULL,
                        PRIMARY KEY (package, session)
                    ) WITHOUT ROWID;

                    -- status, is_open: what Delivery says, kept beside the facts so that lists need no code.
                    CREATE TABLE delivery (
                        session INTEGER NOT NULL,
                        store_id TEXT NOT NULL,
                        session_id TEXT NOT NULL,
                        job TEXT NOT NULL,
                        epoch INTEGER NOT NULL,
                        version INTEGER NOT NULL,
                        package TEXT,
                        status TEXT NOT NULL,
                        is_open INTEGER NOT NULL,
                        is_no_data INTEGER NOT NULL,
                        run INTEGER NOT NULL,
                        is_granted INTEGER NOT NULL,
                        cancel_asked_at INTEGER,
                        cancel_reason TEXT NOT NULL DEFAULT '',
                        is_revoked_by_hub INTEGER NOT NULL DEFAULT 0,
                        superseded_by TEXT,
                        note TEXT NOT NULL DEFAULT '',
                        told_outcome TEXT,
                        told_attempt INTEGER NOT NULL DEFAULT 0,
                        told_message TEXT NOT NULL DEFAULT '',
                        told_transient INTEGER NOT NULL DEFAULT 0,
                        attempts INTEGER NOT NULL DEFAULT 0,
                        requested_at INTEGER,
                        downloaded_at INTEGER,
                        applied_at INTEGER,
                        canceled_at INTEGER,
                        rows_changed INTEGER NOT NULL DEFAULT 0,
                        longest_lock_ms INTEGER NOT NULL DEFAULT 0,
                        message TEXT NOT NULL DEFAULT '',
                        PRIMARY KEY (session, store_id)
                    ) WITHOUT ROWID;
                    -- A store's open deliveries: what its desk is loaded from.
                    CREATE INDEX delivery_open ON delivery (store_id, session) WHERE is_open;
                    -- Counts for the session list without touching the rows.
                    CREATE INDEX delivery_status ON delivery (session, status);
                    -- Failures for `status`, newest first.
                    CREATE INDEX delivery_failed ON delivery (session)
                        WHERE status IN ('DownloadFailed', 'ApplyFailed', 'Suspended');

                    -- What a store last said it has applied.
                    CREATE TABLE position (
                        store_id TEXT NOT NULL,
                        job TEXT NOT NULL,
                        epoch INTEGER NOT NULL,
                        version INTEGER NOT NULL,
                        session TEXT NOT NULL,
                        PRIMARY KEY (store_id, job)
                    ) WITHOUT ROWID;
                    """)
        }
        migrator.registerMigration("2 failures that waiting does not heal") { db in
            // The numbers of those attempts, with blanks between.
            try db.execute(sql: "ALTER TABLE delivery ADD COLUMN told_failures TEXT NOT NULL DEFAULT ''")
        }
        migrator.registerMigration("order, retry and windows of deliveries") { db in
            // former_id: the name before the building was taken up again by another process.
            try db.execute(sql: "ALTER TABLE session ADD COLUMN former_id TEXT")
        }
        migrator.registerMigration("tries and windows of deliveries") { db in
            // try_count: the job's when the delivery was made; 0 for no limit.
            try db.execute(
                sql: """
                    ALTER TABLE delivery ADD COLUMN try_count INTEGER NOT NULL DEFAULT 3;
                    ALTER TABLE delivery ADD COLUMN forgiven_attempts INTEGER NOT NULL DEFAULT 0;
                    ALTER TABLE delivery ADD COLUMN ignores_window INTEGER NOT NULL DEFAULT 0;
                    """)
        }
        migrator.registerMigration("4 approval") { db in try HeldSession.createTables(in: db) }
        migrator.registerMigration("3 job runs") { db in try JobRunSchema.create(in: db) }
        migrator.registerMigration("where stores stand, as one number") { db in try Reach.createTables(in: db) }
        migrator.registerMigration("audit") { db in try AuditLog.createTables(in: db) }
        migrator.registerMigration("verifications") { db in try VerificationRecord.createTables(in: db) }
        migrator.registerMigration("quarantine") { db in try QuarantineRecord.createTables(in: db) }
        migrator.registerMigration("stage_history") { db in try StageHistoryRecord.createTable(in: db) }
        migrator.registerMigration("keys of stores") { db in try StoreKeys.createTables(in: db) }
        migrator.registerMigration("tallies of sessions") { db in try SessionTally.createTable(in: db) }
        return migrator
    }
}
