import Testing
import WaybillHub
import WaybillModel
import WaybillSessions

/// Suspended deliveries, and tries anew.
@Suite struct DeskRetryTests {
    private func suspended(tries: Int = 3) throws -> (DeskAtWork, Delivery) {
        var delivery = Sample.delivery(1)
        delivery.tryCount = tries
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        _ = work.request(delivery)
        for attempt in 1...tries {
            _ = work.report(delivery, .applyFailed, attempt: attempt, message: "no such column")
        }
        return (work, try #require(work.delivery(delivery.session)))
    }

    @Test(arguments: [1, 2, 5])
    func asManyFailuresAsTheJobAllowsSuspendADelivery(tries: Int) throws {
        var (work, delivery) = try suspended(tries: tries)
        #expect(delivery.status == .suspended)
        #expect(work.hello().offered == [])
        #expect(work.request(delivery, attempt: tries + 1).granted == [])
        #expect(delivery.message.hasSuffix("when the cause is gone: waybill session retry 1 --store S1)"))
    }

    @Test func withoutALimitADeliveryIsTriedForEver() throws {
        var delivery = Sample.delivery(1)
        delivery.tryCount = 0
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        for attempt in 1...50 { _ = work.report(delivery, .downloadFailed, attempt: attempt) }
        #expect(work.delivery(delivery.session)?.status == .downloadFailed)
        #expect(work.hello().welcome?.offers.map(\.attempt) == [51])
    }

    @Test func aRetryGoesOnWithTheSameRunAndPackage() throws {
        var (work, delivery) = try suspended()
        let effects = work.step(.retry(delivery))
        #expect(effects.retryAnswers == [nil])
        let offer = try #require(effects.welcome?.offers.first)
        #expect(offer.session == delivery.session)
        #expect(offer.run == 1)
        #expect(offer.attempt == 4)
        #expect(work.request(delivery, attempt: 4).granted == [try #require(delivery.package).id])
        #expect(work.report(delivery, .applied, attempt: 4).saved.last?.status == .applied)
    }

    @Test func aRetryHasAsManyTriesAsTheFirstTime() throws {
        var (work, delivery) = try suspended(tries: 2)
        _ = work.step(.retry(delivery))
        _ = work.report(delivery, .applyFailed, attempt: 3)
        #expect(work.delivery(delivery.session)?.status == .applyFailed)
        _ = work.report(delivery, .applyFailed, attempt: 4)
        #expect(work.delivery(delivery.session)?.status == .suspended)
        #expect(work.step(.retry(delivery)).retryAnswers == [nil])
    }

    /// A report that was on its way when somebody asked for the retry says nothing new.
    @Test func aLateReportOfAnAttemptBeforeTheRetryDoesNotCount() throws {
        var (work, delivery) = try suspended(tries: 1)
        _ = work.step(.retry(delivery))
        _ = work.report(delivery, .applyFailed, attempt: 1, message: "again")
        #expect(work.delivery(delivery.session)?.status == .applyFailed)
    }

    @Test func onlyWhatIsSuspendedIsRetried() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        #expect(work.step(.retry(delivery)).retryAnswers == ["it is Available and on its way already"])
        _ = work.hello()
        _ = work.report(delivery, .downloadFailed, attempt: 1)
        #expect(work.step(.retry(delivery)).retryAnswers == ["it is DownloadFailed and tried again by itself"])
        _ = work.report(delivery, .applied, attempt: 2)
        var applied = delivery
        applied.fold(Sample.report(delivery, .applied))
        let answers = work.step(.retry(applied)).retryAnswers
        #expect(answers == ["it is Applied, not Suspended; rerun the session or publish instead"])
    }

    @Test func whatWasCanceledMeanwhileIsNotRetried() throws {
        var (work, delivery) = try suspended()
        _ = work.step(.cancel(delivery, reason: ""))
        #expect(work.step(.retry(delivery)).retryAnswers == ["the store has not answered the cancel yet"])
    }

    @Test func aSuspendedDeliveryIsSupersededAndThenNotRetried() throws {
        var (work, delivery) = try suspended()
        #expect(work.step(.offered(Sample.delivery(2))).offered == [Sample.session(2)])
        delivery.supersededBy = Sample.session(2)
        #expect(
            work.step(.retry(delivery)).retryAnswers
                == ["it is Superseded, not Suspended; rerun the session or publish instead"])
    }
}
