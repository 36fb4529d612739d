import Foundation
import GRDB
import Synchronization
import WaybillDatabase
import WaybillModel
import WaybillWire

/// Where a store stands.
public struct StoreState: Hashable, Sendable {
    public var incarnation: Incarnation
    /// Durable changes in this incarnation.
    public var sequence: Int64
    public var watermarks: [JobID: Watermark]
}

/// `store.db` is the database of another store.
public struct ForeignStore: Error, CustomStringConvertible {
    public let path: String
    public let found: String
    public let expected: StoreID
    public var description: String { "\(path) is the database of store \(found), not of store \(expected)" }
}

/// The small transactions in a store's database: incarnations, cancels, the outbox. Applying is ``Applier``'s.
///
/// Safe to share between threads: everything goes through one serialising connection.
public final class StoreDatabase: Sendable {
    let queue: DatabaseQueue
    public let path: String
    private let writing = Atomic(0)

    /// Milliseconds that a small transaction waits for a till that holds the lock. Shorter than an apply does, because
    /// the thread that talks to the hub waits here; what could not be written is asked for again.
    static let busyMilliseconds = 5_000

    /// Opens or makes the database of a store.
    public init(path: String, store: StoreID) throws {
        self.path = path
        queue = try StoreDatabase.open(path, label: "ledger", busyMilliseconds: StoreDatabase.busyMilliseconds)
        try write { db in
            try StoreSchema.install(in: db)
            let found = try String.fetchOne(
                db.cachedStatement(sql: "SELECT value FROM _waybill_meta WHERE name = 'store'"))
            if let found, found != store.rawValue { throw ForeignStore(path: path, found: found, expected: store) }
            if found == nil { try StoreSchema.set("store", store.rawValue, in: db) }
        }
    }

    /// How either connection is opened: see ``OpenDatabase``; and with freed pages not overwritten, which would hold
    /// the lock five times as long when an old table is dropped. FULL is said once more, because GRDB sets NORMAL
    /// when it turns to WAL, after everything that a configuration can say.
    static func open(
        _ path: String, label: String, busyMilliseconds: Int = OpenDatabase.busyMilliseconds
    ) throws -> DatabaseQueue {
        let queue = try OpenDatabase.queue(at: path, label: label, busyMilliseconds: busyMilliseconds)
        try tellingOfMachine(path) {
            try queue.writeWithoutTransaction { db in
                try db.execute(
                    sql: """
                        PRAGMA synchronous = FULL;
                        PRAGMA secure_delete = OFF;
                        PRAGMA journal_size_limit = 67108864;
                        """)
            }
        }
        return queue
    }

    /// Ends the use of the file.
    package func close() throws { try queue.close() }

    /// For a simulation that plants a bug; nobody else writes past the functions below.
    package func meddle(_ body: (Database) throws -> Void) throws { try queue.write(body) }
    package func meddleOutsideTransaction(_ body: (Database) throws -> Void) throws {
        try queue.writeWithoutTransaction(body)
    }

    private func write<T>(_ body: (Database) throws -> T) throws -> T {
        writing.add(1, ordering: .relaxed)
        defer { writing.subtract(1, ordering: .relaxed) }
        return try tellingOfMachine(path) { try queue.write(body) }
    }

    /// Whether somebody is writing here just now, or waits for the lock.
    public var isWriting: Bool { writing.load(ordering: .relaxed) > 0 }

    /// Also for those who look on.
    package func read<T>(_ body: (Database) throws -> T) throws -> T {
        try tellingOfMachine(path) { try queue.read(body) }
    }

    /// Begins a new life of the agent: one more than the last the database remembers.
    @discardableResult
    public func startIncarnation(random: UInt64) throws -> Incarnation {
        try write { db in
            try begin(Incarnation(counter: try StoreSchema.integer("counter", in: db) + 1, random: random), in: db)
        }
    }

    /// Begins one above a counter that the hub knows: this database is older than it, or is a copy.
    @discardableResult
    public func raiseIncarnation(above counter: Int64, random: UInt64) throws -> Incarnation {
        try write { db in
            let own = try StoreSchema.integer("counter", in: db)
            return try begin(Incarnation(counter: max(own, counter) + 1, random: random), in: db)
        }
    }

    private func begin(_ incarnation: Incarnation, in db: Database) throws -> Incarnation {
        try StoreSchema.set("counter", incarnation.counter, in: db)
        try StoreSchema.set("random", Int64(bitPattern: incarnation.random), in: db)
        try StoreSchema.set("sequence", Int64(0), in: db)
        return incarnation
    }

