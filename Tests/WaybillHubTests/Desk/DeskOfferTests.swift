import Testing
import WaybillHub
import WaybillModel
import WaybillSessions

/// What a store is offered when it says hello, and when something new is there for it.
@Suite struct DeskOfferTests {
    @Test func aHelloIsAnsweredByThisHubsWelcome() throws {
        var work = try DeskAtWork()
        let welcome = try #require(work.hello().welcome)
        #expect(welcome.hubRun == 77)
        #expect(welcome.helloSeconds == 30)
        #expect(welcome.hubTime == work.now)
        #expect(welcome.offers.isEmpty)
        #expect(welcome.cancels.isEmpty)
    }

    @Test func theNewestSessionOfEachJobIsOfferedOldestSessionFirst() throws {
        let deliveries = [
            Sample.delivery(1), Sample.delivery(3), Sample.delivery(2, job: Sample.assortments),
        ]
        var work = try DeskAtWork(deliveries: deliveries)
        #expect(work.hello().offered == [Sample.session(2), Sample.session(3)])
    }

    @Test func anOfferNamesSizeRunAndAttempt() throws {
        var delivery = Sample.delivery(1)
        delivery.run = 2
        var work = try DeskAtWork(deliveries: [delivery])
        let offer = try #require(work.hello().welcome?.offers.first)
        #expect(offer.bytes == 1000)
        #expect(offer.run == 2)
        #expect(offer.attempt == 1)
        _ = work.report(delivery, .downloadFailed, message: "no line")
        #expect(work.hello().welcome?.offers.first?.attempt == 2)
    }

