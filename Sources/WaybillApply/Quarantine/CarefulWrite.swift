import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage

/// What has come of writing one table.
struct WriteResult {
    var changed: Int64 = 0
    /// Relation with the rows that were tried, numbered; nil when none was refused.
    var rows: String?
    var refused: [RowRefusal] = []
    /// The same of the keys that were to go.
    var removed: String?
    var kept: [RowRefusal] = []
}

/// Writes all rows that a table takes, and names the others. Inside the last transaction.
///
/// Tries all at once first, which is what nearly always goes through. Only when that fails for a reason that may be one
/// row's, the rows are numbered and sifted.
struct CarefulWrite {
    static let numberColumn = "_waybill_n"

    let direct: DirectWrite
    /// Rows that ended an earlier transaction, and how to go on.
    let endings: Endings
    private var db: Database { direct.db }
    private var shape: TableShape { direct.shape }

    func run() throws -> WriteResult {
        var result = WriteResult()
        let isWatched = try direct.hasTriggers()
        if let removed = direct.removed { try remove(removed, isWatched, &result) }
        try write(isWatched, &result)
        return result
    }

    private func remove(_ relation: String, _ isWatched: Bool, _ result: inout WriteResult) throws {
        if !endings.isSingle(shape.name) {
            do {
                let count = try savepoint(db) { try direct.remove(keysOf: relation, isWatched: isWatched) }
                return result.changed += count
            } catch {
                try checkRefusal(error, isRemoval: true, compiling: "DELETE FROM \(direct.table)")
            }
        }
        let columns = shape.columns.filter { shape.key.contains($0.name) }
        let (numbered, count) = try number(relation, as: "_waybill_numbered_keys", columns)
        var sieve = Sieve(
            db: db, table: shape.name, isRemoval: true, endings: endings,
            refusedMax: QuarantineLimits.refusedMax(of: count)
        ) { places in
            try direct.remove(keysOf: piece(numbered, places), isWatched: isWatched)
        }
        try sift(&sieve) { try $0.run(count: count) }
        result.changed += sieve.changed
        result.removed = numbered
        result.kept = sieve.refused
    }

    private func write(_ isWatched: Bool, _ result: inout WriteResult) throws {
        if !endings.isSingle(shape.name) {
            do {
                return result.changed += try writeAtOnce(isWatched)
            } catch {
                try checkRefusal(error, isRemoval: false, compiling: direct.upsert(from: direct.rows))
            }
        }
        let (numbered, count) = try number(direct.rows, as: "_waybill_numbered", shape.columns)
        var sieve = Sieve(
            db: db, table: shape.name, isRemoval: false, endings: endings,
            refusedMax: QuarantineLimits.refusedMax(of: count)
        ) { places in
            try direct.write(from: piece(numbered, places), isWatched: isWatched)
        }
        try sift(&sieve) { sieve in
            try sieve.run(count: count)
            try sieve.tryAgain { $0.isAboutUniqueness }
            try exchange(numbered, isWatched, &sieve)
        }
        result.changed += sieve.changed
        result.rows = numbered
        result.refused = sieve.refused
    }

    private func writeAtOnce(_ isWatched: Bool) throws -> Int64 {
        do {
            return try savepoint(db) { try direct.write(from: direct.rows, isWatched: isWatched) }
        } catch let error as DatabaseError where error.extendedResultCode == .SQLITE_CONSTRAINT_UNIQUE {
            guard db.isInsideTransaction else { throw error }
            return try savepoint(db) { try direct.replace(from: direct.rows, isWatched: isWatched) }
        }
    }

    /// Goes on only when the error may be one row's; else throws it.
    private func checkRefusal(_ error: any Error, isRemoval: Bool, compiling sql: String) throws {
        guard let refusal = RowRefusal.of(error) else { throw error }
        guard db.isInsideTransaction else {
            throw TransactionEnded(table: shape.name, places: 0...0, refusal: refusal, isRemoval: isRemoval)
        }
        // A statement that cannot even be compiled is the schema's fault: no row will ever go in.
        _ = try db.makeStatement(sql: sql)
    }

    private func sift(_ sieve: inout Sieve, _ body: (inout Sieve) throws -> Void) throws {
        do {
            try body(&sieve)
        } catch let error as TooManyRefused {
            throw ApplyFault.rowDoesNotFit(
                table: shape.name, detail: "\(error.words) (and \(error.count - 1) more rows, too many for quarantine)")
        }
    }

