import Foundation
import GRDB
import Testing
import WaybillModel
import WaybillPlan
import WaybillWire

@testable import WaybillHub

/// Verifications from HQ's rows to the store's, over real databases and letters as they go over the wire.
@Suite struct ProofTests {
    @Test func aStoreThatHasAllOfItProvesItWithAFewHundredBytes() throws {
        let street = try VerifyStreet()
        try street.fill(3_000)
        let mark = try street.publish()
        let run = try street.verify()
        #expect(run.verdict == Proof.Verdict(outcome: .ok, mark: mark))
        #expect(run.questions == 1)
        #expect(run.bytesToStore + run.bytesToHub < 400)
    }

    /// Random tables, random edits by hand: exactly the edited keys are named.
    @Test(arguments: 0..<14)
    func exactlyTheRowsThatWereEditedAreFound(seed: Int) throws {
        var chance = ProofChance(seed)
        let street = try VerifyStreet()
        let size = [0, 1, 30, 33, 400, 1_500, 5_000][seed % 7]
        try street.fill(size)
        try street.publish()
        let before = try keys(street)
        var expected: [String: RowDifference.Kind] = [:]
        for _ in 0..<chance.number(1..<12) {
            let kind = chance.number(0..<3)
            if kind == 2 || before.isEmpty {
                let id = "new\(chance.number(0..<1_000))"
                let edited = try street.edit(
                    "INSERT OR IGNORE INTO thing (item_id, unit, price) VALUES ('\(id)', 5, 1)")
                if edited > 0 { expected["\(Self.hex(id))/5"] = .extra }
                continue
            }
            let key = before[chance.number(0..<before.count)]
            let parts = key.split(separator: "/")
            let row = "item_id = CAST(x'\(parts[0])' AS TEXT) AND unit = \(parts[1])"
            if kind == 0 {
                guard expected[key] != .missing else { continue }
                _ = try street.edit("UPDATE thing SET price = ifnull(price, 0) + 1, note = 'by hand' WHERE \(row)")
                expected[key] = .changed
            } else {
                _ = try street.edit("DELETE FROM thing WHERE \(row)")
                expected[key] = .missing
            }
        }
        let verdict = try #require(try street.verify().verdict)
        #expect(verdict.outcome == (expected.isEmpty ? .ok : .diverged))
        let found = Dictionary(uniqueKeysWithValues: verdict.named.map { (Self.name($0.key), $0.kind) })
        #expect(found == expected)
        for kind in RowDifference.Kind.allCases {
            #expect(verdict.counts[kind] ?? 0 == Int64(expected.values.filter { $0 == kind }.count))
        }
        // And what is sent for them is little, and puts all of it right.
        guard !expected.isEmpty else { return }
        let sent = try street.repair(verdict.ranges)
        #expect(sent <= Int64(expected.count) * 2 * RowsAudit.leafRows)
        #expect(try street.verify().verdict?.outcome == .ok)
        #expect(try keys(street) == before)
    }

    @Test func whatDiffersInARowIsTold() throws {
        let street = try VerifyStreet()
        try street.fill(200)
        try street.publish()
        _ = try street.edit("UPDATE thing SET price = NULL, note = 'by hand' WHERE item_id = 'i4' AND unit = 1")
        let found = try #require(try street.verify().verdict?.named.first)
        // Columns beside the key, in the job's order: note, price, data.
        #expect(found.columns.map(\.index) == [0, 1])
        #expect(found.columns[0].store == .text(Array("by hand".utf8)) && found.columns[1].store == nil)
        #expect(found.columns[1].hq == .real(14 * 0.37))
    }

