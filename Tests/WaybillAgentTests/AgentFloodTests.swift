import Testing
import WaybillAgent
import WaybillModel
import WaybillWire

/// A hub, or whoever holds its key, that says too much.
@Suite struct AgentFloodTests {
    @Test func aMillionBogusAnnouncementsMakeAFewHellos() {
        var agent = AgentAtWork()
        agent.step(.connected)
        agent.tick()
        agent.welcome()
        // Within ten seconds.
        var hellos = 0
        for number in 1...1_000_000 {
            if number.isMultiple(of: 100) { hellos += agent.tick(after: 1).hellos.count }
            let session = AgentAtWork.session(Int64(number % 1000 + 5))
            hellos += agent.step(.announced(session, spreadMilliseconds: 0)).hellos.count
        }
        #expect((40...52).contains(hellos), "\(hellos)")
    }

    @Test func anAnnouncementAfterAQuietTimeIsAskedAfterAtOnce() {
        var agent = AgentAtWork()
        agent.step(.connected)
        agent.tick()
        agent.welcome()
        agent.now = agent.now + 5000
        #expect(agent.step(.announced(AgentAtWork.session(9), spreadMilliseconds: 0)).hellos.count == 1)
    }

    @Test func offersBeyondTheLimitAreNoLetter() throws {
        let offers = (1...1025).map { AgentAtWork.offer(Int64($0)) }
        let frame = try HubLetter.welcome(
            .init(hubRun: 1, hubTime: Timestamp(milliseconds: 0), offers: offers, cancels: [], helloSeconds: 30)
        ).encoded()
        #expect(throws: LetterFault.self) { try HubLetter(decoding: frame) }
    }

    @Test func whatIsLongerThanItsLimitIsNoLetter() throws {
        let package = AgentAtWork.package(1)
        let long = [UInt8](repeating: 0, count: Limits.chunkBytesMax + 1)
        let names = (0...Int64(Limits.reportsMax)).map {
            ReportName(incarnation: Incarnation(counter: 1, random: 1), id: $0)
        }
        let grant = HubLetter.Grant(
            session: AgentAtWork.session(1), run: 1, attempt: 1, manifest: long, signature: [])
        let letters: [HubLetter] = [
            .chunk(package: package, index: 0, data: long), .acknowledgement(names), .grant(grant),
        ]
        for letter in letters {
            #expect(throws: LetterFault.self) { try HubLetter(decoding: try letter.encoded()) }
        }
    }
}
