import Testing
import WaybillModel
import WaybillSessions

@testable import WaybillHub

@Suite struct EnrolmentLimitTests {
    private func tries(
        _ limit: inout EnrolmentLimit, _ count: Int, store: String = "S1", from address: String = "192.0.2.1",
        at now: Int64 = 0, key: (Int) -> String
    ) throws -> Int {
        let store = try #require(StoreID(store))
        var admitted = 0
        for number in 0..<count {
            do {
                try limit.admit(store, from: key(number), at: address, now: Timestamp(milliseconds: now))
                admitted += 1
            } catch { #expect(error.description.hasSuffix("wait a minute and try again")) }
        }
        return admitted
    }

    @Test func oneMachineMayTryTenTimesAMinute() throws {
        var limit = EnrolmentLimit()
        #expect(try tries(&limit, 25) { _ in "key" } == 10)
        #expect(try tries(&limit, 1, at: 59_999) { _ in "key" } == 0)
        #expect(try tries(&limit, 1, at: 60_000) { _ in "key" } == 1)
    }

    @Test func manyMachinesMayTryThirtyTimesForOneStoreAndCostTheOthersNothing() throws {
        var limit = EnrolmentLimit()
        #expect(try tries(&limit, 100) { "key \($0)" } == 30)
        #expect(try tries(&limit, 1, store: "S2") { _ in "another" } == 1)
    }

    /// Keys cost nothing, and the names of stores are no secret.
    @Test func nobodyKeepsAStoresOwnMachineOutByKnockingInItsName() throws {
        var limit = EnrolmentLimit()
        #expect(try tries(&limit, 100, from: "198.51.100.7") { "key \($0)" } == 30)
        #expect(try tries(&limit, 1, from: "192.0.2.1") { _ in "the machine's" } == 1)
    }

    @Test func whateverComesTheMemoryHasABound() throws {
        var limit = EnrolmentLimit()
        var admitted = 0
        for number in 0..<7_000 { admitted += try tries(&limit, 1, store: "S\(number)") { _ in "key \(number)" } }
        #expect(admitted == EnrolmentLimit.triesMax)
    }

    @Test func refusalsFillNoLog() {
        var limit = EnrolmentLimit()
        let lines = (0..<500).filter { _ in limit.isWorthALine(at: Timestamp(milliseconds: 1)) }
        #expect(lines.count == EnrolmentLimit.linesMax)
        let isOverAgain = limit.isWorthALine(at: Timestamp(milliseconds: 60_001))
        #expect(isOverAgain)
    }
}
