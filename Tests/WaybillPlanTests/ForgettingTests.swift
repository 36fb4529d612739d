import GRDB
import Testing
import WaybillCapture
import WaybillJobs
import WaybillModel
import WaybillPlan

/// Rows of the past and the change log are forgotten at random moments; stores never notice but by a full load.
@Suite struct ForgettingTests {
    private static let hour: Int64 = 3_600_000
    private static let policy = RetentionPolicy(changesDays: 3)

    /// A store of the model: where it stands, what it has, and a package on its way.
    private struct Store {
        var base: Base?
        var content: LittleChain.Content = ["thing": [:], "mark": [:]]
        /// When something was first derived that it does not have.
        var behindSince: Int64?
        var pending: (derivation: Derivation, content: LittleChain.Content)?
    }

    /// A history of headquarters with a clock, told slowly and plainly beside it.
    private final class Model {
        let chain: LittleChain
        var stores: [StoreID: Store] = [:]
        var now: Int64 = 0
        var rowsMax: Int64 = .max
        /// Everything that was derived, with what each store should hold then.
        var derived: [(derivation: Derivation, content: [StoreID: LittleChain.Content], at: Int64)] = []

        init() throws {
            chain = try LittleChain()
            for store in LittleChain.stores { stores[store] = Store() }
        }

        var holds: [HistoryHold] {
            stores.flatMap { id, store in
                let bases = [
                    store.base,
                    store.pending.map { Base(version: $0.derivation.version.number, token: $0.derivation.token) },
                ]
                return bases.compactMap { $0 }.map { HistoryHold(store: id, job: LittleChain.job().id, base: $0) }
            }
        }

        func derive() throws -> (derivation: Derivation, content: [StoreID: LittleChain.Content]) {
            let derivation = try chain.rows.derive(LittleChain.job())
            var content: [StoreID: LittleChain.Content] = [:]
            for store in LittleChain.stores { content[store] = try chain.truth(for: store) }
            if derived.last?.derivation.token != derivation.token { derived.append((derivation, content, now)) }
            return (derivation, content)
        }

        /// A package for one store as a session makes it, and what comes of applying it.
        func deliver(to id: StoreID, _ derivation: Derivation, _ wanted: LittleChain.Content) throws -> PackageKind? {
            guard var store = stores[id] else { return nil }
            let plan = try chain.rows.plan(
                LittleChain.job(), at: derivation, for: [PlanTarget(store: id, base: store.base)])
            var kind: PackageKind?
            if let package = plan.packages.first {
                kind = package.kind
                let delivered = try chain.fill(package, at: derivation)
                var content = package.kind == .full ? ["thing": [:], "mark": [:]] : store.content
                for (table, keys) in delivered.removed { for key in keys { content[table]?[key] = nil } }
                for (table, rows) in delivered.written { content[table]?.merge(rows) { $1 } }
                store.content = content
            }
            #expect(store.content == wanted, "store \(id) after a \(kind?.rawValue ?? "session without data")")
            store.base = Base(version: derivation.version.number, token: derivation.token)
            store.pending = nil
            stores[id] = store
            return kind
        }

        /// One run, interrupted after some slices if so wished.
        func forget(_ policy: RetentionPolicy, slices: Int = .max) throws -> HistoryDecision {
            let jobs = [LittleChain.job()]
            var cutoffs = policy.cutoffs(at: Timestamp(milliseconds: now))
            cutoffs.changesRowsMax = rowsMax
            try chain.rows.notePast(of: jobs, at: cutoffs.now)
            let decision = try chain.rows.decide(jobs, cutoffs, holds: holds)
            let expected = try chain.rows.count(decision, jobs)
            try chain.rows.raiseFloors(decision, cutoffs)
            var gone: Int64 = 0
            for _ in 0..<slices {
                let slice = try chain.rows.forgetSlice(of: jobs[0], limit: 3)
                gone += slice.rows
                if slice.isLast {
                    #expect(gone == expected)
                    break
                }
            }
            let purge = try ChangeLogPurge(hqPath: chain.hqPath)
            defer { try? purge.close() }
            for _ in 0..<slices where try purge.forgetSlice(upTo: decision.logUpTo, limit: 5) < 5 { break }
            return decision
        }
    }

