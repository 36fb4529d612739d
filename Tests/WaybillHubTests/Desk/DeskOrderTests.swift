import Testing
import WaybillHub
import WaybillModel
import WaybillSessions

/// Cancels and reruns.
@Suite struct DeskOrderTests {
    // MARK: cancel

    @Test func whatWasNotGrantedIsRevokedAtOnce() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        let effects = work.step(.cancel(delivery, reason: "wrong prices"))
        #expect(effects.cancelAnswers == [.revoked])
        #expect(effects.cancelOrders == [])
        #expect(effects.saved.map(\.status) == [.canceled])
        #expect(effects.saved.map(\.message) == ["revoked, never applied: wrong prices"])
        #expect(work.request(delivery).granted == [])
    }

    @Test func whatWasGrantedIsForTheStoreToAnswer() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        _ = work.request(delivery)
        let effects = work.step(.cancel(delivery, reason: ""))
        #expect(effects.cancelAnswers == [.waiting])
        #expect(effects.cancelOrders == [delivery.session])
        #expect(effects.saved.map(\.status) == [.requested])
        #expect(work.request(delivery).granted == [])
        #expect(work.hello().welcome?.cancels.map(\.session) == [delivery.session])
    }

    @Test func aStoreThatIsAwayIsAskedAtItsNextHello() throws {
        var delivery = Sample.delivery(1)
        delivery.isGranted = true
        var work = try DeskAtWork(deliveries: [delivery])
        let effects = work.step(.cancel(delivery, reason: ""))
        #expect(effects.cancelAnswers == [.waiting])
        #expect(effects.letters == [])
        #expect(work.hello().welcome?.cancels.map(\.session) == [delivery.session])
    }

    @Test func thePromiseOfTheStoreEndsTheCancel() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        _ = work.request(delivery)
        _ = work.step(.cancel(delivery, reason: ""))
        #expect(work.report(delivery, .canceled).saved.map(\.status) == [.canceled])
        #expect(work.hello().welcome?.cancels == [])
        #expect(work.desk.deliveries.isEmpty)
    }

    @Test func aCancelThatCameTooLateShowsWhenItWasApplied() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        _ = work.request(delivery)
        _ = work.step(.cancel(delivery, reason: ""))
        let applied = try #require(work.report(delivery, .applied).saved.first)
        #expect(applied.status == .applied)
        #expect(applied.message == "cancelled too late: already applied")
        #expect(
            work.step(.cancel(applied, reason: "")).cancelAnswers == [.tooLate(Timestamp(milliseconds: 501))])
    }

    @Test func aFailureDoesNotAnswerACancel() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        _ = work.request(delivery)
        _ = work.step(.cancel(delivery, reason: ""))
        _ = work.report(delivery, .applyFailed)
        #expect(work.hello().welcome?.cancels.map(\.session) == [delivery.session])
    }

    @Test func aSupersededSessionThatWasGrantedIsForTheStoreToAnswerToo() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        _ = work.request(delivery)
        let superseded = try #require(work.step(.offered(Sample.delivery(2))).saved.last)
        let effects = work.step(.cancel(superseded, reason: ""))
        #expect(effects.cancelAnswers == [.waiting])
        #expect(effects.cancelOrders == [delivery.session])
    }

    @Test func thereIsNothingToCallOffWhereThereIsNoData() throws {
        var work = try DeskAtWork()
        var nothing = Sample.delivery(1)
        nothing.isNoData = true
        #expect(work.step(.cancel(nothing, reason: "")).cancelAnswers == [.nothing(.noData)])
    }

    // MARK: rerun

    @Test func aRerunIsOfferedAsTheNextRunFromWhereTheStoreStands() throws {
        var canceled = Sample.delivery(5, over: [Sample.mark(4)])
        _ = canceled.cancel(reason: "", at: Timestamp(milliseconds: 1))
        var work = try DeskAtWork(positions: [Sample.prices: Sample.mark(4)])
        _ = work.hello([Sample.prices: Sample.mark(4)])
        let effects = work.step(.rerun(canceled))
        #expect(effects.rerunAnswers == [nil])
        #expect(effects.saved.map(\.run) == [2])
        #expect(effects.saved.map(\.status) == [.available])
        #expect(effects.contains(.prepare(canceled.session, base: Sample.mark(4), isRepair: false)))
        let made = work.step(.prepared(canceled.session, .package(Sample.package(9, over: [Sample.mark(4)]))))
        #expect(made.welcome?.offers.map(\.run) == [2])
    }

    @Test func aRerunOfWhatTheStoreHasIsARepair() throws {
        var applied = Sample.delivery(5, over: [Sample.mark(4)])
        applied.fold(Sample.report(applied, .applied))
        var work = try DeskAtWork(positions: [Sample.prices: Sample.mark(5)])
        _ = work.hello([Sample.prices: Sample.mark(5)])
        let effects = work.step(.rerun(applied))
        #expect(effects.contains(.prepare(applied.session, base: Sample.mark(5), isRepair: true)))
        #expect(work.step(.prepared(applied.session, .package(Sample.package(9)))).offered == [applied.session])
    }

    @Test func aRerunForAStoreThatIsAwayIsPreparedOnce() throws {
        var canceled = Sample.delivery(5)
        _ = canceled.cancel(reason: "", at: Timestamp(milliseconds: 1))
        var work = try DeskAtWork()
        #expect(work.step(.rerun(canceled)).prepared == [canceled.session])
        #expect(work.hello().prepared == [])
    }

    @Test func aSuspendedDeliveryIsTriedAgainWithAFreshCount() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        for attempt in 1...Limits.tryCount { _ = work.report(delivery, .applyFailed, attempt: attempt) }
        #expect(work.step(.rerun(delivery)).rerunAnswers == [nil])
        let offer = work.step(.prepared(delivery.session, .package(Sample.package(1)))).welcome?.offers.first
        #expect(offer?.run == 2)
        #expect(offer?.attempt == 1)
    }

    @Test func whatIsOnItsWayIsNotRerun() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        let effects = work.step(.rerun(delivery))
        #expect(effects == [.answerRerun(refusal: "it is Available and on its way already")])
    }

    @Test func aRerunWaitsForTheAnswerToACancel() throws {
        var delivery = Sample.delivery(1)
        delivery.isGranted = true
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.step(.cancel(delivery, reason: ""))
        #expect(
            work.step(.rerun(delivery)).rerunAnswers == ["the store has not answered the cancel yet"])
    }

    @Test func aRerunNeverTakesAStoreBack() throws {
        var old = Sample.delivery(3)
        _ = old.cancel(reason: "", at: Timestamp(milliseconds: 1))
        var newerOnItsWay = try DeskAtWork(deliveries: [Sample.delivery(4)])
        #expect(newerOnItsWay.step(.rerun(old)).rerunAnswers.first??.contains("is on its way") == true)
        var newerAsked = Sample.delivery(4)
        newerAsked.isGranted = true
        _ = newerAsked.cancel(reason: "", at: Timestamp(milliseconds: 1))
        var newerUnanswered = try DeskAtWork(deliveries: [newerAsked])
        #expect(newerUnanswered.step(.rerun(old)).rerunAnswers.first??.contains("has not answered") == true)
        var newerApplied = try DeskAtWork(positions: [Sample.prices: Sample.mark(4)])
        #expect(newerApplied.step(.rerun(old)).rerunAnswers.first??.contains("publish instead") == true)
        var elsewhere = try DeskAtWork(
            positions: [Sample.assortments: Sample.mark(4)], deliveries: [Sample.delivery(6, job: Sample.assortments)])
        #expect(elsewhere.step(.rerun(old)).rerunAnswers == [nil])
    }
}
