import GRDB
import Testing
import WaybillModel
import WaybillSessions

/// Verifications as `hub.db` keeps them.
@Suite struct VerificationRecordTests {
    private let hub: HubDatabase
    private let store: StoreID
    private let job: JobID

    init() throws {
        hub = try HubDatabase()
        store = try StoreID("S1").orThrow()
        job = try JobID("prices").orThrow()
    }

    private func ask(_ cause: VerificationRecord.Cause = .asked, repairs: Bool = false, at time: Int64 = 1) throws
        -> VerificationRecord
    {
        try hub.write { db in
            try VerificationRecord.ask(store, job, cause: cause, repairs: repairs, at: at(time), in: db).orThrow()
        }
    }

    @discardableResult
    private func end(
        _ record: VerificationRecord, _ outcome: VerificationRecord.Outcome, at time: Int64, repair: SessionID? = nil
    ) throws -> VerificationRecord {
        var record = record
        record.endedAt = at(time)
        record.outcome = outcome
        record.repairSession = repair
        record.watermark = Watermark(version: Version(epoch: 1, number: time), session: session(time))
        try hub.write { [record] db in try record.save(in: db) }
        return record
    }

    @Test func whatIsKeptComesBack() throws {
        var record = try ask(.scheduled, repairs: true)
        #expect(record.repairs && record.cause == .scheduled && record.outcome == nil)
        record = try end(record, .diverged, at: 9, repair: session(4))
        record.changed = 3
        record.isPartial = true
        record.message = "m"
        record.findings = "[1]"
        record.ranges = "{\"a\":[]}"
        try hub.write { [record] db in try record.save(in: db) }
        #expect(try hub.read { try VerificationRecord.find(record.id, in: $0) } == record)
    }

    @Test func oneThatIsGoingOnStandsForANewOne() throws {
        let first = try ask()
        let second = try ask(repairs: true)
        #expect(second.id == first.id && second.repairs)
        try end(first, .ok, at: 5)
        #expect(try ask().id != first.id)
    }

    @Test func oneWithoutAResultHidesNeitherADifferenceNorTheLastGoodOne() throws {
        try end(try ask(at: 1), .ok, at: 2)
        try end(try ask(at: 3), .diverged, at: 4)
        try end(try ask(at: 5), .unknown, at: 6)
        try hub.read { db in
            let standing = try VerificationRecord.standings(of: store, in: db)[job].orThrow()
            #expect(standing.newest.outcome == .diverged && standing.good?.endedAt == at(2))
            #expect(try VerificationRecord.diverged(in: db).map(\.store) == [store])
            #expect(try standing.newest.goodBefore(in: db) == at(1))
            let last = try VerificationRecord.lastBegun(in: db)[store]?[job]
            #expect(last?.any == at(5) && last?.conclusive == at(3))
        }
        try end(try ask(at: 7), .repaired, at: 8)
        #expect(try hub.read { try VerificationRecord.diverged(in: $0) }.isEmpty)
    }

    @Test func aRepairIsFollowedUntilItWasLookedAtAgain() throws {
        let record = try end(try ask(), .diverged, at: 2, repair: session(9))
        #expect(try hub.read { try VerificationRecord.repairing(in: $0) }.map(\.id) == [record.id])
        #expect(try hub.read { try record.isRepairing(in: $0) })
        _ = try ask(.repair)
        #expect(try hub.read { try VerificationRecord.repairing(in: $0) }.isEmpty)
        #expect(try !hub.read { try record.isRepairing(in: $0) })
    }

    @Test func oldOnesAreForgottenButForTheLastGoodOne() throws {
        let good = try end(try ask(), .ok, at: 1)
        for time in 2...60 { try end(try ask(at: Int64(time)), .diverged, at: Int64(time)) }
        let kept = try hub.read {
            try VerificationRecord.list(stores: [store], jobs: [], since: 0, limit: 1000, in: $0)
        }
        #expect(kept.count <= 23 && kept.contains { $0.id == good.id })
    }

    @Test func aHubThatStartsAnewFindsWhatWasNotFinished() throws {
        let open = try ask()
        #expect(try hub.read { try VerificationRecord.unfinished(in: $0) }.map(\.id) == [open.id])
        #expect(try hub.read { try VerificationRecord.unfinished(besides: [store], in: $0) }.isEmpty)
    }
}
