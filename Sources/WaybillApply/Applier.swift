import Foundation
import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillWire

/// Bounds of applying, each with its reason.
public enum ApplyLimits {
    /// Rows of a shadow table written in one transaction: tills that write then wait 18 ms at the 99th percentile.
    public static let sliceRows = 1_000
    /// The same where nobody else has the database open: for one who comes meanwhile still a small part of the lock
    /// budget, and a tenth of the transactions.
    public static let loneSliceRows = 10_000
    /// Milliseconds that the last transaction may take where nobody else has the database open: some ten thousand rows
    /// scattered over a large table, and with them at most 50 MB of log to commit. See ``NeighbourWatch``.
    public static let loneLockBudgetMilliseconds = 250
    /// Rows of a table that nobody reads any more, freed in one transaction: whole pages, 3 ms for 10,000 rows of 60
    /// bytes.
    public static let freedSliceRows = 10_000
    /// Rows between two checkpoints: some megabytes of log, which else a till's next commit would have to copy.
    public static let checkpointRows = 50_000
    /// Bytes that must stay free on the store's disk beyond what an apply needs.
    public static let reserveBytes: Int64 = 32 * 1024 * 1024
}

/// Who else uses a store's database just now. Nobody: then nobody needs pauses, or to be spared a longer lock.
public struct Company {
    /// Whether other programs have it open.
    var others: () -> Bool
    /// Whether this program waits for its lock elsewhere.
    var ours: () -> Bool

    public init(others: @escaping () -> Bool, ours: @escaping () -> Bool = { false }) {
        self.others = others
        self.ours = ours
    }

    /// For whoever cannot tell.
    public static var always: Company { Company(others: { true }) }
}

/// How long work lets tills have their turns, and ends when it is asked to.
struct TillManners {
    /// Called after each slice; waits that many milliseconds, which may be none.
    var pause: (Int) -> Void
    var shouldStop: () -> Bool
    /// Whether nobody else uses the database just now.
    var isAlone: () -> Bool
}

/// Applies packages to a store's database. Has a connection of its own and belongs to one thread.
///
/// Rows never pass through Swift: a package is attached and SQLite copies. Whatever the way, all tables of the session,
/// the watermark, the outcome and the report become visible in one last transaction.
public final class Applier {
    let queue: DatabaseQueue
    private let path: String
    private let lockBudgetMilliseconds: Int?
    private let company: Company

    /// - Parameter path: a database that ``StoreDatabase`` has opened before.
    /// - Parameter lockBudgetMilliseconds: what the store itself says about ``lockBudgetMilliseconds(for:)``.
    public init(path: String, lockBudgetMilliseconds: Int? = nil, company: Company = .always) throws {
        self.path = path
        self.lockBudgetMilliseconds = lockBudgetMilliseconds
        self.company = company
        queue = try StoreDatabase.open(path, label: "apply")
        // Checkpoints are made between transactions, not in a commit whose lock is being timed.
        try queue.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA wal_autocheckpoint = 0") }
    }

    /// Ends the use of the file.
    package func close() throws { try queue.close() }

    /// How long the last transaction may keep a till that writes waiting. More than fits goes through a shadow table,
    /// which takes longer in all.
    ///
    /// What the package asks for, but never more than the store allows; without either, what everybody gets.
    public func lockBudgetMilliseconds(for manifest: Manifest) -> Int {
        [manifest.lockBudgetMilliseconds, lockBudgetMilliseconds].compactMap(\.self).min()
            ?? Limits.lockBudgetMilliseconds
    }

    /// What one call is about.
    struct Order {
        var manifest: Manifest
        var run: Int
        var attempt: Int
        var at: () -> Timestamp
        var shouldStop: () -> Bool
    }

    private func isAlone() -> Bool { !company.ours() && !company.others() }

    /// Brings the store to the package's version, or leaves it as it was.
    ///
    /// A run that was applied before is reported again and changes no row.
    /// - Parameter rawPath: the unpacked and checked package.
    /// - Parameter at: the store's clock.
    /// - Parameter pause: called after each slice; waits that many milliseconds, so that tills get their turn.
    /// - Parameter shouldStop: asked between slices and before the last transaction.
    /// - Parameter committed: called once it is done, before the old rows are freed: that takes as long as filling did,
    ///   and headquarters need not wait for it.
    @discardableResult
    public func apply(
        rawPath: String, manifest: Manifest, run: Int, attempt: Int, at: @escaping () -> Timestamp,
        pause: @escaping (Int) -> Void, shouldStop: @escaping () -> Bool,
        committed: (ApplyResult) -> Void = { _ in }
    ) throws(ApplyFault) -> ApplyResult {
        let order = Order(manifest: manifest, run: run, attempt: attempt, at: at, shouldStop: shouldStop)
        do {
            return try queue.writeWithoutTransaction { db in
                let shadows = Shadows(
                    db: db, manners: TillManners(pause: pause, shouldStop: shouldStop, isAlone: isAlone))
                try shadows.sweep()
                try checkSpace(manifest)
                let result = try carryOut(order, rawPath, shadows, in: db)
                committed(result)
                // What fails from here on takes nothing back; the next apply tidies up as well.
                try? shadows.sweep()
                // PASSIVE waits for nobody; the only checkpointer of ours, and never twice in a row.
                try? db.execute(sql: "PRAGMA wal_checkpoint(PASSIVE)")
                return result
            }
        } catch {
            throw ApplyFault.from(error, table: "of the session")
        }
    }

    /// Frees what an apply that was killed has left behind. An apply begins with it, too; this is for a quiet moment.
    public func removeLeftOvers(
        pause: @escaping (Int) -> Void, shouldStop: @escaping () -> Bool
    ) throws(ApplyFault) {
        do {
            try queue.writeWithoutTransaction { db in
                let manners = TillManners(pause: pause, shouldStop: shouldStop, isAlone: isAlone)
                try Shadows(db: db, manners: manners).sweep()
            }
        } catch {
            throw ApplyFault.from(error, table: "left behind")
        }
    }

    private func carryOut(_ order: Order, _ rawPath: String, _ shadows: Shadows, in db: Database) throws -> ApplyResult
    {
        try db.execute(sql: "ATTACH DATABASE ? AS package", arguments: [PackageFile.immutableURI(rawPath)])
        defer { try? db.execute(sql: "DETACH DATABASE package") }
        let budget = LockBudget(milliseconds: lockBudgetMilliseconds(for: order.manifest))
        func run(_ budget: LockBudget, _ watch: NeighbourWatch?) throws -> ApplyResult {
            let allowed = Int(budget.microseconds / 1000)
            var result = try ApplyRun(db: db, order: order, shadows: shadows, budget: budget, watch: watch).run()
            result.allowedLockMilliseconds = allowed
            return result
        }
        guard !company.others() else { return try run(budget, nil) }
        let watch = NeighbourWatch(db: db, arePresent: company.others)
        do {
            return try run(budget.widened(toMilliseconds: ApplyLimits.loneLockBudgetMilliseconds), watch)
        } catch {
            guard watch.hasSeenSomebody else { throw error }
            // Nothing has been written but shadows.
            try shadows.sweep()
            return try run(budget, nil)
        }
    }

    private func checkSpace(_ manifest: Manifest) throws {
        // The shadow and the write-ahead log hold the rows once each.
        let needed = 2 * manifest.rawBytes + ApplyLimits.reserveBytes
        let free = try DurableFile.freeBytes(at: path)
        guard free >= needed else { throw ApplyFault.noSpace(needed: needed, free: free) }
    }
}
