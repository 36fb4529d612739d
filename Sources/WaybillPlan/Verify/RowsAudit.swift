import Foundation
import GRDB
import WaybillDatabase
import WaybillDigest
import WaybillJobs
import WaybillModel

/// Which rows a store must have: those of a job, at the derivation that its watermark's session was of.
public struct AuditTarget: Sendable {
    public var job: Job
    public var store: StoreID
    public var base: Base

    public init(job: Job, store: StoreID, base: Base) {
        self.job = job
        self.store = store
        self.base = base
    }
}

/// A part of a table in which HQ and a store differ, and how many rows HQ has there.
public struct Suspect: Hashable, Sendable {
    public var table: String
    public var range: KeyRange
    public var count: Int64

    public init(table: String, range: KeyRange, count: Int64) {
        self.table = table
        self.range = range
        self.count = count
    }
}

/// What HQ has in a part of a table.
public enum Expectation: Hashable, Sendable {
    case part(table: String, KeyRange, TableDigest)
    /// Few enough rows to name them.
    case rows(table: String, KeyRange, [[KeyValue]: ExpectedRow])
}

/// A row that HQ has.
public struct ExpectedRow: Hashable, Sendable {
    public var sha256: [UInt8]
    /// What is in it beside the key, in canonical order; nil is NULL.
    public var values: [KeyValue?]

    public init(sha256: [UInt8], values: [KeyValue?] = []) {
        self.sha256 = sha256
        self.values = values
    }
}

/// Sums up what stores must have, for comparing it with what they say they have.
///
/// Reads `rows.db` on a connection of its own, each answer in one snapshot: neither the publisher nor a purge waits
/// for it. Sums are kept by scope and content, so that stores which see the same cost one computation, at whichever
/// version they stand.
public final class RowsAudit {
    /// Parts into which a suspect is taken apart.
    public static let fanOut: Int64 = 32
    /// Rows of a part that are compared one by one.
    public static let leafRows: Int64 = 32
    /// Sums that are kept: forty bytes each, beside their names.
    private static let sumsMax = 100_000

    let queue: DatabaseQueue
    private var sums: [SumKey: TableDigest] = [:]
    private(set) var ended = EndedByKey()
    /// Scopes that were read and summed up: what all the answers have cost so far.
    public private(set) var scopesSummed = 0

    /// What a scope's content is told by: the last change in it, within one history and above one floor, for an entry
    /// of a change below the floor is forgotten.
    private struct SumKey: Hashable {
        var epoch: Int64
        var floor: Int64
        var shapes: String
        var table: String
        var scope: String
        var lastChange: Int64
    }

    public init(path: String) throws {
        queue = try OpenDatabase.queue(at: path, label: "audit", isReadOnly: true)
        try queue.read(DigestFunctions.add)
    }

    public func close() throws { try queue.close() }

    /// Digests of all tables of the job; nil when what the store has can no longer be told.
    public func digests(_ target: AuditTarget) throws -> [String: TableDigest]? {
        try queue.read { db in
            guard let row = try tellable(target, in: db) else { return nil }
            var digests: [String: TableDigest] = [:]
            for subjob in target.job.subjobs {
                let reader = AuditReader(target: target, subjob: subjob, db: db)
                digests[subjob.table.name] = try reader.scopes().reduce(TableDigest()) { sum, scope in
                    let key = SumKey(
                        epoch: row["epoch"], floor: row["floor"], shapes: row["shapes"], table: subjob.table.name,
                        scope: scope, lastChange: try reader.lastChange(in: scope))
                    return sum + (try summed(key) { try reader.digest(of: scope) })
                }
            }
            return digests
        }
    }

    private func summed(_ key: SumKey, _ sum: () throws -> TableDigest) rethrows -> TableDigest {
        if let known = sums[key] { return known }
        if sums.count >= RowsAudit.sumsMax { sums = [:] }
        scopesSummed += 1
        let made = try sum()
        sums[key] = made
        return made
    }

    /// Takes suspects apart, or names their rows; nil when what the store has can no longer be told.
    public func expectations(_ suspects: [Suspect], _ target: AuditTarget) throws -> [Expectation]? {
        var made: [Expectation]?
        // Not `read`, in which SQLite allows no TEMP table either. The database itself was opened for reading.
        try queue.writeWithoutTransaction { db in
            // Kept beyond the transaction only if that comes to its end.
            var ended = ended
            try db.inTransaction(.deferred) {
                made = try expectations(suspects, target, &ended, in: db)
                return .commit
            }
            self.ended = ended
        }
        return made
    }

    private func expectations(
        _ suspects: [Suspect], _ target: AuditTarget, _ ended: inout EndedByKey, in db: Database
    ) throws -> [Expectation]? {
        guard let row = try tellable(target, in: db) else { return nil }
        return try suspects.flatMap { suspect -> [Expectation] in
            guard let subjob = target.job.subjobs.first(where: { $0.table.name == suspect.table }) else { return [] }
            var reader = AuditReader(target: target, subjob: subjob, db: db)
            reader.ended = try ended.table(for: reader, epoch: row["epoch"])
            guard suspect.count > RowsAudit.leafRows else {
                return [.rows(table: suspect.table, suspect.range, try reader.rows(in: suspect.range))]
            }
            return try reader.parts(of: suspect).map { range in
                .part(table: suspect.table, range, try reader.digest(in: range))
            }
        }
    }

    /// Gives back what it keeps for the next suspects: nothing is being taken apart any more.
    public func rest() throws { try queue.writeWithoutTransaction { try ended.drop(in: $0) } }

