import Testing
import WaybillJobs
import WaybillModel
import WaybillPlan

/// Tables travel as their subjobs say: what differs, or the whole; and with rows that go, or without.
@Suite struct TravelTests {
    private static func job(_ policy: Subjob.Policy, _ removal: Subjob.Removal) -> Job {
        var job = LittleChain.job()
        job.subjobs[0].policy = policy
        job.subjobs[0].removal = removal
        return job
    }

    /// Whatever HQ does and however far a store is behind, its table `thing` is what the subjob promises: just HQ's
    /// rows, or those and what HQ has sent before.
    @Test(arguments: Subjob.Policy.allCases.flatMap { policy in Subjob.Removal.allCases.map { (policy, $0) } }, 0..<5)
    func aTableTravelsAsItsSubjobSays(how: (policy: Subjob.Policy, removal: Subjob.Removal), seed: Int) throws {
        var random = SeededRandom(UInt64(seed))
        let chain = try LittleChain()
        let job = TravelTests.job(how.policy, how.removal)
        var stores: [StoreID: (base: Base?, content: [String: String])] = [:]
        for _ in 0..<9 {
            for _ in 0..<Int.random(in: 0..<4, using: &random) { try chain.edit(&random) }
            let derivation = try chain.rows.derive(job)
            let here = Base(version: derivation.version.number, token: derivation.token)
            let reached = LittleChain.stores.filter { _ in Int.random(in: 0..<3, using: &random) > 0 }
            let plan = try chain.rows.plan(
                job, at: derivation, for: reached.map { PlanTarget(store: $0, base: stores[$0]?.base) })
            for package in plan.packages {
                let delivered = try chain.fill(package, at: derivation, job: job)
                let (written, removed) = (delivered.written["thing"] ?? [:], delivered.removed["thing"] ?? [])
                let isWhole = delivered.whole.contains("thing")
                #expect(!isWhole || how.policy == .full && package.kind == .delta)
                #expect(removed.isEmpty || how.removal == .delete && how.policy == .delta)
                for store in package.stores {
                    var content = stores[store]?.content ?? [:]
                    let before = content
                    if how.removal == .delete, isWhole || package.kind == .full { content = [:] }
                    for key in removed { content[key] = nil }
                    content.merge(written) { _, new in new }
                    if isWhole, how.removal == .delete { #expect(content != before, "whole, but nothing differs") }
                    stores[store] = (here, content)
                }
            }
            for store in plan.noData { stores[store]?.base = here }
            for store in reached {
                let truth = try chain.truth(for: store)["thing"] ?? [:]
                let content = stores[store]?.content ?? [:]
                if how.removal == .delete { #expect(content == truth) }
                #expect(content.merging(truth) { _, new in new } == content)
            }
        }
    }

    @Test func aWholeTableHoldsAlsoTheScopesInWhichNothingHasChanged() throws {
        let chain = try LittleChain()
        try chain.sql(
            "INSERT INTO seen VALUES ('A', 'x'), ('A', 'y'); INSERT INTO item VALUES ('i', 'x', 1), ('k', 'y', 1)")
        let job = TravelTests.job(.full, .delete)
        let first = try chain.rows.derive(job)
        try chain.sql("UPDATE item SET value = 2 WHERE item_id = 'i'")
        let second = try chain.rows.derive(job)
        let base = Base(version: first.version.number, token: first.token)
        let plan = try chain.rows.plan(job, at: second, for: [PlanTarget(store: LittleChain.stores[0], base: base)])
        let delivered = try chain.fill(try #require(plan.packages.first), at: second, job: job)
        #expect(delivered.written["thing"]?.keys.sorted() == ["i", "k"])
        #expect(delivered.whole == ["thing"])
        // The other table of the job goes by its own policy.
        #expect(delivered.written["mark"]?.keys.sorted() == ["i/2"])
    }

    @Test func aTableThatHasLostItsLastRowIsWholeAndNotEmpty() throws {
        let chain = try LittleChain()
        try chain.sql("INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('i', 'x', NULL)")
        let job = TravelTests.job(.full, .delete)
        let first = try chain.rows.derive(job)
        try chain.sql("DELETE FROM item")
        let second = try chain.rows.derive(job)
        let base = Base(version: first.version.number, token: first.token)
        let plan = try chain.rows.plan(job, at: second, for: [PlanTarget(store: LittleChain.stores[0], base: base)])
        let delivered = try chain.fill(try #require(plan.packages.first), at: second, job: job)
        #expect(delivered.whole == ["thing"])
        #expect(!delivered.isEmpty)
    }

    /// A delta could not take away what the stores have kept until then.
    @Test func fromKeepingToDeletingEveryStoreGetsEverything() throws {
        let chain = try LittleChain()
        try chain.sql("INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('i', 'x', 1)")
        let first = try chain.rows.derive(TravelTests.job(.delta, .keep))
        let second = try chain.rows.derive(TravelTests.job(.delta, .delete))
        let base = Base(version: first.version.number, token: first.token)
        let plan = try chain.rows.plan(
            TravelTests.job(.delta, .delete), at: second, for: [PlanTarget(store: LittleChain.stores[0], base: base)])
        #expect(plan.packages.map(\.kind) == [.full])
    }
}
