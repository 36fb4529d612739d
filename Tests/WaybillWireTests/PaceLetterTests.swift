import Testing
import WaybillModel
import WaybillWire

/// What newer agents and hubs tell each other beside what both have always known.
@Suite struct PaceLetterTests {
    private func hello(_ activity: AgentActivity?) throws -> AgentLetter {
        AgentLetter(
            store: try #require(StoreID("S1")), incarnation: Incarnation(counter: 1, random: 2),
            body: .hello(
                AgentLetter.Hello(
                    agentVersion: "1", sequence: 1, watermarks: [:], freeBytes: 1, progress: nil, activity: activity)))
    }

    @Test(arguments: AgentActivity.Phase.allCases)
    func aPhaseArrivesAsItWasSent(phase: AgentActivity.Phase) throws {
        let letter = try hello(AgentActivity(phase: phase, idleMilliseconds: 12_345))
        #expect(try AgentLetter(decoding: try letter.encoded()) == letter)
    }

    @Test func anAgentThatTellsNoPhaseIsUnderstood() throws {
        let letter = try hello(nil)
        #expect(try AgentLetter(decoding: try letter.encoded()) == letter)
    }

    @Test func aPhaseOfANewerAgentIsNoneAndAnAbsurdIdlenessIsBounded() throws {
        var wire = try WireAgentMessage(serializedBytes: try hello(nil).encoded())
        wire.hello.phase = .UNRECOGNIZED(77)
        #expect(try AgentLetter(decoding: try wire.serializedBytes()) == hello(nil))
        wire.hello.phase = .applying
        wire.hello.idleMs = .max
        guard case .hello(let hello) = try AgentLetter(decoding: try wire.serializedBytes()).body else {
            Issue.record("no hello")
            return
        }
        #expect(hello.activity?.idleMilliseconds == Int64(AgentActivity.idleMax))
    }

    @Test func aPaceArrivesAsItWasSentAndAnAbsurdOneIsBounded() throws {
        func welcome(_ pace: HubLetter.Pace?) -> HubLetter {
            .welcome(
                HubLetter.Welcome(
                    hubRun: 1, hubTime: Timestamp(milliseconds: 5), offers: [], cancels: [], helloSeconds: 30,
                    pace: pace))
        }
        for pace in [nil, HubLetter.Pace(retryAfterMilliseconds: 7), HubLetter.Pace(startSpreadMilliseconds: 9)] {
            #expect(try HubLetter(decoding: try welcome(pace).encoded()) == welcome(pace))
        }
        let absurd = HubLetter.Pace(retryAfterMilliseconds: 1 << 40, startSpreadMilliseconds: 1 << 40)
        let bound = HubLetter.Pace.millisecondsMax
        #expect(
            try HubLetter(decoding: try welcome(absurd).encoded())
                == welcome(HubLetter.Pace(retryAfterMilliseconds: bound, startSpreadMilliseconds: bound)))
    }
}
