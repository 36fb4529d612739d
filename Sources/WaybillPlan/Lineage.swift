import GRDB
import WaybillCapture
import WaybillDatabase

/// Notices when `hq.db` is not the database that the rows were derived from: restored from a backup, or replaced.
///
/// After each derivation its random token is written into `hq.db`. A database that comes back from a backup brings
/// an older token; then a new epoch starts, the change log's numbers are lifted above all that were used, and every
/// job is derived again by comparing rows.
struct Lineage {
    let hqPath: String

    static func value(_ name: String, in db: Database) throws -> String? {
        try String.fetchOne(db, sql: "SELECT value FROM main.meta WHERE name = ?", arguments: [name])
    }

    static func set(_ name: String, _ value: String, in db: Database) throws {
        try db.execute(
            sql: "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            arguments: [name, value])
    }

    /// A short transaction in `hq.db` itself, on a connection of its own: the attached one is read-only.
    static func writingHQ(_ path: String, _ body: (Database) throws -> Void) throws {
        let queue = try OpenDatabase.queue(at: path, label: "hq")
        try queue.writeWithoutTransaction { db in
            try db.inTransaction(.immediate) {
                try body(db)
                return .commit
            }
        }
        try queue.close()
    }

    /// Whether `hq.db` has another history than the one the rows know.
    func check(in queue: DatabaseQueue) throws -> Bool {
        try queue.read { db in
            let known = try Lineage.value("lineage", in: db)
            let found = try String.fetchOne(db, sql: "SELECT value FROM hq._waybill_meta WHERE name = 'lineage'")
            return known != found
        }
    }

    func startEpoch(in queue: DatabaseQueue) throws {
        let token = try queue.writeWithoutTransaction { db in
            var token = ""
            try db.inTransaction(.immediate) {
                let epoch = (Int64(try Lineage.value("epoch", in: db) ?? "1") ?? 1) + 1
                try Lineage.set("epoch", String(epoch), in: db)
                token = "epoch-\(epoch)"
                try Lineage.set("lineage", token, in: db)
                return .commit
            }
            return token
        }
        try renew(token)
    }

    func renew(_ token: String) throws {
        try Lineage.writingHQ(hqPath) { db in
            try db.execute(
                sql: """
                    INSERT INTO _waybill_meta (name, value) VALUES ('lineage', ?)
                    ON CONFLICT (name) DO UPDATE SET value = excluded.value
                    """,
                arguments: [token])
        }
    }
}
