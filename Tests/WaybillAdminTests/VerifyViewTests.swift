import Testing
import WaybillAdmin
import WaybillConsole
import WaybillModel

/// Verifications as people see them.
@Suite struct VerifyViewTests {
    private static let wide = Screen(columns: nil, hasColour: false)
    private static let now = Timestamp(milliseconds: 1_800_000_000_000)

    private func at(secondsAgo: Int64) -> UTCTime { UTCTime(Self.now + -secondsAgo * 1000) }

    private func store(_ verified: [String: Int64], diverged: [String] = []) throws -> StoreSummary {
        let session = SessionID(number: 7, random: 7)
        let mark = Watermark(version: Version(epoch: 1, number: 10), session: session)
        let jobs = try ["prices", "assortments"].map { try #require(JobID($0)) }
        var summary = StoreSummary(
            store: try #require(StoreID("S1")), state: .active, online: true, lastSeen: at(secondsAgo: 1),
            agentVersion: "1", watermarks: Dictionary(uniqueKeysWithValues: jobs.map { ($0, mark) }), behind: [],
            freeBytes: nil, message: nil)
        summary.verifiedThrough = verified.mapValues {
            VerifiedValue(version: 10, session: session, at: at(secondsAgo: $0))
        }
        summary.diverged = diverged.compactMap { JobID($0) }
        return summary
    }

    private func line(_ store: StoreSummary) throws -> String {
        try #require(StoreViews.list([store], now: Self.now, Self.wide).last)
    }

    @Test func theListSaysWhenAllOfAStoreWasLastKnownToBeRight() throws {
        #expect(try line(store(["prices": 60, "assortments": 7200])).contains("2 h ago"))
        #expect(try line(store(["prices": 60])).contains("never"))
        let diverged = try line(store(["prices": 60, "assortments": 60], diverged: ["prices"]))
        #expect(diverged.contains("diverged") && diverged.contains("other rows than HQ's: prices"))
    }

    @Test func aRowThatDiffersIsASentence() throws {
        let finding = VerificationFinding(
            table: "price", difference: "changed", key: ["id": "A"], row: "id = 'A'",
            columns: [.init(column: "amount", hq: "12", store: nil)])
        let summary = VerificationSummary(
            id: 3, store: try #require(StoreID("S1")), job: try #require(JobID("prices")), outcome: "diverged",
            repairing: false, cause: "asked", begunAt: at(secondsAgo: 2), endedAt: at(secondsAgo: 1), version: 10,
            session: nil, changed: 5, missing: 0, extra: 0, partial: false, repairSession: nil, message: nil,
            goodBefore: nil, findings: [finding])
        let lines = VerifyViews.list([summary], now: Self.now, Self.wide)
        #expect(lines.contains("  table price, row id = 'A': amount is NULL, HQ says 12"))
        #expect(lines.last == "  … and 4 more")
    }
}
