import GRDB
import Testing
import WaybillAdmin
import WaybillModel
import WaybillPlan
import WaybillSessions

@testable import WaybillHub

/// The states of a row between HQ and a store, and the sentence for each.
@Suite struct WhyWordsTests {
    private static func values(_ value: Int) -> [DatabaseValue] { ["i1".databaseValue, value.databaseValue] }

    private static func span(_ value: Int?, from: Int64 = 10) -> RowSpan? {
        value.map { RowSpan(values: values($0), scope: "x", from: from, to: .max) }
    }

    private static func finding(_ held: Int?, _ derived: Int?, _ next: Int?) -> RowFinding {
        RowFinding(
            key: ["i1".databaseValue], held: span(held), derived: span(derived, from: 20), next: next.map(values),
            reasons: [RowReason(source: "item i1", reason: "a line says so")])
    }

    @Test(
        arguments: [
            (1, 1, 1, .present), (1, 2, 2, .changing), (1, 1, 2, .changing), (1, nil, nil, .leaving),
            (1, 1, nil, .leaving), (nil, 1, 1, .onItsWay), (nil, nil, 1, .notRun), (nil, 1, 2, .notRun),
            (nil, nil, nil, .absent), (nil, 1, nil, .absent), (1, 2, 1, .present),
        ] as [(Int?, Int?, Int?, WhyState)])
    func theStateFollowsFromWhatTheStoreHasAndWhatHQGives(held: Int?, derived: Int?, next: Int?, state: WhyState) {
        let finding = WhyWordsTests.finding(held, derived, next)
        #expect(WhyState(finding, isHeldKnown: true, isNextKnown: true, removal: .delete) == state)
    }

