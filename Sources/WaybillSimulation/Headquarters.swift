import GRDB
import WaybillDatabase
import WaybillFaultDisk
import WaybillModel

/// HQ's database, as the programs that write to it see it, and beside it the model of what it holds.
final class Headquarters {
    let path: String
    let disk: FaultDisk
    var model: LittleChain
    private var queue: DatabaseQueue?

    init(path: String, disk: FaultDisk, image: DiskImage, model: LittleChain) throws {
        self.path = path
        self.disk = disk
        self.model = model
        try disk.claim(path)
        try disk.install(image, at: path)
    }

    /// Writes as an ERP would. The model follows only what was committed.
    func write(_ change: (inout LittleChain) -> [(sql: String, arguments: StatementArguments)]) throws {
        var changed = model
        let statements = change(&changed)
        let queue = try opened()
        try queue.write { db in
            for statement in statements { try db.execute(sql: statement.sql, arguments: statement.arguments) }
        }
        model = changed
    }

    private func opened() throws -> DatabaseQueue {
        if let queue { return queue }
        let opened = try OpenDatabase.queue(at: path, label: "erp")
        queue = opened
        return opened
    }

    func close() {
        try? queue?.close()
        queue = nil
    }

    /// A copy of it as it is now.
    func backup() -> (DiskImage, LittleChain) { (disk.image(of: path), model) }

    func restore(_ image: DiskImage, _ model: LittleChain) throws {
        close()
        try disk.install(image, at: path)
        self.model = model
    }
}
