import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillJobs
import WaybillModel

@testable import WaybillPlan

/// A change of nearly everything takes other ways than a small one, to the same end.
@Suite struct LargeChangeTests {
    private static let items = 25_000
    private let chain: LittleChain

    init() throws {
        chain = try LittleChain()
        try chain.sql(
            """
            INSERT INTO seen VALUES ('A', 'x');
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(LargeChangeTests.items))
            INSERT INTO item SELECT 'i' || i, 'x', i FROM n
            """)
    }

    /// With an index that rows of `thing` are looked up by.
    private var job: Job {
        var job = LittleChain.job()
        job.subjobs[0].index = ["value"]
        return job
    }

    private func target(_ base: Derivation) throws -> PlanTarget {
        PlanTarget(
            store: try #require(LittleChain.stores.first), base: Base(version: base.version.number, token: base.token))
    }

    private func indexes() throws -> [String: String] {
        try chain.rows.queue.read { db in
            Dictionary(
                uniqueKeysWithValues: try Row.fetchAll(
                    db, sql: "SELECT name, sql FROM main.sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
                ).map { ($0["name"], $0["sql"]) })
        }
    }

    @Test(arguments: [10, 20_000])
    func aDeltaHoldsWhatDiffersHoweverMuchItIs(changed: Int) throws {
        let first = try chain.rows.derive(job)
        #expect(first.rowsWorkedOut == 2 * LargeChangeTests.items)
        let before = try chain.truth(for: LittleChain.stores[0])["thing"] ?? [:]
        try chain.sql(
            """
            UPDATE item SET value = -value WHERE value <= \(changed);
            DELETE FROM item WHERE value > \(LargeChangeTests.items - 5);
            INSERT INTO item VALUES ('new', 'x', 7), ('newer', 'x', 8)
            """)
        let second = try chain.rows.derive(job)
        let indexed = try indexes()
        #expect(Set(indexed.keys).isSuperset(of: ["born_thing", "seek_thing"]))
        let plan = try chain.rows.plan(job, at: second, for: [try target(first)])
        let package = try #require(plan.packages.first)
        let delivered = try chain.fill(package, at: second, job: job)
        #expect(delivered.written["thing"]?.count == changed + 2)
        #expect(delivered.removed["thing"]?.count == 5)
        var after = before
        delivered.removed["thing"]?.forEach { after[$0] = nil }
        delivered.written["thing"]?.forEach { after[$0.key] = $0.value }
        #expect(after == (try chain.truth(for: LittleChain.stores[0])["thing"] ?? [:]))
    }

    /// What changes and changes back is not news, also among so much.
    @Test func whatIsAsItWasIsLeftOut() throws {
        let first = try chain.rows.derive(job)
        try chain.sql("UPDATE item SET value = value + 1")
        _ = try chain.rows.derive(job)
        try chain.sql("UPDATE item SET value = value - 1 WHERE item_id < 'i2'")
        let third = try chain.rows.derive(job)
        let package = try #require(chain.rows.plan(job, at: third, for: [try target(first)]).packages.first)
        let delivered = try chain.fill(package, at: third, job: job)
        let wanted = try chain.truth(for: LittleChain.stores[0])["thing"] ?? [:]
        #expect(delivered.written["thing"] == wanted.filter { $0.key >= "i2" })
        #expect(delivered.removed["thing"]?.isEmpty ?? true)
    }

    @Test func theIndexOfWhatCameHoldsNothingOfTheFirstVersion() throws {
        _ = try chain.rows.derive(job)
        try chain.sql("UPDATE item SET value = 0 WHERE value <= 3")
        _ = try chain.rows.derive(job)
        let condition = try chain.rows.queue.read { try RowsSchema.isInBornIndex(job.subjobs[0].table, in: $0) }
        let held = try chain.rows.queue.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM rows_thing INDEXED BY born_thing WHERE \(condition)")
        }
        #expect(held == 3)
    }

    /// It would keep the stores waiting, and only the next derivation needs it.
    @Test func whatTheNextDerivationLooksUpByIsMadeAfterTheFirst() throws {
        var job = job
        job.slices = [Slice(name: "all", all: "SELECT value FROM item", touched: ["item": "SELECT 0"])]
        job.subjobs[0].slice = SliceColumn(slice: "all", column: "value")
        _ = try chain.rows.derive(job)
        #expect(try indexes()["slice_thing"] == nil)
        try chain.rows.prepareNext(job)
        #expect(try indexes()["slice_thing"] != nil)
        try chain.rows.queue.write { try $0.execute(sql: "DROP INDEX slice_thing") }
        try chain.sql("UPDATE item SET value = 0 WHERE value <= 3")
        _ = try chain.rows.derive(job)
        #expect(try indexes()["slice_thing"] != nil, "who was not prepared does it in time")
    }

    /// Bringing the rows into the file would double what the session waits for.
    @Test func whatWasDerivedStaysInTheLogUntilThereIsTime() throws {
        _ = try chain.rows.derive(job)
        try chain.rows.checkpoint()
        try chain.sql("UPDATE item SET value = value + 1")
        let before = try pagesOfFile()
        _ = try chain.rows.derive(job)
        #expect(try pagesOfFile() == before)
        try chain.rows.checkpoint()
        #expect(try pagesOfFile() > before)
    }

    /// What SQLite's file has without its log.
    private func pagesOfFile() throws -> Int {
        let path = chain.rows.queue.path
        return try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) / 4096
    }

    @Test func aDeltaIsFoundByThatIndex() throws {
        let first = try chain.rows.derive(job)
        try chain.sql("UPDATE item SET value = 0 WHERE value <= 3")
        let second = try chain.rows.derive(job)
        let package = try #require(chain.rows.plan(job, at: second, for: [try target(first)]).packages.first)
        let plan = try chain.rows.queue.writeWithoutTransaction { db in
            try package.stageScopes(of: "thing", in: db)
            let difference = try TableDifference(
                shape: job.subjobs[0].table, base: first.version.number, version: second.version.number, in: db)
            return try Row.fetchAll(
                db, sql: "EXPLAIN QUERY PLAN \(difference.changedRows)", arguments: difference.arguments
            ).map { row -> String in row["detail"] }
        }
        #expect(plan.contains { $0.contains("USING INDEX born_thing (_scope=? AND _born>? AND _born<?)") })
    }

    /// The guard rails ask what a package changes after it was filled: the answer is that of counting it anew.
    @Test(arguments: ["value / 3", "value * 40", "value"])
    func whatWasFilledTellsTheLimitsAsMuchAsCounting(change: String) throws {
        var job = job
        job.limits = ChangeLimits(
            maxRemovedPercent: 10, removedRowsFree: 50, maxPriceChangePercent: 70, maxRows: 20_000)
        let first = try chain.rows.derive(job)
        try chain.sql(
            """
            DELETE FROM item WHERE value % 8 = 1;
            UPDATE item SET value = \(change)
            """)
        let second = try chain.rows.derive(job)
        let package = try #require(chain.rows.plan(job, at: second, for: [try target(first)]).packages.first)
        let filled = try chain.fill(package, at: second, job: job, path: chain.folder + "/package.db")
        let told = try chain.rows.impact(of: package, filled: filled, job: job, at: second)
        let counted = try chain.rows.impact(of: package, job: job, at: second)
        let excesses = job.limits.exceeded(by: counted, at: package.stores)
        #expect(!excesses.isEmpty)
        #expect(job.limits.exceeded(by: told, at: package.stores).map(\.sentence) == excesses.map(\.sentence))
    }
}
