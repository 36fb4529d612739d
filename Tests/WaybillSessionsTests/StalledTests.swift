import GRDB
import Testing
import WaybillModel
import WaybillSessions

/// Which deliveries count as stalled, from what was usual.
@Suite struct StalledTests {
    private func watch(_ delivery: Delivery, mayStart: Bool = true) -> StageWatch {
        var watch = StageWatch()
        // A first look at nothing: what comes next is seen from its beginning.
        watch.observe([], now: at(0)) { _ in true }
        watch.observe([delivery], now: at(1000)) { _ in mayStart }
        return watch
    }

    private func judge(
        _ watch: StageWatch, now: Int64, expected: Int64 = 60_000, isOnline: Bool = true, notFoldingSince: Int64? = nil
    ) throws -> Stalled? {
        let entry = try watch.entries[session(7)].orThrow()
        return Stalled.judge(
            entry, expected: expected, isOnline: isOnline, notFoldingSince: notFoldingSince.map(at), now: at(now))
    }

    // MARK: since when

    @Test func anOfferThatAnOnlineStoreDoesNotTakeUpIsStalled() throws {
        let watch = watch(try delivery())
        #expect(try judge(watch, now: 61_000) == nil)
        let stalled = try judge(watch, now: 61_001).orThrow()
        #expect(stalled.stage == .request && stalled.since == at(1000) && stalled.expectedBy == at(61_000))
        #expect(stalled.cause == .notProgressing)
    }

    @Test func anOfferToAStoreThatIsAwayIsNotStalled() throws {
        #expect(try judge(watch(try delivery()), now: 1 << 40, isOnline: false) == nil)
    }

    @Test func aReasonToWaitKeepsTheClockFromStarting() throws {
        var watch = watch(try delivery(), mayStart: false)
        watch.observe([try delivery()], now: at(500_000)) { _ in false }
        #expect(try judge(watch, now: 500_001) == nil)
        watch.observe([try delivery()], now: at(900_000)) { _ in true }
        #expect(try judge(watch, now: 560_001) != nil, "the clock runs from the last reason on")
    }

    @Test func anOfferWaitsItsTurnWhileTheStoreIsAtAnother() throws {
        var other = try delivery(session: 8)
        other.isGranted = true
        var watch = watch(try delivery())
        watch.observe([try delivery(), other], now: at(100_000)) { _ in true }
        #expect(try judge(watch, now: 110_000) == nil)
    }

    @Test func aDownloadThatMovesIsNotStalledAndOneThatStopsIs() throws {
        var watch = watch(try delivery(isGranted: true))
        for minute in 1...30 {
            watch.hear(nil, downloading: session(7), bytesDone: Int64(minute), now: at(Int64(minute) * 59_000))
            #expect(try judge(watch, now: Int64(minute) * 59_000 + 59_999) == nil)
        }
        watch.hear(nil, downloading: session(7), bytesDone: 30, now: at(31 * 59_000))
        let stalled = try judge(watch, now: 30 * 59_000 + 60_001).orThrow()
        #expect(stalled.stage == .download && stalled.since == at(30 * 59_000))
        // It moves again, and nobody had to help.
        watch.hear(nil, downloading: session(7), bytesDone: 31, now: at(32 * 59_000))
        #expect(try judge(watch, now: 32 * 59_000 + 1) == nil)
    }

    @Test func anApplyIsJudgedByWhatTheAgentSaysOfItsOwnClock() throws {
        var delivery = try delivery(isGranted: true)
        delivery.fold(try report(.downloaded, at: 999_999_999))
        var watch = watch(delivery)
        watch.hear(
            AgentActivity(phase: .applying, idleMilliseconds: 2_000), downloading: session(7), bytesDone: 0,
            now: at(100_000))
        #expect(try judge(watch, now: 158_000) == nil)
        #expect(try judge(watch, now: 158_001)?.stage == .apply)
        #expect(try judge(watch, now: 158_001)?.since == at(98_000))
    }

    @Test func aStoresOwnWindowIsNoStall() throws {
        var watch = watch(try delivery(isGranted: true))
        watch.hear(
            AgentActivity(phase: .waiting, idleMilliseconds: 500_000), downloading: nil, bytesDone: 0,
            now: at(600_000))
        #expect(try judge(watch, now: 660_000) == nil)
    }

    @Test func theTimeAStoreWasAwayDoesNotCountAgainstItsOffer() throws {
        var watch = watch(try delivery())
        watch.returned(now: at(1_000_000))
        #expect(try judge(watch, now: 1_060_000) == nil)
        #expect(try judge(watch, now: 1_060_001) != nil)
    }

    @Test func aFailedDeliveryIsGivenTheAgentsOwnPause() throws {
        var delivery = try delivery(isGranted: true)
        delivery.fold(try report(.downloadFailed))
        let entry = try watch(delivery).entries[session(7)].orThrow()
        #expect(entry.stage == .request && entry.isRetry)
        #expect(StageHistory.expected(entry, store: nil, all: nil, floor: 60_000) == 20 * 60_000)
    }

    @Test(arguments: [StoreOutcome.applied, .canceled])
    func whatHasEndedIsWatchedNoMore(outcome: StoreOutcome) throws {
        var delivery = try delivery(isGranted: true)
        var watch = watch(delivery)
        delivery.fold(try report(outcome))
        watch.observe([delivery], now: at(2000)) { _ in true }
        #expect(watch.entries.isEmpty)
    }