    public func state() throws -> StoreState {
        try read { db in
            var watermarks: [JobID: Watermark] = [:]
            for row in try Row.fetchAll(db.cachedStatement(sql: "SELECT * FROM _waybill_watermark")) {
                if let job = JobID(row["job"]), let session = SessionID(row["session"]) {
                    watermarks[job] = Watermark(
                        version: Version(epoch: row["epoch"], number: row["version"]), session: session)
                }
            }
            return StoreState(
                incarnation: try StoreSchema.incarnation(in: db), sequence: try StoreSchema.integer("sequence", in: db),
                watermarks: watermarks)
        }
    }

    /// Puts a report into the outbox that no row depends on.
    public func record(
        session: SessionID, job: JobID, run: Int, attempt: Int, outcome: StoreOutcome, at: Timestamp,
        message: String = "", isTransient: Bool = false
    ) throws {
        precondition(outcome != .applied && outcome != .canceled, "those are written with what they tell of")
        _ = try write { db in
            try StoreSchema.report(
                session: session, job: job, run: run, attempt: attempt, outcome: outcome, at: at,
                message: StoreSchema.reportText(message), isTransient: isTransient, in: db)
        }
    }

    /// The oldest unacknowledged reports.
    public func outbox(limit: Int) throws -> [StoreReport] {
        try read { db in
            let blobs = try Data.fetchAll(
                db.cachedStatement(sql: "SELECT report FROM _waybill_outbox ORDER BY id LIMIT ?"), arguments: [limit])
            return try blobs.map { try StoreReport(decoding: [UInt8]($0)) }
        }
    }

    /// Forgets reports that the hub has. One of another incarnation with the same id is another report.
    public func acknowledge(_ names: [ReportName]) throws {
        try write { db in
            for name in names {
                try db.cachedStatement(sql: "DELETE FROM _waybill_outbox WHERE id = ? AND counter = ? AND random = ?")
                    .execute(arguments: [name.id, name.incarnation.counter, Int64(bitPattern: name.incarnation.random)])
            }
        }
    }

    /// Says that the store no longer has what a job brought: a table is gone or was altered by somebody. The hub hears
    /// of it with the next hello and sends everything.
    public func forgetWatermark(of job: JobID) throws {
        try write { db in
            try db.cachedStatement(sql: "DELETE FROM _waybill_watermark WHERE job = ?").execute(arguments: [
                job.rawValue
            ])
            try StoreSchema.set("sequence", try StoreSchema.integer("sequence", in: db) + 1, in: db)
        }
    }

    /// Answers a cancel, truly and for good: promises never to apply the run, or says that it was applied.
    ///
    /// The applier's last transaction and this one exclude each other, so there is no third answer.
    public func cancel(session: SessionID, job: JobID, run: Int, at: Timestamp) throws -> StoreReport {
        try write { db in
            let canceled = try StoreSchema.outcome(of: session, run: run, in: db).flatMap { $0.isApplied ? nil : $0 }
            // A session applied in another run is applied: that run is what the store shows its tills.
            if canceled == nil,
                let applied = try StoreSchema.appliedOutcome(of: session, run: run, job: job, in: db)
            {
                return try StoreSchema.report(
                    session: session, job: job, run: run, attempt: 1, outcome: .applied, at: applied.at,
                    rowsChanged: applied.rowsChanged, longestLockMilliseconds: applied.longestLockMilliseconds,
                    message: applied.message, watermark: try StoreSchema.watermark(of: job, in: db),
                    exceptions: applied.exceptions, in: db)
            }
            if canceled == nil {
                try StoreSchema.save(
                    StoreSchema.Outcome(isApplied: false, at: at), of: session, run: run, job: job, in: db)
            }
            return try StoreSchema.report(
                session: session, job: job, run: run, attempt: 1, outcome: .canceled, at: canceled?.at ?? at, in: db)
        }
    }

    /// The last sessions that this store has applied or called off, newest first, for people.
    public func lastOutcomes(limit: Int) throws -> [(session: String, job: String, outcome: String, at: Timestamp)] {
        try read { db in
            try Row.fetchAll(
                db.cachedStatement(
                    sql: "SELECT session, job, outcome, at FROM _waybill_outcome ORDER BY at DESC LIMIT ?"),
                arguments: [limit]
            ).map { ($0["session"], $0["job"], $0["outcome"], Timestamp(milliseconds: $0["at"])) }
        }
    }
}
