import Foundation
import Logging
import Synchronization
import Testing
import WaybillSocket

@testable import WaybillHub

/// The hub goes on asking whether strangers are refused.
@Suite struct StrangerWatchTests {
    private static func answers(_ outcomes: StrangerTest.Outcome...) -> [StrangerWatch.Answer] {
        outcomes.enumerated().map { (endpoint: "tcp://127.0.0.1:\($0.offset)", outcome: $0.element) }
    }

    @Test func onlyTheGatekeepersOwnRefusalAtEachEndpointIsWell() {
        #expect(StrangerWatch.judge(Self.answers(.refused(status: 400), .refused(status: 400))) == .well)
        for other in [StrangerTest.Outcome.noAnswer, .refused(status: nil), .refused(status: 300)] {
            guard case .unproven(let why) = StrangerWatch.judge(Self.answers(.refused(status: 400), other)) else {
                Issue.record("\(other) proves nothing")
                continue
            }
            #expect(why.contains("tcp://127.0.0.1:1"))
        }
    }

    @Test func anEndpointThatLetsAStrangerInIsOpenWhateverTheOthersSay() {
        let verdict = StrangerWatch.judge(Self.answers(.noAnswer, .gotIn))
        #expect(verdict == .open("a stranger's key was let in at tcp://127.0.0.1:1; this hub must not serve"))
    }

    @Test func theHubIsEndedByTheFirstStrangerWhoGetsInAfterManyWhoDidNot() throws {
        let rounds = Mutex(0)
        let ended = DispatchSemaphore(value: 0)
        let watch = StrangerWatch(
            every: .milliseconds(1), logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            ask: {
                let number = rounds.withLock { number in
                    number += 1
                    return number
                }
                return Self.answers(.refused(status: 400), number < 5 ? .refused(status: 400) : .gotIn)
            }, onOpen: { _ in ended.signal() })
        try watch.start()
        #expect(ended.wait(timeout: .now() + 20) == .success)
        watch.stop()
        #expect(rounds.withLock { $0 } >= 5)
    }

    @Test func stoppingDoesNotWaitForTheHour() throws {
        let watch = StrangerWatch(logger: Logger(label: "test"), ask: { [] }, onOpen: { _ in })
        try watch.start()
        let begun = ContinuousClock.now
        watch.stop()
        #expect(ContinuousClock.now - begun < .seconds(10))
    }
}
