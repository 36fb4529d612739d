import GRDB
import WaybillDatabase
import WaybillModel

/// Why a package was not applied. Whatever it was, the store has what it had.
public enum ApplyFault: Error, CustomStringConvertible {
    /// The store had promised never to apply this run, or was asked to stop.
    case canceled
    /// The store does not stand where the delta begins.
    case wrongBase
    /// The database has begun another incarnation meanwhile: the leave to apply was for the one before.
    case anotherLife
    /// A delta for tables of another shape than the store's.
    case shapeChanged(table: String)
    /// A table of this name exists and is not ours.
    case foreignTable(String)
    /// Another program held the database's lock for longer than we wait.
    case locked
    case noSpace(needed: Int64, free: Int64)
    /// A row does not fit: which table, and SQLite's words.
    case rowDoesNotFit(table: String, detail: String)
    /// SQLite cannot run a statement on the table: a till's trigger or the schema stands in the way.
    case notPossible(table: String, detail: String)
    /// SQLite finds the store's database, or the package, damaged.
    case damaged(String)
    /// The disk or the file system said no.
    case failed(String)

    /// Waiting can help.
    public var isTransient: Bool {
        switch self {
        case .locked, .noSpace, .failed: true
        case .canceled, .wrongBase, .anotherLife, .shapeChanged, .foreignTable, .rowDoesNotFit, .notPossible, .damaged:
            false
        }
    }

    /// Nothing is wrong; the hub has to look again at what the store needs.
    public var isStale: Bool {
        switch self {
        case .canceled, .wrongBase, .anotherLife, .shapeChanged: true
        case .foreignTable, .locked, .noSpace, .rowDoesNotFit, .notPossible, .damaged, .failed: false
        }
    }

    public var description: String {
        switch self {
        case .canceled: "the session was called off"
        case .wrongBase: "the store does not stand where the package begins"
        case .anotherLife: "the store's database has begun a new life"
        case .shapeChanged(let table): "table \(table) has another shape at the store than in the delta"
        case .foreignTable(let table):
            "the store's database has a table '\(table)' that is not Waybill's; rename it, then retry the session"
        case .locked: "another program has held the lock of store.db for too long; trying again"
        case .noSpace(let needed, let free): "applying needs \(needed) bytes of disk, \(free) are free; trying again"
        case .rowDoesNotFit(let table, let detail): "a row does not fit into table \(table): \(detail)"
        case .notPossible(let table, let detail):
            "table \(table) cannot be written: \(detail); look at the triggers and the schema of store.db"
        case .damaged(let detail):
            "store.db or the package is damaged (\(detail)); check store.db with PRAGMA integrity_check"
        case .failed(let detail): detail
        }
    }

    /// What SQLite said about a statement on a table.
    static func from(_ error: any Error, table: String) -> ApplyFault {
        guard let error = error as? DatabaseError else { return (error as? ApplyFault) ?? .failed("\(error)") }
        switch error.resultCode {
        case .SQLITE_CONSTRAINT, .SQLITE_MISMATCH, .SQLITE_TOOBIG:
            return .rowDoesNotFit(table: table, detail: error.message ?? "constraint failed")
        case .SQLITE_BUSY, .SQLITE_LOCKED: return .locked
        case .SQLITE_ERROR, .SQLITE_SCHEMA, .SQLITE_RANGE:
            return .notPossible(table: table, detail: error.message ?? "SQLite error \(error.resultCode)")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: return .damaged(error.message ?? "SQLite error \(error.resultCode)")
        case .SQLITE_FULL: return .failed("the disk of store.db is full; trying again")
        default: return .failed("store.db, table \(table): \(error.message ?? "SQLite error \(error.resultCode)")")
        }
    }
}

/// What applying has done.
public struct ApplyResult: Hashable, Sendable {
    /// Rows written and removed.
    public var rowsChanged: Int64
    public var longestLockMilliseconds: Int64
    /// What it was to stay below: the lock budget, or more because nobody was there to wait.
    public var allowedLockMilliseconds = 0
    public var watermark: Watermark
    /// The store had it already; nothing was written but the report.
    public var wasApplied: Bool
    /// What somebody at the store should know, in one sentence; mostly nothing.
    public var message = ""
    /// Rows of the session that went into quarantine.
    public var exceptions = 0
}
