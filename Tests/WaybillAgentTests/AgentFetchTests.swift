import Testing
import WaybillAgent
import WaybillModel
import WaybillWire

/// From an offer to a package that is complete.
@Suite struct AgentFetchTests {
    @Test func anOfferIsAskedForWithItsAttempt() {
        var work = AgentAtWork()
        work.step(.connected)
        let effects = work.welcome([AgentAtWork.offer(1, attempt: 3)])
        #expect(effects.requests == [AgentAtWork.session(1)])
        #expect(effects.attempts == [3])
    }

    @Test func oneOfferAfterTheOtherIsWorkedOn() throws {
        var work = AgentAtWork()
        work.step(.connected)
        #expect(work.welcome([AgentAtWork.offer(1), AgentAtWork.offer(2)]).requests == [AgentAtWork.session(1)])
        #expect(work.tick(after: 1000).requests.isEmpty)
    }

    @Test func anUnansweredRequestIsRepeated() {
        var work = AgentAtWork()
        work.reachRequesting()
        #expect(work.tick(after: 9_999).requests.isEmpty)
        #expect(work.tick(after: 1).requests == [AgentAtWork.session(1)])
        #expect(work.tick(after: 1).requests.isEmpty)
    }

    @Test func whatIsNotGrantedIsNotAskedForBeforeTheNextWelcome() {
        var work = AgentAtWork()
        work.reachRequesting()
        work.step(.letter(.notGranted(session: AgentAtWork.session(1), run: 1, reason: "a newer session is on offer")))
        #expect(work.core.task == nil)
        #expect(work.tick(after: 20_000).requests.isEmpty)
        #expect(work.welcome([AgentAtWork.offer(1)]).requests == [AgentAtWork.session(1)])
    }

    @Test func aLateRefusalDoesNotStopADownload() throws {
        var work = AgentAtWork()
        try work.reachFetching()
        work.step(.letter(.notGranted(session: AgentAtWork.session(1), run: 1, reason: "late")))
        #expect(work.core.stage == .fetching)
    }

    // MARK: grants

    @Test func aGrantOpensThePackage() throws {
        var work = AgentAtWork()
        work.reachRequesting()
        #expect(try work.grant(AgentAtWork.manifest(1)).opened == [AgentAtWork.package(1)])
        #expect(work.core.stage == .opening)
    }

    @Test func aGrantOfARunThatWasNotAskedForIsIgnored() throws {
        var work = AgentAtWork()
        work.reachRequesting()
        #expect(try work.grant(AgentAtWork.manifest(1), run: 2).opened.isEmpty)
        #expect(try work.grant(AgentAtWork.manifest(2)).opened.isEmpty)
        #expect(work.core.stage == .requesting)
    }

    @Test func aRepeatedGrantDoesNotOpenTwice() throws {
        var work = AgentAtWork()
        try work.reachFetching()
        #expect(try work.grant(AgentAtWork.manifest(1)).opened.isEmpty)
        #expect(work.core.stage == .fetching)
    }

    @Test func aGrantWithoutTheHubsSignatureIsAFailure() throws {
        var work = AgentAtWork()
        work.reachRequesting()
        let effects = try work.grant(AgentAtWork.manifest(1), signature: [UInt8](repeating: 0, count: 64))
        #expect(effects.opened.isEmpty)
        #expect(effects.outcomes == [.downloadFailed])
        #expect(work.core.task == nil)
    }

