import Testing
import WaybillAgent
import WaybillModel
import WaybillWire

/// From a complete package to rows in the store; and what comes between.
@Suite struct AgentApplyTests {
    private func applied(_ number: Int64, _ work: AgentAtWork) -> StoredState {
        var state = work.stored
        state.sequence += 2
        state.watermarks[AgentAtWork.prices] = AgentAtWork.mark(number)
        state.outbox = [work.report(number, .applied, id: 9)]
        return state
    }

    @Test func anUnpackedPackageIsReportedAndApplied() throws {
        var work = AgentAtWork()
        try work.reachUnpacking()
        let effects = work.step(.unpacked(AgentAtWork.package(1)))
        #expect(effects.outcomes == [.downloaded])
        #expect(effects.applied == [AgentAtWork.package(1)])
    }

    @Test func whatWasAppliedIsReportedAndGreetedWith() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        let name = AgentCore.RunName(AgentAtWork.session(1), 1)
        var effects = work.step(.applied(name, applied(1, work)))
        #expect(effects.discarded == [AgentAtWork.package(1)])
        #expect(effects.reports == [[9]])
        effects += work.tick(after: 1)
        #expect(effects.hellos.map(\.watermarks) == [[AgentAtWork.prices: AgentAtWork.mark(1)]])
        #expect(work.core.task == nil)
        #expect(work.tick(after: 5_000).requests.isEmpty)
    }

    @Test func theNextOfferFollows() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        let assortments = try #require(JobID("assortments"))
        var other = AgentAtWork.offer(2)
        other.job = assortments
        work.welcome([AgentAtWork.offer(1), other])
        let name = AgentCore.RunName(AgentAtWork.session(1), 1)
        #expect(work.step(.applied(name, applied(1, work))).requests == [AgentAtWork.session(2)])
    }

    @Test func whatWasAppliedIsToldBeforeTheNextIsAskedFor() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        work.welcome([AgentAtWork.offer(1), AgentAtWork.offer(2)])
        let effects = work.step(.applied(AgentCore.RunName(AgentAtWork.session(1), 1), applied(1, work)))
        let bodies = effects.compactMap { if case .send(let letter) = $0 { letter.body } else { nil } }
        let report = bodies.firstIndex { if case .reports = $0 { true } else { false } }
        let request = bodies.firstIndex { if case .request = $0 { true } else { false } }
        #expect(try #require(report) < #require(request))
    }

    // MARK: failures

    @Test(arguments: [AgentFault.Stage.download, .apply])
    func aFailureIsReportedWithItsAttempt(stage: AgentFault.Stage) throws {
        var work = AgentAtWork()
        try work.reachApplying()
        let effects = work.step(.failed(AgentAtWork.package(1), AgentFault(stage: stage, message: "no")))
        #expect(effects.outcomes == [stage == .download ? .downloadFailed : .applyFailed])
        #expect(effects.discarded == [AgentAtWork.package(1)])
        #expect(work.core.task == nil)
    }

    @Test func whatWaitingCanHealKeepsTheFile() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        let fault = AgentFault(stage: .apply, message: "the disk is full", isTransient: true)
        #expect(work.step(.failed(AgentAtWork.package(1), fault)).discarded.isEmpty)
    }

    @Test func theNextAttemptWaitsTwiceAsLongEachTime() throws {
        for attempt in 1...6 {
            var work = AgentAtWork(retryMilliseconds: 1000)
            work.reachRequesting(AgentAtWork.offer(1, attempt: attempt))
            try work.grant(AgentAtWork.manifest(1), attempt: attempt)
            work.step(.failed(AgentAtWork.package(1), AgentFault(stage: .download, message: "no")))
            let offer = AgentAtWork.offer(1, attempt: attempt + 1)
            let wait: Int64 = 1000 << Int64(attempt - 1)
            #expect(work.welcome([offer]).requests.isEmpty)
            #expect(work.tick(after: wait - 1).requests.isEmpty)
            let requests = work.tick(after: wait / 4 + 2)
            #expect(requests.requests == [AgentAtWork.session(1)])
            #expect(requests.attempts == [attempt + 1])
        }
    }

    /// The hub was restored, and has made a second run once more. Silence would leave it waiting for ever.
    @Test func aRunThatIsOfferedAfterItsReportWasAcknowledgedIsAskedForAgain() throws {
        var work = AgentAtWork()
        work.reachRequesting(AgentAtWork.offer(1, run: 2))
        try work.grant(AgentAtWork.manifest(1), run: 2)
        var report = work.report(1, .applied, id: 7)
        report.run = 2
        work.stored.outbox = [report]
        work.stored.watermarks[AgentAtWork.prices] = AgentAtWork.mark(1)
        work.step(.applied(AgentCore.RunName(AgentAtWork.session(1), 2), work.stored))
        work.welcome([AgentAtWork.offer(1, run: 2)])
        #expect(work.core.task == nil, "the offer has crossed the report")
        work.step(.letter(.acknowledgement([report.name])))
        work.welcome([AgentAtWork.offer(1, run: 2)])
        #expect(work.core.task?.offer.run == 2)
    }

    /// It was suspended, and somebody has asked for a retry.
    @Test func whatWasOffOfferAndComesBackIsTriedAtOnce() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        work.step(.failed(AgentAtWork.package(1), AgentFault(stage: .apply, message: "no such column")))
        work.welcome([AgentAtWork.offer(1, attempt: 4)])
        #expect(work.core.task == nil)
        work.welcome([])
        work.welcome([AgentAtWork.offer(1, attempt: 4)])
        #expect(work.core.task?.offer.attempt == 4)
    }

    @Test func noWaitIsLongerThanAQuarterOfAnHourAndAQuarter() throws {
        var work = AgentAtWork(retryMilliseconds: 60_000)
        work.reachRequesting(AgentAtWork.offer(1, attempt: 60))
        try work.grant(AgentAtWork.manifest(1), attempt: 60)
        work.step(.failed(AgentAtWork.package(1), AgentFault(stage: .download, message: "no")))
        work.now = work.now + 15 * 60_000 * 5 / 4 + 1
        #expect(work.welcome([AgentAtWork.offer(1, attempt: 61)]).requests == [AgentAtWork.session(1)])
    }

    @Test func afterAFailureTheHubIsAskedWhenTheWaitIsOver() throws {
        var work = AgentAtWork(retryMilliseconds: 1000)
        try work.reachApplying()
        work.step(.failed(AgentAtWork.package(1), AgentFault(stage: .apply, message: "no")))
        #expect(work.tick(after: 999).hellos.isEmpty)
        #expect(work.tick(after: 300).hellos.count == 1)
    }

    @Test func aMisunderstandingIsNotReportedAndAsksTheHubAgain() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        let effects = work.step(
            .failed(AgentAtWork.package(1), AgentFault(stage: .apply, message: "another base", isStale: true)))
        #expect(effects.outcomes.isEmpty)
        #expect(work.core.task == nil)
        #expect(work.tick(after: 1000).hellos.count == 1)
        #expect(work.welcome([AgentAtWork.offer(1)]).requests == [AgentAtWork.session(1)])
    }

    @Test func aLateFailureOfAnotherPackageIsIgnored() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        work.step(.failed(AgentAtWork.package(3), AgentFault(stage: .apply, message: "no")))
        #expect(work.core.stage == .applying)
    }

    // MARK: cancels

    @Test(arguments: Stage.allCases)
    func aCancelIsPromisedInEveryPhase(stage: Stage) throws {
        var work = AgentAtWork()
        try stage.reach(&work)
        let effects = work.cancel(1)
        #expect(effects.promised == [AgentAtWork.session(1)])
        // While an apply runs, its transaction decides; before, there is nothing left to do.
        #expect(effects.stopsApplying == (stage == .applying))
        #expect(work.core.stage == (stage == .applying ? .applying : nil))
        #expect(effects.discarded.isEmpty == (stage == .requesting || stage == .applying))
        #expect(work.tick(after: 10_000).requests.isEmpty)
    }

    @Test(arguments: [Stage.opening, .fetching, .unpacking])
    func workThatEndsAfterACancelGoesNoFurther(stage: Stage) throws {
        var work = AgentAtWork()
        try stage.reach(&work)
        work.cancel(1)
        let package = AgentAtWork.package(1)
        for event in [
            AgentEvent.opened(package, held: []), .chunkStored(package, index: 0), .unpacked(package),
            .failed(package, AgentFault(stage: .download, message: "no")),
        ] {
            let effects = work.step(event)
            #expect(effects.unpacked.isEmpty && effects.applied.isEmpty && effects.outcomes.isEmpty)
        }
    }

    @Test func anApplyThatWasStoppedIsNoFailure() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        work.cancel(1)
        let effects = work.step(
            .failed(AgentAtWork.package(1), AgentFault(stage: .apply, message: "called off", isStale: true)))
        #expect(effects.outcomes.isEmpty)
        #expect(work.core.task == nil)
    }

    @Test func aCancelOfWhatIsNotAtHandIsPromisedToo() {
        var work = AgentAtWork()
        work.step(.connected)
        #expect(work.cancel(8).promised == [AgentAtWork.session(8)])
    }

    @Test func aCancelIsWrittenDownOnceUntilItsReportIsAcknowledged() throws {
        var work = AgentAtWork()
        work.step(.connected)
        #expect(work.cancel(1).promised.count == 1)
        #expect(work.cancel(1).promised.isEmpty)
        let order = HubLetter.CancelOrder(session: AgentAtWork.session(1), job: AgentAtWork.prices, run: 1)
        #expect(work.welcome(cancels: [order]).promised.isEmpty)
        work.stored.outbox = [work.report(1, .canceled, id: 1)]
        work.step(.stored(work.stored))
        work.step(.letter(.acknowledgement([work.stored.outbox[0].name])))
        work.stored.outbox = []
        work.step(.stored(work.stored))
        #expect(work.cancel(1).promised.count == 1, "the hub has not understood; it is told again")
    }

    @Test func aCancelOfAnotherRunLeavesThisOneAlone() throws {
        var work = AgentAtWork()
        try work.reachFetching()
        #expect(work.cancel(1, run: 2).promised == [AgentAtWork.session(1)])
        #expect(work.core.stage == .fetching)
    }

    @Test(arguments: Stage.allCases)
    func whatIsNoLongerOnOfferIsDroppedUnlessItIsBeingApplied(stage: Stage) throws {
        var work = AgentAtWork()
        try stage.reach(&work)
        work.welcome([AgentAtWork.offer(2)])
        if stage == .applying {
            #expect(work.core.task?.offer.session == AgentAtWork.session(1))
        } else {
            #expect(work.core.task?.offer.session == AgentAtWork.session(2))
        }
    }

    // MARK: another hub

    @Test(arguments: [Stage.opening, .fetching, .unpacking])
    func anotherHubIsAskedForLeaveAgain(stage: Stage) throws {
        var work = AgentAtWork()
        try stage.reach(&work)
        let effects = work.welcome([AgentAtWork.offer(1)], hubRun: 8)
        #expect(effects.requests == [AgentAtWork.session(1)])
        #expect(work.core.stage == .requesting)
        #expect(effects.discarded.isEmpty)
    }

    @Test func storedChunksOutliveTheHub() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1)
        try work.reachFetching(manifest)
        work.store(manifest.id, 0)
        work.welcome([AgentAtWork.offer(1)], hubRun: 8)
        let effects = try work.grant(manifest)
        #expect(effects.opened.isEmpty)
        #expect(effects.chunkRequests == [1, 2])
    }

    @Test func anApplyGoesOnUnderAnotherHub() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        #expect(work.welcome(hubRun: 8).requests.isEmpty)
        #expect(work.core.stage == .applying)
    }

    @Test func aHubThatHasForgottenTheGrantIsAskedAgain() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1)
        try work.reachFetching(manifest)
        work.store(manifest.id, 0)
        let effects = work.step(.letter(.noChunk(package: manifest.id, index: 1, reason: "ask first")))
        #expect(effects.requests == [AgentAtWork.session(1)])
        #expect(work.step(.letter(.noChunk(package: manifest.id, index: 2, reason: "ask first"))).requests.isEmpty)
        #expect(try work.grant(manifest).chunkRequests == [1, 2])
    }

    @Test func aNewLineAsksForChunksUnderWayAgain() throws {
        var work = AgentAtWork()
        try work.reachFetching()
        work.step(.disconnected)
        #expect(work.step(.connected).chunkRequests == [0, 1])
    }
}
