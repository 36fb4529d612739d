import Foundation
import Synchronization
import Testing

@testable import WaybillDatabase

@Suite struct ThreadBoundTests {
    private struct Stop: Error {}

    @Test func aValueHoldsUntilItsClosureEndsAndGivesWayToTheFormerOne() throws {
        let bound = ThreadBound<String>()
        #expect(bound.value == nil)
        bound.withValue("outer") {
            bound.withValue("inner") { #expect(bound.value == "inner") }
            #expect(bound.value == "outer")
            #expect(throws: Stop.self) { try bound.withValue("failing") { throw Stop() } }
            #expect(bound.value == "outer")
        }
        #expect(bound.value == nil)
    }

    @Test func otherThreadsKnowNothingOfIt() {
        let bound = ThreadBound<Int>()
        bound.withValue(1) {
            let seen = Mutex<[Int?]>([])
            let ended = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                seen.withLock { $0.append(bound.value) }
                ended.signal()
            }
            ended.wait()
            #expect(seen.withLock { $0 } == [nil])
            #expect(bound.value == 1)
        }
    }
}
