import ArgumentParser
import Foundation
import GRDB
import GRDBSQLite
import WaybillDatabase
import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillWire

/// Row 10: how many status messages a second the hub takes in, durably.
struct FoldCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fold", abstract: "Row 10: status messages a second, from the frame to the durable commit.")

    @OptionGroup var options: BenchOptions
    @Option(help: "Stores that report.")
    var stores: Int?
    @Option(help: "Messages that a turn finds, at most what the hub takes in at once.")
    var batch = 512

    func run() async throws {
        try await options.inFolder("fold") { folder in
            let count = stores ?? (options.quick ? 500 : 5_000)
            let size = ChainSize(stores: count, audiences: 1, groups: 1, rowsPerGroup: 200)
            let chain = try SteppedChain(try BenchChain.make(at: folder + "/hub", size))
            let talk = try StatusTalk(chain)
            var (folded, single, raw, reports) = (Sample(), Sample(), Sample(), 0)
            for run in 0..<options.runCount(usual: 7) {
                let frames = try talk.nextSession(rows: 100)
                // The peer folds the last of the same frames, one turn and so one transaction each.
                let alone = min(frames.count / 4, 300)
                let many = frames.dropLast(alone)
                reports = many.count
                let time = talk.fold(many, batch: batch)
                folded.add(Double(many.count) / time)
                single.add(Double(alone) / talk.fold(frames.suffix(alone), batch: 1))
                try talk.checkAllApplied()
                let inserts = try RawInserts(template: chain.hub.operations, path: folder + "/raw-\(run).db")
                raw.add(try inserts.perSecond(rows: frames.count, batch: batch))
            }
            try print(folded, single, raw, reports)
        }
    }

    private func print(_ folded: Sample, _ single: Sample, _ raw: Sample, _ reports: Int) throws {
        let (rate, limit) = (folded.median, raw.median)
        try BenchLine(
            row: 10, what: "folding status messages, \(batch) a turn", measured: rate.rounded4, unit: "messages/s",
            ratio: (rate / limit).rounded4, goal: "≥ 100000",
            against: "batched inserts into the same table, \(Int(limit))/s",
            met: rate >= 100_000,
            note:
                "\(reports) messages a run, one report each, half of them Applied with a watermark; runs \(folded.spread(0))/s; each commit synced"
        ).print()
        try BenchLine(
            row: 10, what: "folding status messages, one transaction each", measured: single.median.rounded4,
            unit: "messages/s", ratio: (single.median / rate).rounded4, goal: "-", against: "the batched fold",
            met: nil,
            note: "the same code with one message a turn"
        ).print()
    }
}

/// What stores say of a session, as frames that are ready before the clock runs.
final class StatusTalk {
    private let chain: SteppedChain
    private let keys: [String]
    private var sequence: Int64 = 0
    private var session: SessionID?

    struct Frame {
        var store: Int
        var bytes: [UInt8]
    }

    init(_ chain: SteppedChain) throws {
        self.chain = chain
        keys = try chain.chain.stores.indices.map { try chain.key(of: $0) }
    }

    private func incarnation(_ store: Int) -> Incarnation { Incarnation(counter: 1, random: UInt64(store) + 1) }

    private func encoded(_ body: AgentLetter.Body, of store: Int) throws -> Frame {
        let letter = AgentLetter(store: chain.chain.stores[store], incarnation: incarnation(store), body: body)
        return Frame(store: store, bytes: try letter.encoded())
    }

    /// Publishes a session and lets every store ask for it. What is left to say is: downloaded, and applied.
    func nextSession(rows: Int) throws -> [Frame] {
        let stores = chain.chain.stores.indices
        let isFirst = sequence == 0
        if !isFirst { try chain.chain.change(rows: rows, ofGroups: 1) }
        let session = try chain.publish(isFull: isFirst).session
        _ = chain.offer()
        let record = try chain.offered(session)
        self.session = session
        let requests = try stores.map { try encoded(.request(session: session, run: 1, attempt: 1), of: $0) }
        _ = fold(requests[...], batch: 512)
        let watermark = Watermark(version: record.version, session: session)
        var frames: [Frame] = []
        for outcome in [StoreOutcome.downloaded, .applied] {
            sequence += 1
            for store in stores {
                let report = StoreReport(
                    id: sequence, incarnation: incarnation(store), sequence: sequence, session: session,
                    job: BenchChain.job, run: 1, attempt: 1, outcome: outcome,
                    at: Timestamp(milliseconds: 1_790_000_000_000 + sequence),
                    rowsChanged: outcome == .applied ? 100 : 0,
                    longestLockMilliseconds: outcome == .applied ? 12 : 0,
                    watermark: outcome == .applied ? watermark : nil)
                frames.append(try encoded(.reports([report]), of: store))
            }
        }
        return frames
    }

