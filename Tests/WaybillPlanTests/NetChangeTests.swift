import Testing
import WaybillJobs
import WaybillModel
import WaybillPlan

@Suite struct NetChangeTests {
    /// Whatever HQ did in between: base plus package is the derivation, exactly, and the package holds nothing that the
    /// store has already.
    @Test(arguments: 0..<60)
    func aPackageOverItsBaseGivesExactlyWhatHeadquartersSays(seed: Int) throws {
        var random = SeededRandom(UInt64(seed))
        let chain = try LittleChain()
        let job = LittleChain.job()
        for _ in 0..<6 { try chain.edit(&random) }
        var history: [(derivation: Derivation, content: [StoreID: LittleChain.Content])] = []
        // In the longer ones stores are so far behind that what has ended is put in order first.
        for _ in 0..<(seed % 4 == 0 ? 24 : 8) {
            for _ in 0..<Int.random(in: 0..<4, using: &random) { try chain.edit(&random) }
            let derivation = try chain.rows.derive(job)
            var content: [StoreID: LittleChain.Content] = [:]
            for store in LittleChain.stores { content[store] = try chain.truth(for: store) }
            history.append((derivation, content))
            let target = history.randomElement(using: &random) ?? history[0]
            try check(chain, history.filter { $0.derivation.version <= target.derivation.version }, to: target, &random)
        }
    }

    private func check(
        _ chain: LittleChain, _ bases: [(derivation: Derivation, content: [StoreID: LittleChain.Content])],
        to target: (derivation: Derivation, content: [StoreID: LittleChain.Content]), _ random: inout SeededRandom
    ) throws {
        var before: [StoreID: LittleChain.Content] = [:]
        let targets = LittleChain.stores.map { store in
            guard Int.random(in: 0..<6, using: &random) > 0, let base = bases.randomElement(using: &random) else {
                before[store] = ["thing": [:], "mark": [:]]
                return PlanTarget(store: store, base: nil)
            }
            before[store] = base.content[store]
            let version = base.derivation.version.number
            return PlanTarget(store: store, base: Base(version: version, token: base.derivation.token))
        }
        let plan = try chain.rows.plan(LittleChain.job(), at: target.derivation, for: targets)
        #expect(Set(plan.packages.flatMap(\.stores) + plan.noData) == Set(LittleChain.stores))
        for store in plan.noData { #expect(before[store] == target.content[store]) }
        for package in plan.packages {
            let delivered = try chain.fill(package, at: target.derivation)
            for store in package.stores {
                let wanted = target.content[store] ?? [:]
                var after = package.kind == .full ? ["thing": [:], "mark": [:]] : before[store] ?? [:]
                for (table, keys) in delivered.removed {
                    for key in keys {
                        #expect(after[table]?.removeValue(forKey: key) != nil, "removes what the store has not")
                    }
                }
                for (table, rows) in delivered.written {
                    for (key, value) in rows {
                        if package.kind == .delta { #expect(after[table]?[key] != value, "brings what the store has") }
                        after[table]?[key] = value
                    }
                }
                #expect(after == wanted)
            }
        }
    }

    @Test func storesOfOneAudienceAtOneContentShareAPackage() throws {
        let chain = try LittleChain()
        try chain.sql(
            "INSERT INTO seen VALUES ('A', 'x'), ('B', 'x'), ('C', 'y'); INSERT INTO item VALUES ('i', 'x', 1)")
        let first = try chain.rows.derive(LittleChain.job())
        let targets = LittleChain.stores.map { PlanTarget(store: $0, base: nil) }
        let full = try chain.rows.plan(LittleChain.job(), at: first, for: targets)
        #expect(full.packages.map { $0.stores.map(\.rawValue) } == [["A", "B"], ["C"]])
        try chain.sql("UPDATE item SET value = 2")
        let second = try chain.rows.derive(LittleChain.job())
        let base = Base(version: first.version.number, token: first.token)
        let delta = try chain.rows.plan(
            LittleChain.job(), at: second, for: LittleChain.stores.map { PlanTarget(store: $0, base: base) })
        #expect(delta.packages.map { $0.stores.map(\.rawValue) } == [["A", "B"]])
        #expect(delta.packages.map(\.kind) == [.delta])
        #expect(delta.noData.map(\.rawValue) == ["C"])
    }

    @Test func whatChangedAndChangedBackIsNotSent() throws {
        let chain = try LittleChain()
        try chain.sql("INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('i', 'x', 1), ('k', 'x', 1)")
        let first = try chain.rows.derive(LittleChain.job())
        try chain.sql("UPDATE item SET value = 2")
        _ = try chain.rows.derive(LittleChain.job())
        try chain.sql("UPDATE item SET value = 1 WHERE item_id = 'i'")
        let third = try chain.rows.derive(LittleChain.job())
        let base = Base(version: first.version.number, token: first.token)
        let plan = try chain.rows.plan(
            LittleChain.job(), at: third, for: [PlanTarget(store: LittleChain.stores[0], base: base)])
        let delivered = try chain.fill(try #require(plan.packages.first), at: third)
        #expect(delivered.written["thing"]?.keys.sorted() == ["k"])
        #expect(delivered.removed["mark"] == ["k/1"])
    }

    /// Our own queries have words of their own, which may be the names of a table's columns.
    @Test func aScopeThatHasNoRowsAnyMoreIsEmptiedAtItsStoresWhateverItsColumnsAreCalled() throws {
        let chain = try LittleChain()
        try chain.sql(
            "INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('i', 'x', 1), ('k', 'x', 1), ('l', 'y', 1)")
        var job = LittleChain.job()
        for name in ["name", "version", "slice", "hop", "old", "new", "known", "staged"] {
            let table = TableShape(
                name: "thing", columns: [ColumnShape("item_id", .text), ColumnShape(name, .integer)], key: ["item_id"])
            job.subjobs[0] = Subjob(
                table: table, rows: "SELECT scope, item_id, value AS \(name) FROM item",
                members: "SELECT store_id, scope FROM seen")
            try chain.sql("INSERT OR IGNORE INTO item VALUES ('i', 'x', 1), ('k', 'x', 1)")
            let first = try chain.rows.derive(job)
            try chain.sql("DELETE FROM item WHERE scope = 'x'")
            let second = try chain.rows.derive(job)
            let base = Base(version: first.version.number, token: first.token)
            let plan = try chain.rows.plan(
                job, at: second, for: [PlanTarget(store: LittleChain.stores[0], base: base)])
            let package = try #require(plan.packages.first, "with a column \(name)")
            #expect(try chain.fill(package, at: second, job: job).removed["thing"] == ["i", "k"], "\(name)")
        }
    }
}
