import Testing
import WaybillAgent
import WaybillModel
import WaybillWire

/// The store's half of a verification.
@Suite struct AgentProofTests {
    private func question(_ step: Int, id: Int64 = 1) -> HubLetter.Examine {
        HubLetter.Examine(id: id, step: step, job: AgentAtWork.prices, tables: [.init(name: "price")])
    }

    private func answer(_ question: HubLetter.Examine) -> AgentLetter.Digests {
        AgentLetter.Digests(id: question.id, step: question.step, job: nil, watermark: nil, tables: [])
    }

    private func examined(_ effects: [AgentEffect]) -> [HubLetter.Examine] {
        effects.compactMap { if case .examine(let question) = $0 { question } else { nil } }
    }

    private func answered(_ effects: [AgentEffect]) -> [AgentLetter.Digests] {
        effects.compactMap {
            if case .send(let letter) = $0, case .digests(let digests) = letter.body { digests } else { nil }
        }
    }

    @Test func aQuestionIsWorkedOnAndAnswered() {
        var agent = AgentAtWork(watermark: AgentAtWork.mark(1))
        agent.step(.connected)
        #expect(examined(agent.step(.letter(.examine(question(1))))) == [question(1)])
        #expect(answered(agent.step(.examined(answer(question(1))))) == [answer(question(1))])
    }

    @Test func aRepeatedQuestionIsNotBegunAnew() {
        var agent = AgentAtWork(watermark: AgentAtWork.mark(1))
        agent.step(.connected)
        agent.step(.letter(.examine(question(1))))
        #expect(examined(agent.step(.letter(.examine(question(1))))).isEmpty)
        agent.step(.examined(answer(question(1))))
        // The answer may have been lost: then it is worked out once more.
        #expect(examined(agent.step(.letter(.examine(question(1))))) == [question(1)])
    }

    @Test func ofSeveralQuestionsOnlyTheNewestWaits() {
        var agent = AgentAtWork(watermark: AgentAtWork.mark(1))
        agent.step(.connected)
        agent.step(.letter(.examine(question(1))))
        for step in 2...50 { #expect(examined(agent.step(.letter(.examine(question(step))))).isEmpty) }
        let effects = agent.step(.examined(answer(question(1))))
        #expect(examined(effects) == [question(50)])
        #expect(examined(agent.step(.examined(answer(question(50))))).isEmpty)
    }

    @Test func withoutALineNothingIsSent() {
        var agent = AgentAtWork(watermark: AgentAtWork.mark(1))
        agent.step(.connected)
        agent.step(.letter(.examine(question(1))))
        agent.step(.disconnected)
        #expect(answered(agent.step(.examined(answer(question(1))))).isEmpty)
    }
}
