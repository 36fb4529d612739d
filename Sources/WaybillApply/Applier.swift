import Foundation
import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillWire

/// Bounds of applying, each with its reason.
public enum ApplyLimits {
    /// Rows changed in one table within the final transaction. Measured: 10,000 scattered rows of a million hold the
    /// lock for 150 ms; 2,000 stay within the budget of 50 ms.
    public static let directRowsMax: Int64 = 2_000
    /// Rows of a shadow table written in one transaction: tills that write then wait 18 ms at the 99th percentile.
    public static let sliceRows = 1_000
    /// Milliseconds between two slices. Without them a till's busy handler backs off and starves.
    public static let slicePauseMilliseconds = 2
    /// Bytes that must stay free on the store's disk beyond what an apply needs.
    public static let reserveBytes: Int64 = 32 * 1024 * 1024
}

/// Applies packages to a store's database. Has a connection of its own and belongs to one thread.
///
/// Rows never pass through Swift: a package is attached and SQLite copies. Whatever the way, all tables of the session,
/// the watermark, the outcome and the report become visible in one last transaction.
public final class Applier {
    let queue: DatabaseQueue
    private let path: String

    public init(path: String) throws {
        self.path = path
        queue = try StoreDatabase.open(path, label: "apply")
    }

    /// What one call is about.
    struct Order {
        var manifest: Manifest
        var run: Int
        var attempt: Int
        var at: () -> Timestamp
        var pause: (Int) -> Void
        var shouldStop: () -> Bool
    }

    /// - Parameter rawPath: the unpacked and checked package.
    /// - Parameter pause: waits that many milliseconds, so that tills get their turn.
    /// - Parameter shouldStop: asked between slices and before the last transaction.
    public func apply(
        rawPath: String, manifest: Manifest, run: Int, attempt: Int, at: @escaping () -> Timestamp,
        pause: @escaping (Int) -> Void, shouldStop: @escaping () -> Bool
    ) throws(ApplyFault) -> ApplyResult {
        let order = Order(
            manifest: manifest, run: run, attempt: attempt, at: at, pause: pause, shouldStop: shouldStop)
        do {
            try checkSpace(manifest)
            return try queue.writeWithoutTransaction { db in
                let shadows = Shadows(db: db, order: order)
                try shadows.sweep()
                try db.execute(
                    sql: "ATTACH DATABASE ? AS package", arguments: [PackageFile.immutableURI(rawPath)])
                defer { try? db.execute(sql: "DETACH DATABASE package") }
                let result = try ApplyRun(db: db, order: order, shadows: shadows).run()
                try shadows.sweep()
                // PASSIVE waits for nobody; one checkpointer only, and never twice in a row.
                try db.execute(sql: "PRAGMA wal_checkpoint(PASSIVE)")
                return result
            }
        } catch let fault as ApplyFault {
            throw fault
        } catch {
            throw ApplyFault.from(error, table: "of the session")
        }
    }

    private func checkSpace(_ manifest: Manifest) throws {
        // The shadow and the write-ahead log hold the rows once each.
        let needed = 2 * manifest.rawBytes + ApplyLimits.reserveBytes
        let free = try DurableFile.freeBytes(at: path)
        guard free >= needed else { throw ApplyFault.noSpace(needed: needed, free: free) }
    }
}

/// One apply, from the look at each table to the last transaction.
struct ApplyRun {
    let db: Database
    let order: Applier.Order
    let shadows: Shadows
    var manifest: Manifest { order.manifest }

    func run() throws -> ApplyResult {
        // Only the life that was given leave may use it.
        let life = try StoreSchema.incarnation(in: db)
        if let answer = try answerWithoutRows(life: life) { return answer }
        var changes: [TableChange] = []
        for table in manifest.tables { changes.append(try prepare(table)) }
        guard !order.shouldStop() else { throw ApplyFault.canceled }
        return try commit(changes, life: life)
    }

    /// Looks before the work begins; the last transaction looks again.
    private func answerWithoutRows(life: Incarnation) throws -> ApplyResult? {
        var answer: ApplyResult?
        try LockTimer.transaction(db) {
            switch try checkLeave(life: life) {
            case .apply: break
            case .isApplied(let watermark):
                answer = try reportAgain(watermark)
            }
        }
        return answer
    }

    enum Leave {
        case apply
        /// Was applied before; the report may have been lost.
        case isApplied(Watermark)
    }

    /// May this package be applied, here and now? Inside a transaction.
    func checkLeave(life: Incarnation) throws -> Leave {
        guard try StoreSchema.incarnation(in: db) == life else { throw ApplyFault.anotherLife }
        let outcome = try String.fetchOne(
            db, sql: "SELECT outcome FROM _waybill_outcome WHERE session = ? AND run = ?",
            arguments: [manifest.session.rawValue, order.run])
        guard outcome != "canceled" else { throw ApplyFault.canceled }
        let watermark = try StoreSchema.watermark(of: manifest.job, in: db)
        if let watermark, watermark.session == manifest.session, outcome == "applied" || manifest.kind == .delta {
            return .isApplied(watermark)
        }
        if manifest.kind == .delta {
            guard let watermark, manifest.bases.contains(watermark) else { throw ApplyFault.wrongBase }
        }
        return .apply
    }

