import Crypto
import Foundation
import GRDB
import Synchronization
import WaybillApply
import WaybillDatabase
import WaybillFaultDisk
import WaybillModel
import WaybillSessions
import WaybillSocket
import WaybillWire

/// Databases as they are when they have just been made, so that a schedule begins with a copy and not with SQL.
enum Templates {
    private static let images = Mutex<[String: DiskImage]>([:])

    static func image(_ name: String, make: (String) throws -> Void) throws -> DiskImage {
        if let known = images.withLock({ $0[name] }) { return known }
        let disk = FaultDisk(seed: 0)
        let folder = try SimulationFolder()
        let path = folder.path + "/template.db"
        try disk.claim(path)
        try make(path)
        let image = disk.image(of: path)
        images.withLock { $0[name] = image }
        return withExtendedLifetime(folder) { image }
    }

    static func headquarters(isRetail: Bool) throws -> DiskImage {
        try image(isRetail ? "retail hq" : "hq") { path in
            let queue = try OpenDatabase.queue(at: path, label: "hq")
            try queue.write { db in try LittleChain.install(isRetail: isRetail, in: db) }
            try queue.close()
        }
    }

    static func hub() throws -> DiskImage {
        try image("hub") { path in
            let operations = try Operations(path: path)
            try operations.pool.close()
        }
    }

    static func store(_ store: StoreID) throws -> DiskImage {
        try image("store " + store.rawValue) { path in
            let database = try StoreDatabase(path: path, store: store)
            try database.close()
        }
    }
}

/// A folder in memory where there is one, removed with its owner.
final class SimulationFolder {
    private static let count = Atomic(0)
    let path: String

    init() throws {
        let number = SimulationFolder.count.add(1, ordering: .relaxed).newValue
        let base = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        path = base + "/waybill-sim-\(ProcessInfo.processInfo.processIdentifier)-\(number)"
        try DurableFile.createFolder(path)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