    /// Whatever is forgotten, whenever, and wherever it is cut short: every store ends with what headquarters says,
    /// and one that was not away for too long gets no more than what changed.
    @Test(arguments: 0..<60)
    func storesThatLagGetRightRowsWhateverIsForgotten(seed: Int) throws {
        var random = SeededRandom(UInt64(seed))
        let model = try Model()
        for _ in 0..<6 { try model.chain.edit(&random) }
        var heads: [Int64] = []
        for _ in 0..<40 {
            model.now += Int64.random(in: 0...18, using: &random) * Self.hour
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1: for _ in 0..<Int.random(in: 1..<5, using: &random) { try model.chain.edit(&random) }
            case 2, 3, 4: try publish(model, &random)
            case 5: if Bool.random(using: &random) { try model.chain.reopenRows() }
            default: try forget(model, &random)
            }
            heads.append(try model.chain.hq.read { try ChangeLog.head(in: $0) })
        }
        #expect(heads == heads.sorted(), "versions are never used again")
        let (derivation, content) = try model.derive()
        for store in LittleChain.stores { _ = try model.deliver(to: store, derivation, content[store] ?? [:]) }
    }

    private func publish(_ model: Model, _ random: inout SeededRandom) throws {
        let (derivation, content) = try model.derive()
        for id in LittleChain.stores {
            let wanted = content[id] ?? [:]
            switch Int.random(in: 0..<4, using: &random) {
            // Away: a session waits for it.
            case 0: model.stores[id]?.pending = (derivation, wanted)
            // Back: the session that waits is prepared anew, if that can be told; else today's takes its place.
            case 1:
                guard let pending = model.stores[id]?.pending else { break }
                if try model.chain.rows.canTell(pending.derivation) {
                    try deliver(model, id, pending.derivation, pending.content)
                } else {
                    try deliver(model, id, derivation, wanted)
                }
            case 2: try deliver(model, id, derivation, wanted)
            default: break
            }
        }
    }

    private func deliver(
        _ model: Model, _ id: StoreID, _ derivation: Derivation, _ wanted: LittleChain.Content
    ) throws {
        // A session older than where the store stands is not sent.
        if let base = model.stores[id]?.base, base.version > derivation.version.number { return }
        let before = model.stores[id]?.base
        let kind = try model.deliver(to: id, derivation, wanted)
        guard kind == .full, let before else { return }
        let next = try #require(model.derived.first { $0.derivation.version.number > before.version })
        let days = (model.now - next.at) / (24 * Self.hour)
        #expect(days >= Self.policy.changesDays, "a full load for a store that was behind for \(days) days")
    }

    private func forget(_ model: Model, _ random: inout SeededRandom) throws {
        let holds = model.holds
        let slices = Bool.random(using: &random) ? .max : Int.random(in: 0..<4, using: &random)
        let decision = try model.forget(Self.policy, slices: slices)
        #expect(try miscounted(model).isEmpty)
        let floor = decision.floors[LittleChain.job().id] ?? 0
        // The model's own idea of the limit: what was derived before a base's successor was too old.
        for hold in holds where hold.base.version < floor {
            let next = try #require(model.derived.first { $0.derivation.version.number > hold.base.version })
            #expect(model.now - next.at >= Int64(Self.policy.changesDays) * 24 * Self.hour)
        }
    }

    /// Scopes and versions of which the number of rows of the past is noted otherwise than it is.
    private func miscounted(_ model: Model) throws -> [Row] {
        let db = try DatabaseQueue(path: model.chain.folder + "/rows.db")
        defer { try? db.close() }
        return try db.read { db in
            try ["thing", "mark"].filter { try db.tableExists("ended_\($0)") }.flatMap { table in
                let noted =
                    "SELECT scope, version, ended FROM scope_change WHERE ended <> 0 AND table_name = '\(table)'"
                let kept = "SELECT _scope, _died, count(*) FROM ended_\(table) GROUP BY _scope, _died"
                return try Row.fetchAll(
                    db,
                    sql: """
                        SELECT * FROM (\(noted) EXCEPT \(kept)) UNION ALL SELECT * FROM (\(kept) EXCEPT \(noted))
                        """)
            }
        }
    }

    // MARK: single promises

    private func run(_ model: Model, hours: Int64, _ edit: String) throws -> Derivation {
        try model.chain.sql(edit)
        let derivation = try model.derive().derivation
        _ = try model.forget(Self.policy)
        model.now += hours * Self.hour
        return derivation
    }

    private func filled() throws -> Model {
        let model = try Model()
        try model.chain.sql("INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('i', 'x', 1), ('k', 'x', 1)")
        return model
    }

    private func rowsOfThePast(_ model: Model) throws -> Int64 {
        let db = try DatabaseQueue(path: model.chain.folder + "/rows.db")
        defer { try? db.close() }
        return try db.read { try PastUsage.extent(of: [LittleChain.job()], in: $0).rows }
    }

    @Test func theSlowestStoreHoldsThePastForAsLongAsTheLimitSays() throws {
        let model = try filled()
        let store = LittleChain.stores[0]
        let first = try run(model, hours: 1, "UPDATE item SET value = 2")
        model.stores[store]?.base = Base(version: first.version.number, token: first.token)
        for day in 0..<3 { _ = try run(model, hours: 24, "UPDATE item SET value = \(10 + day)") }
        #expect(try model.forget(Self.policy).fullLoads.isEmpty == false)
        #expect(try !model.chain.rows.canTell(first))
        #expect(try rowsOfThePast(model) > 0, "later versions are within the limit")
    }

    @Test func aStoreWithinTheLimitGetsADelta() throws {
        let model = try filled()
        let store = LittleChain.stores[0]
        let first = try run(model, hours: 1, "UPDATE item SET value = 2")
        model.stores[store]?.base = Base(version: first.version.number, token: first.token)
        model.stores[store]?.content = try model.chain.truth(for: store)
        for day in 0..<2 { _ = try run(model, hours: 24, "UPDATE item SET value = \(10 + day)") }
        #expect(try model.forget(Self.policy).fullLoads.isEmpty)
        let (derivation, content) = try model.derive()
        #expect(try model.deliver(to: store, derivation, content[store] ?? [:]) == .delta)
    }

    @Test func whenAllStoresHaveItThePastGoesAfterADay() throws {
        let model = try filled()
        for value in 2..<6 { _ = try run(model, hours: 1, "UPDATE item SET value = \(value)") }
        #expect(try rowsOfThePast(model) > 0)
        model.now += 25 * Self.hour
        _ = try model.forget(Self.policy)
        #expect(try rowsOfThePast(model) == 0)
        let log = try model.chain.hq.read { try ChangeLog.extent(in: $0).rows }
        #expect(log == 1, "the newest change stays")
    }

    @Test func aTableThatIsNotAnInputDoesNotKeepTheLogForTheJob() throws {
        let model = try filled()
        try model.chain.hq.write { db in
            try db.execute(sql: "CREATE TABLE noise (id INTEGER PRIMARY KEY)")
            try HQSchema.capture("noise", key: ["id"], in: db)
        }
        let first = try run(model, hours: 1, "UPDATE item SET value = 2")
        for id in 0..<20 { try model.chain.sql("INSERT INTO noise VALUES (\(id))") }
        _ = try model.forget(Self.policy)
        model.now += 25 * Self.hour
        _ = try model.forget(Self.policy)
        #expect(try model.chain.hq.read { try ChangeLog.extent(in: $0).rows } == 1)
        // And the job is not derived anew for it.
        #expect(try model.chain.rows.derive(LittleChain.job()).token == first.token)
    }

    @Test func aLogThatWasCutBeyondTheDerivationCostsADerivationAndNothingElse() throws {
        let model = try filled()
        let first = try model.derive().derivation
        try model.chain.sql("UPDATE item SET value = 7; CREATE TABLE other (id INTEGER PRIMARY KEY)")
        try model.chain.hq.write { db in
            try HQSchema.capture("other", key: ["id"], in: db)
            try db.execute(sql: "INSERT INTO other VALUES (1), (2)")
            _ = try ChangeLog.forget(upTo: .max, limit: 1000, in: db)
        }
        let second = try model.derive()
        #expect(second.derivation.token != first.token)
        #expect(second.derivation.hasChanges)
    }

    @Test func tooManyRowsAreForgottenWhoeverNeedsThem() throws {
        let model = try filled()
        let store = LittleChain.stores[0]
        let first = try run(model, hours: 0, "UPDATE item SET value = 2")
        model.stores[store]?.base = Base(version: first.version.number, token: first.token)
        for value in 3..<20 { _ = try run(model, hours: 0, "UPDATE item SET value = \(value)") }
        let all = try rowsOfThePast(model)
        model.rowsMax = all / 2
        #expect(try model.forget(Self.policy).fullLoads.count == 1)
        #expect(try rowsOfThePast(model) <= all / 2)
    }
}
