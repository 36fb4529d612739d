import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillWire

@testable import WaybillApply

typealias TestRow = [(any DatabaseValueConvertible)?]

/// A store for one test: its database, the connections of the agent, and one of a till.
final class Shop {
    let folder: String
    let path: String
    let ledger: StoreDatabase
    let applier: Applier
    let till: DatabaseQueue
    let key = SigningKey()
    var clock: Int64 = 1_000
    var pauses = 0
    /// How long the pause at hand is to be; nobody waits for it by himself.
    var pauseMilliseconds = 0
    var onPause: () -> Void = {}

    init(lockBudgetMilliseconds: Int = Limits.lockBudgetMilliseconds) throws {
        folder = NSTemporaryDirectory() + "waybill-\(UUID().uuidString)"
        try DurableFile.createFolder(folder)
        path = folder + "/store.db"
        ledger = try StoreDatabase(path: path, store: try #require(StoreID("S1")))
        try ledger.startIncarnation(random: 11)
        applier = try Applier(path: path, lockBudgetMilliseconds: lockBudgetMilliseconds)
        var configuration = OpenDatabase.configuration(label: "till")
        configuration.allowsUnsafeTransactions = true
        till = try DatabaseQueue(path: path, configuration: configuration)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Packs, unpacks, looks inside and applies, as an agent does.
    @discardableResult
    func apply(
        _ parcel: Parcel, run: Int = 1, attempt: Int = 1, by applier: Applier? = nil,
        shouldStop: @escaping () -> Bool = { false }
    ) throws -> ApplyResult {
        let (raw, manifest) = try pack(parcel)
        defer { unlink(raw) }
        return try apply(raw, manifest, run: run, attempt: attempt, by: applier, shouldStop: shouldStop)
    }

    func apply(
        _ raw: String, _ manifest: Manifest, run: Int = 1, attempt: Int = 1, by applier: Applier? = nil,
        shouldStop: @escaping () -> Bool = { false }
    ) throws(ApplyFault) -> ApplyResult {
        try (applier ?? self.applier).apply(
            rawPath: raw, manifest: manifest, run: run, attempt: attempt,
            at: { Timestamp(milliseconds: self.clock) },
            pause: {
                self.pauses += 1
                self.pauseMilliseconds = $0
                self.onPause()
            }, shouldStop: shouldStop)
    }

    func pack(_ parcel: Parcel) throws -> (raw: String, manifest: Manifest) {
        let raw = folder + "/\(UUID().uuidString).raw"
        try parcel.fill(raw)
        let sealed = try PackageSealer.seal(
            rawPath: raw, folder: folder, contents: parcel.contents, signingKey: key)
        unlink(raw)
        try PackageFile.unpack(compressedPath: sealed.path, manifest: sealed.manifest, to: raw)
        try PackageFile.check(rawPath: raw, manifest: sealed.manifest)
        return (raw, sealed.manifest)
    }

    /// The fault of an apply that must fail.
    func fault(_ body: () throws -> Void) -> ApplyFault? {
        do {
            try body()
            Issue.record("was applied")
            return nil
        } catch {
            #expect(error is ApplyFault)
            return error as? ApplyFault
        }
    }

    /// Each row as text, as a till would read it.
    func rows(_ sql: String) throws -> [String] {
        try till.read { db in
            try Row.fetchAll(db, sql: sql).map { row in
                row.databaseValues.map { $0.isNull ? "NULL" : "\($0.storage.value ?? "")" }.joined(separator: "|")
            }
        }
    }

    func rootPage(of table: String) throws -> [String] {
        try rows("SELECT rootpage FROM sqlite_schema WHERE name = '\(table)'")
    }

    /// Whether a till that wrote now would have to wait.
    func isWriteLocked() throws -> Bool {
        var configuration = Configuration()
        configuration.busyMode = .immediateError
        let other = try DatabaseQueue(path: path, configuration: configuration)
        do {
            try other.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE; ROLLBACK") }
            return false
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
            return true
        }
    }

    func count(_ table: String) throws -> Int {
        try till.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM \(table)") ?? -1 }
    }

    func execute(_ sql: String) throws { try till.writeWithoutTransaction { try $0.execute(sql: sql) } }

    var watermark: Watermark? { get throws { try ledger.state().watermarks[Parcel.job] } }
    var leftOvers: [String] {
        get throws { try rows("SELECT name FROM sqlite_schema WHERE name GLOB '_waybill_[so][hl][ad]*' ORDER BY name") }
    }
}

/// A package as a test writes it down.
struct Parcel {
    static let job = JobID("prices").unsafelyUnwrapped

    static let price = TableShape(
        name: "price",
        columns: [
            ColumnShape("zone", .integer), ColumnShape("product_id", .text),
            ColumnShape("cents", .integer, nullable: true),
        ],
        key: ["zone", "product_id"])
    static let unit = TableShape(
        name: "unit", columns: [ColumnShape("unit_id", .text), ColumnShape("name", .text, nullable: true)],
        key: ["unit_id"])

    struct Table {
        var shape: TableShape
        var rows: [TestRow] = []
        var removed: [TestRow] = []
        /// SELECT that gives further rows, for tables too large to write down.
        var generated = (count: 0, sql: "")
        var isWhole = false
        var keepsRows = false
        var formerNames: [String: String] = [:]
        var references: [String: String] = [:]
    }

    var number: Int64
    var base: Int64?
    var job = Parcel.job
    var tables: [Table]
    var lockBudgetMilliseconds: Int?

    /// Everything at version `number`.
    static func full(_ number: Int64, _ tables: Table...) -> Parcel { Parcel(number: number, tables: tables) }
    /// What changed from `base` to `number`.
    static func delta(_ base: Int64, _ number: Int64, _ tables: Table...) -> Parcel {
        Parcel(number: number, base: base, tables: tables)
    }

    static func session(_ number: Int64) -> SessionID { SessionID(number: number, random: UInt64(number)) }
    static func watermark(_ number: Int64) -> Watermark {
        Watermark(version: Version(epoch: 1, number: number), session: session(number))
    }

    var session: SessionID { Parcel.session(number) }

    var contents: PackageContents {
        PackageContents(
            job: job, session: session, version: Version(epoch: 1, number: number), kind: base == nil ? .full : .delta,
            bases: base.map { [Parcel.watermark($0)] } ?? [],
            tables: tables.map {
                PackageTable(
                    shape: $0.shape, rows: Int64($0.rows.count + $0.generated.count), removed: Int64($0.removed.count),
                    isWhole: $0.isWhole, keepsRows: $0.keepsRows, formerNames: $0.formerNames,
                    references: $0.references)
            },
            created: Timestamp(milliseconds: 1), lockBudgetMilliseconds: lockBudgetMilliseconds)
    }

    func fill(_ path: String) throws {
        let queue = try DatabaseQueue()
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "ATTACH DATABASE ? AS made", arguments: [path])
            try db.inTransaction {
                for table in tables {
                    try PackageTables.create(table.shape, schema: "made", in: db)
                    let columns = table.shape.columns.map { quoted($0.name) }.joined(separator: ", ")
                    let key = table.shape.key.map(quoted).joined(separator: ", ")
                    let target = "\(quoted(table.shape.name)) (\(columns))"
                    try insert(table.rows, into: target, in: db)
                    try insert(
                        table.removed, into: "\(quoted(table.shape.name + PackageTables.removedSuffix)) (\(key))",
                        in: db)
                    if table.generated.count > 0 {
                        try db.execute(sql: "INSERT INTO made.\(target) \(table.generated.sql)")
                    }
                }
                return .commit
            }
            try db.execute(sql: "DETACH DATABASE made")
        }
        try queue.close()
    }

