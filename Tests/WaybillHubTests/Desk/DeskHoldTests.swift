import Testing
import WaybillHub
import WaybillJobs
import WaybillModel
import WaybillSessions
import WaybillWire

/// Windows, and jobs that follow others.
@Suite struct DeskHoldTests {
    /// 2026-11-21 was a Saturday; noon in UTC.
    private static let noon = Timestamp(milliseconds: 1_795_262_400_000)
    private static let hour: Int64 = 3_600_000

    /// Open from 20:00 to 06:00.
    private static func nights(_ clock: DeliveryWindow.Clock) -> [JobID: DeliveryRules] {
        let window = DayWindow(from: .init(hour: 20, minute: 0), to: .init(hour: 6, minute: 0))
        return [Sample.prices: DeliveryRules(window: DeliveryWindow(window: window, clock: clock))]
    }

    private static func work(
        _ rules: [JobID: DeliveryRules], _ deliveries: Delivery...
    ) throws -> DeskAtWork {
        var work = try DeskAtWork(deliveries: deliveries, rules: rules)
        work.now = noon
        return work
    }

    // MARK: windows

    @Test func outsideOfItsWindowASessionIsNeitherOfferedNorGranted() throws {
        let delivery = Sample.delivery(1)
        var work = try Self.work(Self.nights(.hub), delivery)
        let effects = work.hello()
        #expect(effects.offered == [])
        #expect(effects.welcome?.held == [HubLetter.Held(session: delivery.session, run: 1, job: delivery.job)])
        #expect(work.delivery(delivery.session)?.message == "waits for its window, from 20:00 hub time")
        let refusal = work.request(delivery)
        #expect(refusal.granted == [])
        #expect(refusal.notGranted == ["the session waits for its window, from 20:00 hub time"])
        work.now = Self.noon + 8 * Self.hour
        let evening = work.hello()
        #expect(evening.offered == [delivery.session])
        #expect(evening.welcome?.held == [])
        #expect(work.delivery(delivery.session)?.message == "")
        #expect(work.request(delivery).granted.count == 1)
        work.now = Self.noon + 18 * Self.hour
        #expect(work.hello().offered == [])
    }

    @Test func theStoresClockCountsWhereTheJobSaysSo() throws {
        let delivery = Sample.delivery(1)
        var work = try Self.work(Self.nights(.store), delivery)
        work.utcOffsetMinutes = 9 * 60
        #expect(work.hello().offered == [delivery.session])
        work.utcOffsetMinutes = -5 * 60
        #expect(work.hello().offered == [])
        #expect(work.delivery(delivery.session)?.message == "waits for its window, from 20:00 store time")
    }

    @Test func aStoreThatTellsNoClockGoesByTheHubs() throws {
        let delivery = Sample.delivery(1)
        var work = try Self.work(Self.nights(.store), delivery)
        #expect(work.hello().offered == [])
        #expect(work.delivery(delivery.session)?.message == "waits for its window, from 20:00 hub time")
        work.desk.hubUTCOffsetMinutes = 9 * 60
        #expect(work.hello().offered == [delivery.session])
    }

    @Test func aStoreThatIsAwayShowsTheWindowToo() throws {
        var work = try Self.work(Self.nights(.hub))
        let effects = work.step(.offered(Sample.delivery(1)))
        #expect(effects.saved.map(\.message) == ["waits for its window, from 20:00 hub time"])
        #expect(effects.saved.map(\.status) == [.available])
    }

    @Test func whatIsWantedNowDoesNotWait() throws {
        var delivery = Sample.delivery(1)
        delivery.ignoresWindow = true
        var work = try Self.work(Self.nights(.hub), delivery)
        #expect(work.hello().offered == [delivery.session])
        #expect(work.request(delivery).granted.count == 1)
    }

    @Test func aCancelDoesNotWait() throws {
        let delivery = Sample.delivery(1)
        var work = try Self.work(Self.nights(.hub), delivery)
        work.now = Self.noon + 9 * Self.hour
        _ = work.hello()
        _ = work.request(delivery)
        work.now = Self.noon + 24 * Self.hour
        #expect(work.step(.cancel(delivery, reason: "")).cancelOrders == [delivery.session])
        let effects = work.hello()
        #expect(effects.welcome?.cancels.map(\.session) == [delivery.session])
        #expect(effects.welcome?.held == [])
    }

