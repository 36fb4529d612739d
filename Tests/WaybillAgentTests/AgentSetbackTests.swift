import Testing
import WaybillModel
import WaybillWire

@testable import WaybillAgent

/// A database that cannot be written, a hub that cannot read, and lines that carry hellos and nothing else.
@Suite struct AgentSetbackTests {
    private let order = HubLetter.CancelOrder(
        session: AgentAtWork.session(1), job: AgentAtWork.prices, run: 1)

    @Test func aCancelThatCouldNotBeRecordedIsRecordedWhenTheHubAsksAgain() throws {
        var work = AgentAtWork()
        work.step(.connected)
        #expect(work.cancel(1).promised == [AgentAtWork.session(1)])
        #expect(work.welcome(cancels: [order]).promised == [], "it is being recorded")
        work.step(.notDone(.recordCancel(order)))
        #expect(work.welcome(cancels: [order]).promised == [AgentAtWork.session(1)])
    }

    @Test func aReportIsNotSentAgainWhileItIsBeingForgotten() throws {
        var work = AgentAtWork()
        work = AgentAtWork(outbox: [work.report(1, .applied, id: 7)])
        #expect(work.step(.connected).reports == [[7]])
        let name = ReportName(incarnation: work.stored.incarnation, id: 7)
        let effects = work.step(.letter(.acknowledgement([name])))
        #expect(effects.acknowledged == [7])
        #expect(effects.reports == [])
    }

    @Test func aReportThatCouldNotBeForgottenIsSentAgainInItsTimeAndNotAtTheLinesSpeed() throws {
        var work = AgentAtWork()
        work = AgentAtWork(outbox: [work.report(1, .applied, id: 7)])
        work.step(.connected)
        let name = ReportName(incarnation: work.stored.incarnation, id: 7)
        for _ in 0..<5 {
            #expect(work.step(.letter(.acknowledgement([name]))).reports == [])
            #expect(work.step(.notDone(.acknowledge([name]))).reports == [])
        }
        #expect(work.tick(after: AgentCore.reportPatience).reports == [[7]])
    }

    @Test func aFailureThatCannotBeKeptIsToldAllTheSame() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        let package = AgentAtWork.package(1)
        let fault = AgentFault(stage: .apply, message: "the lock is held", isTransient: true)
        let effects = work.step(.failed(package, fault))
        #expect(effects.outcomes == [.applyFailed])
        let record = try #require(effects.first { if case .record = $0 { true } else { false } })
        let told = work.step(.notDone(record))
        #expect(told.reports == [[0]])
        // The hub's thanks for it are nothing that the database would have to forget.
        let name = ReportName(incarnation: work.stored.incarnation, id: 0)
        #expect(work.step(.letter(.acknowledgement([name]))).acknowledged == [])
    }

    /// Seed 89431: the hub was told of a failure, and never of what the store had after all.
    @Test func whatACommittedApplyHasLeftIsReadWhenTheDatabaseCanBeReadAgain() throws {
        var work = AgentAtWork()
        try work.reachApplying()
        // Committed; then neither what it has left can be read nor the failure be kept.
        let fault = AgentFault(stage: .apply, message: "the disk fails", isTransient: true)
        let effects = work.step(.failed(AgentAtWork.package(1), fault))
        let record = try #require(effects.first { if case .record = $0 { true } else { false } })
        #expect(!work.step(.notDone(record)).readsStored, "it has failed just now")
        #expect(work.tick(after: AgentCore.readingMilliseconds).readsStored)
        #expect(!work.step(.notDone(.readStored)).readsStored)
        #expect(!work.tick(after: AgentCore.readingMilliseconds - 1).readsStored)
        #expect(work.tick(after: 1).readsStored)
        work.stored.watermarks[AgentAtWork.prices] = AgentAtWork.mark(1)
        work.stored.outbox = [work.report(1, .applied, id: 7)]
        #expect(work.step(.stored(work.stored)).reports == [[7]])
        #expect(!work.tick(after: AgentCore.readingMilliseconds).readsStored, "it is known now")
    }

    @Test func whatIsNoFailureWaitsForTheDatabase() throws {
        var work = AgentAtWork()
        try work.reachUnpacking()
        let effects = work.step(.unpacked(AgentAtWork.package(1)))
        let record = try #require(effects.first { if case .record = $0 { true } else { false } })
        #expect(work.step(.notDone(record)).reports == [])
    }

    // MARK: packages that do not come

    private func refuseChunk(_ work: inout AgentAtWork) -> [AgentEffect] {
        work.step(.letter(.noChunk(package: AgentAtWork.package(1), index: 0, reason: "the hub cannot read it")))
    }

    @Test func aHubThatCannotReadAPackageIsAskedAFewTimesAndThenItIsAFailure() throws {
        var work = AgentAtWork()
        try work.reachFetching()
        for _ in 1..<AgentCore.fruitlessMax {
            #expect(refuseChunk(&work).requests == [AgentAtWork.session(1)])
            try work.grant(AgentAtWork.manifest(1))
            #expect(work.core.stage == .fetching)
        }
        let effects = refuseChunk(&work)
        #expect(effects.outcomes == [.downloadFailed])
        #expect(effects.requests == [] && work.core.task == nil)
    }

    @Test func aPieceThatArrivesBeginsTheCountAnew() throws {
        var work = AgentAtWork()
        try work.reachFetching()
        for index in 0..<2 {
            for _ in 1..<AgentCore.fruitlessMax {
                _ = refuseChunk(&work)
                try work.grant(AgentAtWork.manifest(1))
            }
            work.store(AgentAtWork.package(1), index)
        }
        #expect(work.core.stage == .fetching)
    }

    @Test func aLineThatCarriesHellosAndNoPackageIsToldAfterAFewConnections() throws {
        var work = AgentAtWork()
        try work.reachFetching()
        for connection in 1...AgentCore.fruitlessMax {
            let effects = work.tick(after: 91_000)
            #expect(effects.isReconnecting)
            guard connection < AgentCore.fruitlessMax else {
                #expect(effects.outcomes == [.downloadFailed])
                let texts = effects.compactMap { if case .log(let text, _) = $0 { text } else { nil } }
                #expect(texts.contains { $0.contains("path MTU") })
                break
            }
            #expect(effects.outcomes == [])
            work.step(.disconnected)
            work.step(.connected)
            work.welcome([AgentAtWork.offer(1)])
        }
        #expect(work.core.task == nil)
    }
}
