import Foundation
import GRDB
import Testing
import WaybillApply
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPackage
import WaybillPlan
import WaybillWire

@testable import WaybillHub

/// Chance with a seed, so that a failing schedule can be run again.
struct ProofChance: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: Int) { state = UInt64(bitPattern: Int64(seed)) &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }

    mutating func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &self) }
    mutating func happens(_ percent: Int) -> Bool { number(0..<100) < percent }
}

/// Headquarters and stores with real databases, and between them letters as they go over the wire.
final class VerifyStreet {
    static let store = StoreID("S1")!
    static let scopes = ["x", "y"]

    let folder: String
    let hq: DatabaseQueue
    let rows: Rows
    let audit: RowsAudit
    var job: Job
    /// What a till or a technician opens.
    private(set) var tills: [StoreID: DatabaseQueue] = [:]
    private var ledgers: [StoreID: StoreDatabase] = [:]
    private var sessions: [SessionID: Base] = [:]
    private var number: Int64 = 0
    private let key = SigningKey()

    init(keeps: Bool = false) throws {
        folder = NSTemporaryDirectory() + "waybill-verify-\(UInt64.random(in: .min ... .max))"
        try DurableFile.createFolder(folder)
        hq = try OpenDatabase.queue(at: folder + "/hq.db", label: "hq")
        try hq.write { db in
            try HQSchema.install(in: db, tables: [])
            try db.execute(
                sql: """
                    CREATE TABLE item (item_id TEXT, unit INTEGER, scope TEXT NOT NULL, price REAL, note TEXT, data BLOB,
                        PRIMARY KEY (item_id, unit)) WITHOUT ROWID;
                    CREATE TABLE seen (store_id TEXT, scope TEXT, PRIMARY KEY (store_id, scope)) WITHOUT ROWID;
                    """)
            try HQSchema.capture("item", key: ["item_id", "unit"], in: db)
            try HQSchema.capture("seen", key: ["store_id", "scope"], in: db)
        }
        var token: UInt64 = 1
        rows = try Rows(path: folder + "/rows.db", hqPath: folder + "/hq.db", newest: nil) {
            token += 1
            return token
        }
        audit = try RowsAudit(path: folder + "/rows.db")
        job = VerifyStreet.job(keeps: keeps)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    static func job(keeps: Bool) -> Job {
        let members = "SELECT store_id, scope FROM seen"
        return Job(
            id: JobID("items").unsafelyUnwrapped, title: "", inputs: ["item", "seen"],
            subjobs: [
                Subjob(
                    // The key stands last: the canonical order puts it first.
                    table: TableShape(
                        name: "thing",
                        columns: [
                            ColumnShape("note", .text, nullable: true), ColumnShape("price", .real, nullable: true),
                            ColumnShape("data", .blob, nullable: true), ColumnShape("unit", .integer),
                            ColumnShape("item_id", .text),
                        ],
                        key: ["item_id", "unit"]),
                    rows: "SELECT scope, item_id, unit, price, note, data FROM item", members: members,
                    removal: keeps ? .keep : .delete),
                Subjob(
                    table: TableShape(
                        name: "mark", columns: [ColumnShape("item_id", .text), ColumnShape("units", .integer)],
                        key: ["item_id"]),
                    rows: "SELECT scope, item_id, count(*) AS units FROM item GROUP BY scope, item_id",
                    members: members),
            ])
    }

    /// Fills HQ with rows; every store sees all of them.
    func fill(_ count: Int, stores: [StoreID] = [store]) throws {
        try hq.write { db in
            for store in stores {
                for scope in VerifyStreet.scopes {
                    try db.execute(
                        sql: "INSERT OR IGNORE INTO seen VALUES (?, ?)", arguments: [store.rawValue, scope])
                }
            }
            try db.execute(
                sql: """
                    WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < \(count))
                    INSERT INTO item
                    SELECT CAST('i' || (n / 3) || CASE n / 3 % 7 WHEN 0 THEN x'00' WHEN 1 THEN x'ff' ELSE '' END AS TEXT),
                        n % 3 - 1, CASE n / 3 % 2 WHEN 0 THEN 'x' ELSE 'y' END, n * 0.37,
                        CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN CAST(x'610062' AS TEXT) ELSE 'note ' || n END,
                        CASE n % 4 WHEN 0 THEN x'' WHEN 1 THEN x'00ff' ELSE NULL END
                    FROM n WHERE \(count) > 0
                    """)
        }
    }

    func sql(_ text: String) throws { try hq.write { try $0.execute(sql: text) } }

    /// By hand, at the store.
    func edit(_ sql: String, at store: StoreID = store) throws -> Int {
        let till = try #require(tills[store])
        return try till.write { db in
            try db.execute(sql: sql)
            return db.changesCount
        }
    }

    // MARK: delivering

    /// Everything, to each store, as one session.
    @discardableResult
    func publish(to stores: [StoreID] = [store]) throws -> Watermark {
        let derivation = try rows.derive(job)
        let plan = try rows.plan(job, at: derivation, for: stores.map { PlanTarget(store: $0, base: nil) })
        var mark: Watermark?
        for package in plan.packages {
            let raw = folder + "/\(UUID().uuidString).raw"
            let filled = try rows.fill(package, job: job, at: derivation, path: raw, uniqueness: 1) {
                try PackageTables.create($0, schema: $1, in: $2)
            }
            let tables = zip(job.subjobs, filled).map {
                PackageTable(shape: $1.shape, rows: $1.rows, removed: 0, keepsRows: $0.removal == .keep)
            }
            number += 1
            let base = Base(version: derivation.version.number, token: derivation.token)
            mark = try apply(raw, tables, .full, bases: [], version: derivation.version, base, to: package.stores)
        }
        return try #require(mark)
    }

    /// Just these ranges, over where the store stands.
    @discardableResult
    func repair(_ ranges: [String: [KeyRange]], at store: StoreID = store) throws -> Int64 {
        let mark = try #require(try ledgers[store]?.state().watermarks[job.id])
        let base = try #require(sessions[mark.session])
        let raw = folder + "/\(UUID().uuidString).raw"
        let target = AuditTarget(job: job, store: store, base: base)
        let filled = try #require(
            try rows.fillRanges(ranges, target, path: raw, uniqueness: 2) {
                try PackageTables.create($0, schema: $1, in: $2)
            })
        let tables = zip(job.subjobs, filled).map {
            PackageTable(
                shape: $1.shape, rows: $1.rows, removed: 0, keepsRows: $0.removal == .keep,
                ranges: ranges[$1.shape.name] ?? [])
        }
        number += 1
        try apply(raw, tables, .delta, bases: [mark], version: mark.version, base, to: [store])
        return filled.reduce(0) { $0 + $1.rows }
    }

