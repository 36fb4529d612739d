import Testing
import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillWire

/// Who speaks, which life of it, and where it stands.
@Suite struct DeskIdentityTests {
    private let first = Incarnation(counter: 1, random: 11)
    private let second = Incarnation(counter: 2, random: 22)

    // MARK: who

    @Test func aStoreThatSpeaksForAnotherIsRefused() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        let effects = work.hear(.reports([Sample.report(delivery, .applied)]), store: Sample.other)
        #expect(effects.refusals == ["your key is that of store S1, not of S2"])
        #expect(effects.problems.count == 1)
        #expect(effects.saved == [])
        #expect(effects.acknowledged == [])
        #expect(work.desk.peer == nil)
    }

    @Test(arguments: [StoreState.retired, .pending])
    func aStoreThatIsNotActiveIsRefused(state: StoreState) throws {
        var work = try DeskAtWork(state: state, deliveries: [Sample.delivery(1)])
        let effects = work.hello()
        #expect(effects.refusals == ["store S1 is \(state.rawValue) at the hub"])
        #expect(effects.problems.count == 1)
        #expect(effects.welcome == nil)
        #expect(!work.desk.isOnline(at: work.now))
    }

    @Test func aStoreThatIsRetiredIsToldOnItsLineAndLosesItsLeave() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        _ = work.request(delivery)
        let effects = work.step(.recordChanged(try DeskAtWork.record(state: .retired)))
        #expect(effects.refusals == ["store S1 is retired at the hub"])
        #expect(work.desk.peer == nil)
        _ = work.step(.recordChanged(try DeskAtWork.record()))
        #expect(work.hear(.chunkRequest(package: Sample.package(1).id, index: 0)).chunks == [])
    }

    @Test func aNewMachineOfTheStoreBeginsWithNothing() throws {
        var work = try DeskAtWork(positions: [Sample.prices: Sample.mark(4)], deliveries: [Sample.delivery(5)])
        _ = work.hello([Sample.prices: Sample.mark(4)])
        _ = work.step(.recordChanged(try DeskAtWork.record(key: 8)))
        #expect(work.desk.positions == [:])
        #expect(work.desk.peer == nil)
        let effects = work.hello()
        #expect(effects.caughtUp == [])
        #expect(effects.offered == [Sample.session(5)])
    }

    @Test func aLineThatIsGoneIsNotAnsweredAndCountsAsOffline() throws {
        var work = try DeskAtWork()
        _ = work.hello()
        #expect(work.desk.isOnline(at: work.now))
        _ = work.step(.unreachable(routing: [9, 9, 9, 9, 9]))
        #expect(work.desk.isOnline(at: work.now))
        _ = work.step(.unreachable(routing: DeskAtWork.line))
        #expect(!work.desk.isOnline(at: work.now))
        #expect(work.step(.offered(Sample.delivery(1))).letters == [])
    }

    @Test func aStoreNotHeardForLongCountsAsOffline() throws {
        var work = try DeskAtWork()
        _ = work.hello()
        #expect(work.desk.isOnline(at: work.now + 89_999))
        #expect(!work.desk.isOnline(at: work.now + 90_000))
    }

    // MARK: which life

    @Test func aNewerLifeTakesOverAndItsChangesAreCountedAnew() throws {
        var work = try DeskAtWork()
        _ = work.hello([Sample.prices: Sample.mark(5)], sequence: 40)
        let effects = work.hello([Sample.prices: Sample.mark(6)], sequence: 0, as: second)
        #expect(effects.welcome != nil)
        #expect(work.desk.record.incarnation == second)
        #expect(work.desk.positions == [Sample.prices: Sample.mark(6)])
    }

    @Test func anOlderLifeMovesNothingAndIsToldOfTheNewer() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello(as: second)
        let effects = work.hear(.reports([Sample.report(delivery, .applied)]), as: first)
        #expect(effects.regressed == [2])
        #expect(effects.saved == [])
        #expect(effects.acknowledged == [])
        #expect(work.desk.record.incarnation == second)
    }

    @Test func theSameCounterWithOtherRandomBitsIsAnotherMachine() throws {
        var work = try DeskAtWork()
        _ = work.hello()
        #expect(work.hello(as: Incarnation(counter: 1, random: 12)).regressed == [1])
    }

    @Test func machinesThatAlternateAreNamedInTheStoresLine() throws {
        var work = try DeskAtWork()
        _ = work.hello(as: first)
        for turn in 0..<twinChanges {
            let late = Incarnation(counter: Int64(turn + 1), random: 500 + UInt64(turn))
            let effects = work.hello(as: late)
            #expect(effects.regressed.count == 1)
            let isLast = turn == twinChanges - 1
            #expect(effects.problems.isEmpty == !isLast)
            _ = work.hello(as: Incarnation(counter: Int64(turn + 2), random: 600 + UInt64(turn)))
        }
        #expect(work.desk.record.message == "two machines seem to speak as store S1: their incarnations alternate")
    }

    @Test func manyLettersOfOneOldLifeAreNotTwoMachines() throws {
        var work = try DeskAtWork()
        _ = work.hello(as: second)
        for _ in 0..<5 {
            let effects = work.hello(as: first)
            #expect(effects.regressed == [2])
            #expect(effects.problems == [])
        }
        #expect(work.desk.record.message == "")
    }

    @Test func changesOfHandsLongAgoAreForgotten() throws {
        var work = try DeskAtWork()
        for turn in 0..<6 {
            _ = work.hello(as: Incarnation(counter: Int64(turn + 1), random: 600))
            _ = work.hello(as: Incarnation(counter: Int64(turn + 1), random: 500 + UInt64(turn)))
            work.now = work.now + 6 * 60 * 1000
        }
        #expect(work.desk.record.message == "")
    }

    // MARK: where it stands

    @Test func aStoreThatFellBackIsCaughtUp() throws {
        var work = try DeskAtWork(positions: [Sample.prices: Sample.mark(5), Sample.assortments: Sample.mark(4)])
        let effects = work.hello([Sample.prices: Sample.mark(3), Sample.assortments: Sample.mark(4)])
        #expect(effects.caughtUp == [Sample.prices])
        #expect(effects.savedPositions == [[Sample.prices: Sample.mark(3), Sample.assortments: Sample.mark(4)]])
        #expect(effects.problems.count == 1)
    }

    @Test func aStoreThatLostAllIsCaughtUpInEachJob() throws {
        var work = try DeskAtWork(positions: [Sample.prices: Sample.mark(5), Sample.assortments: Sample.mark(4)])
        #expect(work.hello().caughtUp == [Sample.assortments, Sample.prices])
        #expect(work.hello().caughtUp == [])
    }

    @Test func aRestoredStoreThatTellsOfItsNextStepBeforeItsHelloIsCaughtUpToo() throws {
        var work = try DeskAtWork(positions: [Sample.prices: Sample.mark(5)])
        let report = Sample.report(Sample.delivery(3), .applied, id: 1, of: second)
        let effects = work.hear(.reports([report]), as: second, known: [Sample.delivery(3)])
        #expect(effects.caughtUp == [Sample.prices])
        #expect(effects.savedPositions == [[Sample.prices: Sample.mark(3)]])
        #expect(work.hello([Sample.prices: Sample.mark(3)], sequence: 1, as: second).caughtUp == [])
    }

    @Test func aStoreThatWentOnIsNotCaughtUp() throws {
        var work = try DeskAtWork(positions: [Sample.prices: Sample.mark(5)])
        let effects = work.hello([Sample.prices: Sample.mark(6), Sample.assortments: Sample.mark(1)])
        #expect(effects.caughtUp == [])
        #expect(effects.savedPositions.count == 1)
    }

    @Test func aStoreOfAnotherHistoryIsCaughtUpHoweverFarItsNumbersAre() throws {
        var work = try DeskAtWork(positions: [Sample.prices: Sample.mark(5)])
        let effects = work.hello([Sample.prices: Sample.mark(6)], ofAnotherHistory: true)
        #expect(effects.caughtUp == [Sample.prices])
        #expect(effects.problems.count == 1)
        #expect(work.hello([Sample.prices: Sample.mark(6)], ofAnotherHistory: true).caughtUp == [])
    }

    @Test func whatIsOnItsWayToAStoreOfAnotherHistoryIsTakenBack() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(4), Sample.delivery(5, job: Sample.assortments)])
        let effects = work.hello([Sample.prices: Sample.mark(9)], ofAnotherHistory: true)
        #expect(effects.caughtUp == [Sample.prices])
        #expect(effects.saved.map(\.status) == [.superseded])
        #expect(effects.offered == [Sample.session(5)])
    }

    @Test func aReportFromAnotherHistoryLeavesItToTheHelloToShowThat() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(4)])
        _ = work.hello()
        #expect(work.report(Sample.delivery(9), .applied).savedPositions == [])
        let effects = work.hello([Sample.prices: Sample.mark(9)], ofAnotherHistory: true)
        #expect(effects.caughtUp == [Sample.prices])
        #expect(effects.offered == [])
    }

    @Test func aWatermarkIsBelievedWhenNoReportComes() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(4)])
        #expect(work.hello([Sample.prices: Sample.mark(4)]).saved == [])
        let effects = work.hello([Sample.prices: Sample.mark(4)])
        #expect(effects.saved.map(\.status) == [.applied])
        #expect(effects.saved.first?.told.appliedAt == work.now)
    }

    @Test func aWatermarkSaysNothingOfALaterRun() throws {
        var delivery = Sample.delivery(4)
        delivery.run = 2
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello([Sample.prices: Sample.mark(4)])
        #expect(work.hello([Sample.prices: Sample.mark(4)]).saved == [])
    }

    @Test func anOvertakenHelloDoesNotMoveTheStoreBack() throws {
        var work = try DeskAtWork()
        _ = work.hello([Sample.prices: Sample.mark(5)], sequence: 8)
        let effects = work.hello([Sample.prices: Sample.mark(4)], sequence: 6)
        #expect(effects.caughtUp == [])
        #expect(effects.savedPositions == [])
        #expect(work.desk.positions == [Sample.prices: Sample.mark(5)])
        #expect(effects.welcome != nil)
    }

    @Test func contactIsSavedAtFirstAndThenNowAndThen() throws {
        func saves(_ effects: [DeskEffect]) -> Int {
            effects.count { if case .saveContact = $0 { true } else { false } }
        }
        var work = try DeskAtWork()
        #expect(saves(work.hello()) > 0)
        work.now = work.now + 60_000
        #expect(saves(work.hello()) == 0)
        #expect(work.desk.record.lastSeen == work.now)
        work.now = work.now + 4 * 60_000
        #expect(saves(work.hello()) == 1)
    }
}

/// Changes of hands that the desk takes for two machines; written out, so that a change of it is seen here.
private let twinChanges = 3
