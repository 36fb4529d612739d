import Testing
import WaybillModel

@testable import WaybillApply

/// Outcomes go when nobody can ask about them any more, and not before.
@Suite struct OutcomeRetentionTests {
    private let shop: Shop

    init() throws { shop = try Shop() }

    /// Session `number` applied at `time`, and the hub knows it.
    private func applied(_ number: Int64, at time: Int64, acknowledged: Bool = true) throws {
        shop.clock = time
        let base = try shop.watermark.map(\.version.number)
        try shop.apply(
            base.map { .delta($0, number, .price([[1, "A", number]])) } ?? .full(number, .price([[1, "A", 0]])))
        if acknowledged { try shop.ledger.acknowledge(try shop.ledger.outbox(limit: 100).map(\.name)) }
    }

    private func forget(before time: Int64, olderThan oldest: Int64? = nil, kept: Int = 0, limit: Int = 200) throws
        -> Int
    {
        try shop.ledger.forgetOutcomes(
            before: Timestamp(milliseconds: time), olderThan: oldest, newestKept: kept, limit: limit)
    }

    private var left: [String] {
        get throws { try shop.rows("SELECT CAST(session AS INTEGER) FROM _waybill_outcome ORDER BY at") }
    }

    @Test func oldOutcomesGoInSlices() throws {
        for number in 1...6 { try applied(Int64(number), at: Int64(number) * 10) }
        #expect(try forget(before: 50, limit: 3) == 3)
        #expect(try forget(before: 50, limit: 3) == 1)
        #expect(try left == ["5", "6"])
    }

    @Test func theSessionOfTheWatermarkStays() throws {
        for number in 1...3 { try applied(Int64(number), at: 1) }
        #expect(try forget(before: 1_000) == 2)
        #expect(try left == ["3"])
        // A cancel of it is still answered by its time.
        let report = try shop.ledger.cancel(
            session: Parcel.session(3), job: Parcel.job, run: 1, at: Timestamp(milliseconds: 99))
        #expect(report.outcome == .applied)
    }

    @Test func whatTheHubHasOpenAndAllThatIsNewerStays() throws {
        for number in 1...6 { try applied(Int64(number), at: 1) }
        #expect(try forget(before: 1_000, olderThan: 3) == 2)
        #expect(try left == ["3", "4", "5", "6"])
    }

    @Test func nothingGoesWhileTheHubHasNotHeardOfIt() throws {
        for number in 1...3 { try applied(Int64(number), at: 1) }
        try applied(4, at: 2, acknowledged: false)
        #expect(try forget(before: 1_000) == 0)
    }

    @Test func theNewestOfEachJobStayWhateverTheClockSays() throws {
        for number in 1...5 { try applied(Int64(number), at: Int64(number)) }
        #expect(try forget(before: .max, kept: 4) == 1)
        #expect(try left == ["2", "3", "4", "5"])
    }

    @Test func anOldPackageStillCannotBringOldRowsBack() throws {
        for number in 1...4 { try applied(Int64(number), at: 1) }
        _ = try forget(before: 1_000)
        guard case .wrongBase = shop.fault({ try shop.apply(.delta(1, 2, .price([[1, "A", 2]]))) }) else {
            Issue.record("a delta over another base was applied")
            return
        }
        #expect(try shop.rows("SELECT cents FROM price") == ["4"])
    }
}
