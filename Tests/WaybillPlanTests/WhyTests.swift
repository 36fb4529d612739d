import GRDB
import Testing
import WaybillJobs
import WaybillModel

@testable import WaybillPlan

/// What a store has under a key, what the last run gave it, and what the next would.
@Suite struct WhyTests {
    private func why(
        _ chain: LittleChain, _ table: String, _ key: String..., store: String = "A", base: Derivation? = nil,
        job: Job = LittleChain.job()
    ) throws -> RowFindings {
        let subjob = try #require(job.subjobs.first { $0.table.name == table })
        return try chain.rows.why(
            RowQuestion(
                job: job, subjob: subjob, store: try #require(StoreID(store)), key: try RowKey(key, of: subjob.table),
                base: base.map { Base(version: $0.version.number, token: $0.token) }, today: "2026-11-21"))
    }

    /// Item i1 in scope x with value 1; store A sees x.
    private func chain() throws -> LittleChain {
        let chain = try LittleChain()
        try chain.sql("INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('i1', 'x', 1)")
        return chain
    }

    private func value(_ values: [DatabaseValue]?) -> String? { values.map { $0[1].plainText } }

    @Test func aRowIsToldAsTheStoreHasItAsTheLastRunGaveItAndAsTheNextWould() throws {
        let chain = try chain()
        let first = try chain.rows.derive(LittleChain.job())
        try chain.sql("UPDATE item SET value = 2")
        let second = try chain.rows.derive(LittleChain.job())
        try chain.sql("UPDATE item SET value = 3")
        let found = try why(chain, "thing", "i1", base: first)
        #expect(found.isStale)
        #expect(found.heldVersion == first.version.number && found.derivedVersion == second.version.number)
        let row = try #require(found.rows.first)
        #expect([value(row.held?.values), value(row.derived?.values), value(row.next)] == ["1", "2", "3"])
        #expect(row.held?.from == first.version.number && row.held?.to == second.version.number)
    }

    @Test func askingLeavesNothingBehind() throws {
        let chain = try chain()
        let first = try chain.rows.derive(LittleChain.job())
        try chain.sql("UPDATE item SET value = 2")
        let before = try chain.rows.queue.read { try Row.fetchAll($0, sql: "SELECT * FROM rows_thing") }
        #expect(value(try why(chain, "thing", "i1", base: first).rows.first?.next) == "2")
        #expect(try chain.rows.queue.read { try Row.fetchAll($0, sql: "SELECT * FROM rows_thing") } == before)
        #expect(try chain.rows.queue.read { try Row.fetchAll($0, sql: "SELECT name FROM temp.sqlite_schema") }.isEmpty)
        let second = try chain.rows.derive(LittleChain.job())
        #expect(second.hasChanges)
        #expect(value(try why(chain, "thing", "i1", base: second).rows.first?.held?.values) == "2")
    }

    @Test func aJobThatHasNeverRunIsTriedOut() throws {
        let found = try why(try chain(), "thing", "i1")
        #expect(found.isStale && found.derivedVersion == nil && found.heldVersion == nil)
        #expect(found.rows.map(\.next).map(value) == ["1"])
    }

    @Test func aRowThatWasTakenAwayIsToldWithTheVersionsOfItsLife() throws {
        let chain = try chain()
        let first = try chain.rows.derive(LittleChain.job())
        try chain.sql("DELETE FROM item")
        let second = try chain.rows.derive(LittleChain.job())
        let row = try #require(try why(chain, "thing", "i1", base: second).rows.first)
        #expect(row.held == nil && row.derived == nil && row.next == nil)
        #expect(row.before?.from == first.version.number && row.before?.to == second.version.number)
    }

    @Test func aStoreThatMovesToAScopeWithTheSameRowHasHadItAllTheTime() throws {
        let chain = try chain()
        let first = try chain.rows.derive(LittleChain.job())
        try chain.sql("UPDATE item SET scope = 'y'; UPDATE seen SET scope = 'y'")
        let second = try chain.rows.derive(LittleChain.job())
        let row = try #require(try why(chain, "thing", "i1", base: second).rows.first)
        #expect(row.held?.from == first.version.number)
        #expect(row.held?.scope == "y")
    }

    @Test func whatAStoreHasIsNotToldFromAnotherHistoryOrFromBelowTheFloor() throws {
        let chain = try chain()
        var first = try chain.rows.derive(LittleChain.job())
        first.token += 1
        let found = try why(chain, "thing", "i1", base: first)
        #expect(found.heldVersion == nil)
        #expect(found.rows.first?.held == nil && value(found.rows.first?.derived?.values) == "1")
    }

    @Test func aPartOfTheKeyFindsAllItsRowsUpToTwenty() throws {
        let chain = try chain()
        for item in 10..<32 { try chain.sql("INSERT INTO item VALUES ('i\(item)', 'x', 7)") }
        let job = LittleChain.job()
        let base = try chain.rows.derive(job)
        let found = try why(chain, "mark", "value=7", base: base)
        #expect(found.rows.count == 20 && found.hasMore)
        #expect(found.rows.first?.key.map(\.plainText) == ["i10", "7"])
        #expect(try why(chain, "mark", "item_id=i1", base: base).rows.map { $0.key.map(\.plainText) } == [["i1", "1"]])
    }

