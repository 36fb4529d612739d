import Testing
import WaybillModel
import WaybillSessions
import WaybillWire

@testable import WaybillHub

/// What a desk has to do with verifications and repairs.
@Suite struct DeskProofTests {
    private let question = HubLetter.Examine(id: 3, step: 1, job: Sample.prices, tables: [.init(name: "price")])

    @Test func aQuestionGoesToAStoreThatIsThere() throws {
        var work = try DeskAtWork()
        #expect(work.desk.step(.examine(question), now: work.now) == [.answerExamine(isSent: false)])
        _ = work.hello()
        let effects = work.desk.step(.examine(question), now: work.now)
        #expect(effects == [.send(DeskAtWork.line, .examine(question)), .answerExamine(isSent: true)])
        // Silent for longer than a store that is there.
        work.now = work.now + DeskAtWork.settings.offlineAfterMilliseconds
        #expect(work.desk.step(.examine(question), now: work.now) == [.answerExamine(isSent: false)])
    }

    /// What is on its way to the store brings more than a repair, and must not be taken away by one.
    @Test func aRepairWaitsForWhatIsOnItsWay() throws {
        let mark = Watermark(version: Version(epoch: 1, number: 10), session: Sample.session(1))
        var work = try DeskAtWork(positions: [Sample.prices: mark])
        let repair = Sample.delivery(3, over: [mark])
        #expect(work.desk.repairRefusal(repair) == nil)
        _ = work.desk.step(.offered(Sample.delivery(2, over: [mark])), now: work.now)
        #expect(work.desk.repairRefusal(repair)?.contains("on its way") == true)
    }

    @Test func aRepairForAnotherPlaceIsNotSent() throws {
        let mark = Watermark(version: Version(epoch: 1, number: 10), session: Sample.session(1))
        let elsewhere = Watermark(version: Version(epoch: 1, number: 10), session: Sample.session(2))
        let work = try DeskAtWork(positions: [Sample.prices: elsewhere])
        #expect(work.desk.repairRefusal(Sample.delivery(3, over: [mark])) == "the store has moved on")
    }

    @Test func anAnswerIsHandedOn() throws {
        var work = try DeskAtWork()
        _ = work.hello()
        let digests = AgentLetter.Digests(id: 3, step: 1, job: nil, watermark: nil, tables: [])
        #expect(work.hear(.digests(digests)).contains(.proof(digests)))
        // Not of a life that is over.
        let earlier = Incarnation(counter: 0, random: 1)
        #expect(!work.hear(.digests(digests), as: earlier).contains(.proof(digests)))
    }
}
