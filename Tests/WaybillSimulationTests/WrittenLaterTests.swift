import Synchronization
import Testing
import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillWire

/// Turns of the hub that are written while the next ones are taken in.
@Suite struct WrittenLaterTests {
    private let office: SmallOffice
    private let hub: SteppedHub
    private let session: SessionID

    /// A hub that takes in one message a turn, and a store that was granted a session.
    init() throws {
        office = try SmallOffice()
        hub = try office.startHub(batchMax: 1)
        session = try office.publishToItsStore(hub)
        _ = try office.grant(session, attempt: 1, hub)
        _ = office.takeHeard()
    }

    private func status() throws -> DeliveryStatus? {
        try hub.operations.read { try DeliveryRecord.find(session, SmallOffice.store, in: $0)?.status }
    }

    private func report(_ outcome: StoreOutcome) -> AgentLetter.Body { .reports([office.report(outcome, of: session)]) }

    private func acknowledgements() -> Int {
        office.takeHeard().count { if case .acknowledgement = $0 { true } else { false } }
    }

    @Test func aReportIsAnsweredWhenItIsWrittenAndNotBefore() throws {
        office.put(report(.downloaded), before: hub)
        hub.step()
        #expect(try status() == .requested && acknowledgements() == 0)
        #expect(hub.hasMail, "what is not said yet needs another turn")
        hub.step()
        #expect(try status() == .downloaded && acknowledgements() == 1)
        #expect(!hub.hasMail)
        hub.close()
    }

    @Test func theNextTurnRestsOnTheOneThatIsBeingWritten() throws {
        // Final, and so no longer at hand when the older one comes after it.
        office.put(report(.applied), before: hub)
        office.put(report(.downloaded), before: hub)
        hub.step()
        #expect(try status() == .requested)
        while hub.hasMail { hub.step() }
        #expect(try status() == .applied && acknowledgements() == 2)
        hub.close()
    }

    @Test func whatRestsOnAnUnwrittenTurnHasNotHappenedEither() throws {
        office.put(report(.downloaded), before: hub)
        office.put(report(.applied), before: hub)
        hub.step()
        office.disk.limit(toBytes: office.disk.usedBytes)
        hub.step()
        #expect(acknowledgements() == 0)
        office.disk.heal()
        #expect(try status() == .requested)
        // The agent says again what nobody has acknowledged, in whatever order.
        office.say(report(.applied), to: hub)
        #expect(try status() == .applied && acknowledgements() == 1)
        let record = try #require(
            try hub.operations.read { try DeliveryRecord.find(session, SmallOffice.store, in: $0) })
        #expect(record.told.downloadedAt == nil, "nothing is left of the report that was never written")
        hub.close()
    }

    /// The turn that could not be written is the first; the second rests on it.
    @Test(arguments: [1, 2]) func anOrderOfATurnThatCouldNotBeKeptIsObeyedLater(turn: Int) throws {
        let answers = Answers()
        for number in 1...2 {
            office.put(report(.downloaded), before: hub)
            if number == turn { hub.cancel(session, stores: nil) { answers.add($0) } }
            if number == 2 { office.disk.limit(toBytes: office.disk.usedBytes) }
            hub.step()
        }
        #expect(answers.all.isEmpty && hub.hasUnkeptOrders)
        office.disk.heal()
        repeat { hub.step() } while hub.hasMail
        #expect(answers.all == [[SmallOffice.store: .waiting]], "the store was granted it, and only it can say")
        hub.close()
    }

    @Test func aHubThatDiesWithATurnInHandHasSaidNothingOfIt() throws {
        office.put(report(.downloaded), before: hub)
        hub.step()
        hub.close()
        #expect(acknowledgements() == 0)
        let next = try office.startHub()
        #expect(
            try next.operations.read { try DeliveryRecord.find(session, SmallOffice.store, in: $0)?.status }
                == .requested)
        next.close()
    }
}

private final class Answers: Sendable {
    private let answers = Mutex<[[StoreID: CancelAnswer]]>([])
    var all: [[StoreID: CancelAnswer]] { answers.withLock { $0 } }
    func add(_ answer: [StoreID: CancelAnswer]) { answers.withLock { $0.append(answer) } }
}