    @Test func aTableOfAnotherShapeIsToldByTheNextRunAlone() throws {
        let chain = try chain()
        let base = try chain.rows.derive(LittleChain.job())
        let found = try why(chain, "thing", "i1", base: base, job: LittleChain.job(.text))
        #expect(found.isStale && found.derivedVersion == nil && found.heldVersion == nil)
        #expect(value(found.rows.first?.next) == "1")
        #expect(value(try why(chain, "thing", "i1", base: base).rows.first?.held?.values) == "1")
    }

    @Test func aRunThatWouldFailIsSaidAndTheLastRunIsTold() throws {
        let chain = try chain()
        let base = try chain.rows.derive(LittleChain.job())
        try chain.sql("INSERT INTO item VALUES ('i2', 'x', 'no number')")
        let found = try why(chain, "thing", "i1", base: base)
        #expect(found.nextFault?.contains("thing") == true)
        #expect(value(found.rows.first?.held?.values) == "1")
        #expect(found.rows.first?.next == nil)
    }

    @Test func keptRowsAreWhatTheStoreHas() throws {
        let chain = try chain()
        var job = LittleChain.job()
        for index in job.subjobs.indices { job.subjobs[index].removal = .keep }
        _ = try chain.rows.derive(job)
        try chain.sql("DELETE FROM item")
        let second = try chain.rows.derive(job)
        let row = try #require(try why(chain, "thing", "i1", base: second, job: job).rows.first)
        #expect(value(row.held?.values) == "1" && row.next == nil)
    }

    @Test func withoutAQueryOfTheJobsTheScopesOfOthersAreNamed() throws {
        let chain = try chain()
        let base = try chain.rows.derive(LittleChain.job())
        #expect(
            try why(chain, "thing", "i1", store: "B", base: base).reasons.map(\.reason) == [
                "the row is there for scope 'x', which store B does not see"
            ])
        #expect(
            try why(chain, "thing", "i9", base: base).reasons.map(\.reason) == [
                "the job's query gives no such row for any store"
            ])
    }

    @Test func aWhyQueryKnowsTheRowTheStoreAndTheDay() throws {
        let chain = try chain()
        var job = LittleChain.job()
        job.subjobs[0].explanation = Explanation(
            present: """
                SELECT json_array('item', item_id) AS source, :store || ' ' || :today || ' ' || :value AS reason
                FROM item WHERE item_id = :item_id -- the end
                """,
            absent: "SELECT 'words' AS source, :item_id AS reason")
        let base = try chain.rows.derive(job)
        let reason = try #require(try why(chain, "thing", "i1", base: base, job: job).rows.first?.reasons.first)
        #expect(reason.source == "item i1" && reason.table == "item" && reason.reason == "A 2026-11-21 1")
        #expect(reason.changedVersion != nil)
        #expect(
            try why(chain, "thing", "i9", base: base, job: job).reasons == [RowReason(source: "words", reason: "i9")])
    }

    @Test(arguments: [
        ("SELECT 1 AS source, :other AS reason", "has no parameter :other"),
        ("SELECT 1 AS source, :value AS reason", "has no parameter :value"),
        ("SELECT source, reason FROM little_marked", "no such column: source"),
        ("SELECT item_id AS source, value AS reason FROM little_marked", "is there only while the job runs"),
        ("SELECT 1, 2", "must give the columns source and reason"),
    ])
    func aWhyQueryThatDoesNotFitIsAFaultOfTheJob(query: String, words: String) throws {
        let chain = try chain()
        var job = LittleChain.job()
        job.subjobs[0].explanation = Explanation(absent: SQLText(query))
        let faults = #expect(throws: JobFaults.self) { try Rows.check(job, hqPath: chain.hqPath) }
        #expect(faults?.faults.contains { $0.message.contains(words) } == true)
    }
}

@Suite struct RowKeyTests {
    private let table = TableShape(
        name: "t", columns: [ColumnShape("a", .text), ColumnShape("n", .integer), ColumnShape("v", .text)],
        key: ["a", "n"])

    @Test(
        arguments: [
            (["x", "1"], ["a": "x", "n": "1"]), (["x,1"], ["a": "x", "n": "1"]), (["n=1,a=x"], ["a": "x", "n": "1"]),
            (["n=1"], ["n": "1"]), (["x"], ["a": "x"]), (["x,y", "n=1"], ["a": "x,y", "n": "1"]),
            (["a=b=c"], ["a": "b=c"]), (["v=1"], ["a": "v=1"]), ([",1"], ["a": "", "n": "1"]),
        ] as [([String], [String: String])])
    func valuesComeInTheOrderOfTheKeyOrWithTheirColumns(texts: [String], values: [String: String]) throws {
        #expect(try RowKey(texts, of: table).values.mapValues(\.plainText) == values)
    }

    @Test(
        arguments: [
            ([], "give a value of one of a, n, the key of table t"), (["x,1,2"], "is one value more"),
            (["x", "one"], "n is a whole number, not 'one'"), (["1", "a=b"], "a is given twice"),
        ] as [([String], String)])
    func whatDoesNotFitIsOneSentence(texts: [String], words: String) {
        let fault = #expect(throws: RowKeyFault.self) { try RowKey(texts, of: table) }
        #expect(fault?.description.contains(words) == true)
    }

    @Test func inAKeyOfOneColumnACommaIsACharacter() throws {
        let one = TableShape(name: "t", columns: [ColumnShape("a", .text)], key: ["a"])
        #expect(try RowKey(["x,1"], of: one).values.mapValues(\.plainText) == ["a": "x,1"])
    }
}