    @Test func aPackageOfAnotherSessionOrJobIsAFailure() throws {
        for manifest in [
            AgentAtWork.manifest(2), AgentAtWork.manifest(1, job: try #require(JobID("assortments"))),
        ] {
            var work = AgentAtWork()
            work.reachRequesting()
            let effects = try work.grant(manifest, of: 1)
            #expect(effects.opened.isEmpty)
            #expect(effects.outcomes == [.downloadFailed])
        }
    }

    @Test(arguments: [nil, AgentAtWork.mark(3)])
    func aDeltaOverAnotherBaseIsNotOpenedButAskedAboutAgain(watermark: Watermark?) throws {
        var work = AgentAtWork(watermark: watermark)
        work.reachRequesting(AgentAtWork.offer(5))
        let effects = try work.grant(AgentAtWork.manifest(5, over: [AgentAtWork.mark(2)]))
        #expect(effects.opened.isEmpty)
        #expect(effects.outcomes.isEmpty)
        #expect(effects.hellos.count + work.tick(after: 1).hellos.count == 1)
        #expect(work.tick(after: 10_000).requests.isEmpty)
    }

    @Test func aDeltaOverTheStoresOwnBaseIsOpened() throws {
        var work = AgentAtWork(watermark: AgentAtWork.mark(2))
        work.reachRequesting(AgentAtWork.offer(5))
        let bases = [AgentAtWork.mark(1), AgentAtWork.mark(2)]
        #expect(try work.grant(AgentAtWork.manifest(5, over: bases)).opened.count == 1)
    }

    // MARK: chunks

    @Test func chunksAreAskedForWithinTheCredit() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1, chunks: 10)
        try work.reachOpening(manifest)
        #expect(work.step(.opened(manifest.id, held: [])).chunkRequests == [0, 1])
        #expect(work.tick(after: 100).chunkRequests.isEmpty)
        // Each one that arrives makes room for itself and one more.
        #expect(work.store(manifest.id, 0).chunkRequests == [2, 3])
    }

    @Test func chunksOfAnEarlierProcessAreNotAskedForAgain() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1, chunks: 4)
        try work.reachOpening(manifest)
        #expect(work.step(.opened(manifest.id, held: [true, false, true, false])).chunkRequests == [1, 3])
        work.store(manifest.id, 1)
        #expect(work.store(manifest.id, 3).unpacked == [manifest.id])
    }

    @Test func onlyWantedChunksAreStored() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1)
        try work.reachFetching(manifest, held: [false, true, false])
        func chunk(_ package: PackageID, _ index: Int) -> AgentEvent {
            .letter(.chunk(package: package, index: index, data: [1]))
        }
        #expect(work.step(chunk(manifest.id, 0)).storedChunks == [0])
        #expect(work.step(chunk(manifest.id, 1)).storedChunks.isEmpty)
        #expect(work.step(chunk(manifest.id, 99)).storedChunks.isEmpty)
        #expect(work.step(chunk(AgentAtWork.package(50), 0)).storedChunks.isEmpty)
    }

    @Test func aLostChunkIsAskedForAgain() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1)
        try work.reachFetching(manifest)
        #expect(work.tick(after: 4_999).chunkRequests.isEmpty)
        #expect(work.tick(after: 1).chunkRequests == [0])
    }

    @Test func aDamagedChunkIsAskedForAgainAndThreeOfThemFail() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1)
        try work.reachFetching(manifest)
        #expect(work.step(.chunkRejected(manifest.id, index: 0)).chunkRequests == [0])
        #expect(work.step(.chunkRejected(manifest.id, index: 1)).chunkRequests == [1])
        let effects = work.step(.chunkRejected(manifest.id, index: 0))
        #expect(effects.outcomes == [.downloadFailed])
        #expect(effects.discarded == [manifest.id])
        #expect(work.core.task == nil)
    }

    @Test func aGoodChunkForgivesDamagedOnes() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1, chunks: 10)
        try work.reachFetching(manifest)
        for index in 0..<5 {
            work.step(.chunkRejected(manifest.id, index: index))
            work.store(manifest.id, index)
        }
        #expect(work.core.stage == .fetching)
    }

    @Test func aCompletePackageIsUnpackedOnce() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1)
        try work.reachFetching(manifest)
        work.store(manifest.id, 0)
        work.store(manifest.id, 1)
        #expect(work.store(manifest.id, 2).unpacked == [manifest.id])
        #expect(work.tick(after: 60_000).unpacked.isEmpty)
    }

    @Test func aHelloTellsTheProgress() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1)
        try work.reachFetching(manifest)
        work.store(manifest.id, 0)
        let hello = work.tick(after: 36_000).hellos.first
        #expect(hello?.progress == AgentLetter.Progress(session: manifest.session, bytesDone: 100, bytesTotal: 300))
    }

    // MARK: limits

    @Test func aClosedWindowStartsNoDownloadAndStopsNoMessages() {
        var work = AgentAtWork()
        work.stored.outbox = [work.report(1, .downloaded, id: 1)]
        work.step(.stored(work.stored))
        work.tick(windowOpen: false)
        let effects = work.step(.connected)
        #expect(effects.hellos.count == 1)
        #expect(effects.reports == [[1]])
        #expect(work.welcome([AgentAtWork.offer(1)]).requests.isEmpty)
        #expect(work.tick(after: 1000).requests == [AgentAtWork.session(1)])
    }

    @Test func aWindowThatClosesPausesADownload() throws {
        var work = AgentAtWork()
        let manifest = AgentAtWork.manifest(1, chunks: 10)
        try work.reachFetching(manifest)
        work.tick(windowOpen: false)
        #expect(work.store(manifest.id, 0).chunkRequests.isEmpty)
        #expect(work.tick(after: 6_000, windowOpen: false).chunkRequests.isEmpty)
        #expect(!work.tick().chunkRequests.isEmpty)
    }

    @Test func bytesPerSecondHoldOnTheAverage() throws {
        var work = AgentAtWork(bytesPerSecond: 200)
        let manifest = AgentAtWork.manifest(1, chunks: 100)
        try work.reachOpening(manifest)
        var asked = work.step(.opened(manifest.id, held: [])).chunkRequests
        var total = asked.count
        for _ in 0..<40 {
            for index in asked { work.store(manifest.id, index) }
            asked = work.tick(after: 250).chunkRequests
            total += asked.count
        }
        // Ten seconds at two chunks a second, and what was saved up at the start.
        #expect(total >= 20 && total <= 25)
    }
}
