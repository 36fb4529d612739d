import Foundation
import GRDB
import Logging
import WaybillCapture
import WaybillDatabase
import WaybillHub
import WaybillJobs
import WaybillModel
import WaybillSessions
import WaybillSocket
import WaybillWire

/// A hub without sockets or threads over a chain of many stores, with a small table and a job that distributes it.
final class SteppedChain {
    let hub: SteppedHub
    let stores: [StoreID]
    let job = JobID("items").unsafelyUnwrapped
    private let folder: String
    private let lines = SilentLines()
    private var sequence: Int64 = 0

    /// - Parameters:
    ///   - groups: stores are dealt out to them in turn; stores of one group see the same rows.
    ///   - batchMax: messages that a turn takes in, and such turns are written by a thread; nil for a hub without one.
    init(stores count: Int, groups: Int, batchMax: Int? = nil) throws {
        folder = FileManager.default.temporaryDirectory.path + "/waybill-chain-" + UUID().uuidString
        let home = try HubHome.create(at: folder, listen: HubConfiguration.listenDefault)
        stores = (0..<count).compactMap { StoreID("S\(10_000 + $0)") }
        try SteppedChain.fill(home, stores, groups: groups)
        let items = TableShape(
            name: "item", columns: [ColumnShape("item_id", .integer), ColumnShape("price", .integer)], key: ["item_id"])
        let none = ChangeLimits(maxRemovedPercent: nil, maxPriceChangePercent: nil, maxRows: nil)
        let definition = Job(
            id: job, title: "", inputs: ["hq_item", "seen"],
            subjobs: [
                Subjob(
                    table: items, rows: "SELECT scope, item_id, price FROM hq_item",
                    members: "SELECT store_id, scope FROM seen")
            ], limits: none)
        var logger = Logger(label: "chain")
        logger.logLevel = .critical
        var surroundings = SteppedHub.Surroundings(
            now: { Timestamp(milliseconds: 1_800_000_000_000) }, random: { .random(in: .min ... .max) },
            utcOffsetMinutes: { 0 }, logger: logger)
        surroundings.batchMax = batchMax
        surroundings.hasWritingThread = batchMax != nil
        hub = try SteppedHub(
            at: home, jobs: [definition], signingKey: SigningKey(), helloSeconds: 30, hubRun: 1,
            surroundings: surroundings, lines: lines)
    }

    deinit {
        hub.close()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func fill(_ home: HubHome, _ stores: [StoreID], groups: Int) throws {
        let hq = try OpenDatabase.queue(at: home.hqDatabase, label: "hq")
        try hq.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE hq_item (scope TEXT, item_id INTEGER, price INTEGER, PRIMARY KEY (scope, item_id)) WITHOUT ROWID;
                    CREATE TABLE seen (store_id TEXT, scope TEXT, PRIMARY KEY (store_id, scope)) WITHOUT ROWID;
                    """)
            try HQSchema.capture("hq_item", key: ["scope", "item_id"], isNew: true, in: db)
            try HQSchema.capture("seen", key: ["store_id", "scope"], isNew: true, in: db)
            for group in 0..<groups {
                try db.execute(
                    sql: "INSERT INTO hq_item SELECT ?, value, ? FROM json_each('[1,2,3]')",
                    arguments: ["G\(group)", 100 + group])
            }
            for (number, store) in stores.enumerated() {
                try db.cachedStatement(sql: "INSERT INTO seen VALUES (?, ?)")
                    .execute(arguments: [store.rawValue, "G\(number % groups)"])
            }
        }
        try hq.close()
        let operations = try Operations(path: home.hubDatabase)
        try operations.write { db in
            // As if each had come with its code.
            for (number, store) in stores.enumerated() {
                try db.cachedStatement(
                    sql: """
                        INSERT INTO store (store_id, state, public_key, added_at, enrolled_at)
                        VALUES (?, 'active', ?, 1, 1)
                        """
                ).execute(arguments: [store.rawValue, Data(key(of: number))])
            }
        }
        try operations.pool.close()
    }

    private static func key(of number: Int) -> [UInt8] {
        Array(repeating: 0, count: 30) + [UInt8(number >> 8), UInt8(number & 0xff)]
    }

    /// Files of packages, whether or not anybody is offered them yet.
    func packageFiles() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: hub.home.packages).count
    }

    /// Every price of every group is another.
    func changePrices() throws {
        let hq = try OpenDatabase.queue(at: hub.home.hqDatabase, label: "hq")
        try hq.write { try $0.execute(sql: "UPDATE hq_item SET price = price + 1") }
        try hq.close()
    }

    /// The store sees another group's rows from now on.
    func move(_ store: StoreID, to group: String) throws {
        let hq = try OpenDatabase.queue(at: hub.home.hqDatabase, label: "hq")
        try hq.write {
            try $0.execute(sql: "UPDATE seen SET scope = ? WHERE store_id = ?", arguments: [group, store.rawValue])
        }
        try hq.close()
    }

    /// Begins a session, builds and offers it.
    func publish() throws -> SessionRecord? {
        let session = try hub.publish(job, isFull: false, stores: nil)
        while hub.work() {}
        hub.step()
        return try hub.operations.read { try SessionRecord.find(session, in: $0) }
    }

    func count(_ sql: String) throws -> Int {
        try hub.operations.read { try Int.fetchOne($0, sql: sql) ?? 0 }
    }

    // MARK: what stores say

    private func say(_ body: AgentLetter.Body, _ number: Int) throws {
        let letter = AgentLetter(
            store: stores[number], incarnation: Incarnation(counter: 1, random: UInt64(number) + 1), body: body)
        hub.hear(
            try letter.encoded(), from: [0, 0, 0, UInt8(number >> 8), UInt8(number & 0xff)],
            key: try CurvePublicKey(bytes: SteppedChain.key(of: number)).z85)
    }

    /// Every store asks for the session; it is granted in the next turn.
    func sayRequests(_ session: SessionRecord) throws {
        for number in stores.indices { try say(.request(session: session.id, run: 1, attempt: 1), number) }
    }

    /// Every store reports what has come of it, in a letter of its own.
    func sayReports(_ outcome: StoreOutcome, _ session: SessionRecord) throws {
        sequence += 1
        let mark = Watermark(version: session.version, session: session.id)
        for number in stores.indices {
            let report = StoreReport(
                id: sequence, incarnation: Incarnation(counter: 1, random: UInt64(number) + 1), sequence: sequence,
                session: session.id, job: job, run: 1, attempt: 1, outcome: outcome,
                at: Timestamp(milliseconds: 1_800_000_000_000), watermark: outcome == .applied ? mark : nil)
            try say(.reports([report]), number)
        }
    }

    var framesSaid: Int { lines.frames }
}

private final class SilentLines: SteppedLines {
    var frames = 0

    func send(_ frame: [UInt8], to routing: [UInt8]) -> Bool {
        frames += 1
        return true
    }
    func announce(_ frame: [UInt8]) {}
    func answerEnrolment(_ frame: [UInt8], to routing: [UInt8]) {}
    func admit(key: String) {}
    func shutOut(key: String) {}
}
