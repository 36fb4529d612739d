import ArgumentParser
import Foundation
import GRDB
import WaybillModel
import WaybillSessions

/// Row 14: what people wait for when they look at a hub with a long past.
struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lists", abstract: "Row 14: 'session list' and 'status' of a hub with a million deliveries.")

    @OptionGroup var options: BenchOptions
    @Option(help: "Sessions in the list.")
    var sessions = 200
    @Option(help: "Stores, each with a delivery in every session.")
    var stores: Int?
    @Option(help: "Questions of each kind.")
    var questions: Int?
    @Option(help: "Folder of waybill-hub and waybill; without it this program plays the hub.")
    var bin: String?
    @Option(help: "The hub's port; the next ones are used too.")
    var port = 17_780

    func run() async throws {
        try await options.inFolder("lists") { folder in
            let count = stores ?? (options.quick ? 250 : 5_000)
            let size = ChainSize(stores: count, audiences: 1, groups: 1, rowsPerGroup: 10)
            let chain = try BenchChain.make(at: folder + "/hub", size, listen: "tcp://127.0.0.1:\(port)")
            try LongPast(sessions: sessions).fill(chain)
            let hub = try HubProcess(chain.home, programs: bin)
            defer { hub.stop() }
            let asked = questions ?? (options.quick ? 10 : 60)
            for (what, path) in [
                ("session list", "/v1/sessions"), ("status", "/v1/status"),
                ("session list of the newest 20", "/v1/sessions?limit=20"),
                ("session list of failures", "/v1/sessions?status=Suspended"),
            ] {
                try ask(hub, what, path, asked, deliveries: sessions * count, isGoal: !path.contains("?"))
            }
            if let bin { try command(bin, hub, asked) }
        }
    }

    private func ask(
        _ hub: HubProcess, _ what: String, _ path: String, _ asked: Int, deliveries: Int, isGoal: Bool
    ) throws {
        var times = Sample()
        var bytes = 0
        for _ in 0..<asked {
            var answer = Data()
            times.add(try seconds { answer = try hub.admin.get(path) })
            bytes = answer.count
        }
        let worst = times.quantile(0.95) * 1000
        try BenchLine(
            row: 14, what: "\(what), \(deliveries) deliveries, p95", measured: worst.rounded4, unit: "ms", ratio: nil,
            goal: "≤ 50", against: "-", met: isGoal ? worst <= 50 : nil,
            note:
                "p50 \((times.median * 1000).told(1)) ms, first \((times.values[0] * 1000).told(1)) ms, \(asked) times over the admin socket, \(bytes) bytes"
        ).print()
    }

    /// The same with the program that people type, its start included.
    private func command(_ bin: String, _ hub: HubProcess, _ asked: Int) throws {
        for words in [["session", "list"], ["status"]] {
            var times = Sample()
            for _ in 0..<min(asked, 20) {
                let program = Process()
                program.executableURL = URL(fileURLWithPath: bin + "/waybill")
                program.arguments = ["--hub", hub.home.path] + words
                program.standardOutput = FileHandle.nullDevice
                program.standardError = FileHandle.nullDevice
                times.add(
                    try seconds {
                        try program.run()
                        program.waitUntilExit()
                    })
                guard program.terminationStatus == 0 else {
                    throw BenchFault("waybill \(words.joined(separator: " ")) failed")
                }
            }
            try BenchLine(
                row: 14, what: "waybill \(words.joined(separator: " ")), the program's start included, p95",
                measured: (times.quantile(0.95) * 1000).rounded4, unit: "ms", ratio: nil, goal: "-", against: "-",
                met: nil, note: "p50 \((times.median * 1000).told(1)) ms"
            ).print()
        }
    }
}

/// The past of a hub: sessions of some months, each with a delivery for every store.
struct LongPast {
    var sessions: Int
    private static let now = Int64(Date().timeIntervalSince1970 * 1000)

