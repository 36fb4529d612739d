import Testing
import WaybillJobs
import WaybillModel
import WaybillPlan

/// What a package would change is counted without making it, and is what it does change.
@Suite struct ImpactTests {
    private typealias State = (derivation: Derivation, content: [StoreID: LittleChain.Content])

    @Test(arguments: 0..<60)
    func theCountsAreThoseOfASlowModelWhateverHeadquartersDid(seed: Int) throws {
        var random = SeededRandom(UInt64(seed) + 1000)
        let chain = try LittleChain()
        for _ in 0..<6 { try chain.edit(&random) }
        var history: [State] = []
        for _ in 0..<6 {
            for _ in 0..<Int.random(in: 0..<5, using: &random) { try chain.edit(&random) }
            let derivation = try chain.rows.derive(LittleChain.job())
            var content: [StoreID: LittleChain.Content] = [:]
            for store in LittleChain.stores { content[store] = try chain.truth(for: store) }
            history.append((derivation, content))
            try check(chain, history, &random)
        }
    }

    private func check(_ chain: LittleChain, _ history: [State], _ random: inout SeededRandom) throws {
        let target = try #require(history.last)
        var before: [StoreID: LittleChain.Content] = [:]
        let targets = LittleChain.stores.map { store in
            guard Int.random(in: 0..<6, using: &random) > 0, let base = history.randomElement(using: &random) else {
                return PlanTarget(store: store, base: nil)
            }
            before[store] = base.content[store]
            let version = base.derivation.version.number
            return PlanTarget(store: store, base: Base(version: version, token: base.derivation.token))
        }
        for plan in try chain.rows.plan(LittleChain.job(), at: target.derivation, for: targets).packages {
            let impact = try chain.rows.impact(of: plan, job: LittleChain.job(), at: target.derivation)
            #expect(impact.kind == plan.kind)
            for store in plan.stores {
                let wanted = target.content[store] ?? [:]
                for table in impact.tables {
                    expect(table, before[store]?[table.table] ?? [:], wanted[table.table] ?? [:], plan.kind)
                }
            }
            let delivered = try chain.fill(plan, at: target.derivation)
            for table in impact.tables {
                #expect(table.added + table.changed == Int64(delivered.written[table.table]?.count ?? 0))
                #expect(table.removed == Int64(delivered.removed[table.table]?.count ?? 0))
            }
        }
    }

    private func expect(
        _ impact: TableImpact, _ before: [String: String], _ after: [String: String], _ kind: PackageKind
    ) {
        let removed = before.keys.filter { after[$0] == nil }.count
        let changed = before.filter { after[$0.key] != nil && after[$0.key] != $0.value }
        #expect(impact.added == Int64(after.keys.filter { before[$0] == nil }.count))
        #expect(impact.changed == Int64(changed.count))
        #expect(impact.removed == Int64(removed))
        #expect(impact.had == (kind == .delta && removed > 0 ? Int64(before.count) : nil))
        guard impact.table == "thing" else { return #expect(impact.priceMoves.isEmpty) }
        let moves = changed.compactMap { key, value -> String? in
            guard let old = price(value), let new = price(after[key] ?? "") else { return nil }
            return "\(key) \(old) \(new)"
        }
        #expect(impact.priceMoves.map { "\($0.key[0]) \($0.before) \($0.after)" }.sorted() == moves.sorted())
        let shares = impact.priceMoves.map { $0.percent.map(abs) ?? -1 }
        #expect(shares == shares.sorted(by: >), "the biggest move comes first, those from 0 last")
    }

    private func price(_ value: String) -> Double? {
        value == "nil" ? nil : Double(value.dropFirst("Optional(".count).dropLast())
    }

    /// The plan of a chain whose only store has items `i1…` of value 100 and then sees `change`.
    private func impact(
        items: Int = 10, after change: String, limits: ChangeLimits = ChangeLimits(), removal: Subjob.Removal = .delete
    ) throws -> Impact {
        let chain = try LittleChain()
        var job = LittleChain.job()
        job.limits = limits
        for index in job.subjobs.indices { job.subjobs[index].removal = removal }
        try chain.sql(
            """
            INSERT INTO seen VALUES ('A', 'x'), ('A', 'y');
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(items))
            INSERT INTO item SELECT 'i' || i, iif(i % 2, 'x', 'y'), 100 FROM n
            """)
        let first = try chain.rows.derive(job)
        try chain.sql(change)
        let second = try chain.rows.derive(job)
        let base = Base(version: first.version.number, token: first.token)
        let plan = try chain.rows.plan(
            job, at: second, for: [PlanTarget(store: LittleChain.stores[0], base: base)])
        return try chain.rows.impact(of: try #require(plan.packages.first), job: job, at: second)
    }

    @Test func theShareIsOfAllThatTheStoreHasAlsoWhereOneScopeAloneChanged() throws {
        let table = try #require(try impact(after: "DELETE FROM item WHERE item_id IN ('i1', 'i3')").tables.first)
        #expect(table.removed == 2)
        #expect(table.had == 10)
        #expect(table.removedPercent == 20)
    }

    @Test func rowsThatTheStoreMayKeepAreNotRemoved() throws {
        let table = try #require(
            try impact(after: "DELETE FROM item WHERE item_id = 'i1'; UPDATE item SET value = 7", removal: .keep)
                .tables.first)
        #expect(table.removed == 0)
        #expect(table.changed == 9)
    }

    @Test func aStoreThatMovesToScopesOfTheSameRowsLosesNothing() throws {
        let impact = try impact(
            after:
                "DELETE FROM item WHERE scope = 'y'; UPDATE seen SET scope = 'z' WHERE scope = 'x'; UPDATE item SET scope = 'z'"
        )
        #expect(impact.tables.map(\.removed) == [5, 5])
        #expect(impact.tables.map(\.added) == [0, 0])
        #expect(impact.tables[0].had == 10)
    }

    @Test func rowsOfALargeTableAreNotCountedForASmallRemoval() throws {
        let one = "DELETE FROM item WHERE item_id = 'i1'"
        #expect(try impact(items: 1000, after: one).tables.first?.had == 1000)
        #expect(try impact(items: 1001, after: one).tables.first?.had == nil)
        var limits = ChangeLimits()
        limits.maxRemovedPercent = 0.05
        #expect(try impact(items: 1500, after: one, limits: limits).tables.first?.had == 1500)
        limits.maxRemovedPercent = 0
        #expect(try impact(items: 9000, after: one, limits: limits).tables.first?.had == 9000)
    }

    @Test func noMorePriceMovesAreListedThanSomebodyReads() throws {
        let impact = try impact(items: 40, after: "UPDATE item SET value = 100 + CAST(substr(item_id, 2) AS INTEGER)")
        let moves = impact.tables[0].priceMoves
        #expect(moves.count == Impact.priceMovesMax)
        #expect(moves.first == PriceMove(key: ["i40"], column: "value", before: 100, after: 140))
        #expect(moves.first?.percent == 40)
        #expect(impact.tables[0].changed == 40)
    }
}
