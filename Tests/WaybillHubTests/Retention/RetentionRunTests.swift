import Foundation
import GRDB
import Testing
import WaybillAdmin
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions

@testable import WaybillHub

/// A hub's home with a past: versions of a table, sessions, packages and their files.
private final class HomeWithAPast: RowsKeeper {
    static let day: Int64 = 86_400_000
    static let job = Job(
        id: JobID("little").unsafelyUnwrapped, title: "", inputs: ["item"],
        subjobs: [
            Subjob(
                table: TableShape(
                    name: "thing", columns: [ColumnShape("id", .text), ColumnShape("value", .integer)], key: ["id"]),
                rows: "SELECT 'all' AS scope, id, value FROM item", members: "SELECT 'S1' AS store_id, 'all' AS scope")
        ])

    let home: HubHome
    let operations: Operations
    let rows: Rows
    var now: Int64 = 1_000 * day
    var pauses = 0
    var slicesUntilStop = Int.max
    var isRowsThreadGone = false
    private var made: UInt8 = 0

    init() throws {
        let folder = NSTemporaryDirectory() + "waybill-retention-\(UInt64.random(in: .min ... .max))"
        home = try HubHome.create(at: folder, listen: HubConfiguration.listenDefault)
        operations = try Operations(path: home.hubDatabase)
        let hq = try OpenDatabase.queue(at: home.hqDatabase, label: "hq")
        try hq.write { db in
            try db.execute(sql: "CREATE TABLE item (id TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID")
            try HQSchema.capture("item", key: ["id"], in: db)
        }
        try hq.close()
        rows = try Rows(path: home.rowsDatabase, hqPath: home.hqDatabase, newest: nil) {
            UInt64.random(in: .min ... .max)
        }
        try operations.write { db in
            try db.execute(sql: "INSERT INTO store (store_id, state, added_at) VALUES ('S1', 'active', 0)")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: home.path) }

    func onRows<T: Sendable>(_ body: @escaping @Sendable (Rows) throws -> T) throws -> T {
        if isRowsThreadGone { throw RetentionInterrupted() }
        return try body(rows)
    }

    /// HQ writes 600 rows, a session distributes them, and the store applies it or waits for it.
    @discardableResult
    func publish(isApplied: Bool = true) throws -> SessionID {
        let hq = try OpenDatabase.queue(at: home.hqDatabase, label: "hq")
        try hq.write { db in
            try db.execute(
                sql: """
                    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 600)
                    INSERT INTO item SELECT 'i' || x, \(now / 1000) FROM n WHERE true
                    ON CONFLICT (id) DO UPDATE SET value = excluded.value
                    """)
        }
        try hq.close()
        let derivation = try rows.derive(HomeWithAPast.job)
        made += 1
        let package = PackageRef(
            id: try #require(PackageID([UInt8](repeating: made, count: 32))), kind: .full, bases: [], rows: 600,
            bytes: 1_000)
        try DurableFile.write([1], to: home.packagePath(package.id))
        let store = try #require(StoreID("S1"))
        return try operations.write { db in
            let id = try SessionRecord.create(
                job: HomeWithAPast.job.id, request: SessionRequest(isFull: false, stores: nil),
                at: Timestamp(milliseconds: now), random: UInt64(made), in: db)
            var session = try #require(try SessionRecord.find(id, in: db))
            session.status = .available
            session.version = derivation.version
            session.token = derivation.token
            try session.save(in: db)
            try PackageRecord.save(package, session: id, manifest: [1], signature: [2], in: db)
            var delivery = Delivery(
                session: id, store: store, job: session.job, version: session.version, package: package)
            if isApplied {
                delivery.fold(
                    StoreReport(
                        id: 1, incarnation: Incarnation(counter: 1, random: 1), sequence: 1, session: id,
                        job: session.job, run: 1, attempt: 1, outcome: .applied, at: Timestamp(milliseconds: now)))
                let mark = Watermark(version: session.version, session: id)
                try StoreRecord.savePositions([session.job: mark], of: store, in: db)
            }
            try DeliveryRecord.save(delivery, in: db)
            return id
        }
    }

