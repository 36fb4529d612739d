import Testing
import WaybillAgent
import WaybillModel
import WaybillWire

/// What an agent says of itself, and how it spreads what all stores would else do at once.
@Suite struct AgentPaceTests {
    private func hello(_ work: inout AgentAtWork) throws -> AgentLetter.Hello {
        for _ in 0..<100 {
            if let hello = work.tick(after: 1000).hellos.first { return hello }
        }
        return try #require(nil as AgentLetter.Hello?)
    }

    private static let phases: [Stage: AgentActivity.Phase] = [
        .requesting: .requesting, .opening: .downloading, .fetching: .downloading, .unpacking: .unpacking,
        .applying: .applying,
    ]

    @Test(arguments: Stage.allCases)
    func aHelloTellsWhatTheAgentIsAtAndSinceWhen(stage: Stage) throws {
        var work = AgentAtWork()
        try stage.reach(&work)
        let begun = work.now
        let activity = try #require(try hello(&work).activity)
        #expect(activity.phase == Self.phases[stage])
        #expect(activity.idleMilliseconds == work.now - begun)
    }

    @Test func anIdleAgentSaysSoAndOneWhoseWindowIsClosedAlso() throws {
        var work = AgentAtWork()
        work.step(.connected)
        work.welcome()
        #expect(try hello(&work).activity?.phase == .idle)
        work.tick(windowOpen: false)
        work.welcome([AgentAtWork.offer(1)])
        var said: AgentLetter.Hello?
        while said == nil { said = work.tick(after: 1000, windowOpen: false).hellos.first }
        #expect(said?.activity?.phase == .waiting)
    }

    @Test func aChunkIsAStepForwardAndARepeatedRequestIsNone() throws {
        var work = AgentAtWork()
        try work.reachFetching()
        work.tick(after: 20_000)
        work.store(AgentAtWork.package(1), 0)
        let moved = work.now
        #expect(try hello(&work).activity?.idleMilliseconds == work.now - moved)
    }

    @Test func slicesOfAnApplyAreStepsForward() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        var said: AgentLetter.Hello?
        while said == nil {
            work.now = work.now + 1000
            said =
                work.step(
                    .tick(Surroundings(freeBytes: 1, isDownloadWindowOpen: true, workIdleMilliseconds: 300))
                ).hellos.first
        }
        #expect(said?.activity == AgentActivity(phase: .applying, idleMilliseconds: 300))
    }

    @Test func reportsThatNobodyThanksForAreTold() throws {
        var work = AgentAtWork()
        work.stored.outbox = [work.report(1, .applied, id: 1)]
        work.step(.stored(work.stored))
        work.step(.connected)
        work.welcome()
        let begun = work.now
        let activity = try #require(try hello(&work).activity)
        #expect(activity.phase == .reporting && activity.idleMilliseconds >= work.now - begun)
    }

    // MARK: pace

    @Test func aHubThatPutsOffIsAskedAgainLaterAndNothingElseChanges() throws {
        var waits: Set<Int64> = []
        for random in 0..<30 as Range<UInt64> {
            var work = AgentAtWork(random: random)
            try work.reachFetching()
            let effects = work.step(
                .letter(
                    .welcome(
                        HubLetter.Welcome(
                            hubRun: 99, hubTime: work.now, offers: [], cancels: [], helloSeconds: 30,
                            pace: HubLetter.Pace(retryAfterMilliseconds: 4000)))))
            #expect(effects.discarded.isEmpty && work.core.stage == .fetching)
            var wait: Int64 = 0
            while work.tick(after: 100).hellos.isEmpty { wait += 100 }
            #expect((3900...6100).contains(wait))
            waits.insert(wait)
        }
        #expect(waits.count > 5, "agents that were put off together come back together")
    }

    @Test func whatIsNewBeginsAtAMomentOfTheAgentsOwn() throws {
        var waits: Set<Int64> = []
        for random in 0..<30 as Range<UInt64> {
            var work = AgentAtWork(random: random)
            work.step(.connected)
            let welcome = AgentEvent.letter(
                .welcome(
                    HubLetter.Welcome(
                        hubRun: 7, hubTime: work.now, offers: [AgentAtWork.offer(1)], cancels: [], helloSeconds: 30,
                        pace: HubLetter.Pace(startSpreadMilliseconds: 5000))))
            work.step(welcome)
            var wait: Int64 = 0
            while work.core.task == nil, wait < 6000 {
                work.tick(after: 100)
                wait += 100
                // The same offer again does not put it off again.
                work.step(welcome)
            }
            #expect(wait <= 5000)
            waits.insert(wait)
        }
        #expect(waits.count > 10)
    }

    @Test func aLineThatComesBackIsGreetedAtAMomentOfTheAgentsOwn() throws {
        var waits: Set<Int64> = []
        for random in 0..<30 as Range<UInt64> {
            var work = AgentAtWork(random: random)
            #expect(work.step(.connected).hellos.count == 1, "a process that has just started speaks at once")
            work.welcome()
            work.step(.disconnected)
            var wait: Int64 = 0
            if work.step(.connected).hellos.isEmpty {
                repeat { wait += 100 } while work.tick(after: 100).hellos.isEmpty
            }
            #expect(wait <= 2000)
            waits.insert(wait)
        }
        #expect(waits.count > 8)
    }
}