    @discardableResult
    private func apply(
        _ raw: String, _ tables: [PackageTable], _ kind: PackageKind, bases: [Watermark], version: Version,
        _ base: Base, to stores: [StoreID]
    ) throws -> Watermark {
        let session = SessionID(number: number, random: UInt64(number) &* 77)
        sessions[session] = base
        let contents = PackageContents(
            job: job.id, session: session, version: version, kind: kind, bases: bases, tables: tables,
            created: Timestamp(milliseconds: 1))
        let sealed = try PackageSealer.seal(rawPath: raw, folder: folder, contents: contents, signingKey: key)
        try PackageFile.unpack(compressedPath: sealed.path, manifest: sealed.manifest, to: raw)
        let manifest = try Manifest(decoding: sealed.manifestBytes)
        #expect(manifest == sealed.manifest)
        try PackageFile.check(rawPath: raw, manifest: manifest)
        for store in stores {
            let path = folder + "/\(store).db"
            if ledgers[store] == nil {
                let ledger = try StoreDatabase(path: path, store: store)
                try ledger.startIncarnation(random: 1)
                ledgers[store] = ledger
                tills[store] = try OpenDatabase.queue(at: path, label: "till")
            }
            _ = try Applier(path: path).apply(
                rawPath: raw, manifest: manifest, run: 1, attempt: 1, at: { Timestamp(milliseconds: 1) },
                pause: { _ in }, shouldStop: { false })
        }
        return Watermark(version: version, session: session)
    }

    func forgetWatermark(at store: StoreID = store) throws { try ledgers[store]?.forgetWatermark(of: job.id) }

    /// All that a store has of a table, in one text for each row.
    func content(_ table: String, at store: StoreID = store) throws -> [String] {
        let columns = try #require(job.subjobs.first { $0.table.name == table }).table.columns.map(\.name)
        let parts = columns.map { "typeof(\($0)) || hex(\($0))" }.joined(separator: " || ' ' || ")
        return try #require(tills[store]).read { try String.fetchAll($0, sql: "SELECT \(parts) FROM \(table)") }
    }

    // MARK: verifying

    /// What a verification has come to, and what it has cost.
    struct Run {
        var verdict: Proof.Verdict?
        var questions = 0
        var bytesToStore = 0
        var bytesToHub = 0
        var now = Timestamp(milliseconds: 1_000_000)
    }

    /// Verifies a store, with both halves' letters as they go over the wire.
    /// - Parameters:
    ///   - before: called before each question is answered, with its number.
    ///   - line: says how often a letter arrives.
    func verify(
        _ store: StoreID = store, before: (Int) throws -> Void = { _ in }, line: () -> Int = { 1 }
    ) throws -> Run {
        var proof = Proof(id: 7, store: store, job: job)
        let examiner = try StoreExaminer(path: folder + "/\(store).db")
        var run = Run()
        var events: [Proof.Event] = [.begin]
        while run.verdict == nil {
            guard run.questions < 5_000 else { throw Unending() }
            if events.isEmpty {
                run.now = run.now + 1_000
                events = [.tick]
            }
            for effect in proof.step(events.removeFirst(), now: run.now) {
                switch effect {
                case .ask(let question):
                    run.questions += 1
                    events.append(.asked(step: question.step, isSent: true))
                    let frame = try HubLetter.examine(question).encoded()
                    run.bytesToStore += frame.count
                    for _ in 0..<line() {
                        guard case .examine(let heard) = try HubLetter(decoding: frame) else { continue }
                        try before(run.questions)
                        let answer = AgentLetter(
                            store: store, incarnation: Incarnation(counter: 1, random: 1),
                            body: .digests(try examiner.examine(heard)))
                        let back = try answer.encoded()
                        #expect(back.count < Limits.messageBytesMax && frame.count < Limits.messageBytesMax)
                        run.bytesToHub += back.count
                        for _ in 0..<line() {
                            guard case .digests(let digests) = try AgentLetter(decoding: back).body else { continue }
                            events.append(.digests(digests))
                        }
                    }
                case .sum(let mark): events.append(.summed(try target(store, mark).flatMap { try audit.digests($0) }))
                case .expect(let mark, let suspects):
                    events.append(.expected(try target(store, mark).flatMap { try audit.expectations(suspects, $0) }))
                case .end(let verdict): run.verdict = verdict
                }
            }
        }
        return run
    }

    struct Unending: Error {}

    private func target(_ store: StoreID, _ mark: Watermark) -> AuditTarget? {
        sessions[mark.session].map { AuditTarget(job: job, store: store, base: $0) }
    }
}
