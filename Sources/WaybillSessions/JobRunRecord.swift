import Foundation
import GRDB
import WaybillModel
import WaybillSchedule

/// The tables of runs: their history, and what is remembered of each job.
enum JobRunSchema {
    static func create(in db: Database) throws {
        try db.execute(
            sql: """
                -- stores: a JSON list, NULL for all. session: its name. number is never used twice.
                CREATE TABLE job_run (
                    number INTEGER PRIMARY KEY AUTOINCREMENT,
                    job TEXT NOT NULL,
                    cause TEXT NOT NULL,
                    is_full INTEGER NOT NULL,
                    stores TEXT,
                    state TEXT NOT NULL,
                    attempt INTEGER NOT NULL,
                    asked_at INTEGER NOT NULL,
                    start_after INTEGER,
                    started_at INTEGER,
                    finished_at INTEGER,
                    session TEXT,
                    message TEXT NOT NULL,
                    is_publish INTEGER NOT NULL,
                    seen_before INTEGER NOT NULL
                );
                CREATE INDEX job_run_by_job ON job_run (job, number);
                -- The few that are not over: what a hub that starts begins with.
                CREATE INDEX job_run_open ON job_run (number) WHERE state IN ('Ready', 'Waiting', 'Running', 'OnHold');

                CREATE TABLE job_memory (
                    job TEXT PRIMARY KEY,
                    hold TEXT,
                    is_asleep INTEGER NOT NULL,
                    idle_runs INTEGER NOT NULL,
                    handled_up_to INTEGER NOT NULL,
                    schedules TEXT NOT NULL,
                    seen INTEGER NOT NULL
                ) WITHOUT ROWID;

                -- The enrolment for which the store's first load has been asked for; those of before need none.
                ALTER TABLE store ADD COLUMN loaded_for INTEGER;
                UPDATE store SET loaded_for = enrolled_at;
                -- Empty nearly always, so that looking ten times a second costs nothing.
                CREATE INDEX store_to_load ON store (store_id) WHERE loaded_for IS NOT enrolled_at;
                """)
    }
}

extension JobRun {
    init?(_ row: Row) {
        guard let job = JobID(row["job"]), let cause = RunCause(rawValue: row["cause"]),
            let state = RunState(rawValue: row["state"])
        else { return nil }
        func time(_ column: String) -> Timestamp? { (row[column] as Int64?).map(Timestamp.init(milliseconds:)) }
        let names = (row["stores"] as String?).map {
            (try? JSONDecoder().decode([String].self, from: Data($0.utf8))) ?? []
        }
        self.init(
            number: row["number"], job: job, cause: cause,
            scope: RunScope(isFull: row["is_full"], stores: names.map { Set($0.compactMap(StoreID.init)) }),
            state: state,
            attempt: row["attempt"], askedAt: Timestamp(milliseconds: row["asked_at"]), startAfter: time("start_after"),
            startedAt: time("started_at"), finishedAt: time("finished_at"),
            session: (row["session"] as String?).flatMap(SessionID.init), message: row["message"],
            isPublish: row["is_publish"], seenBefore: row["seen_before"])
    }

    public func save(in db: Database) throws {
        let names = try scope.stores.map { stores in
            String(decoding: try JSONEncoder().encode(stores.sorted().map(\.rawValue)), as: UTF8.self)
        }
        try db.execute(
            sql: """
                INSERT INTO job_run (
                    number, job, cause, is_full, stores, state, attempt, asked_at, start_after, started_at, finished_at,
                    session, message, is_publish, seen_before
                ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (number) DO UPDATE SET cause = excluded.cause, stores = excluded.stores,
                    state = excluded.state, attempt = excluded.attempt, start_after = excluded.start_after,
                    started_at = excluded.started_at, finished_at = excluded.finished_at, session = excluded.session,
                    message = excluded.message, seen_before = excluded.seen_before
                """,
            arguments: [
                number, job.rawValue, cause.rawValue, scope.isFull, names, state.rawValue, attempt,
                askedAt.milliseconds, startAfter?.milliseconds, startedAt?.milliseconds, finishedAt?.milliseconds,
                session?.rawValue, message, isPublish, seenBefore,
            ])
    }