    @discardableResult
    func run(
        _ request: RetentionRequest = RetentionRequest(), hooks: [RetentionHook] = []
    ) -> RetentionReply {
        RetentionRun(
            home: home, operations: operations, jobs: [HomeWithAPast.job], policy: RetentionPolicy(), rows: self,
            hooks: hooks,
            pause: { _ in self.pauses += 1 }, isStopping: { self.pauses >= self.slicesUntilStop }
        ).run(request, at: Timestamp(milliseconds: now))
    }

    /// Four sessions, a hundred days ago and later; the store has the last but one, and waits for the last.
    func fill() throws {
        for age in [100, 99, 20] {
            now = (1_000 - Int64(age)) * HomeWithAPast.day
            try publish()
            run()
        }
        now = 990 * HomeWithAPast.day
        try publish(isApplied: false)
        run()
        now = 1_000 * HomeWithAPast.day
    }

    var files: Int { get throws { try FileManager.default.contentsOfDirectory(atPath: home.packages).count } }
    var sessions: [Int64] {
        get throws { try operations.read { try Int64.fetchAll($0, sql: "SELECT number FROM session ORDER BY number") } }
    }
    var log: Int64 { get throws { try HubUsage.readingHQ(home) { try ChangeLog.extent(in: $0).rows } } }
}

extension RetentionReply {
    fileprivate subscript(kind: String) -> Int64? { kinds.first { $0.kind == kind }?.rows }
}

@Suite struct RetentionRunTests {
    private let past: HomeWithAPast

    init() throws { past = try HomeWithAPast() }

    @Test func eachKindGoesByItsOwnAgeAndWhatIsNeededStays() throws {
        for age in [100, 99, 20] {
            past.now = (1_000 - Int64(age)) * HomeWithAPast.day
            try past.publish()
            past.run()
        }
        past.now = 990 * HomeWithAPast.day
        try past.publish(isApplied: false)
        past.now = 1_000 * HomeWithAPast.day
        let reply = past.run()
        #expect(reply.problems.isEmpty)
        #expect(reply.fullLoads.isEmpty)
        // 1 and 2 are over; the store stands at 3 and waits for 4.
        #expect(try past.sessions == [3, 4])
        #expect(reply["sessions"] == 2)
        #expect(reply["deliveries"] == 2)
        // The package of 3 is older than a week and needed by nobody; that of 4 is waited for.
        #expect(try past.files == 1)
        // The store needs what it stands at.
        #expect(try past.log == 600)
        #expect(past.pauses > 0)
        #expect(past.run().kinds.allSatisfy { $0.rows == 0 })
    }

