import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan

/// A random generator with a seed, so that a failing schedule can be run again.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

/// A headquarters of two tables and a job of two store tables, small enough to be told by hand.
final class LittleChain {
    static let stores = ["A", "B", "C"].compactMap(StoreID.init)
    static let scopes = ["x", "y", "z"]

    let folder: String
    var hqPath: String { folder + "/hq.db" }
    let hq: DatabaseQueue
    private(set) var rows: Rows
    private var tokens: UInt64 = 1

    /// What a store has: by table, key and value.
    typealias Content = [String: [String: String]]

    init() throws {
        folder = NSTemporaryDirectory() + "waybill-plan-\(UInt64.random(in: .min ... .max))"
        try DurableFile.createFolder(folder)
        hq = try OpenDatabase.queue(at: folder + "/hq.db", label: "hq")
        try hq.write { db in
            try HQSchema.install(in: db, tables: [])
            try db.execute(
                sql: """
                    CREATE TABLE item (item_id TEXT PRIMARY KEY, scope TEXT NOT NULL, value INTEGER) WITHOUT ROWID;
                    CREATE TABLE seen (store_id TEXT, scope TEXT, PRIMARY KEY (store_id, scope)) WITHOUT ROWID;
                    """)
            try HQSchema.capture("item", key: ["item_id"], in: db)
            try HQSchema.capture("seen", key: ["store_id", "scope"], in: db)
        }
        rows = try LittleChain.openRows(folder, from: 1)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private static func openRows(
        _ folder: String, from first: UInt64, newest: Version? = nil
    ) throws -> Rows {
        var next = first
        return try Rows(path: folder + "/rows.db", hqPath: folder + "/hq.db", newest: newest) {
            next += 1
            return next
        }
    }

    /// As after a restart of the hub; with `losing`, as if `rows.db` had been left out of a backup.
    ///
    /// - Parameter newest: the newest version of the hub's sessions.
    func reopenRows(losing: Bool = false, newest: Version? = nil) throws {
        tokens += 1_000
        try rows.close()
        if losing {
            for suffix in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: folder + "/rows.db" + suffix)
            }
        }
        rows = try LittleChain.openRows(folder, from: tokens, newest: newest)
    }

    /// `thing` holds items as they are; `mark` one row for each item with a value, keyed by item and value.
    static func job(_ valueType: ColumnType = .integer) -> Job {
        let members = "SELECT store_id, scope FROM seen"
        return Job(
            id: JobID("little").unsafelyUnwrapped, title: "", inputs: ["item", "seen"],
            prepare: [PrepareTable(name: "little_marked", query: "SELECT * FROM item WHERE value IS NOT NULL")],
            subjobs: [
                Subjob(
                    table: TableShape(
                        name: "thing",
                        columns: [ColumnShape("item_id", .text), ColumnShape("value", valueType, nullable: true)],
                        key: ["item_id"]),
                    rows: "SELECT scope, item_id, value FROM item", members: members, priceColumn: "value"),
                Subjob(
                    table: TableShape(
                        name: "mark", columns: [ColumnShape("item_id", .text), ColumnShape("value", .integer)],
                        key: ["item_id", "value"]),
                    rows: "SELECT scope, item_id, value FROM little_marked", members: members),
            ])
    }

    func sql(_ text: String) throws { try hq.write { try $0.execute(sql: text) } }

    /// What HQ says that a store must hold now, told plainly and slowly.
    func truth(for store: StoreID) throws -> Content {
        try hq.read { db in
            var content: Content = ["thing": [:], "mark": [:]]
            let items = try Row.fetchAll(
                db, sql: "SELECT * FROM item WHERE scope IN (SELECT scope FROM seen WHERE store_id = ?)",
                arguments: [store.rawValue])
            for item in items {
                let id: String = item["item_id"]
                let value: Int64? = item["value"]
                content["thing"]?[id] = "\(value as Any)"
                if let value { content["mark"]?["\(id)/\(value)"] = "" }
            }
            return content
        }
    }

    /// A package's rows and keys to remove, as content.
    struct Delivered {
        var written: Content = ["thing": [:], "mark": [:]]
        var removed: [String: Set<String>] = ["thing": [], "mark": []]
        /// Tables of which all rows are there.
        var whole: Set<String> = []
        var isEmpty = false
    }

    func fill(_ plan: PackagePlan, at derivation: Derivation, job: Job = LittleChain.job()) throws -> Delivered {
        let path = folder + "/package-\(UInt64.random(in: .min ... .max)).db"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let filled = try fill(plan, at: derivation, job: job, path: path)
        var delivered = try read(path)
        delivered.whole = Set(filled.filter(\.isWhole).map(\.shape.name))
        delivered.isEmpty = filled.allSatisfy(\.isEmpty)
        for table in filled
        where
            table.rows != Int64(delivered.written[table.shape.name]?.count ?? 0)
            || table.removed != Int64(delivered.removed[table.shape.name]?.count ?? 0)
        {
            throw DerivationFault.counts(table.shape.name)
        }
        return delivered
    }

    /// What filling a package tells of each table.
    func fill(_ plan: PackagePlan, at derivation: Derivation, job: Job, path: String) throws -> [FilledTable] {
        try rows.fill(plan, job: job, at: derivation, path: path, uniqueness: 1) { shape, schema, db in
            let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
            let key = shape.key.map(quoted).joined(separator: ", ")
            try db.execute(
                sql: """
                    CREATE TABLE \(quoted(schema)).\(quoted(shape.name)) (\(columns), PRIMARY KEY (\(key))) WITHOUT ROWID;
                    CREATE TABLE \(quoted(schema)).\(quoted(shape.name + Rows.removedSuffix)) (
                        \(key), PRIMARY KEY (\(key))) WITHOUT ROWID;
                    """)
        }
    }

    private func read(_ path: String) throws -> Delivered {
        let package = try DatabaseQueue(path: path)
        defer { try? package.close() }
        return try package.read { db in
            var delivered = Delivered()
            for row in try Row.fetchAll(db, sql: "SELECT * FROM thing") {
                delivered.written["thing"]?[row["item_id"]] = "\((row["value"] as Int64?) as Any)"
            }
            for row in try Row.fetchAll(db, sql: "SELECT item_id || '/' || value AS key FROM mark") {
                delivered.written["mark"]?[row["key"]] = ""
            }
            delivered.removed["thing"] = try String.fetchSet(db, sql: "SELECT item_id FROM thing__removed")
            delivered.removed["mark"] = try String.fetchSet(
                db, sql: "SELECT item_id || '/' || value FROM mark__removed")
            return delivered
        }
    }

    /// One random edit by plain SQL.
    func edit(_ random: inout SeededRandom) throws {
        let item = "i\(Int.random(in: 0..<8, using: &random))"
        let scope = LittleChain.scopes.randomElement(using: &random) ?? "x"
        let store = LittleChain.stores.randomElement(using: &random)?.rawValue ?? "A"
        let value = Int.random(in: 0..<4, using: &random)
        switch Int.random(in: 0..<9, using: &random) {
        case 0, 1:
            try sql("INSERT OR REPLACE INTO item VALUES ('\(item)', '\(scope)', \(value == 3 ? "NULL" : "\(value)"))")
        case 2: try sql("UPDATE item SET value = \(value) WHERE item_id = '\(item)'")
        case 3: try sql("DELETE FROM item WHERE item_id = '\(item)'")
        case 4: try sql("UPDATE item SET scope = '\(scope)' WHERE item_id = '\(item)'")
        case 5: try sql("UPDATE OR REPLACE item SET item_id = 'i\(value)' WHERE item_id = '\(item)'")
        case 6: try sql("INSERT OR IGNORE INTO seen VALUES ('\(store)', '\(scope)')")
        case 7: try sql("DELETE FROM seen WHERE store_id = '\(store)' AND scope = '\(scope)'")
        default: try sql("UPDATE item SET value = value + 1; UPDATE item SET value = value - 1")
        }
    }
}

extension DerivationFault {
    static func counts(_ table: String) -> DerivationFault {
        DerivationFault(job: LittleChain.job().id, detail: "the counts of table \(table) are not those of the package")
    }
}
