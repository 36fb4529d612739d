import Testing
import WaybillAgent
import WaybillModel
import WaybillWire

/// When an agent says hello, and what it makes of a hub that is silent, new or refuses it.
@Suite struct AgentHelloTests {
    @Test func helloIsSaidOnConnecting() {
        var work = AgentAtWork(watermark: AgentAtWork.mark(2))
        #expect(work.tick().hellos.isEmpty)
        let hellos = work.step(.connected).hellos
        #expect(hellos.count == 1)
        #expect(hellos.first?.sequence == 3)
        #expect(hellos.first?.watermarks == [AgentAtWork.prices: AgentAtWork.mark(2)])
        #expect(work.tick().hellos.isEmpty)
    }

    @Test func helloIsSaidAgainWithinAFifthOfTheHubsInterval() {
        var waits: Set<Int64> = []
        for random in 0..<50 as Range<UInt64> {
            var work = AgentAtWork(random: random)
            work.step(.connected)
            work.welcome(helloSeconds: 10)
            // The next one was timed by the agent's own setting; from then on the hub's counts.
            while work.tick(after: 100).hellos.isEmpty {}
            let start = work.now
            work.welcome(helloSeconds: 10)
            while work.tick(after: 100).hellos.isEmpty {}
            let wait = work.now - start
            #expect(wait >= 8_000 && wait <= 12_100)
            waits.insert(wait)
        }
        #expect(waits.count > 10, "stores that started together stay together")
    }

