import Testing
import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillWire

/// What a store tells of its deliveries.
@Suite struct DeskReportTests {
    @Test func aReportIsSavedAndAcknowledgedAfterwards() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        let effects = work.report(delivery, .downloaded)
        #expect(effects.saved.map(\.status) == [.downloaded])
        #expect(effects.acknowledged == [ReportName(incarnation: work.incarnation, id: 1)])
        guard case .send? = effects.last else {
            Issue.record("the acknowledgement is not the last effect")
            return
        }
    }

    @Test func reportsOnUnknownSessionsAreAcknowledgedToo() throws {
        var work = try DeskAtWork()
        _ = work.hello()
        let effects = work.report(Sample.delivery(8), .downloaded)
        #expect(effects.saved == [])
        #expect(effects.acknowledged.map(\.id) == [1])
        #expect(effects.problems.count == 1)
    }

    @Test func aReportThatSaysNothingNewIsAcknowledgedAndNotSaved() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        let report = Sample.report(delivery, .downloaded)
        _ = work.hear(.reports([report]))
        let effects = work.hear(.reports([report, report]))
        #expect(effects.saved == [])
        #expect(effects.acknowledged.count == 2)
    }

    @Test func olderAndLateReportsMoveNothingBack() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        let applied = try #require(work.report(delivery, .applied).saved.first)
        for outcome in StoreOutcome.allCases where outcome != .applied {
            let effects = work.report(delivery, outcome, attempt: 7, message: "late", known: [applied])
            #expect(effects.saved.allSatisfy { $0.status == .applied && $0.message == "" })
            #expect(effects.acknowledged.count == 1)
        }
    }

    @Test func reportsOfAnEarlierRunSayNothingAboutThisOne() throws {
        var delivery = Sample.delivery(1)
        delivery.run = 2
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        let effects = work.report(delivery, .canceled, run: 1)
        #expect(effects.saved == [])
        #expect(effects.acknowledged.count == 1)
        #expect(work.delivery(delivery.session)?.status == .available)
    }

    @Test func anAppliedReportMovesThePosition() throws {
        let delivery = Sample.delivery(2, over: [Sample.mark(1)])
        var work = try DeskAtWork(positions: [Sample.prices: Sample.mark(1)], deliveries: [delivery])
        _ = work.hello([Sample.prices: Sample.mark(1)])
        let effects = work.report(delivery, .applied)
        #expect(effects.savedPositions == [[Sample.prices: Sample.mark(2)]])
        #expect(work.desk.positions == [Sample.prices: Sample.mark(2)])
        #expect(work.desk.record.sequence == 1)
    }

    @Test func anAppliedReportOfAnEarlierLifeOrAnOlderChangeMovesNoPosition() throws {
        var work = try DeskAtWork()
        _ = work.hello([Sample.prices: Sample.mark(5)], sequence: 9)
        let late = Sample.report(Sample.delivery(3), .applied, id: 4)
        let foreign = Sample.report(Sample.delivery(3), .applied, id: 12, of: Incarnation(counter: 1, random: 99))
        #expect(work.hear(.reports([late, foreign]), known: [Sample.delivery(3)]).savedPositions == [])
        #expect(work.desk.positions == [Sample.prices: Sample.mark(5)])
    }

    /// Seed 200,167 of the simulation: the store was restored from a backup before its next hello, and nobody knew that it
    /// had lost a job.
    @Test func anAppliedReportThatAnotherJobsHasOvertakenMovesThePosition() throws {
        let (prices, assortments) = (Sample.delivery(3), Sample.delivery(5, job: Sample.assortments))
        var work = try DeskAtWork(deliveries: [prices, assortments])
        _ = work.hello()
        _ = work.hear(.reports([Sample.report(assortments, .applied, id: 4)]))
        let effects = work.hear(.reports([Sample.report(prices, .applied, id: 2)]))
        #expect(effects.savedPositions == [[Sample.prices: Sample.mark(3)]])
        #expect(work.desk.record.sequence == 4)
        #expect(
            work.hello(sequence: 0, as: Incarnation(counter: 2, random: 5)).caughtUp.sorted() == [
                Sample.assortments, Sample.prices,
            ])
    }

    @Test func aReportThatWasOvertakenTakesNoPositionBack() throws {
        let deliveries = [3, 5].map { Sample.delivery($0) }
        var work = try DeskAtWork(deliveries: deliveries)
        _ = work.hello()
        _ = work.hear(.reports([Sample.report(deliveries[1], .applied, id: 4)]))
        #expect(work.hear(.reports([Sample.report(deliveries[0], .applied, id: 2)])).savedPositions == [])
        #expect(work.desk.positions == [Sample.prices: Sample.mark(5)])
    }

    @Test func severalReportsOnOneDeliveryAreOneSave() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        let reports = [
            Sample.report(delivery, .downloaded, id: 1), Sample.report(delivery, .applied, id: 2),
        ]
        let effects = work.hear(.reports(reports))
        #expect(effects.saved.count == 1)
        #expect(effects.saved.first?.told.downloadedAt == Timestamp(milliseconds: 501))
        #expect(effects.saved.first?.told.appliedAt == Timestamp(milliseconds: 502))
        #expect(effects.acknowledged.map(\.id) == [1, 2])
    }

    @Test func aFailureIsLoggedInTheStoresWords() throws {
        let delivery = Sample.delivery(1)
        var work = try DeskAtWork(deliveries: [delivery])
        _ = work.hello()
        let effects = work.report(delivery, .applyFailed, message: "a row does not fit")
        #expect(effects.problems.count == 1)
        #expect(effects.problems.first?.contains("a row does not fit") == true)
        #expect(effects.saved.first?.message == "a row does not fit")
    }
}
