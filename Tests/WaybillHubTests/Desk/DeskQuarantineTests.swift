import Testing
import WaybillHub
import WaybillModel
import WaybillWire

/// The hub learns what is in a store's quarantine, and has things done about it, whatever letters are lost.
@Suite struct DeskQuarantineTests {
    private let report = QuarantineReport(
        revision: 7, total: 1,
        entries: [
            QuarantineEntry(
                job: Sample.prices, table: "price", key: "A", kind: .refused, detail: "no", hasOlderRow: false,
                session: Sample.session(3), version: Sample.version(30), since: Timestamp(milliseconds: 1), attempts: 1)
        ])
    private let order = QuarantineOrder(id: "1-a", action: .retry, table: "price")

    private func hello(_ desk: inout DeskAtWork, revision: UInt64?) -> [DeskEffect] {
        desk.hear(
            .hello(
                AgentLetter.Hello(
                    agentVersion: "1.0", sequence: desk.sequence, watermarks: [:], freeBytes: 1, progress: nil,
                    quarantineRevision: revision)))
    }

    @Test func aListOfAnotherNameIsAskedForUntilItCame() throws {
        var desk = try DeskAtWork()
        #expect(hello(&desk, revision: 0).orders.isEmpty)
        #expect(hello(&desk, revision: 7).orders == [nil])
        // The letter was lost.
        #expect(hello(&desk, revision: 7).orders == [nil])
        #expect(desk.hear(.quarantine(report)).reports == [report])
        #expect(hello(&desk, revision: 7).orders.isEmpty)
        // Repeated, it changes nothing.
        #expect(desk.hear(.quarantine(report)).reports.isEmpty)
    }

    @Test func anEmptyQuarantineNeedsNoAsking() throws {
        var desk = try DeskAtWork()
        _ = hello(&desk, revision: 7)
        _ = desk.hear(.quarantine(report))
        let effects = hello(&desk, revision: 0)
        #expect(effects.reports == [QuarantineReport()])
        #expect(effects.orders.isEmpty)
        #expect(hello(&desk, revision: 0).reports.isEmpty)
    }

    @Test func anAgentThatKnowsOfNoQuarantineIsNotBothered() throws {
        var desk = try DeskAtWork()
        _ = desk.step(.quarantineOrder(order))
        let effects = hello(&desk, revision: nil)
        #expect(effects.orders.isEmpty && effects.reports.isEmpty)
        #expect(desk.desk.quarantine.openOrders == [order])
    }

    @Test func anOrderIsRepeatedUntilTheListNamesIt() throws {
        var desk = try DeskAtWork()
        #expect(desk.step(.quarantineOrder(order)).contains(.saveQuarantineOrder(order)))
        #expect(hello(&desk, revision: 7).orders == [order])
        #expect(hello(&desk, revision: 7).orders == [order])
        var done = report
        done.ordersDone = ["0-z", "1-a"]
        #expect(desk.hear(.quarantine(done)).reports == [done])
        #expect(hello(&desk, revision: 7).orders.isEmpty)
    }

    @Test func aStoreThatIsThereHearsOfAnOrderAtOnce() throws {
        var desk = try DeskAtWork()
        _ = hello(&desk, revision: 0)
        #expect(desk.step(.quarantineOrder(order)).orders == [order])
        // Nothing was there to be done, and the list is as empty as before: the order is over all the same.
        #expect(desk.hear(.quarantine(QuarantineReport(ordersDone: ["1-a"]))).reports.count == 1)
        #expect(desk.desk.quarantine.openOrders.isEmpty)
    }

    @Test func ordersDoNotPileUpAndARetiredStoreTakesNone() throws {
        var desk = try DeskAtWork()
        for number in 1...16 { _ = desk.step(.quarantineOrder(QuarantineOrder(id: "\(number)", action: .drop))) }
        #expect(
            desk.step(.quarantineOrder(order))
                == [.answerQuarantineOrder(refusal: "16 orders wait for the store already")])
        let effects = desk.step(.recordChanged(try DeskAtWork.record(state: .retired)))
        #expect(effects.contains(.forgetQuarantine))
        #expect(desk.step(.quarantineOrder(order)) == [.answerQuarantineOrder(refusal: "store S1 is retired")])
    }

    @Test func anOldHelloThatWasOvertakenDoesNotClearTheList() throws {
        var desk = try DeskAtWork()
        desk.sequence = 5
        _ = hello(&desk, revision: 7)
        _ = desk.hear(.quarantine(report))
        desk.sequence = 4
        #expect(hello(&desk, revision: 0).reports.isEmpty)
        #expect(desk.desk.quarantine.revision == 7)
    }

    @Test func exceptionsAreFoldedInAnyOrder() throws {
        var desk = try DeskAtWork(deliveries: [Sample.delivery(3)])
        var first = Sample.report(Sample.delivery(3), .applied, id: 1)
        first.exceptions = 2
        let again = Sample.report(Sample.delivery(3), .applied, id: 2)
        let saved = desk.hear(.reports([again, first])).saved
        #expect(saved.map(\.told.exceptions) == [2])
        #expect(saved.map(\.status) == [.applied])
    }
}

extension [DeskEffect] {
    fileprivate var orders: [QuarantineOrder?] {
        letters.compactMap { if case .quarantineOrder(let order) = $0 { .some(order) } else { nil } }
    }
    fileprivate var reports: [QuarantineReport] {
        compactMap { if case .saveQuarantine(let report) = $0 { report } else { nil } }
    }
}
