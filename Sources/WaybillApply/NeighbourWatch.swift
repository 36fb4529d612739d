import GRDB
import GRDBSQLite

/// Cuts a long transaction short when another program opens the database meanwhile: it would have to wait.
///
/// SQLite asks between the steps of a statement, and rolls the transaction back when told to. What is left of the wait is
/// the time until it asks again, some milliseconds, or a commit that has begun.
final class NeighbourWatch {
    /// Steps of SQLite's virtual machine between two looks: 150 rows written, one to two milliseconds. A look costs 50
    /// microseconds.
    static let stepsBetweenLooks: Int32 = 10_000

    private let db: Database
    private let arePresent: () -> Bool
    /// Whether a transaction was cut short.
    private(set) var hasSeenSomebody = false

    init(db: Database, arePresent: @escaping () -> Bool) {
        self.db = db
        self.arePresent = arePresent
    }

    /// - Throws: what `body` throws; when a statement in it was cut short, any error, and ``hasSeenSomebody`` tells.
    func during<T>(_ body: () throws -> T) throws -> T {
        let look: @convention(c) (UnsafeMutableRawPointer?) -> Int32 = { context in
            guard let context else { return 0 }
            return Unmanaged<NeighbourWatch>.fromOpaque(context).takeUnretainedValue().look()
        }
        // Of this object until the end of this function, which takes it back.
        let context = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_progress_handler(db.sqliteConnection, NeighbourWatch.stepsBetweenLooks, look, context)
        defer { sqlite3_progress_handler(db.sqliteConnection, 0, nil, nil) }
        return try withExtendedLifetime(self, body)
    }

    private func look() -> Int32 {
        // Once is enough: a look-up after the rollback must not be cut short, too.
        guard !hasSeenSomebody, arePresent() else { return 0 }
        hasSeenSomebody = true
        return 1
    }
}
