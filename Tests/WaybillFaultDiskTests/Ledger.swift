import Foundation
import GRDB
import WaybillDatabase
import WaybillFaultDisk

/// A database on a disk of its own: numbered lines, and how many there are in another table, in one transaction.
struct Ledger {
    let disk: FaultDisk
    let path: String

    init(seed: UInt64 = 1) throws {
        try FaultDisk.install()
        disk = FaultDisk(seed: seed)
        // A folder that does not exist: were a file really opened, it would fail.
        path = "/no-such-folder-\(UInt64.random(in: .min ... .max))/ledger.db"
        try disk.claim(path)
    }

    /// As the product opens its databases, unless a level is named.
    func open(synchronous: String? = nil) throws -> DatabaseQueue {
        let queue = try OpenDatabase.queue(at: path, label: "ledger", busyMilliseconds: 0)
        if let synchronous {
            try queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = \(synchronous)") }
        }
        return queue
    }

    static func create(_ queue: DatabaseQueue) throws {
        try queue.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE line (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
                    CREATE TABLE total (lines INTEGER NOT NULL);
                    INSERT INTO total VALUES (0);
                    """)
        }
    }

    /// One commit; the text makes lines cross pages.
    static func add(_ number: Int, to queue: DatabaseQueue) throws {
        try queue.write { db in
            for part in 0..<3 {
                try db.execute(
                    sql: "INSERT INTO line VALUES (?, ?)",
                    arguments: [number * 3 + part, String(repeating: "x\(number)", count: 40 * (part + 1))])
            }
            try db.execute(sql: "UPDATE total SET lines = lines + 3")
        }
    }

    /// What is there after a restart: whether the database is sound, and how many commits it has.
    func examine() throws -> (isSound: Bool, commits: Int) {
        let queue = try open()
        defer { try? queue.close() }
        return try queue.read { db in
            let check = try String.fetchAll(db, sql: "PRAGMA integrity_check")
            guard try db.tableExists("total") else { return (check == ["ok"], -1) }
            let total = try Int.fetchOne(db, sql: "SELECT lines FROM total") ?? -1
            let lines = try Int.fetchOne(db, sql: "SELECT count(*) FROM line") ?? -1
            return (check == ["ok"] && total == lines && total % 3 == 0, total / 3)
        }
    }
}
