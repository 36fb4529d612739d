import Testing
import WaybillJobs
import WaybillModel
import WaybillSessions
import WaybillWire

@testable import WaybillHub

/// What a desk notes of how far deliveries have come.
@Suite struct DeskStagesTests {
    private func stage(_ work: DeskAtWork, _ number: Int64) -> StageWatch.Entry? {
        work.desk.stages.entries[Sample.session(number)]
    }

    private func hello(_ work: inout DeskAtWork, _ activity: AgentActivity?, bytes: Int64? = nil) -> [DeskEffect] {
        let progress = bytes.map { AgentLetter.Progress(session: Sample.session(1), bytesDone: $0, bytesTotal: 1000) }
        return work.hear(
            .hello(
                AgentLetter.Hello(
                    agentVersion: "1.0", sequence: work.sequence, watermarks: [:], freeBytes: 1, progress: progress,
                    activity: activity)))
    }

    @Test func aDeliveryIsWatchedFromItsOfferToItsEnd() throws {
        var work = try DeskAtWork()
        _ = work.hello()
        let delivery = Sample.delivery(1)
        _ = work.step(.offered(delivery))
        #expect(stage(work, 1)?.stage == .request)
        work.now = work.now + 1000
        _ = work.request(delivery)
        #expect(stage(work, 1)?.stage == .download && stage(work, 1)?.since == work.now)
        work.now = work.now + 1000
        _ = work.report(delivery, .downloaded)
        #expect(stage(work, 1)?.stage == .apply)
        work.now = work.now + 1000
        _ = work.report(delivery, .applied)
        #expect(stage(work, 1) == nil)
        var desk = work.desk
        #expect(desk.stages.takeSamples().map(\.milliseconds) == [1000, 1000, 1000])
    }

    @Test func theTimeAwayIsNotCountedAgainstAnOffer() throws {
        var work = try DeskAtWork()
        _ = work.hello()
        _ = work.step(.offered(Sample.delivery(1)))
        work.now = work.now + 3_600_000
        _ = work.hello()
        #expect(stage(work, 1)?.since == work.now)
    }

    @Test func aClosedWindowIsNoStall() throws {
        let window = DayWindowSample.closed
        var work = try DeskAtWork(rules: [Sample.prices: DeliveryRules(window: window)])
        _ = work.hello()
        _ = work.step(.offered(Sample.delivery(1)))
        work.now = work.now + 80_000
        _ = work.hello()
        #expect(stage(work, 1)?.since == work.now)
    }

    @Test func progressInAHelloMovesTheDownloadAndItsAbsenceDoesNot() throws {
        var work = try DeskAtWork()
        _ = work.hello()
        let delivery = Sample.delivery(1)
        _ = work.step(.offered(delivery))
        _ = work.request(delivery)
        let begun = work.now
        work.now = work.now + 30_000
        _ = hello(&work, nil)
        #expect(stage(work, 1)?.since == begun)
        _ = hello(&work, AgentActivity(phase: .downloading, idleMilliseconds: 4000), bytes: 100)
        #expect(stage(work, 1)?.since == work.now + -4000)
        let moved = stage(work, 1)?.since
        work.now = work.now + 30_000
        _ = hello(&work, AgentActivity(phase: .downloading, idleMilliseconds: 34_000), bytes: 100)
        #expect(stage(work, 1)?.since == moved)
    }

    @Test func aHelloThatIsTurnedAwayMovesNothing() throws {
        var work = try DeskAtWork()
        _ = work.hello()
        let delivery = Sample.delivery(1)
        _ = work.step(.offered(delivery))
        _ = work.request(delivery)
        let begun = work.now
        work.now = work.now + 30_000
        work.incarnation = Incarnation(counter: 1, random: 99)
        _ = hello(&work, AgentActivity(phase: .downloading, idleMilliseconds: 0), bytes: 500)
        #expect(stage(work, 1)?.since == begun)
    }

    @Test func onlyALargeChainIsToldToSpread() throws {
        var work = try DeskAtWork()
        func pace(_ effects: [DeskEffect]) -> HubLetter.Pace? {
            for case .send(_, .welcome(let welcome)) in effects { return welcome.pace }
            return nil
        }
        work.desk.settings.startSpreadMilliseconds = 499
        #expect(pace(work.hello()) == nil)
        work.desk.settings.startSpreadMilliseconds = 5000
        #expect(pace(work.hello()) == HubLetter.Pace(startSpreadMilliseconds: 5000))
    }

    // MARK: the thread itself

    @Test func aThreadThatDoesNotComeRoundIsToldFromOneThatCannotWrite() {
        let pulse = WirePulse()
        let start = Timestamp(milliseconds: 1_000_000)
        #expect(pulse.fault(now: start) == nil, "it has not begun")
        pulse.turned(at: start)
        #expect(pulse.fault(now: start + 15_000) == nil)
        #expect(pulse.fault(now: start + 15_001)?.isHang == true)
        #expect(pulse.fault(now: start + 15_001)?.since == start)
        pulse.couldNotWrite("disk full", at: start + 20_000)
        pulse.couldNotWrite("disk full", at: start + 30_000)
        let fault = pulse.fault(now: start + 31_000)
        #expect(fault?.isHang == false && fault?.since == start + 20_000)
        #expect(fault?.message == "hub.db cannot be written: disk full")
        #expect(pulse.isUnwritable)
        pulse.wrote()
        #expect(pulse.fault(now: start + 31_000) == nil && !pulse.isUnwritable)
    }
}

private enum DayWindowSample {
    /// Tests' time stands at 00:16 UTC.
    static let closed = DeliveryWindow(
        window: DayWindow(from: .init(hour: 12, minute: 0), to: .init(hour: 13, minute: 0)), clock: .hub)
}