    /// Hands the frames over, so many for each turn; the seconds until the last of them is on disk.
    func fold(_ frames: ArraySlice<Frame>, batch: Int) -> Double {
        seconds {
            var next = frames.startIndex
            while next < frames.endIndex {
                let end = min(next + batch, frames.endIndex)
                for frame in frames[next..<end] {
                    chain.hub.hear(frame.bytes, from: SteppedChain.routing(frame.store), key: keys[frame.store])
                }
                chain.hub.step()
                next = end
            }
        }
    }

    /// A fold that loses something would be fast.
    func checkAllApplied() throws {
        guard let session else { return }
        let counts = try chain.hub.operations.read { try SessionList.rollUp(session, in: $0) }
        guard counts == [.applied: chain.chain.stores.count] else {
            throw BenchFault("session \(session) should be applied everywhere, and shows \(counts)")
        }
    }
}

/// The limit: rows of the shape of a delivery, put into a table with the same indexes by SQLite's own interface, so
/// many in each synced transaction. No decoding, no decision, no answer.
struct RawInserts {
    private let path: String
    private let schema: [String]

    init(template: Operations, path: String) throws {
        self.path = path
        schema = try template.read { db in
            try String.fetchAll(
                db,
                sql: """
                    SELECT sql FROM sqlite_schema
                    WHERE tbl_name = 'delivery' AND type IN ('table', 'index') AND sql IS NOT NULL ORDER BY type DESC
                    """)
        }
    }

    func perSecond(rows: Int, batch: Int) throws -> Double {
        let queue = try OpenDatabase.queue(at: path, label: "raw")
        defer { try? queue.close() }
        return try queue.writeWithoutTransaction { db in
            for statement in schema { try db.execute(sql: statement) }
            guard let connection = db.sqliteConnection else { throw BenchFault("SQLite has no connection") }
            return Double(rows) / (try seconds { try insert(rows, batch, connection) })
        }
    }

    private func insert(_ rows: Int, _ batch: Int, _ connection: OpaquePointer) throws {
        func run(_ sql: String) throws {
            guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else {
                throw BenchFault("SQLite refused '\(sql)': \(String(cString: sqlite3_errmsg(connection)))")
            }
        }
        var statement: OpaquePointer?
        let sql = """
            INSERT INTO delivery (
                session, store_id, session_id, job, epoch, version, package, status, is_open, is_no_data, run, is_granted,
                told_outcome, told_attempt, attempts, requested_at, downloaded_at, applied_at, rows_changed,
                longest_lock_ms)
            VALUES (?1, ?2, '1-aabbccddeeff', 'bench-prices', 1, 7, ?3, 'Applied', 0, 0, 1, 1, 'applied', 1, 1, ?4, ?4,
                ?4, 100, 12)
            """
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else {
            throw BenchFault("the insert was refused: \(String(cString: sqlite3_errmsg(connection)))")
        }
        defer { sqlite3_finalize(statement) }
        let package = String(repeating: "ab", count: 32)
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        for start in stride(from: 0, to: rows, by: batch) {
            try run("BEGIN IMMEDIATE")
            for row in start..<min(start + batch, rows) {
                sqlite3_bind_int64(statement, 1, 1)
                sqlite3_bind_text(statement, 2, "S\(row)", -1, transient)
                sqlite3_bind_text(statement, 3, package, -1, transient)
                sqlite3_bind_int64(statement, 4, 1_790_000_000_000)
                guard sqlite3_step(statement) == SQLITE_DONE else { throw BenchFault("an insert failed") }
                sqlite3_reset(statement)
            }
            try run("COMMIT")
        }
    }
}
