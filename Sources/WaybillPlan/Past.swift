import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// Forgetting rows of the past, in three steps: note what is current, decide, and forget slice by slice. Each step is
/// a transaction, so a crash between any two leaves rows that the next run takes; raising the floor comes first, for
/// from then on nobody reads what is below.
///
/// Like all of ``Rows`` this belongs to the publisher's thread: between a plan and the packages filled from it nothing
/// may be forgotten.
extension Rows {
    /// What `past_mark` calls the change log as a whole.
    private static let head = ""

    /// Notes what is current now, so that a later run knows how old a version is, and how far into the change log each
    /// job's derivation is good, so that the log need not be kept for a job whose inputs never change.
    public func notePast(of jobs: [Job], at now: Timestamp) throws {
        guard try !Lineage(hqPath: hqPath).check(in: queue) else { return }
        var inputs: [JobID: Set<String>] = [:]
        // A job whose queries do not fit HQ's tables at present is left as it is.
        for job in jobs { inputs[job.id] = try? reads(of: job).inputs.union(job.inputs) }
        try queue.writeWithoutTransaction { db in
            try db.inTransaction(.immediate) {
                let head = try ChangeLog.head(in: db, schema: "hq")
                try note(Rows.head, head, at: now, in: db)
                for job in jobs {
                    guard let row = try jobRow(job.id, in: db), let inputs = inputs[job.id] else { continue }
                    try note(job.id.rawValue, row["version"], at: now, in: db)
                    let seen = try unchangedTo(job.id, since: row["version"], token: row["token"], in: db)
                    guard seen < head, try ChangeLog.reaches(seen, in: db, schema: "hq"),
                        try ChangeLog.tablesChanged(after: seen, in: db, schema: "hq").isDisjoint(with: inputs)
                    else { continue }
                    try db.execute(
                        sql: """
                            INSERT INTO unchanged (job, token, version) VALUES (?, ?, ?)
                            ON CONFLICT (job) DO UPDATE SET token = excluded.token, version = excluded.version
                            """,
                        arguments: [job.id.rawValue, row["token"] as Int64, head])
                }
                return .commit
            }
        }
    }

    private func note(_ name: String, _ version: Int64, at now: Timestamp, in db: Database) throws {
        // Primary key (name, at), from its right end. What has not changed keeps its older mark.
        let last = try Int64.fetchOne(
            db, sql: "SELECT version FROM past_mark WHERE name = ? ORDER BY at DESC LIMIT 1", arguments: [name])
        guard last != version else { return }
        try db.execute(
            sql: """
                INSERT INTO past_mark (name, at, version) VALUES (?, ?, ?)
                ON CONFLICT (name, at) DO UPDATE SET version = excluded.version
                """,
            arguments: [name, now.milliseconds, version])
    }

    private func jobRow(_ job: JobID, in db: Database) throws -> Row? {
        try Row.fetchOne(db, sql: "SELECT * FROM job WHERE job = ?", arguments: [job.rawValue])
    }

    /// Up to which version the inputs of a derivation are known not to have changed since. Another derivation, be it of
    /// another history with numbers of its own, has another token.
    func unchangedTo(_ job: JobID, since version: Int64, token: Int64, in db: Database) throws -> Int64 {
        let noted = try Int64.fetchOne(
            db, sql: "SELECT version FROM unchanged WHERE job = ? AND token = ?", arguments: [job.rawValue, token])
        return max(version, noted ?? version)
    }

    // MARK: deciding

    /// What of the past is to go.
    /// - Parameter holds: where active stores stand and where open deliveries lead; those of another history, or too
    ///   old already, are left out here.
    public func decide(_ jobs: [Job], _ cutoffs: RetentionCutoffs, holds: [HistoryHold]) throws -> HistoryDecision {
        try queue.read { db in
            let head = try ChangeLog.head(in: db, schema: "hq")
            let log = LogPast(
                head: head, headAtCutoff: try current(Rows.head, at: cutoffs.changes, cutoffs.now, head, in: db),
                headAtGrace: try current(Rows.head, at: cutoffs.grace, cutoffs.now, head, in: db))
            var pasts: [JobPast] = []
            for job in jobs {
                guard let row = try jobRow(job.id, in: db) else { continue }
                let version: Int64 = row["version"]
                var past = JobPast(
                    job: job.id, current: version, floor: row["floor"],
                    unchangedTo: try unchangedTo(job.id, since: version, token: row["token"], in: db))
                let name = job.id.rawValue
                past.currentAtCutoff = try current(name, at: cutoffs.changes, cutoffs.now, version, in: db)
                past.currentAtGrace = try current(name, at: cutoffs.grace, cutoffs.now, version, in: db)
                past.died = try died(of: job, in: db)
                past.holds = try holds.filter { hold in
                    try hold.job == job.id && isKnown(hold.base, of: job.id, floor: past.floor, in: db)
                }
                pasts.append(past)
            }
            return HistoryDecision(pasts, log: log, rowsMax: cutoffs.changesRowsMax)
        }
    }

    private func current(
        _ name: String, at moment: Timestamp, _ now: Timestamp, _ version: Int64, in db: Database
    ) throws -> Int64? {
        if moment >= now { return version }
        // Primary key (name, at): one step.
        return try Int64.fetchOne(
            db, sql: "SELECT version FROM past_mark WHERE name = ? AND at <= ? ORDER BY at DESC LIMIT 1",
            arguments: [name, moment.milliseconds])
    }

    private func isKnown(_ base: Base, of job: JobID, floor: Int64, in db: Database) throws -> Bool {
        guard base.version >= floor else { return false }
        // Primary key (job, token).
        return try Bool.fetchOne(
            db, sql: "SELECT version = ? FROM derivation WHERE job = ? AND token = ?",
            arguments: [base.version, job.rawValue, base.token]) ?? false
    }

