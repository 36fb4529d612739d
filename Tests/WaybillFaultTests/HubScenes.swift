import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions

/// `hub.db` with a session on offer, and a turn of the hub that folds what stores have said.
final class OperationsScene: FaultScene {
    let name: String
    let path: String
    var paths: [String] { [path] }
    private let folder: SceneFolder
    private let body: (Operations) throws -> Void

    init(_ name: String, _ body: @escaping (Operations) throws -> Void) throws {
        self.name = name
        self.body = body
        folder = try SceneFolder()
        path = folder.path + "/hub.db"
    }

    static let prices = JobID("prices").unsafelyUnwrapped
    static let stores = ["S1", "S2", "S3"].compactMap(StoreID.init)

    static func newSession(in db: Database) throws -> SessionRecord {
        let id = try SessionRecord.create(
            job: prices, request: SessionRequest(isFull: false, stores: nil), at: Timestamp(milliseconds: 1),
            random: 42,
            in: db)
        guard let record = try SessionRecord.find(id, in: db) else { throw DatabaseError(message: "no session") }
        return record
    }

    /// The header, its package and its deliveries: what one turn writes for an offer.
    static func offer(_ session: SessionRecord, in db: Database) throws {
        var session = session
        session.status = .available
        let package = PackageRef(
            id: PackageID([UInt8](repeating: 7, count: 32)).unsafelyUnwrapped, kind: .full, bases: [], rows: 9,
            bytes: 99)
        try PackageRecord.save(package, session: session.id, manifest: [1, 2, 3], signature: [4], in: db)
        try session.save(in: db)
        for store in stores {
            try DeliveryRecord.save(
                Delivery(session: session.id, store: store, job: prices, version: session.version, package: package),
                in: db)
        }
    }

    static func fold(_ operations: Operations) throws {
        try operations.write { db in
            guard let session = try SessionRecord.find(number: 1, in: db) else { return }
            for (number, var delivery) in try DeliveryRecord.all(of: session.id, in: db).enumerated() {
                delivery.fold(
                    StoreReport(
                        id: Int64(number), incarnation: Incarnation(counter: 1, random: 1), sequence: 1,
                        session: session.id, job: prices, run: 1, attempt: 1, outcome: .applied,
                        at: Timestamp(milliseconds: 7), rowsChanged: 9, longestLockMilliseconds: 1, message: "",
                        isTransient: false))
                try DeliveryRecord.save(delivery, in: db)
            }
        }
    }

    func prepare() throws {
        let operations = try Operations(path: path)
        try operations.write { db in try OperationsScene.offer(try OperationsScene.newSession(in: db), in: db) }
        try operations.pool.close()
    }

    func act() throws {
        let operations = try Operations(path: path)
        do { try body(operations) } catch {
            try? operations.pool.close()
            throw error
        }
        try? operations.pool.close()
    }

    func state() throws -> String {
        try listing(
            path,
            [
                "SELECT number, job, status FROM session ORDER BY number",
                "SELECT session, store_id, status, applied_at, rows_changed FROM delivery ORDER BY session, store_id",
                "SELECT id, rows FROM package",
            ])
    }
}

/// A hub that has no `hub.db` yet.
final class NewOperationsScene: FaultScene {
    let name = "a new hub.db"
    let path: String
    var paths: [String] { [path] }
    private let folder: SceneFolder

    init() throws {
        folder = try SceneFolder()
        path = folder.path + "/hub.db"
    }

    func prepare() throws {}
    func act() throws { try Operations(path: path).pool.close() }

    /// Migrations are a transaction each, so any of them may be the last.
    func state() throws -> String {
        (try? listing(path, ["SELECT count(*) FROM sqlite_schema WHERE name = 'delivery'"])) ?? "0"
    }
}

/// `hq.db` and `rows.db` on one disk, and a derivation after some edits.
final class DeriveScene: FaultScene {
    let name: String
    private let folder: SceneFolder
    private let hq: String
    private let rows: String
    /// Never the same again, as if it were drawn.
    private var lastToken: UInt64 = 0
    var paths: [String] { [hq, rows] }

    init(_ name: String) throws {
        self.name = name
        folder = try SceneFolder()
        hq = folder.path + "/hq.db"
        rows = folder.path + "/rows.db"
    }

    static let shape = TableShape(
        name: "thing", columns: [ColumnShape("item_id", .text), ColumnShape("value", .integer, nullable: true)],
        key: ["item_id"])
    static let job = Job(
        id: JobID("little").unsafelyUnwrapped, title: "", inputs: ["item"], prepare: [],
        subjobs: [
            Subjob(
                table: shape, rows: "SELECT scope, item_id, value FROM item",
                members: "SELECT 'S1' AS store_id, 'x' AS scope")
        ])

    private func sql(_ text: String) throws {
        let queue = try OpenDatabase.queue(at: hq, label: "hq")
        try queue.write { try $0.execute(sql: text) }
        try queue.close()
    }

    func prepare() throws {
        let queue = try OpenDatabase.queue(at: hq, label: "hq")
        try queue.write { db in
            try HQSchema.install(in: db, tables: [])
            try db.execute(
                sql: "CREATE TABLE item (item_id TEXT PRIMARY KEY, scope TEXT NOT NULL, value INTEGER) WITHOUT ROWID")
            try HQSchema.capture("item", key: ["item_id"], in: db)
        }
        try queue.close()
        try sql(
            """
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
            INSERT INTO item SELECT 'i' || i, 'x', i FROM n
            """)
        try act()
        try sql("UPDATE item SET value = value + 1000 WHERE value % 3 = 0; DELETE FROM item WHERE item_id = 'i7'")
    }

    func act() throws {
        let derived = try Rows(path: rows, hqPath: hq, newest: nil) {
            self.lastToken += 1
            return self.lastToken
        }
        do { _ = try derived.derive(DeriveScene.job) } catch {
            try? derived.close()
            throw error
        }
        try? derived.close()
    }

    /// The rows that stores must hold now. The history beside them may get an epoch more when hq.db has lost its mark.
    func state() throws -> String {
        try listing(rows, ["SELECT item_id, value FROM rows_thing ORDER BY item_id"])
    }
}
