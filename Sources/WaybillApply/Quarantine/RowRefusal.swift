import GRDB
import WaybillModel

/// One row that the store's own schema refuses.
struct RowRefusal: Hashable {
    /// Which one, in the numbered copy of the rows that were tried.
    var place: Int64
    /// SQLite's extended result code.
    var code: Int
    /// SQLite's words.
    var words: String

    init(place: Int64 = 0, code: Int = Int(ResultCode.SQLITE_CONSTRAINT_TRIGGER.rawValue), words: String) {
        self.place = place
        self.code = code
        self.words = words
    }

    init(place: Int64 = 0, _ error: DatabaseError) {
        self.init(
            place: place, code: Int(error.extendedResultCode.rawValue), words: error.message ?? "constraint failed")
    }

    /// Another row has the value that it needs; that one may let go of it.
    var isAboutUniqueness: Bool { code == RowRefusal.uniqueness }
    static let uniqueness = Int(ResultCode.SQLITE_CONSTRAINT_UNIQUE.rawValue)

    /// What a statement that failed says about its rows; nil when it says nothing about them, but about the disk, the
    /// lock or the schema. The statement must have been compiled before, so that what fails is its running.
    static func of(_ error: any Error) -> RowRefusal? {
        if let ignored = error as? RowsIgnored { return RowRefusal(words: ignored.description) }
        guard let error = error as? DatabaseError else { return nil }
        switch error.resultCode {
        case .SQLITE_CONSTRAINT, .SQLITE_MISMATCH, .SQLITE_TOOBIG, .SQLITE_ERROR: return RowRefusal(error)
        default: return nil
        }
    }
}

/// A till's trigger says IGNORE: SQLite reports no error, and the row is not there.
struct RowsIgnored: Error, CustomStringConvertible {
    var description: String { "a trigger of the store's database ignores it" }
}

/// A till's trigger says ROLLBACK: the transaction is over, and everything in it has to be done again without the row.
struct TransactionEnded: Error {
    var table: String
    /// The rows of the statement that it ended with: one, when they are tried one by one.
    var places: ClosedRange<Int64>
    var refusal: RowRefusal
    var isRemoval: Bool
}

/// Does a piece of work for many rows, and finds those for which it cannot be done, by halves.
///
/// Every piece of work is a savepoint of its own, so that what a refused row leaves behind is undone. Costs twice a
/// piece of ``pieceRows`` and a dozen savepoints for each refused row.
struct Sieve {
    static let pieceRows: Int64 = 256

    let db: Database
    let table: String
    let isRemoval: Bool
    /// Rows that need no trying: each has ended a transaction before.
    let known: [Int64: RowRefusal]
    /// One row at a time: a trigger ends whole transactions, and only so the row is known.
    let isSingle: Bool
    let refusedMax: Int
    /// Does the work for the rows with these numbers; returns how many it changed.
    let work: (ClosedRange<Int64>) throws -> Int64

    private(set) var refused: [RowRefusal] = []
    private(set) var changed: Int64 = 0

    init(
        db: Database, table: String, isRemoval: Bool, endings: Endings, refusedMax: Int,
        work: @escaping (ClosedRange<Int64>) throws -> Int64
    ) {
        self.db = db
        self.table = table
        self.isRemoval = isRemoval
        known = endings.of(table, isRemoval: isRemoval)
        isSingle = endings.isSingle(table)
        self.refusedMax = refusedMax
        self.work = work
    }

    mutating func run(count: Int64) throws {
        let step = isSingle ? 1 : Sieve.pieceRows
        var first: Int64 = 1
        while first <= count {
            try sift(first...min(first + step - 1, count))
            first += step
        }
    }

    /// Tries refused rows once more, for those that went in may have let go of what they need.
    mutating func tryAgain(where isWorthIt: (RowRefusal) -> Bool) throws {
        var before = refused.count + 1
        while refused.count < before, refused.contains(where: isWorthIt) {
            before = refused.count
            let again = refused.filter(isWorthIt)
            refused.removeAll(where: isWorthIt)
            for refusal in again where known[refusal.place] == nil { try sift(refusal.place...refusal.place) }
            refused += again.filter { known[$0.place] != nil }
        }
    }

    mutating func take(_ result: (refused: [RowRefusal], changed: Int64)) {
        refused = result.refused
        changed += result.changed
    }

    private mutating func sift(_ places: ClosedRange<Int64>) throws {
        if places.count == 1, let refusal = known[places.lowerBound] { return try refuse(refusal) }
        let hasKnown = known.keys.contains(where: places.contains)
        if !hasKnown {
            do {
                return changed += try savepoint(db) { try work(places) }
            } catch {
                guard var refusal = RowRefusal.of(error) else { throw error }
                guard db.isInsideTransaction else {
                    throw TransactionEnded(table: table, places: places, refusal: refusal, isRemoval: isRemoval)
                }
                if places.count == 1 {
                    refusal.place = places.lowerBound
                    return try refuse(refusal)
                }
            }
        }
        let middle = places.lowerBound + Int64(places.count) / 2
        try sift(places.lowerBound...middle - 1)
        try sift(middle...places.upperBound)
    }

    private mutating func refuse(_ refusal: RowRefusal) throws {
        refused.append(refusal)
        guard refused.count <= refusedMax else { throw TooManyRefused(count: refused.count, words: refusal.words) }
    }
}

/// So many rows are refused that it is not about them.
struct TooManyRefused: Error {
    var count: Int
    var words: String
}

/// Runs `body` so that nothing of it stays when it throws. Also where a trigger has ended the transaction meanwhile.
func savepoint<T>(_ db: Database, _ body: () throws -> T) throws -> T {
    try db.execute(sql: "SAVEPOINT _waybill_piece")
    do {
        let result = try body()
        try db.execute(sql: "RELEASE _waybill_piece")
        return result
    } catch {
        if db.isInsideTransaction {
            try db.execute(sql: "ROLLBACK TO _waybill_piece; RELEASE _waybill_piece")
        }
        throw error
    }
}
