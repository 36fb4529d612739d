import Testing
import WaybillModel

@testable import WaybillHub

/// Rows in quarantine differ from HQ's for a reason that is shown elsewhere.
@Suite struct QuarantinedRowsTests {
    private let job = JobID("prices")

    private func verdict(_ differences: [RowDifference], unfinished: [String] = []) -> Proof.Verdict {
        var verdict = Proof.Verdict(outcome: .diverged, mark: nil)
        for difference in differences { verdict.counts[difference.kind, default: 0] += 1 }
        verdict.named = differences
        verdict.unfinished = unfinished
        verdict.ranges = ["price": [.all]]
        return verdict
    }

    private func entry(_ table: String, _ key: String, job: String = "prices") throws -> QuarantineEntry {
        QuarantineEntry(
            job: try #require(JobID(job)), table: table, key: key, kind: .refused, detail: "", hasOlderRow: false,
            session: try #require(SessionID("7-000000000007")), version: Version(epoch: 1, number: 7),
            since: Timestamp(milliseconds: 0), attempts: 1)
    }

    @Test func aStoreWhoseOnlyDifferencesAreInQuarantineIsAsItShouldBe() throws {
        let given = verdict([
            RowDifference(table: "price", key: [.text(Array("P1".utf8)), .integer(-3)], kind: .missing),
            RowDifference(table: "price", key: [.blob([0xab, 1])], kind: .extra),
        ])
        let excused = given.excusing(
            [try entry("PRICE", "P1,-3"), try entry("price", "AB01")], of: try #require(job))
        #expect(excused.outcome == .ok)
        #expect(excused.counts.isEmpty && excused.named.isEmpty && excused.ranges.isEmpty)
        #expect(excused.message == "2 rows are in quarantine there")
    }

    @Test func whatIsNotInQuarantineStaysADifference() throws {
        let given = verdict([
            RowDifference(table: "price", key: [.text(Array("P1".utf8))], kind: .changed),
            RowDifference(table: "price", key: [.text(Array("P2".utf8))], kind: .changed),
        ])
        let excused = given.excusing([try entry("price", "P1"), try entry("other", "P2")], of: try #require(job))
        #expect(excused.outcome == .diverged)
        #expect(excused.counts == [.changed: 1])
        #expect(excused.named.map(\.key) == [[.text(Array("P2".utf8))]])
        #expect(excused.ranges == given.ranges)
    }

    @Test func entriesOfAnotherJobAndTablesThatWereNotLookedThroughExcuseNothing() throws {
        let one = RowDifference(table: "price", key: [.text(Array("P1".utf8))], kind: .missing)
        let other = verdict([one])
        #expect(other.excusing([try entry("price", "P1", job: "assortments")], of: try #require(job)) == other)
        let partial = verdict([one], unfinished: ["price"])
        #expect(partial.excusing([try entry("price", "P1")], of: try #require(job)).outcome == .diverged)
    }

    @Test func aLongKeyIsKnownByItsBeginningAsTheStoreWritesIt() throws {
        let key = String(repeating: "ä", count: 300)
        let given = verdict([RowDifference(table: "price", key: [.text(Array(key.utf8))], kind: .missing)])
        let cut = String(key.prefix(QuarantineLimits.keyBytesMax / 4))
        #expect(given.excusing([try entry("price", cut)], of: try #require(job)).outcome == .ok)
    }
}
