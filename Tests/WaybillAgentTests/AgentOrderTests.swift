import Testing
import WaybillAgent
import WaybillModel
import WaybillWire

/// Jobs that follow others, and deliveries that wait for their window.
@Suite struct AgentOrderTests {
    private static let assortments = JobID("assortments")!

    private static func offer(
        _ number: Int64, _ job: JobID, attempt: Int = 1, follows: [JobID] = []
    ) -> HubLetter.Offer {
        HubLetter.Offer(
            session: AgentAtWork.session(number), run: 1, job: job, bytes: 300, attempt: attempt, follows: follows)
    }

    private static func connected(_ offers: [HubLetter.Offer]) -> AgentAtWork {
        var work = AgentAtWork()
        work.step(.connected)
        work.welcome(offers)
        return work
    }

    @Test func theJobThatComesBeforeIsTakenFirst() {
        let work = Self.connected([
            Self.offer(1, AgentAtWork.prices, follows: [Self.assortments]), Self.offer(2, Self.assortments),
        ])
        #expect(work.core.task?.offer.session == AgentAtWork.session(2))
    }

    @Test func theOneThatFollowsComesWhenTheFirstIsApplied() throws {
        var work = Self.connected([
            Self.offer(1, AgentAtWork.prices, follows: [Self.assortments]), Self.offer(2, Self.assortments),
        ])
        try work.grant(AgentAtWork.manifest(2, job: Self.assortments))
        var stored = work.stored
        stored.watermarks[Self.assortments] = AgentAtWork.mark(2)
        work.step(.applied(AgentCore.RunName(AgentAtWork.session(2), 1), stored))
        #expect(work.core.task?.offer.session == AgentAtWork.session(1))
    }

    @Test func whileTheFirstWaitsForItsNextAttemptTheOneThatFollowsWaitsToo() throws {
        var work = Self.connected([Self.offer(2, Self.assortments)])
        try work.grant(AgentAtWork.manifest(2, job: Self.assortments))
        work.step(
            .failed(AgentAtWork.manifest(2).id, AgentFault(stage: .download, message: "no space", isTransient: true)))
        let later = Self.offer(1, AgentAtWork.prices, follows: [Self.assortments])
        work.welcome([later, Self.offer(2, Self.assortments, attempt: 2)])
        #expect(work.core.task == nil)
        // What fails again and again does not hold others back for ever.
        work.welcome([later, Self.offer(2, Self.assortments, attempt: 4)])
        #expect(work.core.task?.offer.session == AgentAtWork.session(1))
    }

    @Test func whatIsNotOnOfferHoldsNothingBack() {
        let work = Self.connected([Self.offer(1, AgentAtWork.prices, follows: [Self.assortments])])
        #expect(work.core.task?.offer.session == AgentAtWork.session(1))
    }

    @Test func aCircleIsBrokenByTheHubsOrder() {
        let work = Self.connected([
            Self.offer(1, AgentAtWork.prices, follows: [Self.assortments]),
            Self.offer(2, Self.assortments, follows: [AgentAtWork.prices]),
        ])
        #expect(work.core.task?.offer.session == AgentAtWork.session(1))
    }

    @Test func aJobThatFollowsItselfIsNotHeldBack() {
        let work = Self.connected([Self.offer(1, AgentAtWork.prices, follows: [AgentAtWork.prices])])
        #expect(work.core.task != nil)
    }

    // MARK: windows

    @Test(arguments: [Stage.requesting, .opening, .fetching, .unpacking])
    func aWindowThatClosesKeepsWhatIsStored(stage: Stage) throws {
        var work = AgentAtWork()
        try stage.reach(&work)
        let held = HubLetter.Held(session: AgentAtWork.session(1), run: 1, job: AgentAtWork.prices)
        let effects = work.welcome(held: [held])
        #expect(work.core.task == nil)
        #expect(!effects.contains { if case .discard = $0 { true } else { false } })
    }

    @Test func anApplyUnderWayGoesOnWhenItsWindowCloses() throws {
        var work = AgentAtWork()
        try Stage.applying.reach(&work)
        let held = HubLetter.Held(session: AgentAtWork.session(1), run: 1, job: AgentAtWork.prices)
        work.welcome(held: [held])
        #expect(work.core.task?.phase == .applying)
    }

    @Test func aHelloTellsHowFarTheStoresClockIsFromUTC() {
        var work = AgentAtWork()
        work.step(.tick(Surroundings(freeBytes: 1, isDownloadWindowOpen: true, utcOffsetMinutes: -210)))
        let hellos = work.step(.connected).compactMap { effect -> AgentLetter.Hello? in
            if case .send(let letter) = effect, case .hello(let hello) = letter.body { hello } else { nil }
        }
        #expect(hellos.map(\.utcOffsetMinutes) == [-210])
    }
}
