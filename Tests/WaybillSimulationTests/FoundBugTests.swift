import Foundation
import GRDB
import Logging
import Testing
import WaybillCapture
import WaybillDatabase
import WaybillFaultDisk
import WaybillHub
import WaybillJobs
import WaybillModel
import WaybillSessions
import WaybillWire

/// Bugs of the product that the simulation has found, each as short as it can be told.
@Suite struct FoundBugTests {
    @Test func aSessionWhoseEndCouldNotBeWrittenDoesNotStayStarted() throws {
        let office = try SmallOffice()
        let hub = try office.startHub()
        let session = try hub.publish(office.job, isFull: false, stores: nil)
        // The disk fills up while the session is being built, and is given room later.
        office.disk.limit(toBytes: office.disk.usedBytes)
        _ = hub.work()
        hub.step()
        #expect(try office.status(of: session, hub) == .started, "nothing can be written yet")
        office.disk.heal()
        hub.step()
        #expect(try office.status(of: session, hub) == .createFailed)
        hub.close()
    }

    @Test func anOfferThatCannotBeLookedAtIsKept() throws {
        let office = try SmallOffice()
        let hub = try office.startHub()
        let session = try hub.publish(office.job, isFull: false, stores: nil)
        _ = hub.work()
        try office.disk.fail(.read, at: 1, forEver: true)
        hub.step()
        office.disk.heal()
        hub.step()
        #expect(try office.status(of: session, hub) == .noData, "there is no store, so there is nothing to send")
        hub.close()
    }
}

/// A hub with one table, one job and no store.
private final class SmallOffice: SteppedLines {
    let job = JobID("labels").unsafelyUnwrapped
    let folder = NSTemporaryDirectory() + "waybill-office-\(UInt64.random(in: .min ... .max))"
    let disk = FaultDisk(seed: 1)
    private var home: HubHome { HubHome(at: folder) }

    init() throws {
        try FaultDisk.install()
        try DurableFile.createFolder(folder + "/packages")
        let hq = try DatabaseQueue(path: folder + "/hq.db")
        try hq.write { db in
            try HQSchema.install(in: db, tables: [])
            try db.execute(
                sql: """
                    CREATE TABLE store (store_id TEXT PRIMARY KEY) WITHOUT ROWID;
                    CREATE TABLE label (label_id TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
                    INSERT INTO label VALUES ('a', 'A');
                    """)
        }
        try hq.close()
        for path in [home.hubDatabase, home.rowsDatabase] { try disk.claim(path) }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func startHub() throws -> SteppedHub {
        let shape = TableShape(
            name: "label", columns: [ColumnShape("label_id", .text), ColumnShape("text", .text)], key: ["label_id"])
        let definition = Job(
            id: job, title: "", inputs: ["label", "store"],
            subjobs: [Subjob(table: shape, query: "SELECT label_id, text FROM label", stores: .everyStore)])
        return try SteppedHub(
            at: home, jobs: [definition], signingKey: SigningKey(), helloSeconds: 5, hubRun: 1,
            surroundings: .init(
                now: { Timestamp(milliseconds: 1_790_000_000_000) }, random: { .random(in: .min ... .max) },
                utcOffsetMinutes: { 0 }, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }),
            lines: self)
    }

    func status(of session: SessionID, _ hub: SteppedHub) throws -> SessionStatus? {
        try hub.operations.read { try SessionRecord.find(session, in: $0)?.status }
    }

    func send(_ frame: [UInt8], to routing: [UInt8]) -> Bool { true }
    func announce(_ frame: [UInt8]) {}
    func answerEnrolment(_ frame: [UInt8], to routing: [UInt8]) {}
    func admit(key: String) {}
    func shutOut(key: String) {}
}
