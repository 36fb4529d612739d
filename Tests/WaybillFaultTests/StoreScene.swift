import Foundation
import GRDB
import WaybillApply
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillWire

/// A store with prices from session 1, and a package of session 2 that is to be applied.
final class StoreScene: FaultScene {
    static let job = JobID("prices").unsafelyUnwrapped
    static let store = StoreID("S1").unsafelyUnwrapped
    static let price = TableShape(
        name: "price",
        columns: [ColumnShape("product_id", .text), ColumnShape("cents", .integer, nullable: true)], key: ["product_id"]
    )
    static let unit = TableShape(
        name: "unit", columns: [ColumnShape("unit_id", .text), ColumnShape("name", .text)], key: ["unit_id"])

    let name: String
    let path: String
    var paths: [String] { [path] }
    private let folder = try? SceneFolder()
    private let lockBudget: Int
    private let body: (StoreScene) throws -> Void
    private let first: (raw: String, manifest: Manifest)
    private(set) var second: (raw: String, manifest: Manifest)

    /// - Parameter lockBudget: 0 sends everything through shadow tables.
    /// - Parameter rows: in the second package; the first has as many.
    init(
        _ name: String, lockBudget: Int = 50, rows: Int = 40, isDelta: Bool = true,
        shape: TableShape = StoreScene.price,
        _ body: @escaping (StoreScene) throws -> Void
    ) throws {
        self.name = name
        self.lockBudget = lockBudget
        self.body = body
        let place = folder?.path ?? "/nowhere"
        path = place + "/store.db"
        first = try StoreScene.pack(1, rows: rows, base: nil, shape: StoreScene.price, in: place)
        second = try StoreScene.pack(2, rows: rows, base: isDelta ? 1 : nil, shape: shape, in: place)
    }

    static func session(_ number: Int64) -> SessionID { SessionID(number: number, random: UInt64(number)) }

    private static func mark(_ number: Int64) -> Watermark {
        Watermark(version: Version(epoch: 1, number: number), session: session(number))
    }

    private static func pack(
        _ number: Int64, rows: Int, base: Int64?, shape: TableShape, in folder: String
    ) throws -> (raw: String, manifest: Manifest) {
        let raw = folder + "/\(number).raw"
        let queue = try DatabaseQueue()
        var removed = 0
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "ATTACH DATABASE ? AS made", arguments: [raw])
            try db.inTransaction {
                for table in [shape, unit] { try PackageTables.create(table, schema: "made", in: db) }
                let others = shape.columns.count - 2
                for row in 0..<rows {
                    try db.execute(
                        sql: "INSERT INTO made.price VALUES (?, ?\(String(repeating: ", 'new'", count: others)))",
                        arguments: [String(format: "P%05d", row), number * 100_000 + Int64(row)])
                }
                try db.execute(sql: "INSERT INTO made.unit VALUES ('kg', 'kilo \(number)')")
                if base != nil {
                    try db.execute(sql: "INSERT INTO made.unit__removed VALUES ('ton')")
                    removed = 1
                }
                return .commit
            }
            try db.execute(sql: "DETACH DATABASE made")
        }
        try queue.close()
        let contents = PackageContents(
            job: job, session: session(number), version: Version(epoch: 1, number: number),
            kind: base == nil ? .full : .delta, bases: base.map { [mark($0)] } ?? [],
            tables: [
                PackageTable(shape: shape, rows: Int64(rows), removed: 0),
                PackageTable(shape: unit, rows: 1, removed: Int64(removed)),
            ],
            created: Timestamp(milliseconds: 1))
        let sealed = try PackageSealer.seal(rawPath: raw, folder: folder, contents: contents, signingKey: SigningKey())
        return (raw, sealed.manifest)
    }

    // MARK: FaultScene

    func prepare() throws {
        try withLedger { ledger in
            try ledger.startIncarnation(random: 5)
            try apply(first)
            try ledger.record(
                session: StoreScene.session(2), job: StoreScene.job, run: 1, attempt: 1, outcome: .requested, at: at(3))
        }
    }

    func act() throws { try body(self) }

    /// What a till sees and what the hub is told; not the shadows of an apply that was cut short.
    func state() throws -> String {
        try listing(
            path,
            [
                "SELECT count(*), sum(cents), min(cents), max(cents) FROM price",
                "SELECT name FROM pragma_table_info('price')", "SELECT * FROM unit",
                "SELECT job, version, session FROM _waybill_watermark",
                "SELECT session, run, outcome FROM _waybill_outcome ORDER BY session",
                "SELECT name, value FROM _waybill_meta WHERE name IN ('store', 'counter') ORDER BY name",
                "SELECT count(*) > 0 FROM _waybill_outbox",
            ])
    }

    // MARK: what the product does

    func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @discardableResult
    func apply(_ package: (raw: String, manifest: Manifest)) throws -> ApplyResult {
        let applier = try Applier(path: path, lockBudgetMilliseconds: lockBudget)
        return try applier.apply(
            rawPath: package.raw, manifest: package.manifest, run: 1, attempt: 1, at: { self.at(9) }, pause: { _ in },
            shouldStop: { false })
    }

    /// Opens the database as the agent does; it is closed when the agent lets go of it.
    func withLedger(_ body: (StoreDatabase) throws -> Void) throws {
        try body(try StoreDatabase(path: path, store: StoreScene.store))
    }
}