    /// Runs that are not over, in order.
    public static func open(in db: Database) throws -> [JobRun] {
        // Index job_run_open, by the same words.
        try Row.fetchAll(
            db,
            sql: """
                SELECT * FROM job_run WHERE state IN ('Ready', 'Waiting', 'Running', 'OnHold') ORDER BY number
                """
        ).compactMap(JobRun.init)
    }

    /// The newest runs of a job, newest first.
    public static func history(of job: JobID, limit: Int, in db: Database) throws -> [JobRun] {
        // Index job_run_by_job, backwards.
        try Row.fetchAll(
            db, sql: "SELECT * FROM job_run WHERE job = ? ORDER BY number DESC LIMIT ?",
            arguments: [job.rawValue, limit]
        ).compactMap(JobRun.init)
    }

    public static func find(_ number: Int64, in db: Database) throws -> JobRun? {
        try Row.fetchOne(db, sql: "SELECT * FROM job_run WHERE number = ?", arguments: [number]).flatMap(JobRun.init)
    }

    /// The highest number that any run has had.
    public static func lastNumber(in db: Database) throws -> Int64 {
        try Int64.fetchOne(db, sql: "SELECT seq FROM sqlite_sequence WHERE name = 'job_run'") ?? 0
    }

    /// Forgets runs that were over before `time`, but of each job the newest `kept`.
    /// - Returns: how many.
    @discardableResult
    public static func purge(before time: Timestamp, kept: Int = 20, in db: Database) throws -> Int {
        try db.execute(
            sql: """
                DELETE FROM job_run
                WHERE finished_at < :time AND number NOT IN (
                    SELECT number FROM job_run AS newer WHERE newer.job = job_run.job
                    ORDER BY number DESC LIMIT :kept)
                """,
            arguments: ["time": time.milliseconds, "kept": kept])
        return db.changesCount
    }
}

extension JobMemory {
    init?(_ row: Row) {
        guard let job = JobID(row["job"]) else { return nil }
        self.init(
            job: job, hold: row["hold"], isAsleep: row["is_asleep"], idleRuns: row["idle_runs"],
            handledUpTo: Timestamp(milliseconds: row["handled_up_to"]), schedules: row["schedules"], seen: row["seen"])
    }

    public static func all(in db: Database) throws -> [JobMemory] {
        try Row.fetchAll(db, sql: "SELECT * FROM job_memory").compactMap(JobMemory.init)
    }

    public func save(in db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO job_memory (job, hold, is_asleep, idle_runs, handled_up_to, schedules, seen)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (job) DO UPDATE SET hold = excluded.hold, is_asleep = excluded.is_asleep,
                    idle_runs = excluded.idle_runs, handled_up_to = excluded.handled_up_to,
                    schedules = excluded.schedules, seen = excluded.seen
                """,
            arguments: [job.rawValue, hold, isAsleep, idleRuns, handledUpTo.milliseconds, schedules, seen])
    }
}

/// Stores that have enrolled since somebody last looked.
public enum StoresToLoad {
    public static func find(in db: Database) throws -> Set<StoreID> {
        // Index store_to_load, by the same words.
        let names = try String.fetchAll(
            db.cachedStatement(
                sql: "SELECT store_id FROM store WHERE loaded_for IS NOT enrolled_at AND state = 'active'"))
        return Set(names.compactMap(StoreID.init))
    }

    /// Their first load has been asked for. In the transaction that keeps the request.
    public static func note(_ stores: Set<StoreID>, in db: Database) throws {
        for store in stores {
            try db.execute(
                sql: "UPDATE store SET loaded_for = enrolled_at WHERE store_id = ?", arguments: [store.rawValue])
        }
    }
}
