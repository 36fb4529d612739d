import Crypto
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
import WaybillSocket
import WaybillWire

/// A hub with one table, one job and no store.
final class SmallOffice: SteppedLines {
    let job = JobID("labels").unsafelyUnwrapped
    let folder = NSTemporaryDirectory() + "waybill-office-\(UInt64.random(in: .min ... .max))"
    let disk = FaultDisk(seed: 1)
    private var home: HubHome { HubHome(at: folder) }

    static let store = StoreID("S1").unsafelyUnwrapped
    static let incarnation = Incarnation(counter: 1, random: 7)
    static let publicKey = [UInt8](repeating: 5, count: 32)
    static let key = (try? CurvePublicKey(bytes: publicKey).z85) ?? ""
    private(set) var admitted: Set<String> = []
    private var heard: [HubLetter] = []

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

    /// - Parameter batchMax: messages that a turn takes in; nil for as many as a real one.
    func startHub(batchMax: Int? = nil) throws -> SteppedHub {
        let shape = TableShape(
            name: "label", columns: [ColumnShape("label_id", .text), ColumnShape("text", .text)], key: ["label_id"])
        let definition = Job(
            id: job, title: "", inputs: ["label", "store"],
            subjobs: [Subjob(table: shape, query: "SELECT label_id, text FROM label", stores: .everyStore)])
        var surroundings = SteppedHub.Surroundings(
            now: { Timestamp(milliseconds: 1_790_000_000_000) }, random: { .random(in: .min ... .max) },
            utcOffsetMinutes: { 0 }, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        surroundings.batchMax = batchMax
        return try SteppedHub(
            at: home, jobs: [definition], signingKey: SigningKey(), helloSeconds: 5, hubRun: 1,
            surroundings: surroundings, lines: self)
    }

    func status(of session: SessionID, _ hub: SteppedHub) throws -> SessionStatus? {
        try hub.operations.read { try SessionRecord.find(session, in: $0)?.status }
    }

    // MARK: a store that is played by the test

    func enrol(_ hub: SteppedHub) throws {
        let now = Timestamp(milliseconds: 1_790_000_000_000)
        try hub.operations.write { db in
            try Enrolment.add(
                Self.store, secretHash: [1], at: now, expiresAt: Timestamp(milliseconds: now.milliseconds + 1000),
                in: db)
            try Enrolment.use(
                store: Self.store, secretHash: [1], publicKey: Self.publicKey, machine: "till", at: now, in: db)
        }
        let hq = try DatabaseQueue(path: home.hqDatabase)
        try hq.write { try $0.execute(sql: "INSERT INTO store VALUES ('S1')") }
        try hq.close()
    }

    /// Enrols the store and builds a session for it.
    func publishToItsStore(_ hub: SteppedHub) throws -> SessionID {
        try enrol(hub)
        hub.storeChanged(Self.store)
        let session = try hub.publish(job, isFull: false, stores: nil)
        while hub.work() {}
        repeat { hub.step() } while hub.hasMail
        return session
    }

    /// What the store says first.
    func report(
        _ outcome: StoreOutcome, of session: SessionID, watermark: Watermark? = nil, message: String = ""
    ) -> StoreReport {
        StoreReport(
            id: 1, incarnation: Self.incarnation, sequence: 1, session: session, job: job, run: 1, attempt: 1,
            outcome: outcome, at: Timestamp(milliseconds: 0), message: message, watermark: watermark)
    }

    /// The store's code is given out anew, and another machine uses it: what it sends waits for the next turn.
    func enrolAnotherMachine(_ hub: SteppedHub) throws {
        let secret: [UInt8] = [2]
        let now = Timestamp(milliseconds: 1_790_000_000_000)
        try hub.operations.write { db in
            try Enrolment.add(
                Self.store, secretHash: Array(SHA256.hash(data: secret)), at: now,
                expiresAt: Timestamp(milliseconds: now.milliseconds + 1000), in: db)
        }
        let key = [UInt8](repeating: 6, count: 32)
        var request = WireEnrolRequest()
        request.protocol = protocolVersion
        request.store = Self.store.rawValue
        request.secret = Data(secret)
        request.publicKey = Data(key)
        let frame: [UInt8] = try request.serializedBytes()
        hub.hearEnrolment(frame, from: [0, 0, 0, 0, 2], key: try CurvePublicKey(bytes: key).z85)
    }

    /// The hub takes the letter in, and does whatever follows from it.
    func say(_ body: AgentLetter.Body, to hub: SteppedHub) {
        put(body, before: hub)
        repeat { hub.step() } while hub.hasMail
    }

    /// Waits for the hub's next turn.
    func put(_ body: AgentLetter.Body, before hub: SteppedHub) {
        let letter = AgentLetter(store: Self.store, incarnation: Self.incarnation, body: body)
        hub.hear((try? letter.encoded()) ?? [], from: [0, 0, 0, 0, 1], key: Self.key)
    }

    /// What the hub has said since this was asked last.
    func takeHeard() -> [HubLetter] {
        defer { heard = [] }
        return heard
    }

    func sayHello(_ hub: SteppedHub) {
        say(
            .hello(.init(agentVersion: "1", sequence: 0, watermarks: [:], freeBytes: 1 << 30, progress: nil)), to: hub)
    }

    func grant(_ session: SessionID, attempt: Int, _ hub: SteppedHub) throws -> Manifest {
        heard = []
        sayHello(hub)
        say(.request(session: session, run: 1, attempt: attempt), to: hub)
        let grants = heard.compactMap { if case .grant(let grant) = $0 { grant } else { nil } }
        return try Manifest(decoding: try #require(grants.last, "\(heard)").manifest)
    }

    /// The first chunk; nil when the hub says that it has none.
    func chunk(of manifest: Manifest, _ hub: SteppedHub) throws -> [UInt8]? {
        heard = []
        say(.chunkRequest(package: manifest.id, index: 0), to: hub)
        for case .chunk(_, _, let data) in heard { return data }
        return nil
    }

    func damage(_ package: PackageID) throws {
        let url = URL(fileURLWithPath: home.packages + "/\(package.hex).zst")
        var bytes = try Data(contentsOf: url)
        bytes[bytes.count / 2] ^= 1
        // In place: the hub has the file open.
        let handle = try FileHandle(forWritingTo: url)
        try handle.write(contentsOf: bytes)
        try handle.close()
    }

    // MARK: lines

    func send(_ frame: [UInt8], to routing: [UInt8]) -> Bool {
        if let letter = try? HubLetter(decoding: frame) { heard.append(letter) }
        return true
    }
    func announce(_ frame: [UInt8]) {}
    func answerEnrolment(_ frame: [UInt8], to routing: [UInt8]) {}
    func admit(key: String) { admitted.insert(key) }
    func shutOut(key: String) { admitted.remove(key) }
}
