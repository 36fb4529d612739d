import Foundation
import GRDB
import WaybillModel

/// Forgetting what is over. In slices, each a transaction of its own: the wire thread writes between them.
///
/// A session goes in this order: its deliveries, then all the rest in one transaction. So a crash leaves a session with
/// fewer deliveries, which the next run takes away; the files of packages go after the commit that forgets them, and
/// what a crash leaves of those is swept when the hub starts.
public enum Retention {
    /// What was forgotten; the packages' files are the caller's to remove.
    public struct Purged: Sendable {
        public var sessions: Int
        public var deliveries: Int
        public var packages: [(id: String, bytes: Int64)]
        /// Nothing is left to be forgotten.
        public var isLast: Bool

        public init() {
            (sessions, deliveries, packages, isLast) = (0, 0, [], false)
        }
    }

    /// Headers of sessions that nobody builds, and that wait for nobody's leave.
    private static let settled = "session.status IN ('Available', 'NoData', 'CreateFailed', 'Canceled')"

    /// Sessions that may go: settled, old, with no open delivery. A session at which a store stands stays, for it is
    /// the base of what comes next for that store.
    ///
    /// Walks the table from its old end; deliveries by the prefix of their primary key.
    private static let finished = """
        FROM session
        WHERE created_at < ? AND \(settled)
            AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.session = session.number AND delivery.is_open)
            AND id NOT IN (SELECT session FROM position)
        """

    /// Forgets all finished sessions created before a moment, with their deliveries and packages.
    public static func purge(before: Timestamp, in db: Database) throws -> Purged {
        var purged = Purged()
        while !purged.isLast {
            let slice = try purgeSlice(before: before, limit: .max, in: db)
            purged.sessions += slice.sessions
            purged.deliveries += slice.deliveries
            purged.packages += slice.packages
            purged.isLast = slice.isLast
        }
        return purged
    }

    /// Forgets some of it: at most `limit` deliveries, and as many sessions.
    public static func purgeSlice(before: Timestamp, limit: Int, in db: Database) throws -> Purged {
        var purged = Purged()
        let numbers = try Int64.fetchAll(
            db, sql: "SELECT number \(finished) ORDER BY number LIMIT ?",
            arguments: [before.milliseconds, min(limit, 1000)])
        var left = limit
        for number in numbers where left > 0 {
            // Primary key prefix (session).
            try db.execute(
                sql: """
                    DELETE FROM delivery WHERE (session, store_id) IN (
                        SELECT session, store_id FROM delivery WHERE session = ? LIMIT ?)
                    """,
                arguments: [number, left])
            purged.deliveries += db.changesCount
            left -= db.changesCount
            guard left > 0 else { break }
            purged.packages += try forgetSession(number, in: db)
            purged.sessions += 1
            left -= 1
        }
        purged.isLast = numbers.count < min(limit, 1000) && left > 0
        return purged
    }

    private static func forgetSession(_ number: Int64, in db: Database) throws -> [(id: String, bytes: Int64)] {
        // Index package_by_session. A package whose file has gone already frees nothing more.
        let packages = try Row.fetchAll(
            db, sql: "SELECT id, bytes FROM package WHERE session = ? AND NOT \(fileIsGone)", arguments: [number]
        ).map { (id: $0["id"] as String, bytes: $0["bytes"] as Int64) }
        try db.execute(
            sql: "DELETE FROM package_base WHERE package IN (SELECT id FROM package WHERE session = ?)",
            arguments: [number])
        try db.execute(sql: "DELETE FROM package WHERE session = ?", arguments: [number])
        try SessionTally.forget(number, in: db)
        try db.execute(sql: "DELETE FROM session WHERE number = ?", arguments: [number])
        return packages
    }

    /// How many sessions and deliveries would go, and what their packages take.
    public static func countPurge(before: Timestamp, in db: Database) throws -> Purged {
        var purged = Purged()
        let sessions = "(SELECT number \(finished))"
        let arguments: StatementArguments = [before.milliseconds]
        purged.sessions = try Int.fetchOne(db, sql: "SELECT count(*) \(finished)", arguments: arguments) ?? 0
        purged.deliveries =
            try Int.fetchOne(
                db, sql: "SELECT count(*) FROM delivery WHERE session IN \(sessions)", arguments: arguments) ?? 0
        purged.packages = try Row.fetchAll(
            db, sql: "SELECT id, bytes FROM package WHERE session IN \(sessions) AND NOT \(fileIsGone)",
            arguments: arguments
        ).map { (id: $0["id"], bytes: $0["bytes"]) }
        purged.isLast = true
        return purged
    }
}

