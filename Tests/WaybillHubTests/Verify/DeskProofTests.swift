import Testing
import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillWire

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
