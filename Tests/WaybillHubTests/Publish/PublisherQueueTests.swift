import Synchronization
import Testing
import WaybillModel

@testable import WaybillHub

@Suite struct PublisherQueueTests {
    private func build(_ number: Int64) -> PublisherTask { .build(SessionID(number: number, random: 1)) }

    private func name(_ task: PublisherTask?) -> String {
        switch task {
        case .build(let session): "build \(session.number)"
        case .look: "look"
        case .rest: "rest"
        default: "nothing"
        }
    }

    @Test func aLookIsTakenBeforeWhatWaitsToBeBuilt() {
        let queue = PublisherQueue()
        queue.add(build(1))
        queue.add(.look { _ in })
        queue.add(build(2))
        queue.add(.look { _ in })
        #expect((0..<4).map { _ in name(queue.next()) } == ["look", "look", "build 1", "build 2"])
    }

    @Test func theHubRestsOnlyWhenNothingHasBeenAskedForAWhile() {
        let queue = PublisherQueue()
        queue.add(build(1))
        #expect((0..<2).map { _ in name(queue.next(restAfter: 0)) } == ["build 1", "rest"])
        queue.stop()
        #expect(name(queue.next(restAfter: 0)) == "nothing")
    }

    @Test func whoeverLooksWhenTheHubStopsIsTold() {
        let told = Mutex(0)
        let queue = PublisherQueue()
        queue.add(.look { rows in if rows == nil { told.withLock { $0 += 1 } } })
        queue.stop()
        #expect(told.withLock { $0 } == 1)
        queue.add(.look { rows in if rows == nil { told.withLock { $0 += 1 } } })
        #expect(told.withLock { $0 } == 2)
        #expect(name(queue.next()) == "nothing")
    }
}