    @Test func whileItWaitsANewerSessionTakesItsPlace() throws {
        let delivery = Sample.delivery(1)
        var work = try Self.work(Self.nights(.hub), delivery)
        _ = work.hello()
        #expect(
            work.step(.offered(Sample.delivery(2))).saved.first { $0.session == delivery.session }?.status
                == .superseded)
        work.now = Self.noon + 9 * Self.hour
        #expect(work.hello().offered == [Sample.session(2)])
    }

    // MARK: order

    private static let order = [Sample.prices: DeliveryRules(follows: [Sample.assortments])]

    @Test func anOfferSaysWhatItFollowsAndComesAfterIt() throws {
        let prices = Sample.delivery(1)
        let assortments = Sample.delivery(2, job: Sample.assortments)
        var work = try Self.work(Self.order, prices, assortments)
        let offers = try #require(work.hello().welcome).offers
        #expect(offers.map(\.session) == [assortments.session, prices.session])
        #expect(offers.map(\.follows) == [[], [Sample.assortments]])
    }

    @Test func whatFollowsWaitsWhileThePackageBeforeItIsMade() throws {
        let prices = Sample.delivery(1)
        let assortments = Sample.delivery(2, over: [Sample.mark(9)], job: Sample.assortments)
        var work = try Self.work(Self.order, prices, assortments)
        let effects = work.hello()
        #expect(effects.prepared == [assortments.session])
        #expect(effects.offered == [])
        let made = work.step(.prepared(assortments.session, .package(Sample.package(7))))
        #expect(made.offered == [assortments.session, prices.session])
    }

    @Test func aPackageThatTurnsOutNotToBeNeededLetsTheNextPass() throws {
        let prices = Sample.delivery(1)
        let assortments = Sample.delivery(2, over: [Sample.mark(9)], job: Sample.assortments)
        var work = try Self.work(Self.order, prices, assortments)
        _ = work.hello()
        #expect(work.step(.prepared(assortments.session, .covered("all of it"))).offered == [prices.session])
    }

    @Test func aPackageThatCannotBeMadeHoldsNothingBack() throws {
        let prices = Sample.delivery(1)
        let assortments = Sample.delivery(2, over: [Sample.mark(9)], job: Sample.assortments)
        var work = try Self.work(Self.order, prices, assortments)
        _ = work.hello()
        #expect(work.step(.prepared(assortments.session, .failed("disk full"))).letters == [])
        #expect(work.hello().offered == [prices.session])
    }

    @Test func whatIsSuspendedOrCalledOffHoldsNothingBack() throws {
        let prices = Sample.delivery(1)
        let assortments = Sample.delivery(2, job: Sample.assortments)
        var work = try Self.work(Self.order, prices, assortments)
        _ = work.hello()
        for attempt in 1...3 { _ = work.report(assortments, .applyFailed, attempt: attempt) }
        #expect(work.hello().offered == [prices.session])
        var other = try Self.work(Self.order, prices, assortments)
        _ = other.step(.cancel(assortments, reason: ""))
        #expect(other.hello().offered == [prices.session])
    }

    @Test func whatWaitsForAFailingOneSaysSo() throws {
        let prices = Sample.delivery(1)
        let assortments = Sample.delivery(2, job: Sample.assortments)
        var work = try Self.work(Self.order, prices, assortments)
        _ = work.hello()
        #expect(work.delivery(prices.session)?.message == "")
        _ = work.report(assortments, .downloadFailed, isTransient: true)
        _ = work.hello()
        #expect(
            work.delivery(prices.session)?.message == "comes after session \(assortments.session) of job assortments")
        _ = work.report(assortments, .applied, attempt: 2)
        _ = work.hello([Sample.assortments: Sample.mark(2)], sequence: 9)
        #expect(work.delivery(prices.session)?.message == "")
    }
}
