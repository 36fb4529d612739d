import Testing
import WaybillAgent
import WaybillModel
import WaybillWire

/// The agent tells the hub what is in quarantine, whenever it is asked.
@Suite struct AgentQuarantineTests {
    @Test func anOrderIsCarriedOutAndAnsweredWithTheList() {
        var agent = AgentAtWork()
        _ = agent.step(.connected)
        let order = QuarantineOrder(id: "1-a", action: .retry)
        for asked in [order, nil] {
            let effects = agent.step(.letter(.quarantineOrder(asked)))
            #expect(effects.compactMap { if case .quarantine(let told) = $0 { .some(told) } else { nil } } == [asked])
        }
        var state = agent.core.stored
        state.quarantineRevision = 5
        let report = QuarantineReport(revision: 5, total: 0, ordersDone: ["1-a"])
        let bodies = agent.step(.quarantineRead(report, state)).bodies
        #expect(bodies.contains(.quarantine(report)))
    }

    @Test func eachHelloNamesTheListAsItIsNow() {
        var agent = AgentAtWork()
        let revisions = { (effects: [AgentEffect]) in
            effects.bodies.compactMap {
                if case .hello(let hello) = $0 { .some(hello.quarantineRevision) } else { nil }
            }
        }
        #expect(revisions(agent.step(.connected)) == [0])
        var state = agent.core.stored
        state.quarantineRevision = 77
        _ = agent.step(.quarantineRead(QuarantineReport(revision: 77), state))
        _ = agent.step(.disconnected)
        #expect(revisions(agent.step(.connected)) == [77])
    }

    @Test func withoutALineNothingIsSent() {
        var agent = AgentAtWork()
        let effects = agent.step(.quarantineRead(QuarantineReport(revision: 77), agent.core.stored))
        #expect(effects.bodies.isEmpty)
    }
}

extension [AgentEffect] {
    fileprivate var bodies: [AgentLetter.Body] {
        compactMap { if case .send(let letter) = $0 { letter.body } else { nil } }
    }
}
