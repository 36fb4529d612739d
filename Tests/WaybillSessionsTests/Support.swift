import Foundation
import GRDB
import WaybillDatabase
import WaybillModel
import WaybillSessions

struct Missing: Error {}

extension Optional {
    /// For what a test knows to be there.
    func orThrow() throws -> Wrapped {
        guard let self else { throw Missing() }
        return self
    }
}

func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

func session(_ number: Int64) -> SessionID { SessionID(number: number, random: UInt64(number) * 77) }

func packageID(_ byte: UInt8) throws -> PackageID { try PackageID([UInt8](repeating: byte, count: 32)).orThrow() }

/// A full package that differs from those of other bytes in its rows and its size too.
func fullPackage(_ byte: UInt8) throws -> PackageRef {
    PackageRef(id: try packageID(byte), kind: .full, bases: [], rows: Int64(byte) * 10, bytes: Int64(byte) * 1000)
}

/// A delivery of session 7 to store S1, version 1.10, with a delta over session 3.
func delivery(session number: Int64 = 7, store: String = "S1", isGranted: Bool = false) throws -> Delivery {
    let base = Watermark(version: Version(epoch: 1, number: 5), session: session(3))
    var delivery = Delivery(
        session: session(number), store: try StoreID(store).orThrow(), job: try JobID("prices").orThrow(),
        version: Version(epoch: 1, number: 10),
        package: PackageRef(id: try packageID(1), kind: .delta, bases: [base], rows: 12, bytes: 345))
    delivery.isGranted = isGranted
    return delivery
}

func report(
    _ outcome: StoreOutcome, attempt: Int = 1, run: Int = 1, at time: Int64 = 0, message: String = "",
    isTransient: Bool = false, rows: Int64 = 0, lock: Int64 = 0
) throws -> StoreReport {
    StoreReport(
        id: 1, incarnation: Incarnation(counter: 1, random: 1), sequence: 1, session: session(7),
        job: try JobID("prices").orThrow(), run: run, attempt: attempt, outcome: outcome,
        at: Timestamp(milliseconds: time), rowsChanged: rows, longestLockMilliseconds: lock, message: message,
        isTransient: isTransient)
}

/// A `hub.db` in a folder of its own.
final class HubDatabase {
    let folder: String
    let operations: Operations

    init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/waybill-sessions-" + UUID().uuidString
        try DurableFile.createFolder(folder)
        operations = try Operations(path: folder + "/hub.db")
    }

    deinit {
        try? FileManager.default.removeItem(atPath: folder)
    }

    func write<T>(_ body: (Database) throws -> T) throws -> T { try operations.write(body) }
    func read<T>(_ body: (Database) throws -> T) throws -> T { try operations.read(body) }

    /// Full packages 1 to 3, of session 7.
    func addFullPackages() throws {
        try write { db in
            for byte in UInt8(1)...3 {
                try PackageRecord.save(
                    try fullPackage(byte), session: session(7), manifest: [1], signature: [2], in: db)
            }
        }
    }

    /// A session of the job `prices` unless said, with the status.
    @discardableResult
    func addSession(
        job: String = "prices", status: SessionStatus = .available, createdAt: Int64 = 0, deliveries: [Delivery] = []
    ) throws -> SessionRecord {
        try write { db in
            let id = try SessionRecord.create(
                job: try JobID(job).orThrow(), request: SessionRequest(isFull: false, stores: nil),
                at: Timestamp(milliseconds: createdAt), random: 42, in: db)
            var record = try SessionRecord.find(id, in: db).orThrow()
            record.status = status
            try record.save(in: db)
            return record
        }
    }
}
