import Testing
import WaybillJobs
import WaybillModel
import WaybillPlan

/// Guard rails: which changes somebody has to approve, and in which words they are told.
@Suite struct ChangeLimitsTests {
    private let stores = ["S7", "S8", "S9"].compactMap(StoreID.init)

    private func impact(
        _ kind: PackageKind = .delta, added: Int64 = 0, changed: Int64 = 0, removed: Int64 = 0, had: Int64? = nil,
        moves: [PriceMove] = []
    ) -> Impact {
        let table = TableImpact(
            table: "product", added: added, changed: changed, removed: removed, had: had, priceMoves: moves,
            disappearing: [])
        return Impact(kind: kind, tables: [table])
    }

    private func sentences(
        _ impact: Impact, _ limits: ChangeLimits = ChangeLimits(), stores count: Int = 1
    ) -> [String] {
        limits.exceeded(by: impact, at: Array(stores.prefix(count))).map(\.sentence)
    }

    private func move(_ before: Double, _ after: Double) -> PriceMove {
        PriceMove(key: ["COF-HAUS", "L3"], column: "amount_e4", before: before, after: after)
    }

    @Test func anEmptiedTableIsHeldBack() {
        #expect(
            sentences(impact(removed: 412, had: 500)) == [
                "store S7 would lose 412 of 500 rows of product (82.4 %, limit 30 %)"
            ])
        #expect(
            sentences(impact(removed: 4000, had: 4000), stores: 3) == [
                "store S7 and 2 others would lose 4,000 of 4,000 rows of product (100 %, limit 30 %)"
            ])
    }

    @Test func theLimitItselfIsStillAllowed() {
        #expect(sentences(impact(removed: 150, had: 500)).isEmpty)
        #expect(
            sentences(impact(removed: 30_001, had: 100_000)) == [
                "store S7 would lose 30,001 of 100,000 rows of product (30.1 %, limit 30 %)"
            ])
    }

    @Test func aFewRowsOfASmallTableAreNeverHeldBack() {
        #expect(sentences(impact(removed: 100, had: 100)).isEmpty)
        #expect(!sentences(impact(removed: 101, had: 101)).isEmpty)
        var limits = ChangeLimits()
        limits.removedRowsFree = 0
        #expect(!sentences(impact(removed: 1, had: 1), limits).isEmpty)
    }

    @Test func aSlippedDecimalPointIsHeldBackInBothDirections() {
        #expect(
            sentences(impact(moves: [move(18.9, 189)]), stores: 2) == [
                "store S7 and 1 other would see amount_e4 of COF-HAUS, L3 in product go from 18.90 to 189.00 "
                    + "(+900 %, limit 80 %)"
            ])
        #expect(
            sentences(impact(moves: [move(18.9, 1.89)])) == [
                "store S7 would see amount_e4 of COF-HAUS, L3 in product go from 18.90 to 1.89 (-90 %, limit 80 %)"
            ])
        #expect(sentences(impact(moves: [move(10, 18), move(10, 2)])).isEmpty)
    }

    @Test func aPriceForWhatHadNoneIsNoSlip() {
        #expect(sentences(impact(moves: [move(0, 5)])).isEmpty)
        #expect(!sentences(impact(moves: [move(5, 0)])).isEmpty)
    }

    @Test func theSameChangeInSeveralAudiencesIsToldOnce() {
        let limits = ChangeLimits()
        let rise = impact(moves: [move(18.9, 189)])
        let found =
            limits.exceeded(by: rise, at: [stores[0]]) + limits.exceeded(by: impact(removed: 300, had: 500), at: stores)
            + limits.exceeded(by: rise, at: [stores[2]])
        let merged = Excess.merged(found)
        #expect(merged.map(\.stores) == [[stores[0], stores[2]], stores])
        #expect(merged.first?.sentence.hasPrefix("store S7 and 1 other would see amount_e4 of COF-HAUS, L3") == true)
    }

    @Test func soManyRowsAreHeldBack() {
        var limits = ChangeLimits()
        limits.maxRows = 999
        #expect(sentences(impact(added: 500, changed: 499), limits).isEmpty)
        #expect(
            sentences(impact(added: 500, changed: 499, removed: 1, had: 5000), limits) == [
                "store S7 would have 1,000 rows added, changed or removed (limit 999)"
            ])
    }

    @Test func aFirstLoadIsNoChange() {
        #expect(sentences(impact(.full, added: 10_000_000)).isEmpty)
    }

    @Test func withoutLimitsNothingIsHeldBack() {
        let limits = ChangeLimits(maxRemovedPercent: nil, maxPriceChangePercent: nil, maxRows: nil)
        #expect(!limits.areAny)
        #expect(sentences(impact(added: 10_000_000, removed: 500, had: 500, moves: [move(1, 100)]), limits).isEmpty)
    }
}