    private func keys(_ street: VerifyStreet) throws -> [String] {
        try #require(street.tills[VerifyStreet.store]).read {
            try String.fetchAll($0, sql: "SELECT lower(hex(item_id)) || '/' || unit FROM thing ORDER BY 1")
        }
    }

    private static func hex(_ text: String) -> String { KeyValue.blob(Array(text.utf8)).text }

    private static func name(_ key: [KeyValue]) -> String {
        guard case .text(let id) = key[0], case .integer(let unit) = key[1] else { return "\(key)" }
        return "\(KeyValue.blob(id).text)/\(unit)"
    }

    @Test(arguments: 0..<12)
    func lettersMayBeLostAndRepeated(seed: Int) throws {
        var chance = ProofChance(seed + 100)
        let street = try VerifyStreet()
        try street.fill(2_000)
        try street.publish()
        _ = try street.edit("UPDATE thing SET note = 'by hand' WHERE item_id IN ('i100', 'i500')")
        let run = try street.verify(line: { chance.happens(30) ? 0 : chance.happens(30) ? 2 : 1 })
        #expect(run.verdict?.outcome == .diverged)
        #expect(run.verdict?.counts == [.changed: 6])
    }

    @Test func aHundredStoresThatSeeTheSameCostOneComputation() throws {
        let street = try VerifyStreet()
        let stores = (1...100).compactMap { StoreID("S\($0)") }
        try street.fill(200, stores: stores)
        try street.publish(to: stores)
        for store in stores { #expect(try street.verify(store).verdict?.outcome == .ok) }
        // Each scope of each of two tables, once.
        #expect(street.audit.scopesSummed == 2 * VerifyStreet.scopes.count)
        // A change in one scope costs that scope alone.
        try street.sql("UPDATE item SET price = 1 WHERE item_id = (SELECT min(item_id) FROM item WHERE scope = 'x')")
        let some = Array(stores.prefix(10))
        try street.publish(to: some)
        for store in some { #expect(try street.verify(store).verdict?.outcome == .ok) }
        #expect(street.audit.scopesSummed == 2 * VerifyStreet.scopes.count + 1)
    }

    @Test func aStoreThatStandsAtAnOlderVersionIsVerifiedThere() throws {
        let street = try VerifyStreet()
        try street.fill(300)
        let mark = try street.publish()
        try street.sql("UPDATE item SET price = 99; DELETE FROM item WHERE unit = 1")
        _ = try street.rows.derive(street.job)
        #expect(try street.verify().verdict == Proof.Verdict(outcome: .ok, mark: mark))
    }

    @Test func aStoreThatMovesOnMeanwhileIsVerifiedAtItsNewPlace() throws {
        let street = try VerifyStreet()
        try street.fill(300)
        try street.publish()
        _ = try street.edit("UPDATE thing SET note = 'by hand' WHERE item_id = 'i5'")
        var mark: Watermark?
        let run = try street.verify(before: { number in
            guard number == 2 else { return }
            try street.sql("UPDATE item SET price = 42 WHERE item_id = 'i9'")
            // All of it: what was changed by hand is put right.
            mark = try street.publish()
        })
        #expect(run.verdict == Proof.Verdict(outcome: .ok, mark: mark))
    }

    @Test func whatIsNoLongerKeptCannotBeCompared() throws {
        let street = try VerifyStreet()
        try street.fill(30)
        try street.publish()
        street.job.subjobs[0].table.columns[0].isNullable.toggle()
        let verdict = try #require(try street.verify().verdict)
        #expect(verdict.outcome == .unknown)
        #expect(verdict.message.contains("waybill publish items"))
    }

    @Test func aStoreThatHasNothingYetIsNotCalledDifferent() throws {
        let street = try VerifyStreet()
        try street.fill(30)
        try street.publish()
        try street.forgetWatermark()
        let verdict = try #require(try street.verify().verdict)
        #expect(verdict.outcome == .unknown && verdict.message.contains("nothing of job items"))
    }

    @Test(arguments: ["DROP TABLE mark", "ALTER TABLE mark ADD COLUMN till TEXT"])
    func aTableThatIsNotOursAnyMoreNeedsAFullLoad(sql: String) throws {
        let street = try VerifyStreet()
        try street.fill(30)
        try street.publish()
        _ = try street.edit(sql)
        let verdict = try #require(try street.verify().verdict)
        #expect(verdict.outcome == .diverged && verdict.needsFullLoad)
        #expect(verdict.message.contains("table mark"))
    }

    @Test func rowsThatAreToStayAreNoDifference() throws {
        let street = try VerifyStreet(keeps: true)
        try street.fill(600)
        try street.publish()
        try street.sql("DELETE FROM item WHERE unit = 1 AND item_id < 'i3'")
        try street.publish()
        #expect(try street.verify().verdict?.outcome == .ok)
        // One that HQ has is.
        _ = try street.edit("UPDATE thing SET note = 'by hand' WHERE item_id = 'i5' AND unit = 0")
        let before = try street.content("thing").count
        let verdict = try #require(try street.verify().verdict)
        #expect(verdict.outcome == .diverged && verdict.counts == [.changed: 1])
        try street.repair(verdict.ranges)
        #expect(try street.verify().verdict?.outcome == .ok)
        #expect(try street.content("thing").count == before)
    }

    @Test func aTableOfStrangeRowsIsCountedToTheLast() throws {
        let street = try VerifyStreet()
        try street.fill(3)
        try street.publish()
        _ = try street.edit(
            """
            WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 9999)
            INSERT INTO thing (item_id, unit) SELECT 'strange' || n, 0 FROM n
            """)
        let verdict = try #require(try street.verify().verdict)
        #expect(verdict.counts == [.extra: 10_000])
        #expect(verdict.named.count == Narrowing.namedMax)
        #expect(try street.repair(verdict.ranges) <= 3)
        #expect(try street.content("thing").count == 3)
    }

    /// More than fits into the lock budget: by a shadow table.
    @Test func aWholeTableThatWasSpoiltIsRepaired() throws {
        let street = try VerifyStreet()
        try street.fill(6_000)
        try street.publish()
        let before = try street.content("thing")
        _ = try street.edit("UPDATE thing SET note = 'by hand'; DELETE FROM thing WHERE unit = 0")
        let verdict = try #require(try street.verify().verdict)
        #expect(verdict.counts[.changed] == 4_000 && verdict.counts[.missing] == 2_000)
        try street.repair(verdict.ranges)
        #expect(try street.content("thing") == before)
        #expect(try street.verify().verdict?.outcome == .ok)
    }

    @Test func nothingOutsideOfTheRangesIsTouched() throws {
        let street = try VerifyStreet()
        try street.fill(2_000)
        try street.publish()
        _ = try street.edit("UPDATE thing SET note = 'by hand' WHERE item_id = 'i100'")
        let verdict = try #require(try street.verify().verdict)
        // Changed after the verification, elsewhere.
        _ = try street.edit("UPDATE thing SET note = 'later' WHERE item_id = 'i600'")
        try street.repair(verdict.ranges)
        let next = try #require(try street.verify().verdict)
        #expect(next.named.map(\.key) == [-1, 0, 1].map { [.text(Array("i600".utf8)), .integer($0)] })
    }
}

/// Waiting, as a value with a clock of its own.
@Suite struct ProofPatienceTests {
    private let start = Timestamp(milliseconds: 5_000_000)

    private func begun() -> (Proof, HubLetter.Examine?) {
        var proof = Proof(id: 1, store: VerifyStreet.store, job: VerifyStreet.job(keeps: false))
        guard case .ask(let question) = proof.step(.begin, now: start).first else { return (proof, nil) }
        return (proof, question)
    }

    private func verdict(_ effects: [Proof.Effect]) -> Proof.Verdict? {
        for case .end(let verdict) in effects { return verdict }
        return nil
    }

    @Test func aStoreThatIsAwayIsNotWaitedForForLong() throws {
        var (proof, question) = begun()
        var now = start
        var asked = 0
        while now - start < 60_000 {
            _ = proof.step(.asked(step: try #require(question).step, isSent: false), now: now)
            now = now + 1_000
            let effects = proof.step(.tick, now: now)
            if case .ask = effects.first { asked += 1 }
            if let verdict = verdict(effects) {
                #expect(verdict.outcome == .unknown && verdict.message.contains("not reached"))
                #expect(now - start <= Proof.awayPatience + 1_000)
                #expect(asked > 3)
                return
            }
        }
        Issue.record("still waiting")
    }

    @Test func aStoreThatNeverAnswersIsAskedAgainAndThenLeft() throws {
        var (proof, question) = begun()
        var now = start
        var asked = 1
        while now - start < 2 * Proof.firstPatience {
            _ = proof.step(.asked(step: try #require(question).step, isSent: true), now: now)
            now = now + Proof.repeatAfter
            let effects = proof.step(.tick, now: now)
            for case .ask(let again) in effects {
                #expect(again == question)
                asked += 1
            }
            if let verdict = verdict(effects) {
                #expect(verdict.outcome == .unknown && verdict.message.contains("did not answer"))
                #expect(now - start >= Proof.firstPatience && asked > 10)
                return
            }
        }
        Issue.record("still waiting")
    }

    @Test func answersToOtherQuestionsSayNothing() throws {
        var (proof, question) = begun()
        let step = try #require(question).step
        for (id, step) in [(Int64(2), step), (1, step + 1), (1, step - 1)] {
            let digests = AgentLetter.Digests(id: id, step: step, job: nil, watermark: nil, tables: [])
            #expect(proof.step(.digests(digests), now: start).isEmpty)
        }
    }

    @Test func aStoreThatAnswersNonsenseEndsIt() throws {
        var (proof, question) = begun()
        let mark = Watermark(version: Version(epoch: 1, number: 1), session: SessionID(number: 1, random: 1))
        let digests = AgentLetter.Digests(
            id: 1, step: try #require(question).step, job: JobID("items"), watermark: mark, tables: [])
        #expect(verdict(proof.step(.digests(digests), now: start))?.outcome == .unknown)
        #expect(proof.step(.begin, now: start).isEmpty)
    }
}

@Suite struct VerifyClockTests {
    private let hour: Int64 = 3_600_000

    private func wish(_ store: String, begun: Timestamp? = nil, conclusive: Timestamp? = nil) -> VerifyClock.Wish {
        VerifyClock.Wish(
            store: StoreID(store).unsafelyUnwrapped, job: JobID("prices").unsafelyUnwrapped,
            everyMilliseconds: 24 * hour, begun: begun, conclusive: conclusive)
    }

    @Test func everyStoreIsVerifiedOnceADayAndTheyAreSpreadOverIt() {
        let start = Timestamp(milliseconds: 1_700_000_000_000)
        let clock = VerifyClock(startedAt: start)
        var last: [String: Timestamp] = [:]
        var counts: [String: Int] = [:]
        var byHour = [Int](repeating: 0, count: 72)
        for minute in stride(from: 0, to: 72 * 60, by: 15) {
            let now = start + Int64(minute) * 60_000
            for number in 0..<60 {
                let store = "S\(number)"
                guard clock.isDue(wish(store, begun: last[store], conclusive: last[store]), now: now) else { continue }
                last[store] = now
                counts[store, default: 0] += 1
                byHour[minute / 60] += 1
            }
        }
        #expect(counts.count == 60 && counts.values.allSatisfy { $0 == 3 })
        #expect(byHour.allSatisfy { $0 < 12 })
    }

    @Test func oneWithoutAResultIsTriedAgainWithinTheHour() throws {
        let start = Timestamp(milliseconds: 1_700_000_000_000)
        let clock = VerifyClock(startedAt: start)
        let minutes = (0..<150).map { start + Int64($0) * 600_000 }
        let due = try #require(minutes.first { clock.isDue(wish("S1"), now: $0) })
        #expect(!clock.isDue(wish("S1", begun: due), now: due + 30 * 60_000))
        #expect(clock.isDue(wish("S1", begun: due), now: due + hour))
    }

    @Test func aHubThatStartsAnewGoesOnWhereItWas() {
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        let clock = VerifyClock(startedAt: now)
        let missed = wish("S1", begun: now + -30 * hour, conclusive: now + -30 * hour)
        #expect(clock.isDue(missed, now: now))
        #expect(!clock.isDue(wish("S1"), now: now))
    }
}
