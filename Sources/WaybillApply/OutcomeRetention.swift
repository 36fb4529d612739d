import GRDB
import WaybillModel

/// Forgetting outcomes that nobody can ask about any more.
///
/// An outcome does two things: it keeps a run from being applied twice or after a promise, and it makes the answer to a
/// cancel true. The hub asks about a run until it has the answer on disk, and the answer leaves the outbox only then.
/// So once the outbox is empty, only a hub that was restored from an older backup can ask again. Such a hub is told the
/// watermark first, of a session that it does not know, and from then on offers only newer sessions; but somebody may
/// still cancel what it has open. The rule: an outcome goes when it is older than any backup that one would restore
/// (``OutcomeRetention/days``), is not among the newest of its job, is of no session that a watermark names, and
/// is older than everything that the hub has open for this store.
public enum OutcomeRetention {
    /// As long as a hub shows a finished session by default; a backup of the hub that is older is no use to anybody.
    public static let days = 90
    /// Outcomes of each job that stay whatever their age: a clock that was wrong for a day must not cost them all.
    public static let newestKept = 1_000
    /// Outcomes in one transaction: under a millisecond of the lock that tills wait for.
    public static let slice = 200

    /// The moment before which outcomes may go.
    public static func cutoff(at now: Timestamp) -> Timestamp { now + -Int64(days) * 86_400_000 }
}

extension StoreDatabase {
    /// Forgets at most `limit` outcomes of before a moment; see ``OutcomeRetention``.
    /// - Parameter oldest: the number of the oldest session that the hub has open for this store; nil when it has none.
    /// - Returns: how many went; fewer than `limit` when there are no more.
    public func forgetOutcomes(
        before moment: Timestamp, olderThan oldest: Int64?, newestKept: Int = OutcomeRetention.newestKept,
        limit: Int = OutcomeRetention.slice
    ) throws -> Int {
        // What may go is found without the lock; nothing can make an outcome necessary again that was not.
        let victims = try queue.read { db in
            guard try Bool.fetchOne(db, sql: "SELECT NOT EXISTS (SELECT 1 FROM _waybill_outbox)") == true else {
                return [Row]()
            }
            // Once a day: the whole table is read.
            return try Row.fetchAll(
                db,
                sql: """
                    SELECT session, run FROM (
                        SELECT session, run, at, row_number() OVER (PARTITION BY job ORDER BY at DESC, session) AS place
                        FROM _waybill_outcome)
                    WHERE at < :moment AND place > :kept
                        -- The leading number of a session's name.
                        AND (:oldest IS NULL OR CAST(session AS INTEGER) < :oldest)
                        AND session NOT IN (SELECT session FROM _waybill_watermark)
                    LIMIT :limit
                    """,
                arguments: [
                    "moment": moment.milliseconds, "kept": newestKept, "oldest": oldest, "limit": limit,
                ])
        }
        guard !victims.isEmpty else { return 0 }
        try queue.write { db in
            for victim in victims {
                // Primary key (session, run).
                try db.execute(
                    sql: "DELETE FROM _waybill_outcome WHERE session = ? AND run = ?",
                    arguments: [victim["session"] as String, victim["run"] as Int])
            }
        }
        return victims.count
    }
}
