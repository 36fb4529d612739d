import Foundation
import GRDB
import Logging
import Synchronization
import Testing
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillSchedule
import WaybillSessions

@testable import WaybillHub

/// The runner without its thread: turns are taken by hand, and sessions end when a test says so.
@Suite struct JobTurnTests {
    @Test(.timeLimit(.minutes(1))) func aPublishedSessionAndItsRunAreWrittenTogetherAndQueued() throws {
        let office = try HubOffice()
        var turn = try office.turn()
        let answer = Told<[JobOrder.Published]>()
        turn.run([.publish([office.job.id], RunScope(), reply: answer.take)])
        let session = try #require(try answer.value().first).session
        let run = try #require(try office.runs().first)
        #expect(run.session == session && run.state == .running && run.isPublish)
        guard case .build(let queued) = office.queue.next() else {
            Issue.record("nothing was queued")
            return
        }
        #expect(queued == session)
        try office.end(session, .noData)
        turn.run([])
        #expect(try office.runs().map(\.state) == [.finished])
    }

    @Test func aHubThatStartsAgainTakesUpARunWhoseSessionIsMade() throws {
        let office = try HubOffice()
        var first = try office.turn()
        let answer = Told<JobRun>()
        first.run([.run(office.job.id, RunScope(isFull: true), reply: answer.take)])
        let run = try answer.value()
        #expect(run.state == .running)
        // The hub dies; its publisher had just made the session.
        try office.end(try #require(run.session), .available)
        var second = try office.turn()
        second.run([])
        second.run([])
        #expect(try office.runs().map(\.state) == [.finished])
    }

    @Test func aChangeThatNobodyHasTakenCareOfStartsTheJobAfterARestart() throws {
        let office = try HubOffice(online: OnlineTrigger(settleMilliseconds: 0, longestWaitMilliseconds: 0))
        var first = try office.turn()
        first.run([])
        #expect(try office.runs().isEmpty, "what was there before the job is no change")
        try office.change()
        var second = try office.turn()
        second.run([])
        #expect(try office.runs().map(\.cause) == [.online])
        var third = try office.turn()
        third.run([])
        #expect(try office.runs().count == 1)
    }

    @Test func everyCommitIsSeenOnceAndSoIsALogThatEndsEarlier() throws {
        let office = try HubOffice()
        let watch = try HeadquartersWatch(path: office.home.hqDatabase, position: 1)
        #expect(try watch.look() == nil)
        try office.change()
        guard case .changed(let versions, let head) = try watch.look() else {
            Issue.record("no change was seen")
            return
        }
        #expect(versions == ["exchange_rate": head])
        #expect(try watch.look() == nil)
        try office.hq.write { try $0.execute(sql: "CREATE TABLE erp (id)") }
        #expect(try watch.look() == nil)
        // A database from a backup ends before where this one ended.
        try office.hq.write { try $0.execute(sql: "DELETE FROM _waybill_change WHERE version > 1") }
        guard case .logRestarted(let restarted) = try watch.look() else {
            Issue.record("the other log was not noticed")
            return
        }
        #expect(restarted == 1)
    }

    @Test func anOrderThatCannotBeWrittenIsRefused() throws {
        let office = try HubOffice()
        var turn = try office.turn()
        turn.run([])
        try office.operations.write { try $0.execute(sql: "ALTER TABLE job_run RENAME TO gone") }
        let answer = Told<JobRun>()
        turn.run([.run(office.job.id, RunScope(), reply: answer.take)])
        #expect(throws: (any Error).self) { try answer.value() }
        try office.operations.write { try $0.execute(sql: "ALTER TABLE gone RENAME TO job_run") }
        turn.run([])
        #expect(try office.runs().isEmpty, "it was refused, so it does not happen either")
    }
}

/// A hub's home with one job, and no publisher.
private final class HubOffice {
    let home: HubHome
    let operations: Operations
    let hq: DatabaseQueue
    let queue = PublisherQueue()
    let job: Job
    private let folder: String

    init(online: OnlineTrigger? = nil) throws {
        folder = FileManager.default.temporaryDirectory.path + "/waybill-jobs-" + UUID().uuidString
        home = try HubHome.create(at: folder, listen: HubConfiguration.listenDefault)
        operations = try Operations(path: home.hubDatabase)
        hq = try OpenDatabase.queue(at: home.hqDatabase, label: "erp")
        let id = try #require(JobID("rates"))
        job = Job(
            id: id, title: "rates", inputs: ["exchange_rate"], subjobs: [],
            triggers: JobTriggers(online: online))
    }

    deinit {
        try? hq.close()
        try? FileManager.default.removeItem(atPath: folder)
    }

    func turn() throws -> JobTurn {
        try JobTurn(
            parts: JobTurn.Parts(
                hqPath: home.hqDatabase, operations: operations, queue: queue,
                settings: JobClockSettings(zone: .gmt), jobs: [job], logger: Logger(label: "test")))
    }

    func runs() throws -> [JobRun] { try operations.read { try JobRun.history(of: job.id, limit: 10, in: $0) } }

    func change() throws {
        try hq.write { db in
            try db.execute(
                sql: """
                    INSERT INTO exchange_rate (from_currency, to_currency, rate, valid_from)
                    VALUES ('EUR', 'CHF', 0.9, '2026-01-01')
                    """)
        }
    }

    func end(_ id: SessionID, _ status: SessionStatus) throws {
        try operations.write { db in
            var session = try #require(try SessionRecord.find(id, in: db))
            session.status = status
            try session.save(in: db)
        }
    }
}

/// Takes one reply.
private final class Told<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)

    func take(_ answer: Result<Value, any Error>) { result.withLock { $0 = answer } }
    func value() throws -> Value { try #require(result.withLock { $0 }).get() }
}