    func fill(_ chain: BenchChain) throws {
        let operations = try Operations(path: chain.home.hubDatabase)
        defer { try? operations.pool.close() }
        try operations.write { db in
            let jobs = ["assortments", "delivery-modes", "prices", BenchChain.job.rawValue]
            for number in 1...sessions {
                let at = Self.now - Int64(sessions - number) * 6 * 3_600_000
                let job = jobs[number % jobs.count]
                let id = SessionID(number: Int64(number), random: UInt64(number) * 0x9e37_79b9)
                try fill(session: id, job: job, at: at, in: db)
            }
            // Where the stores stand: at the last session of each job that all of them have.
            try db.execute(
                sql: """
                    INSERT INTO position (store_id, job, epoch, version, session)
                    SELECT store_id, job, 1, version, session_id FROM delivery
                    WHERE session IN (
                        SELECT max(number) FROM session WHERE number <= ? GROUP BY job)
                    """, arguments: [sessions - 4])
        }
        try operations.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
    }

    /// All applied, but for the newest, which is under way, and for one store in a thousand of older ones, which failed.
    private func fill(session: SessionID, job: String, at: Int64, in db: Database) throws {
        let package = String(format: "%064x", session.number)
        try db.execute(
            sql: """
                INSERT INTO session (number, id, job, kind, status, epoch, version, token, created_at, rows, bytes)
                VALUES (?, ?, ?, 'delta', 'Available', 1, ?, ?, ?, 10000, 180000)
                """, arguments: [session.number, session.rawValue, job, session.number, session.number, at])
        try db.execute(
            sql: """
                INSERT INTO package (id, session, kind, rows, bytes, manifest, signature)
                VALUES (?, ?, 'delta', 10000, 180000, zeroblob(600), zeroblob(64))
                """, arguments: [package, session.number])
        try db.execute(
            sql: """
                INSERT INTO delivery (
                    session, store_id, session_id, job, epoch, version, package, status, is_open, is_no_data, run,
                    is_granted, told_outcome, told_attempt, attempts, requested_at, downloaded_at, applied_at,
                    rows_changed, longest_lock_ms, message, told_message, told_failures)
                SELECT :number, store_id, :id, :job, 1, :number, :package, status,
                    status IN ('Available', 'Requested', 'Downloaded', 'Suspended'), 0, 1, status <> 'Available',
                    CASE status WHEN 'Applied' THEN 'applied' WHEN 'Downloaded' THEN 'downloaded'
                        WHEN 'Requested' THEN 'requested' WHEN 'Suspended' THEN 'applyFailed' END,
                    status <> 'Available', status <> 'Available', CASE WHEN status <> 'Available' THEN :at + 900 END,
                    CASE WHEN status NOT IN ('Available', 'Requested') THEN :at + 1900 END,
                    CASE status WHEN 'Applied' THEN :at + 2400 END, CASE status WHEN 'Applied' THEN 10000 ELSE 0 END,
                    CASE status WHEN 'Applied' THEN 21 ELSE 0 END,
                    CASE status WHEN 'Suspended' THEN 'the disk of the store is full' ELSE '' END,
                    CASE status WHEN 'Suspended' THEN 'the disk of the store is full' ELSE '' END,
                    CASE status WHEN 'Suspended' THEN '1 2 3' ELSE '' END
                FROM (
                    SELECT store_id, CASE
                        WHEN :isNewest AND row % 4 = 0 THEN 'Available'
                        WHEN :isNewest AND row % 4 = 1 THEN 'Requested'
                        WHEN :isNewest AND row % 4 = 2 THEN 'Downloaded'
                        WHEN row % 1000 = 999 AND :isRecent THEN 'Suspended'
                        ELSE 'Applied' END AS status
                    FROM (SELECT store_id, row_number() OVER (ORDER BY store_id) AS row FROM store)
                )
                """,
            arguments: [
                "number": session.number, "id": session.rawValue, "job": job, "package": package, "at": at,
                "isNewest": session.number == Int64(sessions), "isRecent": session.number > Int64(sessions - 10),
            ])
    }
}