    @Test func aHubThatStartsAnewGivesEverybodyTheWholeTime() throws {
        var watch = StageWatch()
        var delivery = try delivery(isGranted: true)
        watch.observe([delivery], now: at(5_000_000)) { _ in true }
        #expect(try judge(watch, now: 5_060_000) == nil)
        // And learns nothing from a stage whose beginning it has not seen.
        delivery.fold(try report(.downloaded))
        watch.observe([delivery], now: at(5_000_100)) { _ in true }
        #expect(watch.takeSamples().isEmpty)
    }

    // MARK: whose turn it is

    @Test func theThreeCausesAreToldApart() throws {
        var delivery = try delivery(isGranted: true)
        delivery.cancelAskedAt = at(1000)
        let watch = watch(delivery)
        func sentence(_ stalled: Stalled?) throws -> String {
            try stalled.orThrow().sentence(
                store: delivery.store, lastHeard: at(77), time: { "\($0.milliseconds)" }, span: { "\($0 / 1000) s" })
        }
        #expect(
            try sentence(try judge(watch, now: 70_000))
                == "alive, but has not answered the cancel since 1000; 60 s would be usual")
        #expect(try sentence(try judge(watch, now: 70_000, isOnline: false)) == "store S1 has not been heard since 77")
        #expect(
            try sentence(try judge(watch, now: 2000, notFoldingSince: 1500))
                == "this hub has not taken in what store S1 says since 1500")
    }

    @Test func reportsThatAreNotTakenInAreTheHubsFault() throws {
        var watch = watch(try delivery(isGranted: true))
        watch.hear(
            AgentActivity(phase: .reporting, idleMilliseconds: 90_000), downloading: nil, bytesDone: 0,
            now: at(100_000))
        let stalled = try judge(watch, now: 100_000).orThrow()
        #expect(stalled.stage == .report && stalled.cause == .hubNotFolding && stalled.since == at(10_000))
        watch.hear(
            AgentActivity(phase: .idle, idleMilliseconds: 0), downloading: nil, bytesDone: 0, now: at(101_000))
        #expect(try judge(watch, now: 101_000, expected: 200_000) == nil)
    }

    // MARK: what is usual

    @Test func whatIsUsualIsAHighShareOfWhatWasSeenAndNotItsWorst() throws {
        var history = StageHistory()
        #expect(history.usual == nil)
        for _ in 0..<60 { history.add(StageSample(stage: .request, milliseconds: 900, bytes: 0, rows: 0)) }
        history.add(StageSample(stage: .request, milliseconds: 3_600_000, bytes: 0, rows: 0))
        #expect(history.usual == 1024)
    }

    @Test func aLineThatWasChangedIsSoonKnownAsItIsNow() throws {
        var history = StageHistory()
        let slow = StageSample(stage: .download, milliseconds: 60_000, bytes: 1 << 20, rows: 0)
        let fast = StageSample(stage: .download, milliseconds: 500, bytes: 1 << 20, rows: 0)
        for _ in 0..<1000 { history.add(slow) }
        for _ in 0..<500 { history.add(fast) }
        #expect(try history.usual.orThrow() < 1000)
    }

    @Test func aDownloadIsExpectedByItsBytesAndTheStoresOwnRate() throws {
        var history = StageHistory()
        for _ in 0..<20 {
            history.add(StageSample(stage: .download, milliseconds: 8_192, bytes: 1 << 20, rows: 0))
        }
        var delivery = try delivery(isGranted: true)
        delivery.package?.bytes = 64 << 20
        let entry = try watch(delivery).entries[session(7)].orThrow()
        // Three times 8 s for each of 64 MiB.
        #expect(StageHistory.expected(entry, store: history, all: nil, floor: 1000) == 3 * 8_192 * 64)
        #expect(StageHistory.expected(entry, store: nil, all: history, floor: 1000) == 3 * 8_192 * 64)
        // Nothing known: a thin line is assumed, and never more than an hour.
        #expect(StageHistory.expected(entry, store: nil, all: nil, floor: 1000) == 60 * 60_000)
        // A floor below which nobody is told.
        #expect(StageHistory.expected(entry, store: history, all: nil, floor: 5_000_000) == 5_000_000)
    }

    @Test func smallDownloadsSayNothingAboutALine() throws {
        var history = StageHistory()
        for _ in 0..<20 { history.add(StageSample(stage: .download, milliseconds: 5, bytes: 900, rows: 0)) }
        #expect(history.usual == nil && history.count == 0)
    }

    @Test func whatWasSeenIsKeptForTheStoreAndForAll() throws {
        let hub = try HubDatabase()
        let entry = try watch(try delivery()).entries[session(7)].orThrow()
        let store = try StoreID("S1").orThrow()
        let other = try StoreID("S2").orThrow()
        for count in 1...5 {
            try hub.write { db in
                let sample = StageSample(stage: .request, milliseconds: 100_000, bytes: 0, rows: 0)
                try StageHistoryRecord.add([(store: store, sample: sample)], in: db)
            }
            let expected = try hub.read { try StageHistoryRecord.expected(entry, of: other, floor: 1, in: $0) }
            #expect(expected == (count < 5 ? 60_000 : 3 * 131_072))
        }
        #expect(try hub.read { try StageHistoryRecord.expected(entry, of: store, floor: 1, in: $0) } == 3 * 131_072)
    }

    @Test func aStageThatWasSeenFromBeginningToEndIsLearntFrom() throws {
        var delivery = try delivery()
        var watch = watch(delivery)
        delivery.isGranted = true
        watch.observe([delivery], now: at(3000)) { _ in true }
        delivery.fold(try report(.downloaded))
        watch.observe([delivery], now: at(8000)) { _ in true }
        delivery.fold(try report(.applied))
        watch.observe([delivery], now: at(9000)) { _ in true }
        #expect(watch.takeSamples().map(\.stage) == [.request, .download, .apply])
        #expect(watch.takeSamples().isEmpty)
    }
}
