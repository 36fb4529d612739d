import Foundation
import Testing
import WaybillAgent
import WaybillModel
import WaybillSessions
import WaybillWire

@testable import WaybillHub

/// A whole chain comes back in the same moment: real agents' cores against real desks and the real admission, over a
/// network and with a clock of our own. Counted, not timed.
@Suite struct StormTests {
    private static let stores = 5_000

    @Test func aChainThatRestartsTogetherIsTakenInAtThePaceOfTheHub() throws {
        let storm = try Storm(stores: Self.stores, seed: 1)
        storm.startAll(within: 1_000)
        storm.run(milliseconds: 50_000)
        try expectCalm(storm, welcomedWithin: 30_000)
    }

    /// The hub has gone and is back; nobody has a desk in its memory, every line is new, and most agents try again
    /// within the same seconds.
    @Test func aHubThatRestartsIsNotOverrunByItsChain() throws {
        let storm = try Storm(stores: Self.stores, seed: 2)
        storm.startAll(within: 20_000)
        storm.run(milliseconds: 40_000)
        #expect(storm.applied.count == Self.stores)
        try storm.restartHub(reconnectingWithin: 1_500)
        storm.run(milliseconds: 50_000)
        try expectCalm(storm, welcomedWithin: 30_000)
    }

    @Test func anAnnouncementDoesNotMakeAllStoresFetchAtOnce() throws {
        let storm = try Storm(stores: Self.stores, seed: 3)
        storm.offerAtStart = false
        storm.startAll(within: 20_000)
        storm.run(milliseconds: 40_000)
        storm.offerToAll()
        let begun = storm.now
        storm.run(milliseconds: 30_000)
        #expect(storm.applied.count == Self.stores)
        // Spread over as many milliseconds as there are stores: no second sees more than about a fifth of them.
        let starts = storm.grantsBySecond.filter { $0.key >= begun / 1000 }
        #expect(starts.values.max() ?? 0 <= Self.stores / 3)
    }

    private func expectCalm(_ storm: Storm, welcomedWithin milliseconds: Int64) throws {
        #expect(storm.welcomedAt.count == Self.stores, "all are welcomed")
        let last = try #require(storm.welcomedAt.values.max())
        #expect(last - storm.calamityAt <= milliseconds, "the last after \(last - storm.calamityAt) ms")
        // What one second lets in, and what was saved up for it.
        #expect(storm.hellosBySecond.values.max() ?? 0 <= Int(2 * storm.rate))
        #expect(storm.waitingMax <= Self.stores)
        #expect(storm.applied.count == Self.stores)
        #expect(storm.chunksSent.values.allSatisfy { $0 == Storm.chunks }, "each package is fetched once")
        #expect(storm.chunksSent.count == Self.stores)
    }

    // MARK: the parts

    @Test func theAdmissionLetsInItsRateAndKeepsTheOrder() throws {
        var admission = HelloAdmission<Int>()
        let stores = (0..<2_000).compactMap { StoreID("S\($0)") }
        var now = Timestamp(milliseconds: 0)
        var taken = stores.indices.filter {
            admission.admit($0, of: stores[$0], isKeepable: true, now: now) == .takeNow
        }
        #expect(taken == Array(0..<500))
        // A store that says it again keeps its place, with what it said last.
        #expect(admission.admit(9_000, of: stores[600], isKeepable: true, now: now) == .later)
        #expect(admission.waitingCount == 1_500)
        for _ in 0..<3 {
            now = now + 1000
            let due = admission.due(now: now)
            #expect(due.count == 500)
            taken += due
        }
        #expect(taken == Array(0..<600) + [9_000] + Array(601..<2_000))
        #expect(admission.waitingCount == 0 && admission.due(now: now).isEmpty)
    }

    @Test func whoComesWhenAllPlacesAreTakenIsToldWhenToAskAgain() throws {
        var admission = HelloAdmission<Int>()
        let now = Timestamp(milliseconds: 0)
        for number in 0..<(HelloLimits.waitingMax + 500) {
            let store = try #require(StoreID("S\(number)"))
            _ = admission.admit(number, of: store, isKeepable: true, now: now)
        }
        #expect(admission.waitingCount == HelloLimits.waitingMax)
        let late = try #require(StoreID("LATE"))
        #expect(admission.admit(0, of: late, isKeepable: true, now: now) == .askAgain(40_002))
        #expect(admission.waitingCount == HelloLimits.waitingMax)
    }

    @Test func aHelloTooLargeToBeKeptIsToldToComeAgain() throws {
        var admission = HelloAdmission<Int>()
        let now = Timestamp(milliseconds: 0)
        for number in 0..<500 {
            let store = try #require(StoreID("S\(number)"))
            #expect(admission.admit(number, of: store, isKeepable: false, now: now) == .takeNow)
        }
        let late = try #require(StoreID("LATE"))
        #expect(admission.admit(0, of: late, isKeepable: false, now: now) == .askAgain(1_000))
        #expect(admission.waitingCount == 0)
    }

    @Test func noMoreThanASecondsWorthIsSavedUp() throws {
        var admission = HelloAdmission<Int>()
        let store = try #require(StoreID("S"))
        _ = admission.admit(0, of: store, isKeepable: true, now: Timestamp(milliseconds: 0))
        let later = Timestamp(milliseconds: 3_600_000)
        let taken = (0..<2_000).count {
            admission.admit($0, of: store, isKeepable: true, now: later) == .takeNow
        }
        #expect(taken == 500)
    }
}