    @Test func aDryRunSaysWhatTheRunThenDoes() throws {
        try past.fill()
        let request = RetentionRequest(olderThanSeconds: 5 * 86_400, dryRun: true)
        let before = (try past.sessions, try past.files, try past.log)
        let said = past.run(request)
        #expect(said.dryRun)
        #expect(before == (try past.sessions, try past.files, try past.log))
        let done = past.run(RetentionRequest(olderThanSeconds: 5 * 86_400))
        for kind in said.kinds { #expect(done[kind.kind] == kind.rows, "\(kind.kind)") }
        #expect(said.kinds.contains { $0.rows > 0 })
        #expect(said.fullLoads == done.fullLoads)
    }

    @Test func aStoreThatIsAwayForLongerIsNamed() throws {
        try past.fill()
        let reply = past.run(RetentionRequest(olderThanSeconds: 0))
        #expect(reply.fullLoads.map(\.store.rawValue) == ["S1"])
        // Its package is still there, and its sessions.
        #expect(try past.files == 1)
        #expect(try past.sessions == [3, 4])
        #expect(try past.log == 1)
    }

    @Test func aPartThatFailsIsToldAndTheOthersAreDone() throws {
        for age in [100, 99] {
            past.now = (1_000 - Int64(age)) * HomeWithAPast.day
            try past.publish()
        }
        past.now = 1_000 * HomeWithAPast.day
        past.isRowsThreadGone = true
        let reply = past.run()
        #expect(reply.problems == ["the history could not be shortened: the hub is stopping; the next run goes on"])
        #expect(try past.sessions == [2])
    }

    @Test func aRunThatIsInterruptedIsFinishedByTheNext() throws {
        past.now = 900 * HomeWithAPast.day
        for _ in 0..<3 { try past.publish() }
        past.run()
        past.now = 1_000 * HomeWithAPast.day
        let dry = past.run(RetentionRequest(dryRun: true))
        past.slicesUntilStop = past.pauses + 1
        let cut = past.run()
        #expect(!cut.problems.isEmpty)
        past.slicesUntilStop = .max
        let rest = past.run()
        #expect(rest.problems.isEmpty)
        for kind in dry.kinds { #expect((cut[kind.kind] ?? 0) + (rest[kind.kind] ?? 0) == kind.rows, "\(kind.kind)") }
        #expect(try past.log == 1)
        #expect(past.run().kinds.allSatisfy { $0.rows == 0 })
    }

    @Test func otherModulesForgetTheirsByHooks() throws {
        let hook = RetentionHook(kind: "staging") { cutoffs, isDryRun, pause in
            try pause()
            #expect(cutoffs.staging == Timestamp(milliseconds: 970 * HomeWithAPast.day))
            return (isDryRun ? 3 : 4, 100)
        }
        #expect(past.run(hooks: [hook])["staging"] == 4)
        #expect(past.run(RetentionRequest(dryRun: true), hooks: [hook])["staging"] == 3)
    }

    @Test func statusNamesTheSlowestStoreAndWhatThePastTakes() throws {
        past.now = 980 * HomeWithAPast.day
        try past.publish()
        past.run()
        past.now = 990 * HomeWithAPast.day
        try past.publish(isApplied: false)
        past.run()
        let usage = try HubUsage.measure(past.home, past.operations, [HomeWithAPast.job], RetentionPolicy())
        #expect(usage.disk.historyRows == 600)
        #expect((600 * 20...600 * 60).contains(usage.disk.historyBytes))
        #expect(usage.disk.changesRows == 1_201 || usage.disk.changesRows == 600)
        #expect(usage.slowest?.store.rawValue == "S1")
        #expect(usage.slowest?.behindSince?.timestamp == Timestamp(milliseconds: 990 * HomeWithAPast.day))
        #expect(usage.slowest?.fullLoadAfter?.timestamp == Timestamp(milliseconds: 1_020 * HomeWithAPast.day))
    }
}

@Suite struct RetentionScheduleTests {
    @Test func soonAfterTheStartAndThenEveryHour() {
        var schedule = RetentionSchedule(startedAt: Timestamp(milliseconds: 1_000))
        #expect(schedule.due == Timestamp(milliseconds: 11_000))
        schedule.ran(at: Timestamp(milliseconds: 12_000))
        #expect(schedule.due == Timestamp(milliseconds: 3_612_000))
    }

    @Test(arguments: [
        ("keep_sessions_days: 0", "keep_sessions_days must be from 1 to 3650"),
        ("keep_changes_rows: 5", "keep_changes_rows must be at least 100000"),
        ("keep_packages_days: 4000", "keep_packages_days must be from 1 to 3650"),
    ])
    func anAgeThatCannotBeMeantIsRefused(setting: String, reason: String) throws {
        let path = NSTemporaryDirectory() + "hub-\(UInt64.random(in: .min ... .max)).yaml"
        defer { unlink(path) }
        try DurableFile.write(Array(setting.utf8), to: path)
        let fault = #expect(throws: HomeFault.self) { try HubConfiguration(reading: path) }
        #expect(fault?.description == "\(path): \(reason)")
        try DurableFile.write(Array("keep_sessions_days: 400\nkeep_staging_days: 2".utf8), to: path)
        let kept = try HubConfiguration(reading: path).retention
        #expect(kept == RetentionPolicy(sessionsDays: 400, stagingDays: 2))
    }
}