    /// Values that move between rows in a circle, among rows of which some are refused rightly: takes all rows away that
    /// may hold what another needs, and puts each in its place. A row that then finds no place gets its old values back;
    /// if that cannot be, nothing of it is done.
    private func exchange(_ numbered: String, _ isWatched: Bool, _ sieve: inout Sieve) throws {
        let waiting = sieve.refused.filter(\.isAboutUniqueness)
        guard waiting.count > 1 else { return }
        let others = sieve.refused.filter { !$0.isAboutUniqueness }
        let places = waiting.map { String($0.place) }.joined(separator: ", ")
        let group =
            "(SELECT \(direct.columns) FROM \(numbered) WHERE \(quoted(CarefulWrite.numberColumn)) IN (\(places)))"
        let sameKey = shape.key.map { "here.\(quoted($0)) = there.\(quoted($0))" }.joined(separator: " AND ")
        let former = "temp." + quoted("_waybill_former")
        do {
            let outcome = try savepoint(db) {
                let columns = shape.columns.map { "here." + quoted($0.name) }.joined(separator: ", ")
                // The group by number, the table by its primary key.
                try db.execute(
                    sql: """
                        DROP TABLE IF EXISTS \(former);
                        CREATE TEMP TABLE \(quoted("_waybill_former")) AS
                            SELECT \(columns) FROM \(group) AS there CROSS JOIN \(direct.table) AS here ON \(sameKey);
                        """)
                _ = try direct.remove(keysOf: group)
                var refused: [RowRefusal] = []
                var written: Int64 = 0
                for refusal in waiting {
                    do {
                        written += try savepoint(db) {
                            try direct.write(from: piece(numbered, refusal.place...refusal.place), isWatched: isWatched)
                        }
                    } catch {
                        guard let why = RowRefusal.of(error) else { throw error }
                        guard db.isInsideTransaction else {
                            throw TransactionEnded(
                                table: shape.name, places: refusal.place...refusal.place, refusal: why,
                                isRemoval: false)
                        }
                        refused.append(refusal)
                    }
                }
                guard refused.count < waiting.count else { throw ExchangeFailed() }
                let missing = """
                    (SELECT * FROM \(former) AS there
                        WHERE NOT EXISTS (SELECT 1 FROM \(direct.table) AS here WHERE \(sameKey)))
                    """
                _ = try direct.write(from: missing, isWatched: isWatched)
                return (refused: others + refused, changed: written)
            }
            sieve.take(outcome)
        } catch {
            guard db.isInsideTransaction, error is ExchangeFailed || RowRefusal.of(error) != nil else { throw error }
        }
    }

    private struct ExchangeFailed: Error {}

    // MARK: numbers

    /// A copy of a relation with its rows numbered from 1 in key order.
    private func number(
        _ relation: String, as name: String, _ columns: [ColumnShape]
    ) throws -> (relation: String, count: Int64) {
        let target = "temp." + quoted(name)
        let declarations = columns.map { "\(quoted($0.name)) \($0.type.rawValue)" }.joined(separator: ", ")
        let names = columns.map { quoted($0.name) }.joined(separator: ", ")
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS \(target);
                CREATE TEMP TABLE \(quoted(name)) (
                    \(quoted(CarefulWrite.numberColumn)) INTEGER PRIMARY KEY, \(declarations));
                INSERT INTO \(target) (\(names)) SELECT \(names) FROM \(relation) ORDER BY \(direct.key);
                """)
        return (target, try Int64.fetchOne(db, sql: "SELECT count(*) FROM \(target)") ?? 0)
    }

    /// Some of the numbered rows, by number.
    private func piece(_ numbered: String, _ places: ClosedRange<Int64>) -> String {
        let number = quoted(CarefulWrite.numberColumn)
        return """
            (SELECT * FROM \(numbered) WHERE \(number) BETWEEN \(places.lowerBound) AND \(places.upperBound))
            """
    }
}

/// Rows whose trigger ends the whole transaction. What is known of them outlives it.
final class Endings {
    private var refused: [String: [Bool: [Int64: RowRefusal]]] = [:]
    private var single: Set<String> = []
    private var count = 0
    /// Rows in quarantine that are not tried again in this apply.
    private(set) var entries: Set<Int64> = []

    func of(_ table: String, isRemoval: Bool) -> [Int64: RowRefusal] { refused[table]?[isRemoval] ?? [:] }
    func isSingle(_ table: String) -> Bool { single.contains(table) }

    /// Takes note of a row in quarantine that has ended the transaction.
    func note(_ ending: SecondTryEnded) throws {
        try countOne(ending.words, "with rows in quarantine")
        entries.insert(ending.entry)
    }

    private func countOne(_ words: String, _ table: String) throws {
        count += 1
        guard count <= QuarantineLimits.endingsMax else {
            throw ApplyFault.rowDoesNotFit(
                table: table, detail: "\(words) (a trigger that says ROLLBACK, for too many rows)")
        }
    }

    /// Takes note of an ending; the next transaction does without that row.
    /// - Throws: when there have been too many.
    func note(_ ending: TransactionEnded) throws {
        try countOne(ending.refusal.words, ending.table)
        single.insert(ending.table)
        // 0: all at once, and the row is not known yet.
        guard ending.places.count == 1, ending.places.lowerBound > 0 else { return }
        var refusal = ending.refusal
        refusal.place = ending.places.lowerBound
        refused[ending.table, default: [:]][ending.isRemoval, default: [:]][refusal.place] = refusal
    }
}