    @Test func whatCannotBeToldIsNotGuessed() {
        #expect(
            WhyState(WhyWordsTests.finding(nil, 1, 1), isHeldKnown: false, isNextKnown: true, removal: .delete)
                == .unknown)
        #expect(
            WhyState(WhyWordsTests.finding(nil, nil, nil), isHeldKnown: false, isNextKnown: true, removal: .delete)
                == .absent)
        // The last run counts when the next one would fail.
        #expect(
            WhyState(WhyWordsTests.finding(1, 1, nil), isHeldKnown: true, isNextKnown: false, removal: .delete)
                == .present)
        #expect(
            WhyState(WhyWordsTests.finding(1, nil, nil), isHeldKnown: true, isNextKnown: true, removal: .keep) == .kept)
    }

    // MARK: sentences

    private func words(_ state: WaybillSessions.StoreState = .active, hasTrigger: Bool = false) throws -> WhyWords {
        WhyWords(
            store: try #require(StoreID("S1")), job: try #require(JobID("little")), table: "thing",
            standing: WhyStanding(state: state, watermark: nil, base: nil, message: ""), hasTrigger: hasTrigger)
    }

    private func session(
        _ number: Int64, _ status: StoreOutcome?, sessionStatus: String = "Available", isExact: Bool = true,
        message: String = ""
    ) throws -> RowDelivery {
        let id = SessionID(number: number, random: 10)
        var delivery: Delivery?
        if let status {
            var made = Delivery(
                session: id, store: try #require(StoreID("S1")), job: try #require(JobID("little")),
                version: Version(epoch: 1, number: 20), package: nil)
            made.told.standing = Delivery.Standing(outcome: status, attempt: 1)
            made.told.appliedAt = status == .applied ? Timestamp(milliseconds: 1_795_258_380_123) : nil
            made.told.message = message
            delivery = made
        }
        return RowDelivery(
            session: id, createdAt: Timestamp(milliseconds: 0), sessionStatus: sessionStatus,
            sessionMessage: sessionStatus == "Available" ? "" : message, delivery: delivery, isExact: isExact)
    }

    private func entry(_ kind: QuarantineKind, hasOlderRow: Bool) throws -> QuarantineEntry {
        QuarantineEntry(
            job: try #require(JobID("little")), table: "thing", key: "i1", kind: kind,
            detail: "UNIQUE constraint failed: thing.value", hasOlderRow: hasOlderRow,
            session: SessionID(number: 4, random: 10), version: Version(epoch: 1, number: 20),
            since: Timestamp(milliseconds: 1_795_258_380_123), attempts: 1)
    }

    /// HQ has delivered it, and the delivery is Applied: but the till does not have it.
    @Test func aRowInQuarantineIsNotCalledThere() throws {
        let finding = WhyWordsTests.finding(1, 1, 1)
        let refused = try entry(.refused, hasOlderRow: false)
        let state = WhyState(finding, refused, isHeldKnown: true, isNextKnown: true, removal: .delete)
        #expect(state == .inQuarantine)
        #expect(
            try words().answer(state, WhyFacts(finding, quarantine: refused))
                == "store S1 refuses thing (i1): UNIQUE constraint failed: thing.value; it is in quarantine since "
                + "2026-11-21 10:53:00Z, and the store has no such row; a line says so")
        let older = try entry(.refused, hasOlderRow: true)
        #expect(
            try words().answer(state, WhyFacts(finding, quarantine: older)).contains(
                "and the store keeps the row as it was before"))
        let kept = try entry(.kept, hasOlderRow: true)
        #expect(
            try words().answer(state, WhyFacts(WhyWordsTests.finding(nil, nil, nil), quarantine: kept)).hasPrefix(
                "store S1 does not let thing (i1) go: "))
    }

    @Test func aRowThatIsThereNamesTheReasonAndTheSessionThatBroughtIt() throws {
        var facts = WhyFacts(WhyWordsTests.finding(1, 1, 1), broughtBy: try session(4, .applied))
        #expect(
            try words().answer(.present, facts)
                == "store S1 has thing (i1): a line says so; session 4-00000000000a brought it, applied 2026-11-21 10:53:00Z"
        )
        facts.broughtBy?.isExact = false
        #expect(try words().answer(.present, facts).contains("session 4-00000000000a or one before it brought it"))
    }

    @Test func aRowOnItsWayNamesTheSessionAndItsStatusWhateverThatIs() throws {
        let finding = WhyWordsTests.finding(nil, 1, 1)
        func answer(_ pending: RowDelivery?) throws -> String {
            try words().answer(.onItsWay, WhyFacts(finding, pending: pending))
        }
        let begin = "store S1 does not have thing (i1) yet: it "
        #expect(
            try answer(try session(5, .downloaded))
                == begin + "is on its way in session 5-00000000000a, which is Downloaded; a line says so")
        #expect(
            try answer(try session(5, .canceled)).hasPrefix(
                begin + "was to come with session 5-00000000000a, which is Canceled"))
        #expect(
            try answer(try session(5, nil, sessionStatus: "AwaitingApproval", message: "removes 90 %"))
                == begin + "waits for session 5-00000000000a, which is AwaitingApproval: removes 90 %; a line says so")
        #expect(
            try answer(try session(5, nil)).hasPrefix(
                begin + "was not for this store in session 5-00000000000a (waybill publish little)"))
    }

    @Test func aRowOfTheNextRunSaysWhatStartsIt() throws {
        let facts = WhyFacts(WhyWordsTests.finding(nil, nil, 1))
        #expect(
            try words().answer(.notRun, facts)
                == "store S1 does not have thing (i1) yet: it comes with the next run of job little, for HQ has changed since the last one (waybill publish little); a line says so"
        )
        #expect(
            try words(hasTrigger: true).answer(.notRun, facts).contains("(by its trigger, or: waybill publish little)"))
    }

    @Test(arguments: [
        (WaybillSessions.StoreState.pending, "it will come when the store has enrolled"),
        (.retired, "it will not come, for the store is retired"),
    ])
    func aStoreThatGetsNothingIsSaid(state: WaybillSessions.StoreState, words: String) throws {
        let facts = WhyFacts(WhyWordsTests.finding(nil, 1, 1))
        #expect(try self.words(state).answer(.onItsWay, facts).contains(words))
    }

    @Test func aRowThatIsGoneNamesTheSessionThatTookItAway() throws {
        let facts = WhyFacts(WhyWordsTests.finding(nil, nil, nil), removedBy: try session(9, .applied))
        #expect(
            try words().answer(.absent, facts)
                == "store S1 does not have thing (i1): a line says so; it was there until session 9-00000000000a removed it, applied 2026-11-21 10:53:00Z"
        )
    }
}
