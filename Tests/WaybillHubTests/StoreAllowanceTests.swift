import Testing
import WaybillModel
import WaybillWire

@testable import WaybillHub

@Suite struct StoreAllowanceTests {
    private static let letter = AgentLetter(
        store: Sample.store, incarnation: Incarnation(counter: 1, random: 1),
        body: .request(session: Sample.session(1), run: 1, attempt: 1))

    private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    private func hello(_ positions: [JobID: Watermark]) -> AgentLetter {
        AgentLetter(
            store: Sample.store, incarnation: Incarnation(counter: 1, random: 1),
            body: .hello(
                .init(agentVersion: "1", sequence: 1, watermarks: positions, freeBytes: 0, progress: nil)))
    }

    @Test func aMillionLettersOfOneStoreAreHeardAtTheRateOfOneStore() {
        var allowance = StoreAllowance()
        var heard = 0
        var lines = 0
        // Within ten seconds of the clock.
        for number in 0..<1_000_000 {
            let answer = allowance.admits(
                StoreAllowanceTests.letter, of: Sample.store, beside: [:], now: at(Int64(number) / 100))
            heard += answer.isAdmitted ? 1 : 0
            lines += answer.complaint == nil ? 0 : 1
        }
        #expect((1000...1300).contains(heard), "\(heard)")
        #expect(lines == 1)
        // And after a while it is heard again.
        #expect(allowance.admits(StoreAllowanceTests.letter, of: Sample.store, beside: [:], now: at(20_000)).isAdmitted)
    }

    @Test func aDownloadAtFullSpeedIsNotHeldUp() throws {
        var allowance = StoreAllowance()
        let package = try #require(PackageID([UInt8](repeating: 1, count: 32)))
        let letter = AgentLetter(
            store: Sample.store, incarnation: Incarnation(counter: 1, random: 1),
            body: .chunkRequest(package: package, index: 0))
        // 9,000 a second, for a minute: 1.1 GB/s of the smallest chunks.
        for number in 0..<540_000 {
            let answer = allowance.admits(letter, of: Sample.store, beside: [:], now: at(Int64(number) / 9))
            if !answer.isAdmitted { return #expect(answer.isAdmitted, "chunk request \(number)") }
        }
    }

    @Test func aStoreThatAlwaysFallsBackCausesFewSessions() {
        var allowance = StoreAllowance()
        let high = [Sample.prices: Sample.mark(9)]
        var sessions = 0
        // Every second for an hour it says that it has lost everything.
        for second in 0..<3600 {
            let answer = allowance.admits(hello([:]), of: Sample.store, beside: high, now: at(Int64(second) * 1000))
            sessions += answer.isAdmitted ? 1 : 0
        }
        #expect((70...90).contains(sessions), "\(sessions)")
    }

    @Test func progressIsNoFallAndAnotherHistoryIs() {
        var allowance = StoreAllowance()
        let before = [Sample.prices: Sample.mark(5)]
        for second in 1...1000 {
            let after = [Sample.prices: Sample.mark(Int64(5 + second))]
            #expect(
                allowance.admits(hello(after), of: Sample.store, beside: before, now: at(Int64(second) * 100))
                    .isAdmitted)
        }
        let admitted = (0..<100).filter { number in
            let strange = [Sample.prices: Sample.mark(Int64(number) + 6)]
            return allowance.admits(
                hello(strange), of: Sample.store, beside: before, isKnown: { _ in false }, now: at(100_000)
            ).isAdmitted
        }
        #expect(admitted.count == 20)
    }

    @Test func aStoreOffersAFewNewKeysAndThenOneAMinute() {
        var allowance = StoreAllowance()
        let offer = AgentLetter(
            store: Sample.store, incarnation: Incarnation(counter: 1, random: 1),
            body: .keys(KeyNotice(newKey: [UInt8](repeating: 4, count: 32))))
        let admitted = (0..<1200).filter { second in
            allowance.admits(offer, of: Sample.store, beside: [:], now: at(Int64(second) * 1000)).isAdmitted
        }
        #expect((38...41).contains(admitted.count), "\(admitted.count)")
    }

    @Test func oneAddressTriesToEnrolOnceASecondInTheLongRun() {
        var limit = EnrolmentLimit()
        let admitted = (0..<100_000).filter { admits(&limit, "10.0.0.1", Int64($0)) }.count
        #expect((155...165).contains(admitted), "\(admitted)")
        let isOtherAdmitted = admits(&limit, "10.0.0.2", 0)
        #expect(isOtherAdmitted)
    }

    /// Keys and stores are counted within a minute, addresses over all of them.
    @Test func aNewMinuteDoesNotForgiveAnAddress() throws {
        var limit = EnrolmentLimit()
        for _ in 0..<60 {
            let isAdmitted = admits(&limit, "10.0.0.1", 0)
            #expect(isAdmitted)
        }
        try limit.admit(Sample.store, from: "key", at: "10.0.0.1", now: at(0))
        try limit.admit(Sample.store, from: "key", at: "10.0.0.1", now: at(60_000))
        #expect((0..<100).filter { _ in admits(&limit, "10.0.0.1", 30_000) }.count == 30)
    }

    @Test func manyAddressesTakeBoundedMemory() {
        var limit = EnrolmentLimit()
        for number in 0..<100_000 { _ = admits(&limit, "address \(number)", 0) }
        let kept = Mirror(reflecting: limit).descendant("addresses") as? [String: Bucket]
        #expect((1...4096).contains(kept?.count ?? 0))
    }

    private func admits(_ limit: inout EnrolmentLimit, _ address: String, _ now: Int64) -> Bool {
        (try? limit.admit(from: address, at: at(now))) != nil
    }
}
