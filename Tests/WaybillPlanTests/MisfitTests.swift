import GRDB
import Testing
import WaybillJobs
import WaybillModel
import WaybillPlan

/// Rows that do not fit are found before anything is sent, and named.
@Suite struct MisfitTests {
    private let chain: LittleChain

    init() throws {
        chain = try LittleChain()
        try chain.sql(
            """
            INSERT INTO seen VALUES ('A', 'x'), ('A', 'y');
            INSERT INTO item VALUES ('h', 'x', 1), ('i', 'x', 2), ('k', 'y', 3)
            """)
    }

    /// A job with one table, whose value column is of the type and whose query is the one given.
    private func job(_ value: ColumnShape, rows: String) -> Job {
        var job = LittleChain.job()
        job.subjobs.removeLast()
        job.subjobs[0].table.columns[1] = value
        job.subjobs[0].query = SQLText(rows)
        return job
    }

    private func fault(_ job: Job) -> String? {
        do {
            _ = try chain.rows.derive(job)
            return nil
        } catch {
            #expect(error is DerivationFault)
            return "\(error)"
        }
    }

    private static let named = "job little: table thing, row item_id = 'i' in scope 'x'"

    @Test func aMissingValueIsNamed() {
        let rows = "SELECT scope, item_id, nullif(value, 2) AS value FROM item"
        #expect(
            fault(job(ColumnShape("value", .integer), rows: rows))
                == "\(MisfitTests.named): column value is NULL, which it must not be")
        #expect(fault(job(ColumnShape("value", .integer, nullable: true), rows: rows)) == nil)
    }

    @Test func aValueOfAnotherTypeIsNamedWithHowManyMore() {
        let rows = "SELECT scope, item_id, CASE value WHEN 1 THEN '7' ELSE 'seven' END AS value FROM item"
        #expect(
            fault(job(ColumnShape("value", .integer), rows: rows))
                == "\(MisfitTests.named): column value is 'seven', which does not fit its type INTEGER; 1 more row like it"
        )
        #expect(fault(job(ColumnShape("value", .text), rows: rows)) == nil)
    }

    /// value type, SQL of a value, whether it fits: SQLite converts what it can without loss.
    @Test(arguments: [
        (ColumnType.integer, "3", true), (.integer, "'3'", true), (.integer, "3.0", true), (.integer, "3.5", false),
        (.integer, "x'00'", false), (.real, "3", true), (.real, "'3.5'", true), (.real, "'c'", false),
        (.text, "3", true), (.text, "3.5", true), (.text, "x'00'", false), (.blob, "x'00'", true),
        (.blob, "'c'", false),
    ])
    func whatFitsIsWhatKeepsItsValue(type: ColumnType, value: String, fits: Bool) {
        let rows = "SELECT scope, item_id, \(value) AS value FROM item WHERE item_id = 'i'"
        let fault = fault(job(ColumnShape("value", type), rows: rows))
        #expect((fault == nil) == fits, "\(fault ?? "fits")")
        if !fits { #expect(fault?.hasPrefix(MisfitTests.named + ": column value is") == true) }
    }

    @Test func aRowWithoutAScopeIsNamed() {
        let rows = "SELECT nullif(scope, 'y') AS scope, item_id, value FROM item"
        #expect(
            fault(job(ColumnShape("value", .integer), rows: rows))
                == "job little: table thing, row item_id = 'k' in scope NULL: its scope is NULL")
    }

    @Test func keysThatComeMoreThanOnceAreCounted() {
        let rows = "SELECT scope, item_id, value FROM item UNION ALL SELECT scope, item_id, 9 FROM item"
        #expect(
            fault(job(ColumnShape("value", .integer), rows: rows))
                == "job little: table thing, row item_id = 'h' in scope 'x' comes 2 times, and a key can stand only once; "
                + "2 more keys more than once")
    }

    @Test func aKeyInTwoScopesOfOneStoreIsNamedWithTheStore() throws {
        let twice = job(
            ColumnShape("value", .integer),
            rows: "SELECT column1 AS scope, item_id, value FROM item, (VALUES ('x'), ('y'))")
        let derivation = try chain.rows.derive(twice)
        let plan = try chain.rows.plan(
            twice, at: derivation, for: [PlanTarget(store: LittleChain.stores[0], base: nil)])
        let package = try #require(plan.packages.first)
        let fault = #expect(throws: DerivationFault.self) { try chain.fill(package, at: derivation, job: twice) }
        #expect(
            fault?.description
                == "job little: table thing, row item_id = 'h': store A sees it in scope 'x' and in scope 'y', "
                + "and a key can stand only once")
    }

    @Test func aMisfitLeavesTheRowsAsTheyWere() throws {
        let good = LittleChain.job()
        let before = try chain.rows.derive(good)
        #expect(
            fault(job(ColumnShape("value", .integer), rows: "SELECT scope, item_id, 'c' AS value FROM item")) != nil)
        #expect(try chain.rows.derive(good).token == before.token)
    }
}
