import GRDB
import Testing
import WaybillModel
import WaybillSchedule

@testable import WaybillSessions

@Suite struct JobRunRecordTests {
    private func run(_ number: Int64, _ state: RunState, finishedAt: Int64? = nil) throws -> JobRun {
        JobRun(
            number: number, job: try JobID("prices").orThrow(), cause: .retry,
            scope: RunScope(isFull: true, stores: Set(["S1", "a \"b\""].compactMap(StoreID.init))), state: state,
            attempt: 3, askedAt: Timestamp(milliseconds: 1), startAfter: Timestamp(milliseconds: 2),
            startedAt: Timestamp(milliseconds: 3), finishedAt: finishedAt.map(Timestamp.init(milliseconds:)),
            session: SessionID(number: 4, random: 5), message: "no disk", isPublish: true, seenBefore: 77)
    }

    @Test func aRunAndAMemoryComeBackAsTheyWere() throws {
        let hub = try HubDatabase()
        let operations = hub.operations
        let prices = try JobID("prices").orThrow()
        let first = try run(1, .waiting)
        let all = JobRun(
            number: 2, job: prices, cause: .online, scope: RunScope(), state: .running,
            askedAt: Timestamp(milliseconds: 9))
        let memory = JobMemory(
            job: prices, hold: "stocktaking", isAsleep: true, idleRuns: 4, handledUpTo: Timestamp(milliseconds: 8),
            schedules: "[]", seen: 5)
        try operations.write { (db: Database) throws in
            for run in [first, all] { try run.save(in: db) }
            try memory.save(in: db)
        }
        try operations.read { (db: Database) throws in
            #expect(try JobRun.open(in: db) == [first, all])
            #expect(try JobRun.find(1, in: db) == first)
            #expect(try JobMemory.all(in: db) == [memory])
        }
        var finished = all
        finished.state = .finished
        finished.finishedAt = Timestamp(milliseconds: 10)
        try operations.write { try finished.save(in: $0) }
        try operations.read { (db: Database) throws in
            #expect(try JobRun.open(in: db) == [first])
            #expect(try JobRun.history(of: prices, limit: 1, in: db) == [finished])
        }
    }

    @Test func aNumberIsNeverUsedTwiceAlsoAfterAPurge() throws {
        let hub = try HubDatabase()
        let operations = hub.operations
        try operations.write { (db: Database) throws in
            for number in 1...30 as ClosedRange<Int64> { try run(number, .finished, finishedAt: number).save(in: db) }
            try run(31, .waiting).save(in: db)
            #expect(try JobRun.purge(before: Timestamp(milliseconds: 1000), kept: 0, in: db) == 30)
            #expect(try JobRun.open(in: db).map(\.number) == [31])
            #expect(try JobRun.lastNumber(in: db) == 31)
        }
    }

    @Test func aPurgeKeepsTheNewestOfEachJobAndWhatIsYoung() throws {
        let hub = try HubDatabase()
        let operations = hub.operations
        try operations.write { (db: Database) throws in
            for number in 1...30 as ClosedRange<Int64> { try run(number, .finished, finishedAt: number).save(in: db) }
            #expect(try JobRun.purge(before: Timestamp(milliseconds: 20), kept: 5, in: db) == 19)
            #expect(try JobRun.purge(before: Timestamp(milliseconds: 1000), kept: 5, in: db) == 6)
        }
    }

    @Test func aStoreThatEnrolsIsToBeLoadedOnce() throws {
        let hub = try HubDatabase()
        let operations = hub.operations
        let store = try #require(StoreID("S1"))
        try operations.write { (db: Database) throws in
            let now = Timestamp(milliseconds: 100)
            try Enrolment.add(store, secretHash: [1], at: now, expiresAt: now + 1000, in: db)
            #expect(try StoresToLoad.find(in: db).isEmpty, "it has not enrolled yet")
            try Enrolment.use(store: store, secretHash: [1], publicKey: [7], machine: "m", at: now, in: db)
            #expect(try StoresToLoad.find(in: db) == [store])
            try StoresToLoad.note([store], in: db)
            #expect(try StoresToLoad.find(in: db).isEmpty)
            // The same machine asks again, for the answer was lost.
            try Enrolment.use(store: store, secretHash: [1], publicKey: [7], machine: "m", at: now + 5, in: db)
            #expect(try StoresToLoad.find(in: db).isEmpty)
            // Another machine takes its place.
            try Enrolment.add(store, secretHash: [2], at: now + 10, expiresAt: now + 1000, in: db)
            try Enrolment.use(store: store, secretHash: [2], publicKey: [8], machine: "n", at: now + 20, in: db)
            #expect(try StoresToLoad.find(in: db) == [store])
            try Enrolment.retire(store, at: now + 30, in: db)
            #expect(try StoresToLoad.find(in: db).isEmpty)
        }
    }
}
