import Testing
import WaybillModel
import WaybillPlan

/// How much of the past goes, told by hand.
@Suite struct HistoryDecisionTests {
    private let job: JobID
    private let other: JobID
    private let stores: [StoreID]

    init() throws {
        job = try #require(JobID("prices"))
        other = try #require(JobID("modes"))
        stores = ["A", "B"].compactMap(StoreID.init)
    }

    private func past(
        _ job: JobID? = nil, current: Int64 = 100, floor: Int64 = 10, unchangedTo: Int64 = 0, cutoff: Int64? = nil,
        grace: Int64? = 100, died: [Int64: Int64] = [:], holds: [Int64] = []
    ) -> JobPast {
        let job = job ?? self.job
        var past = JobPast(job: job, current: current, floor: floor, unchangedTo: unchangedTo)
        past.currentAtCutoff = cutoff
        past.currentAtGrace = grace
        past.died = died.map { JobPast.Died(version: $0.key, rows: $0.value) }
        past.holds = zip(stores, holds).map {
            HistoryHold(store: $0, job: job, base: Base(version: $1, token: 1))
        }
        return past
    }

    private func decide(_ pasts: JobPast..., log: LogPast? = nil, rowsMax: Int64 = 1000) -> HistoryDecision {
        HistoryDecision(pasts, log: log ?? LogPast(head: 100, headAtGrace: 100), rowsMax: rowsMax)
    }

    @Test func whatTheSlowestStoreNeedsIsKept() {
        let decision = decide(past(holds: [40, 90]))
        #expect(decision.floors == [job: 40])
        #expect(decision.fullLoads.isEmpty)
        #expect(decision.logUpTo == 40)
    }

    @Test func whatNobodyNeedsIsKeptForADay() {
        #expect(decide(past(grace: 70, holds: [100, 100])).floors == [job: 70])
        // Nothing is known to be a day old.
        #expect(decide(past(grace: nil, holds: [100, 100])).floors == [job: 10])
        #expect(decide(past(grace: 100, holds: [])).floors == [job: 100])
    }

    @Test func aStoreThatIsAwayForTooLongGetsEverything() {
        let decision = decide(past(cutoff: 60, holds: [40, 60]))
        #expect(decision.floors == [job: 60])
        #expect(decision.fullLoads.map(\.store.rawValue) == ["A"])
    }

    @Test func whatWasCurrentAtTheLimitIsStillTold() {
        // The store stands where the job stood for a year, until today.
        let decision = decide(past(current: 100, cutoff: 12, grace: 12, holds: [12, 100]))
        #expect(decision.floors == [job: 12])
        #expect(decision.fullLoads.isEmpty)
    }

    @Test func tooManyRowsGoFromTheOldEndOfAllJobs() {
        let prices = past(died: [30: 50, 60: 50, 90: 50], holds: [20, 95])
        let modes = past(other, died: [45: 30], holds: [20, 95])
        // 50 + 50 fit; the 30 of 45 and what is older do not.
        let decision = decide(prices, modes, rowsMax: 110)
        #expect(decision.floors == [job: 30, other: 45])
        #expect(decision.fullLoads.map(\.job) == [other, job])
    }

    @Test func aFloorNeverFallsAndNeverPassesTheDerivation() {
        #expect(decide(past(floor: 50, cutoff: 20, grace: nil, holds: [60])).floors == [job: 50])
        #expect(decide(past(current: 80, floor: 50, cutoff: 99, grace: 99, holds: [])).floors == [job: 80])
        #expect(decide(past(current: 80, floor: 50, died: [80: 9000]), rowsMax: 10).floors == [job: 80])
    }

    @Test func aJobWhoseInputsNeverChangeDoesNotHoldTheLog() {
        let modes = past(other, current: 12, floor: 12, unchangedTo: 98, grace: 12, holds: [12, 12])
        #expect(decide(past(holds: [90, 100]), modes).logUpTo == 90)
        #expect(decide(past(holds: [100, 100]), modes).logUpTo == 98)
    }

    @Test func theNewestChangeStays() {
        let log = LogPast(head: 100, headAtCutoff: 100, headAtGrace: 100)
        #expect(decide(past(unchangedTo: 100, holds: [100]), log: log).logUpTo == 99)
        #expect(decide(log: LogPast(head: 1, headAtCutoff: 1, headAtGrace: 1)).logUpTo == 0)
    }

    @Test func theLogHasABoundInRowsAndInDays() {
        #expect(decide(past(holds: [20]), rowsMax: 30).logUpTo == 70)
        #expect(decide(past(holds: [20]), log: LogPast(head: 100, headAtCutoff: 55, headAtGrace: 90)).logUpTo == 55)
        #expect(decide(past(holds: [100]), log: LogPast(head: 100)).logUpTo == 0)
    }
}
