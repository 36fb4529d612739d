import Testing
import WaybillAgent
import WaybillModel
import WaybillWire

/// When the agent looks for outcomes that it can forget.
@Suite struct AgentRetentionTests {
    private var work = AgentAtWork()

    private func asked(_ effects: [AgentEffect]) -> [Int64?] {
        effects.compactMap { if case .forgetOutcomes(let oldest) = $0 { .some(oldest) } else { nil } }
    }

    @Test mutating func onceADayAndOnlyWhenTheHubHasSaidWhatIsOpen() {
        work.step(.connected)
        #expect(asked(work.tick(after: 60_000)).isEmpty)
        #expect(asked(work.welcome()) == [nil])
        work.step(.outcomesForgotten(isAll: true))
        #expect(asked(work.welcome()).isEmpty)
        work.now = work.now + 24 * 3600 * 1000
        #expect(asked(work.welcome()) == [nil])
    }

    @Test mutating func moreToForgetIsTakenUpAtTheNextWelcome() {
        work.step(.connected)
        work.welcome()
        work.step(.outcomesForgotten(isAll: false))
        #expect(asked(work.welcome()) == [nil])
    }

    @Test mutating func whatIsOfferedOrCanceledIsNamed() {
        work.step(.connected)
        let order = HubLetter.CancelOrder(session: AgentAtWork.session(7), job: AgentAtWork.prices, run: 1)
        #expect(asked(work.welcome([AgentAtWork.offer(9)], cancels: [order])) == [7])
    }
}