// MARK: packages

extension Retention {
    /// A package that is remembered for the session list, while its description and its file have gone.
    ///
    /// The description is what a grant needs, so nothing can be granted whose file is not there.
    private static let fileIsGone = "length(package.manifest) = 0"

    /// Packages that may go: of an old, settled session, and no open delivery hands them out.
    private static let unneeded = """
        FROM package JOIN session ON session.number = package.session
        WHERE session.created_at < ? AND \(settled) AND NOT \(fileIsGone)
            AND NOT EXISTS (
                -- Primary key prefix (session).
                SELECT 1 FROM delivery
                WHERE delivery.session = package.session AND delivery.is_open AND delivery.package = package.id)
        """

    /// Packages whose files stay: all others in the folder were cut short, or their removal was.
    public static func packagesKept(in db: Database) throws -> Set<String> {
        try String.fetchSet(db, sql: "SELECT id FROM package WHERE NOT \(fileIsGone)")
    }

    /// Forgets how to hand out packages of sessions created before a moment that no open delivery needs. Their numbers
    /// stay for the session list.
    public static func dropPackagesSlice(
        before: Timestamp, limit: Int, in db: Database
    ) throws -> [(id: String, bytes: Int64)] {
        let packages = try droppablePackages(before: before, limit: limit, in: db)
        for package in packages {
            try db.execute(
                sql: "UPDATE package SET manifest = x'', signature = x'' WHERE id = ?", arguments: [package.id])
        }
        return packages
    }

    /// Those that would go.
    public static func droppablePackages(
        before: Timestamp, limit: Int = .max, in db: Database
    ) throws -> [(id: String, bytes: Int64)] {
        // Index package_by_session, below the few sessions that are kept.
        try Row.fetchAll(
            db, sql: "SELECT package.id, package.bytes \(unneeded) LIMIT ?", arguments: [before.milliseconds, limit]
        ).map { (id: $0["id"], bytes: $0["bytes"]) }
    }
}

// MARK: who needs the past

extension Retention {
    /// A version that an active store needs: it stands there, or an open delivery leads there.
    public struct Need: Hashable, Sendable {
        public var store: StoreID
        public var job: JobID
        public var version: Int64
        /// Of the derivation, see `rows.db`.
        public var token: Int64
    }

    /// What active stores need of each job's past. A store that has nothing yet needs none of it.
    public static func needs(in db: Database) throws -> [Need] {
        // position and the store by their keys, session by its unique id; index delivery_open.
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT position.store_id, position.job, session.version, session.token
                FROM store
                JOIN position ON position.store_id = store.store_id
                JOIN session ON session.id = position.session
                WHERE store.state = 'active'
                UNION
                SELECT delivery.store_id, delivery.job, session.version, session.token
                FROM store
                JOIN delivery ON delivery.store_id = store.store_id AND delivery.is_open
                JOIN session ON session.number = delivery.session
                WHERE store.state = 'active'
                """)
        return rows.compactMap { row in
            guard let store = StoreID(row["store_id"]), let job = JobID(row["job"]) else { return nil }
            return Need(store: store, job: job, version: row["version"], token: row["token"])
        }
    }

    /// For each state of a job that any active store needs, the first of those stores by name: thousands of stores stand
    /// at a few.
    public static func firstNeeds(in db: Database) throws -> [Need] {
        let inactive = "(SELECT store_id FROM store WHERE state <> 'active')"
        // position as a whole, which has a short row for each store and job; index delivery_open alone; session by its
        // keys, once for each group.
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT min(store_id) AS store_id, job, version, token
                FROM (
                    SELECT held.store_id, session.job, session.version, session.token
                    FROM (
                        SELECT min(store_id) AS store_id, session FROM position
                        WHERE store_id NOT IN \(inactive) GROUP BY session
                    ) AS held
                    JOIN session ON session.id = held.session
                    UNION ALL
                    SELECT coming.store_id, session.job, session.version, session.token
                    FROM (
                        SELECT min(store_id) AS store_id, session FROM delivery INDEXED BY delivery_open
                        WHERE is_open AND store_id NOT IN \(inactive) GROUP BY session
                    ) AS coming
                    JOIN session ON session.number = coming.session
                )
                GROUP BY job, version, token
                """)
        return rows.compactMap { row in
            guard let store = StoreID(row["store_id"]), let job = JobID(row["job"]) else { return nil }
            return Need(store: store, job: job, version: row["version"], token: row["token"])
        }
    }
}