    private func insert(_ rows: [TestRow], into target: String, in db: Database) throws {
        for row in rows {
            let places = Array(repeating: "?", count: row.count).joined(separator: ", ")
            try db.execute(
                sql: "INSERT INTO made.\(target) VALUES (\(places))", arguments: StatementArguments(row))
        }
    }
}

extension Parcel.Table {
    static func price(_ rows: [TestRow] = [], removed: [TestRow] = []) -> Parcel.Table {
        Parcel.Table(shape: Parcel.price, rows: rows, removed: removed)
    }

    static func unit(_ rows: [TestRow] = [], removed: [TestRow] = []) -> Parcel.Table {
        Parcel.Table(shape: Parcel.unit, rows: rows, removed: removed)
    }

    /// The same rows as all that the store must have, within a delta.
    var whole: Parcel.Table { with { $0.isWhole = true } }
    /// The same rows, with those that the store has besides left alone.
    var keeping: Parcel.Table { with { $0.keepsRows = true } }

    private func with(_ change: (inout Parcel.Table) -> Void) -> Parcel.Table {
        var table = self
        change(&table)
        return table
    }

    /// `count` prices in two zones: the first key column alone says next to nothing, as in real tables.
    static func prices(_ count: Int, cents: String = "x") -> Parcel.Table {
        Parcel.Table(
            shape: Parcel.price,
            generated: (
                count,
                """
                WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < \(count - 1))
                SELECT x % 2, printf('P%07d', x / 2), \(cents) FROM n
                """
            ))
    }
}
