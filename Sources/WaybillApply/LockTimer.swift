import GRDB
import WaybillDatabase

/// Times how long the write lock of a store's database is held.
package enum LockTimer {
    /// The steady clock; another one where no time must pass by itself.
    package static let clock = ThreadBound<@Sendable () -> ContinuousClock.Instant>()

    /// The lock that a transaction holds, since it got it.
    struct Lock {
        fileprivate let since: ContinuousClock.Instant

        /// For how long so far.
        var held: Held {
            let (seconds, attoseconds) = since.duration(to: LockTimer.now()).components
            return Held(microseconds: seconds * 1_000_000 + (attoseconds + 999_999_999_999) / 1_000_000_000_000)
        }
    }

    /// How long a lock was held, rounded up.
    struct Held {
        let microseconds: Int64
        var milliseconds: Int64 { (microseconds + 999) / 1000 }
    }

    /// Runs `body` in an IMMEDIATE transaction.
    /// - Returns: the time from getting the lock to the end of the commit.
    @discardableResult
    static func transaction(_ db: Database, _ body: (Lock) throws -> Void) throws -> Held {
        try db.beginTransaction(.immediate)
        let lock = Lock(since: now())
        do {
            try body(lock)
            try db.commit()
        } catch {
            // A till's trigger may have rolled back already.
            if db.isInsideTransaction { try db.rollback() }
            throw error
        }
        return lock.held
    }

    fileprivate static func now() -> ContinuousClock.Instant { clock.value?() ?? .now }
}

/// What is left of the time that the last transaction may hold the lock, spent table by table.
///
/// A guess from measurements (a million rows of 60 bytes, upserts in key order): a row that is looked up and
/// compared costs 2 to 5 µs, and each page that changes about 20 µs on its way into the log. Rows scattered over a
/// large table change a page each; a small table has few pages to change, however many rows do.
struct LockBudget {
    static let microsecondsPerRow: Int64 = 5
    static let microsecondsPerPage: Int64 = 20
    /// SQLite's default, and what a page holds when rows have come in any order: two thirds.
    static let bytesPerPage: Int64 = 4096 * 2 / 3

    private(set) var microseconds: Int64
    /// What may be added to the ordinary budget while nobody is there to wait, and is used last.
    private var extra: Int64 = 0

    init(milliseconds: Int) { microseconds = Int64(milliseconds) * 1000 }

    /// For as long as nobody is there to wait.
    func widened(toMilliseconds milliseconds: Int) -> LockBudget {
        var budget = self
        budget.extra = max(0, Int64(milliseconds) * 1000 - microseconds)
        budget.microseconds += budget.extra
        return budget
    }

    /// Whether somebody who came now would wait for longer than the ordinary budget.
    var isUsedBeyondOrdinary: Bool { microseconds < extra }

    /// Rows that may be written whatever the table's size.
    var scatteredRowsMax: Int64 { microseconds / (LockBudget.microsecondsPerRow + LockBudget.microsecondsPerPage) }

    /// Rows that may be written into a table of so many bytes.
    func rowsMax(tableBytes: Int64) -> Int64 {
        let allPages = pages(tableBytes) * LockBudget.microsecondsPerPage
        return max(scatteredRowsMax, (microseconds - allPages) / LockBudget.microsecondsPerRow)
    }

    mutating func spend(rows: Int64, tableBytes: Int64) {
        microseconds -= rows * LockBudget.microsecondsPerRow
        microseconds -= min(rows, pages(tableBytes)) * LockBudget.microsecondsPerPage
        microseconds = max(0, microseconds)
    }

    private func pages(_ bytes: Int64) -> Int64 { bytes / LockBudget.bytesPerPage + 1 }
}