    private func reportAgain(_ watermark: Watermark) throws -> ApplyResult {
        let known = try Row.fetchOne(
            db,
            sql: "SELECT * FROM _waybill_outcome WHERE session = ? AND outcome = 'applied' ORDER BY run DESC LIMIT 1",
            arguments: [manifest.session.rawValue])
        let at: Int64 = known?["at"] ?? order.at().milliseconds
        _ = try StoreSchema.report(
            session: manifest.session, job: manifest.job, run: order.run, attempt: order.attempt, outcome: .applied,
            at: Timestamp(milliseconds: at), rowsChanged: known?["rows_changed"] ?? 0,
            longestLockMilliseconds: known?["longest_lock_ms"] ?? 0, watermark: watermark, in: db)
        return ApplyResult(rowsChanged: 0, longestLockMilliseconds: 0, watermark: watermark, wasApplied: true)
    }

    // MARK: the last transaction

    private func commit(_ changes: [TableChange], life: Incarnation) throws -> ApplyResult {
        // Tills' views, triggers and foreign keys shall keep pointing at the name, not follow the old table.
        try db.execute(sql: "PRAGMA legacy_alter_table = ON")
        defer { try? db.execute(sql: "PRAGMA legacy_alter_table = OFF") }
        let watermark = Watermark(version: manifest.version, session: manifest.session)
        var result: ApplyResult?
        var report: StoreReport?
        let at = order.at()
        let held = try LockTimer.transaction(db) {
            if case .isApplied(let known) = try checkLeave(life: life) {
                result = try reportAgain(known)
                return
            }
            var rowsChanged: Int64 = 0
            for change in changes { rowsChanged += try change.write(in: db, shadows: shadows) }
            try saveTables()
            try db.execute(
                sql: """
                    INSERT INTO _waybill_watermark (job, epoch, version, session, applied_at) VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (job) DO UPDATE SET epoch = excluded.epoch, version = excluded.version,
                        session = excluded.session, applied_at = excluded.applied_at
                    """,
                arguments: [
                    manifest.job.rawValue, manifest.version.epoch, manifest.version.number, manifest.session.rawValue,
                    at.milliseconds,
                ])
            try saveOutcome(at: at, rowsChanged: rowsChanged, longestLock: shadows.longestLock)
            // Our own lock ends after this report is written: it tells the longest before, and what it took itself
            // until here. The commit that follows is one sync of the log.
            report = try StoreSchema.report(
                session: manifest.session, job: manifest.job, run: order.run, attempt: order.attempt, outcome: .applied,
                at: at, rowsChanged: rowsChanged,
                longestLockMilliseconds: max(shadows.longestLock, LockTimer.elapsedMilliseconds()),
                watermark: watermark,
                in: db)
            CrashPoint.beforeCommit.pass()
            result = ApplyResult(
                rowsChanged: rowsChanged, longestLockMilliseconds: report?.longestLockMilliseconds ?? 0,
                watermark: watermark, wasApplied: false)
        }
        guard var result else { throw ApplyFault.failed("the apply came to no end") }
        result.longestLockMilliseconds = max(result.longestLockMilliseconds, held)
        return result
    }

    private func saveTables() throws {
        for table in manifest.tables {
            try db.execute(
                sql: """
                    INSERT INTO _waybill_table (name, job, declaration) VALUES (?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET job = excluded.job, declaration = excluded.declaration
                    """,
                arguments: [
                    table.shape.name, manifest.job.rawValue,
                    PackageTables.createStatement(table.shape, name: table.shape.name),
                ])
        }
    }

    private func saveOutcome(at: Timestamp, rowsChanged: Int64, longestLock: Int64) throws {
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO _waybill_outcome (session, run, job, outcome, at, rows_changed, longest_lock_ms)
                VALUES (?, ?, ?, 'applied', ?, ?, ?)
                """,
            arguments: [
                manifest.session.rawValue, order.run, manifest.job.rawValue, at.milliseconds, rowsChanged, longestLock,
            ])
    }
}

/// Times how long the write lock of a store's database is held.
enum LockTimer {
    @TaskLocal private static var since: ContinuousClock.Instant?

    /// Runs `body` in an IMMEDIATE transaction.
    /// - Returns: milliseconds from getting the lock to the end of the commit.
    @discardableResult
    static func transaction(_ db: Database, _ body: () throws -> Void) throws -> Int64 {
        try db.beginTransaction(.immediate)
        let start = ContinuousClock.now
        do {
            try $since.withValue(start) { try body() }
            try db.commit()
        } catch {
            if db.isInsideTransaction { try db.rollback() }
            throw error
        }
        return milliseconds(since: start)
    }

    /// Milliseconds since the running transaction got the lock.
    static func elapsedMilliseconds() -> Int64 { since.map(milliseconds(since:)) ?? 0 }

    private static func milliseconds(since start: ContinuousClock.Instant) -> Int64 {
        let (seconds, attoseconds) = start.duration(to: .now).components
        return seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