    /// The job's row, when the store's rows are still kept and its tables are still the ones it was sent.
    private func tellable(_ target: AuditTarget, in db: Database) throws -> Row? {
        let row = try Row.fetchOne(
            db, sql: "SELECT epoch, floor, shapes FROM job WHERE job = ?", arguments: [target.job.id.rawValue])
        guard let row, row["shapes"] == RowsSchema.shapesText(target.job), target.base.version >= row["floor"] else {
            return nil
        }
        // Primary key (job, token).
        let isKnown = try Bool.fetchOne(
            db, sql: "SELECT version = ? FROM derivation WHERE job = ? AND token = ?",
            arguments: [target.base.version, target.job.id.rawValue, target.base.token])
        return isKnown == true ? row : nil
    }
}

/// Reads one table of a target.
struct AuditReader {
    let target: AuditTarget
    let subjob: Subjob
    let db: Database
    /// Where rows that have ended since are read; nil for the table of all of them.
    var ended: String?

    var shape: TableShape { subjob.table }
    var key: [String] { shape.key.map(quoted) }
    /// In the canonical order: the key first, then the others as the job names them.
    private var columns: String { (key + shape.valueColumns.map { quoted($0.name) }).joined(separator: ", ") }

    private var arguments: StatementArguments {
        [
            "job": target.job.id.rawValue, "store": target.store.rawValue, "table": shape.name,
            "version": target.base.version,
        ]
    }

    private static let members = """
        SELECT scope FROM member
        WHERE job = :job AND store_id = :store AND table_name = :table AND _born <= :version AND _died > :version
        """

    private static let isMembers = "_scope IN (\(members))"

    /// How many rows have ended since in the store's scopes.
    func endedRows() throws -> Int64 {
        // Primary key (table_name, scope, version): a range for each scope.
        try Int64.fetchOne(
            db,
            sql: """
                SELECT ifnull(sum(ended), 0) FROM scope_change
                WHERE table_name = :table AND scope IN (\(AuditReader.members)) AND version > :version
                """,
            arguments: arguments) ?? 0
    }

    func stageEnded(as table: String) throws {
        try RowsSchema.stageEnded(
            of: shape, at: ":version", scopes: AuditReader.isMembers, as: table, arguments, in: db)
    }

    /// SELECT of the rows that the store must have in a range: a range of the primary key (_scope, key…) for each of its
    /// scopes, and what has ended there since.
    func visible(_ columns: String, in range: KeyRange) -> String {
        RowsSchema.visible(
            columns, of: shape, at: ":version", scopes: AuditReader.isMembers,
            condition: KeyCondition.sql(range, columns: key), ended: ended)
    }

    var visibleArguments: StatementArguments { arguments }

    func scopes() throws -> [String] { try String.fetchAll(db, sql: AuditReader.members, arguments: arguments) }

    func lastChange(in scope: String) throws -> Int64 {
        // Primary key (table_name, scope, version): one step.
        try Int64.fetchOne(
            db, sql: "SELECT max(version) FROM scope_change WHERE table_name = ? AND scope = ? AND version <= ?",
            arguments: [shape.name, scope, target.base.version]) ?? 0
    }

    func digest(of scope: String) throws -> TableDigest {
        try digest(
            RowsSchema.visible(columns, of: shape, at: ":version", scopes: "_scope = :scope"),
            ["scope": scope, "version": target.base.version])
    }

    func digest(in range: KeyRange) throws -> TableDigest { try digest(visible(columns, in: range), arguments) }

    private func digest(_ rows: String, _ arguments: StatementArguments) throws -> TableDigest {
        let row = try Row.fetchOne(
            db, sql: "SELECT count(*), waybill_digest(\(columns)) FROM (\(rows))", arguments: arguments)
        return row.flatMap { TableDigest(count: $0[0], bytes: $0[1] as Data) } ?? TableDigest()
    }

    func rows(in range: KeyRange) throws -> [[KeyValue]: ExpectedRow] {
        var rows: [[KeyValue]: ExpectedRow] = [:]
        let values = shape.valueColumns.map { quoted($0.name) }
        let selected = KeyCondition.selected(key + values)
        let found = try Row.fetchCursor(
            db,
            sql: "SELECT waybill_row_digest(\(columns)), \(selected) FROM (\(visible(columns, in: range)))",
            arguments: arguments)
        while let row = try found.next() {
            rows[KeyCondition.key(in: row, from: 1, count: key.count)] = ExpectedRow(
                sha256: [UInt8](row[0] as Data),
                values: KeyCondition.values(in: row, from: 1 + 2 * key.count, count: values.count))
        }
        return rows
    }

    /// Ranges that make up the suspect's, each with about as many of HQ's rows.
    func parts(of suspect: Suspect) throws -> [KeyRange] {
        let step = max(1, (suspect.count + RowsAudit.fanOut - 1) / RowsAudit.fanOut)
        let names = key.joined(separator: ", ")
        let starts = try Row.fetchAll(
            db,
            sql: """
                SELECT \(KeyCondition.selected(key)) FROM (
                    SELECT \(names), row_number() OVER (ORDER BY \(names)) AS _place
                    FROM (\(visible(names, in: suspect.range))))
                WHERE _place > 1 AND (_place - 1) % \(step) = 0
                ORDER BY _place
                """,
            arguments: arguments
        ).map { KeyCondition.key(in: $0, from: 0, count: key.count) }
        var parts: [KeyRange] = []
        var lower = suspect.range.lower
        for start in starts {
            parts.append(KeyRange(lower: lower, upper: start))
            lower = start
        }
        return parts + [KeyRange(lower: lower, upper: suspect.range.upper)]
    }
}