    private func died(of job: Job, in db: Database) throws -> [JobPast.Died] {
        var counts: [Int64: Int64] = [:]
        for subjob in job.subjobs {
            // Primary key prefix (table_name).
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT version, sum(ended) AS ended FROM scope_change WHERE table_name = ? GROUP BY version
                    HAVING sum(ended) > 0
                    """,
                arguments: [subjob.table.name])
            for row in rows { counts[row["version"], default: 0] += row["ended"] }
        }
        return counts.map { JobPast.Died(version: $0.key, rows: $0.value) }.sorted { $0.version < $1.version }
    }

    /// Rows of the past that a decision makes go.
    public func count(_ decision: HistoryDecision, _ jobs: [Job]) throws -> Int64 {
        try queue.read { db in
            try jobs.reduce(0) { sum, job in
                let floor = decision.floors[job.id] ?? 0
                return try sum + died(of: job, in: db).filter { $0.version <= floor }.reduce(0) { $0 + $1.rows }
            }
        }
    }

    // MARK: forgetting

    /// Makes the decision hold: from now on nothing below the floors is told. Durable; no row has gone yet.
    public func raiseFloors(_ decision: HistoryDecision, _ cutoffs: RetentionCutoffs) throws {
        try queue.writeWithoutTransaction { db in
            try db.inTransaction(.immediate) {
                for (job, floor) in decision.floors {
                    // The job may have been derived anew since.
                    try db.execute(
                        sql: "UPDATE job SET floor = max(floor, min(?, version)) WHERE job = ?",
                        arguments: [floor, job.rawValue])
                }
                // Primary key (name, at). The newest mark of before the cutoff says what was current at it.
                try db.execute(
                    sql: """
                        DELETE FROM past_mark WHERE at < (
                            SELECT max(at) FROM past_mark AS other
                            WHERE other.name = past_mark.name AND other.at <= ?)
                        """,
                    arguments: [min(cutoffs.changes, cutoffs.grace).milliseconds])
                return .commit
            }
        }
    }

    /// What one slice has taken away.
    public struct Forgotten: Hashable, Sendable {
        public var rows: Int64
        /// Nothing is left below the floor.
        public var isLast: Bool
    }

    /// Takes away what lies below the job's floor, about `limit` rows at a time.
    public func forgetSlice(of job: Job, limit: Int) throws -> Forgotten {
        var forgotten = Forgotten(rows: 0, isLast: false)
        try queue.writeWithoutTransaction { db in
            try db.inTransaction(.immediate) {
                guard let floor: Int64 = try jobRow(job.id, in: db)?["floor"] else {
                    forgotten.isLast = true
                    return .rollback
                }
                var left = limit
                for subjob in job.subjobs where left > 0 {
                    forgotten.rows += try forget(subjob, upTo: floor, &left, in: db)
                }
                if left > 0 { try forgetMembers(of: job, upTo: floor, &left, in: db) }
                forgotten.isLast = left > 0
                return .commit
            }
        }
        return forgotten
    }

    /// Each version at which rows of a scope died stands in `scope_change`, which is therefore the list of what is to
    /// do: an entry goes when its rows have gone. Nobody needs it any more: two versions that can be told differ in a
    /// scope when there is an entry between them, and that one is above the floor.
    private func forget(_ subjob: Subjob, upTo floor: Int64, _ left: inout Int, in db: Database) throws -> Int64 {
        let table = subjob.table
        // Primary key prefix (table_name).
        let entries = try Row.fetchAll(
            db, sql: "SELECT scope, version FROM scope_change WHERE table_name = ? AND version <= ? LIMIT ?",
            arguments: [table.name, floor, left])
        let ended = RowsSchema.endedTable(table)
        let key = (["_scope", "_died"] + table.key.map(quoted)).joined(separator: ", ")
        var gone: Int64 = 0
        for entry in entries where left > 0 {
            let scope: String = entry["scope"]
            let version: Int64 = entry["version"]
            // Primary key (_scope, _died, …): one range of it.
            try db.execute(
                sql: """
                    DELETE FROM \(ended) WHERE (\(key)) IN (
                        SELECT \(key) FROM \(ended) WHERE _scope = :scope AND _died = :died LIMIT :limit)
                    """,
                arguments: ["scope": scope, "died": version, "limit": left])
            let count = db.changesCount
            gone += Int64(count)
            // An entry costs a row's worth of the slice as well.
            left -= count + 1
            guard left > 0 else {
                try db.execute(
                    sql: """
                        UPDATE scope_change SET ended = ended - ? WHERE table_name = ? AND scope = ? AND version = ?
                        """,
                    arguments: [count, table.name, scope, version])
                break
            }
            try db.execute(
                sql: "DELETE FROM scope_change WHERE table_name = ? AND scope = ? AND version = ?",
                arguments: [table.name, scope, version])
        }
        return gone
    }

    private func forgetMembers(of job: Job, upTo floor: Int64, _ left: inout Int, in db: Database) throws {
        // Primary key prefix (job).
        try db.execute(
            sql: """
                DELETE FROM member WHERE (job, store_id, table_name, scope, _born) IN (
                    SELECT job, store_id, table_name, scope, _born FROM member WHERE job = ? AND _died <= ? LIMIT ?)
                """,
            arguments: [job.id.rawValue, floor, left])
        left -= db.changesCount
        try db.execute(
            sql: "DELETE FROM derivation WHERE job = ? AND version < ?", arguments: [job.id.rawValue, floor])
    }
}