    @Test func aSessionThatTheStoreStandsAtIsNotOffered() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(4)])
        #expect(work.hello([Sample.prices: Sample.mark(4)]).offered == [])
        #expect(work.hello([Sample.prices: Sample.mark(3)], sequence: 1).offered == [Sample.session(4)])
    }

    @Test func aRerunIsOfferedToAStoreThatStandsAtTheSession() throws {
        var delivery = Sample.delivery(4)
        delivery.run = 2
        var work = try DeskAtWork(deliveries: [delivery])
        #expect(work.hello([Sample.prices: Sample.mark(4)]).offered == [Sample.session(4)])
    }

    @Test func anOverlookedSessionThatIsFinalOrCalledOffIsNotOffered() throws {
        var superseded = Sample.delivery(1)
        superseded.supersededBy = Sample.session(9)
        var canceled = Sample.delivery(2)
        _ = canceled.cancel(reason: "", at: Timestamp(milliseconds: 1))
        var asked = Sample.delivery(3)
        asked.isGranted = true
        _ = asked.cancel(reason: "", at: Timestamp(milliseconds: 1))
        var work = try DeskAtWork(deliveries: [superseded, canceled, asked])
        let effects = work.hello()
        #expect(effects.offered == [])
        #expect(effects.welcome?.cancels.map(\.session) == [Sample.session(3)])
    }

    @Test func aSuspendedDeliveryIsNotOfferedAnyMore() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        for attempt in 1...Limits.tryCount { _ = work.report(delivery, .applyFailed, attempt: attempt, message: "no") }
        #expect(work.delivery(delivery.session)?.status == .suspended)
        #expect(work.hello().offered == [])
    }

    @Test func failuresThatWaitingCanHealAreOfferedWithoutEnd() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        for attempt in 1...10 { _ = work.report(delivery, .downloadFailed, attempt: attempt, isTransient: true) }
        #expect(work.hello().welcome?.offers.map(\.attempt) == [11])
    }

    // MARK: packages that do not fit

    @Test func aPackageThatDoesNotFitIsAskedForOnce() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(5, over: [Sample.mark(4)])])
        let first = work.hello([Sample.prices: Sample.mark(2)])
        #expect(first.offered == [])
        #expect(first.contains(.prepare(Sample.session(5), base: Sample.mark(2), isRepair: false)))
        #expect(work.hello([Sample.prices: Sample.mark(2)]).prepared == [])
    }

    @Test func aStoreWithNothingGetsADeltaReplaced() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(5, over: [Sample.mark(4)])])
        #expect(work.hello().contains(.prepare(Sample.session(5), base: nil, isRepair: false)))
    }

    @Test func theNewPackageIsSavedAndOffered() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(5, over: [Sample.mark(4)])])
        _ = work.hello([Sample.prices: Sample.mark(2)])
        let package = Sample.package(99, over: [Sample.mark(2)])
        let effects = work.step(.prepared(Sample.session(5), .package(package)))
        #expect(effects.saved.map(\.package) == [package])
        #expect(effects.offered == [Sample.session(5)])
    }

    @Test func aPackageThatCameTooLateToFitIsAskedForAgain() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(5, over: [Sample.mark(4)])])
        _ = work.hello([Sample.prices: Sample.mark(2)])
        _ = work.hello([Sample.prices: Sample.mark(3)], sequence: 1)
        let effects = work.step(.prepared(Sample.session(5), .package(Sample.package(99, over: [Sample.mark(2)]))))
        #expect(effects.offered == [])
        #expect(effects.contains(.prepare(Sample.session(5), base: Sample.mark(3), isRepair: false)))
    }

    @Test func aStoreThatHasAllOfItAlreadyGetsNoData() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(5, over: [Sample.mark(4)])])
        _ = work.hello([Sample.prices: Sample.mark(2)])
        let effects = work.step(.prepared(Sample.session(5), .covered("the store has all of it already")))
        #expect(effects.saved.map(\.status) == [.noData])
        #expect(effects.saved.map(\.message) == ["the store has all of it already"])
        #expect(work.desk.deliveries.isEmpty)
    }

    @Test func aPackageThatCannotBeMadeIsShownAndAskedForAtTheNextHello() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(5, over: [Sample.mark(4)])])
        _ = work.hello([Sample.prices: Sample.mark(2)])
        let effects = work.step(.prepared(Sample.session(5), .failed("the disk is full")))
        #expect(effects.saved.map(\.message) == ["the disk is full"])
        #expect(effects.problems.count == 1)
        #expect(effects.prepared == [])
        #expect(work.hello([Sample.prices: Sample.mark(2)]).prepared == [Sample.session(5)])
    }

    @Test func aPackageForADeliveryThatWasCalledOffMeanwhileChangesNothing() throws {
        let delivery = Sample.delivery(5, over: [Sample.mark(4)])
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello([Sample.prices: Sample.mark(2)])
        _ = work.step(.cancel(delivery, reason: "wrong"))
        #expect(work.step(.prepared(delivery.session, .package(Sample.package(99)))) == [])
        #expect(work.step(.prepared(delivery.session, .covered("all of it"))) == [])
    }

    @Test func aFullPackageIsNotOfferedToAStoreThatIsFurtherOn() throws {
        let delivery = Sample.delivery(5)
        var work = try DeskAtWork(deliveries: [delivery])
        let effects = work.hello([Sample.prices: Sample.mark(6)])
        #expect(effects.offered == [])
        #expect(effects.contains(.prepare(delivery.session, base: Sample.mark(6), isRepair: false)))
        #expect(work.request(delivery).granted == [])
        #expect(work.step(.prepared(delivery.session, .covered("newer"))).saved.map(\.status) == [.noData])
    }

    @Test func aFullPackageMadeForAStoreOfAnotherHistoryIsOffered() throws {
        let delivery = Sample.delivery(5)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello([Sample.prices: Sample.mark(6)])
        let full = Sample.package(9)
        #expect(work.step(.prepared(delivery.session, .package(full))).offered == [delivery.session])
        #expect(work.request(delivery).granted == [full.id])
        _ = work.hello([Sample.prices: Sample.mark(7)], sequence: 1)
        #expect(work.request(delivery).granted == [])
    }

    // MARK: new sessions

    @Test func aNewSessionIsSavedAndOfferedToAStoreThatIsThere() throws {
        var work = try DeskAtWork()
        _ = work.hello()
        let effects = work.step(.offered(Sample.delivery(1)))
        #expect(effects.saved == [Sample.delivery(1)])
        #expect(effects.offered == [Sample.session(1)])
    }

    @Test func aNewSessionForAStoreThatIsAwayIsOnlySaved() throws {
        var work = try DeskAtWork()
        #expect(work.step(.offered(Sample.delivery(1))) == [.saveDelivery(Sample.delivery(1))])
        #expect(work.hello().offered == [Sample.session(1)])
    }

    @Test func aNewSessionTakesThePlaceOfOlderOnesOfItsJob() throws {
        let elsewhere = Sample.delivery(2, job: Sample.assortments)
        var work = try DeskAtWork(deliveries: [Sample.delivery(1), elsewhere, Sample.delivery(3)])
        _ = work.hello()
        let effects = work.step(.offered(Sample.delivery(4)))
        #expect(effects.saved.map(\.status) == [.available, .superseded, .superseded])
        #expect(effects.saved.dropFirst().map(\.session) == [Sample.session(1), Sample.session(3)])
        #expect(effects.saved.dropFirst().allSatisfy { $0.supersededBy == Sample.session(4) })
        #expect(effects.offered == [Sample.session(2), Sample.session(4)])
    }

    @Test func aSessionWithNothingForTheStoreTakesNoPlace() throws {
        var work = try DeskAtWork(deliveries: [Sample.delivery(1)])
        _ = work.hello()
        var nothing = Sample.delivery(2)
        nothing.isNoData = true
        let effects = work.step(.offered(nothing))
        #expect(effects == [.saveDelivery(nothing)])
        #expect(work.hello().offered == [Sample.session(1)])
    }

    @Test func aSessionThatWasSupersededWhileBeingAppliedShowsThatItWasApplied() throws {
        let older = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [older])
        _ = work.hello()
        _ = work.request(older)
        let superseded = try #require(work.step(.offered(Sample.delivery(2))).saved.last)
        let effects = work.report(older, .applied, known: [superseded])
        #expect(effects.saved.map(\.status) == [.applied])
    }
}