    @Test func nothingIsSaidWithoutALine() {
        var work = AgentAtWork(outbox: [])
        work.reachRequesting()
        work.step(.disconnected)
        for _ in 0..<200 { #expect(work.tick(after: 1000).isEmpty) }
    }

    @Test func anAnnouncementBringsTheHelloForward() {
        var work = AgentAtWork()
        work.step(.connected)
        work.welcome()
        work.step(.announced(AgentAtWork.session(1), spreadMilliseconds: 2000))
        #expect(work.tick(after: 2000).hellos.count == 1)
    }

    @Test func announcementsSpreadTheStores() {
        var waits: Set<Int64> = []
        for random in 0..<50 as Range<UInt64> {
            var work = AgentAtWork(random: random)
            work.step(.connected)
            work.welcome()
            var wait: Int64 = 0
            if !work.step(.announced(AgentAtWork.session(1), spreadMilliseconds: 2000)).hellos.isEmpty { continue }
            while work.tick(after: 100).hellos.isEmpty { wait += 100 }
            waits.insert(wait)
        }
        #expect(waits.count > 10)
    }

    @Test func whatIsKnownAlreadyIsNotAskedFor() {
        var work = AgentAtWork(watermark: AgentAtWork.mark(2))
        work.reachRequesting(AgentAtWork.offer(3))
        for known in [2, 3] as [Int64] { work.step(.announced(AgentAtWork.session(known), spreadMilliseconds: 1)) }
        #expect(work.tick(after: 10).hellos.isEmpty)
    }

    /// The session it offers is superseded, and a grant of it may be on its way too: it would take the store back.
    @Test func aWelcomeThatWasOvertakenIsIgnored() {
        var work = AgentAtWork()
        work.step(.connected)
        let before = work.now
        work.tick(after: 100)
        work.welcome()
        #expect(work.welcome([AgentAtWork.offer(1)], at: before).isEmpty)
        #expect(work.core.task == nil)
        // Another process of the hub has a clock of its own.
        work.welcome([AgentAtWork.offer(2)], hubRun: 8, at: before)
        #expect(work.core.task?.offer.session == AgentAtWork.session(2))
    }

    @Test func aSilentHubIsConnectedAnew() {
        var work = AgentAtWork()
        work.step(.connected)
        work.welcome(helloSeconds: 10)
        #expect(!work.tick(after: 30_000).isReconnecting)
        #expect(work.tick(after: 1).isReconnecting)
        #expect(!work.tick(after: 1000).isReconnecting)
    }

    @Test func anyLetterEndsTheSilence() {
        var work = AgentAtWork()
        work.step(.connected)
        work.welcome(helloSeconds: 10)
        work.now = work.now + 25_000
        work.step(.letter(.acknowledgement([])))
        #expect(!work.tick(after: 10_000).isReconnecting)
    }

    @Test func aRefusedAgentStaysQuietForAWhile() {
        var work = AgentAtWork()
        work.step(.connected)
        work.welcome([AgentAtWork.offer(1)])
        work.step(.letter(.notGranted(session: AgentAtWork.session(1), run: 1, reason: "")))
        work.step(.letter(.refused(reason: "store S1 is retired at the hub")))
        for _ in 0..<29 { #expect(work.tick(after: 1000).hellos.isEmpty) }
        #expect(work.tick(after: 1000).hellos.count == 1)
    }

    @Test(arguments: Stage.allCases)
    func aRefusedAgentAsksForNothing(stage: Stage) throws {
        var work = AgentAtWork()
        try stage.reach(&work)
        work.step(.letter(.refused(reason: "store S1 is retired at the hub")))
        for _ in 0..<28 {
            let effects = work.tick(after: 1000)
            #expect(effects.requests.isEmpty)
            #expect(effects.chunkRequests.isEmpty)
        }
    }

    // MARK: lives

    @Test func anAgentOfAnOlderLifeBeginsANewOneAboveTheHubs() throws {
        var work = AgentAtWork()
        try work.reachFetching()
        let effects = work.step(.letter(.regressed(counter: 9)))
        #expect(effects.raised == [9])
        #expect(effects.hellos.isEmpty, "the old life has nothing more to say")
        #expect(work.core.task == nil)
        work.stored.incarnation = Incarnation(counter: 10, random: 5)
        work.stored.sequence = 0
        let hellos = work.step(.stored(work.stored))
        #expect(hellos.hellos.first?.sequence == 0)
        guard case .send(let letter)? = hellos.first(where: { if case .send = $0 { true } else { false } }) else {
            Issue.record("nothing was sent")
            return
        }
        #expect(letter.incarnation == work.stored.incarnation)
    }

    @Test func aLateWordOfAnOlderLifeIsIgnored() throws {
        var work = AgentAtWork()
        try work.reachFetching()
        #expect(work.step(.letter(.regressed(counter: 3))).raised.isEmpty)
        #expect(work.core.stage == .fetching)
    }

    @Test func theSameCounterIsAnotherMachineAndIsOutbid() {
        var work = AgentAtWork()
        work.step(.connected)
        #expect(work.step(.letter(.regressed(counter: 4))).raised == [4])
    }

    // MARK: reports

    @Test func reportsAreSentOnConnectingAndNotAgainAtOnce() {
        var work = AgentAtWork()
        work.stored.outbox = [work.report(1, .downloaded, id: 1), work.report(1, .applied, id: 2)]
        work.step(.stored(work.stored))
        #expect(work.step(.connected).reports == [[1, 2]])
        for _ in 0..<9 { #expect(work.tick(after: 1000).reports.isEmpty) }
        #expect(work.tick(after: 1000).reports == [[1, 2]])
    }

    @Test func aNewReportGoesOutAloneAndAtOnce() {
        var work = AgentAtWork()
        work.stored.outbox = [work.report(1, .downloaded, id: 1)]
        work.step(.stored(work.stored))
        work.step(.connected)
        work.stored.outbox.append(work.report(1, .applied, id: 2))
        #expect(work.step(.stored(work.stored)).reports == [[2]])
    }

    @Test func acknowledgedReportsAreForgottenAndNotRepeated() {
        var work = AgentAtWork()
        work.stored.outbox = [work.report(1, .downloaded, id: 1), work.report(1, .applied, id: 2)]
        work.step(.stored(work.stored))
        work.step(.connected)
        let names = [work.stored.outbox[0].name]
        #expect(work.step(.letter(.acknowledgement(names))).acknowledged == [1])
        work.stored.outbox.removeFirst()
        #expect(work.step(.stored(work.stored)).reports.isEmpty)
        #expect(work.tick(after: 10_000).reports == [[2]])
    }

    @Test func aNewLineGetsAllReportsAgain() {
        var work = AgentAtWork()
        work.stored.outbox = [work.report(1, .downloaded, id: 1)]
        work.step(.stored(work.stored))
        work.step(.connected)
        work.step(.disconnected)
        #expect(work.step(.connected).reports == [[1]])
    }
}
