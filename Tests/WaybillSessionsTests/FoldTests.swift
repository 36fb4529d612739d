import Testing
import WaybillModel
import WaybillSessions

/// Folding is commutative, associative and idempotent, and never moves a delivery backwards.
@Suite struct FoldTests {
    private let session = SessionID("7-0123456789ab").unsafelyUnwrapped
    private let store = StoreID("S1").unsafelyUnwrapped
    private let job = JobID("prices").unsafelyUnwrapped

    private func delivery() -> Delivery {
        Delivery(session: session, store: store, job: job, version: Version(epoch: 1, number: 9), package: nil)
    }

    private func report(
        _ outcome: StoreOutcome, attempt: Int = 1, run: Int = 1, at: Int64 = 0, message: String = "",
        isTransient: Bool = false
    ) -> StoreReport {
        StoreReport(
            id: 1, incarnation: Incarnation(counter: 1, random: 1), sequence: 1, session: session, job: job, run: run,
            attempt: attempt, outcome: outcome, at: Timestamp(milliseconds: at), message: message,
            isTransient: isTransient)
    }

    /// The reports of a store that failed twice and then applied, with its answer to a late cancel, and one of another run.
    private var story: [StoreReport] {
        [
            report(.requested, at: 10), report(.downloadFailed, at: 20, message: "no line", isTransient: true),
            report(.downloaded, attempt: 2, at: 40), report(.applyFailed, attempt: 2, at: 50, message: "does not fit"),
            report(.applied, attempt: 3, at: 70), report(.canceled, run: 2, at: 80),
        ]
    }

    @Test func everyOrderAndEveryRepetitionOfReportsEndsTheSame() {
        for size in 1...story.count {
            for chosen in subsets(of: story, size: size) {
                var expected = delivery()
                for report in chosen { expected.fold(report) }
                for order in permutations(of: chosen) {
                    var folded = delivery()
                    for report in order {
                        folded.fold(report)
                        folded.fold(report)
                    }
                    for report in order { folded.fold(report) }
                    #expect(folded == expected)
                }
            }
        }
    }

    @Test func foldingInTwoHalvesIsFoldingInOne() {
        for split in 0...story.count {
            var left = delivery()
            for report in story.prefix(split) { left.fold(report) }
            for report in story.dropFirst(split) { left.fold(report) }
            var right = delivery()
            for report in story.dropFirst(split) { right.fold(report) }
            for report in story.prefix(split) { right.fold(report) }
            #expect(left == right)
        }
    }

    @Test func aLateReportNeverMovesADeliveryBackwards() {
        var folded = delivery()
        folded.fold(report(.applied, attempt: 2, at: 70))
        for late in [report(.requested), report(.downloaded), report(.applyFailed, attempt: 5), report(.canceled)] {
            folded.fold(late)
            #expect(folded.status == .applied)
        }
    }

    /// Seed 41606: the report came after the hub had found that the store needs nothing of the session any more.
    @Test func whatAStoreHasAppliedIsAppliedAlsoWhenTheHubThoughtItNeedless() {
        var folded = delivery()
        folded.isGranted = true
        folded.fold(report(.requested))
        folded.isNoData = true
        folded.note = "the store has it already"
        folded.fold(report(.downloaded, at: 40))
        #expect(folded.status == .noData && folded.message == "the store has it already")
        folded.fold(report(.applied, at: 70))
        #expect(folded.status == .applied && folded.message.isEmpty && folded.told.appliedAt != nil)
        folded.rerun(package: nil)
        #expect(folded.status == .available)
    }

    @Test func threeFailuresThatWaitingDoesNotHelpSuspendTheDelivery() {
        var folded = delivery()
        for attempt in 1...2 { folded.fold(report(.applyFailed, attempt: attempt, message: "does not fit")) }
        #expect(folded.status == .applyFailed)
        #expect(folded.nextAttempt == 3)
        folded.fold(report(.applyFailed, attempt: 3, message: "does not fit"))
        #expect(folded.status == .suspended)
        #expect(!folded.isOnOffer)
        var waiting = delivery()
        for attempt in 1...9 { waiting.fold(report(.downloadFailed, attempt: attempt, isTransient: true)) }
        #expect(waiting.status == .downloadFailed)
        #expect(waiting.isOnOffer)
    }

    @Test func aCancelIsAnsweredAtOnceOnlyWhenTheStoreNeverHadLeave() {
        let now = Timestamp(milliseconds: 5)
        var fresh = delivery()
        #expect(fresh.cancel(reason: "typo", at: now) == .revoked)
        #expect(fresh.status == .canceled)
        var granted = delivery()
        granted.isGranted = true
        #expect(granted.cancel(reason: "typo", at: now) == .waiting)
        #expect(granted.status == .requested)
        #expect(granted.isOpen)
        var late = granted
        granted.fold(report(.canceled, at: 8))
        #expect(granted.cancelAnswer == .revoked)
        late.fold(report(.applied, at: 4))
        #expect(late.cancelAnswer == .tooLate(Timestamp(milliseconds: 4)))
        #expect(late.message == "cancelled too late: already applied")
    }

    @Test func aSupersededDeliveryThatTheStoreHadLeaveForIsStillAskedAbout() {
        var superseded = delivery()
        superseded.isGranted = true
        superseded.supersededBy = SessionID("8-0123456789ab")
        #expect(superseded.status == .superseded)
        #expect(superseded.cancel(reason: "", at: Timestamp(milliseconds: 1)) == .waiting)
        superseded.fold(report(.applied))
        #expect(superseded.status == .applied)
    }

    @Test func aRerunStartsOverAndForgetsWhatWasSaidBefore() {
        var again = delivery()
        again.isGranted = true
        again.fold(report(.canceled))
        again.rerun(package: nil)
        #expect(again.status == .available)
        again.fold(report(.canceled, run: 1))
        #expect(again.status == .available)
        again.fold(report(.applied, run: 2))
        #expect(again.status == .applied)
    }

    private func permutations<T>(of items: [T]) -> [[T]] {
        guard items.count > 1 else { return [items] }
        return items.indices.flatMap { index in
            var rest = items
            let first = rest.remove(at: index)
            return permutations(of: rest).map { [first] + $0 }
        }
    }

    private func subsets<T>(of items: [T], size: Int) -> [[T]] {
        if size == 0 { return [[]] }
        guard let first = items.first else { return [] }
        let rest = Array(items.dropFirst())
        return subsets(of: rest, size: size - 1).map { [first] + $0 } + subsets(of: rest, size: size)
    }
}
