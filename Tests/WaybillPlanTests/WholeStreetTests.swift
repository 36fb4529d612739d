import Foundation
import GRDB
import Testing
import WaybillApply
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPackage
import WaybillPlan
import WaybillWire

/// From HQ's tables to the store's, by the modules in between, while the job itself changes from session to session.
@Suite struct WholeStreetTests {
    @Test(arguments: 0..<8)
    func whateverTheJobHasBeenStoresHaveWhatItSaysNow(seed: Int) throws {
        var random = SeededRandom(UInt64(seed))
        let street = try WholeStreet()
        for store in LittleChain.stores { try street.open(store) }
        for _ in 0..<9 {
            for _ in 0..<Int.random(in: 0..<4, using: &random) { try street.chain.edit(&random) }
            if Int.random(in: 0..<3, using: &random) == 0 { street.changeJob(&random) }
            let reached = LittleChain.stores.filter { _ in Int.random(in: 0..<4, using: &random) > 0 }
            try street.publish(to: reached)
            for store in reached {
                let (has, truth) = (try street.content(of: store), try street.truth(for: store))
                if street.job.subjobs[0].removal == .delete { #expect(has == truth) }
                #expect(truth.subtracting(has).isEmpty)
            }
        }
    }

    @Test func aChangedColumnReachesEveryStoreAndOnlyOnce() throws {
        let street = try WholeStreet()
        let store = LittleChain.stores[0]
        try street.open(store)
        try street.chain.sql("INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('i', 'x', 1)")
        #expect(try street.publish(to: [store]) == 1)
        street.job.subjobs[0].table.columns.append(ColumnShape("more", .text))
        street.job.subjobs[0].query = "SELECT scope, item_id, value, 'm' || value AS more FROM item"
        #expect(try street.publish(to: [store]) == 1)
        #expect(try street.content(of: store) == ["i|1|m1"])
        #expect(try street.publish(to: [store]) == 0)
    }
}

/// The little chain with stores at its end.
private final class WholeStreet {
    struct Store {
        var ledger: StoreDatabase
        var applier: Applier
        var base: Base?
    }

    let chain: LittleChain
    var job: Job
    private var stores: [StoreID: Store] = [:]
    private var number: Int64 = 0
    private var names = 0
    private let key = SigningKey()

    init() throws {
        chain = try LittleChain()
        job = LittleChain.job()
        job.subjobs.removeLast()
    }

    func open(_ store: StoreID) throws {
        let path = chain.folder + "/\(store).db"
        let ledger = try StoreDatabase(path: path, store: store)
        try ledger.startIncarnation(random: 1)
        stores[store] = Store(ledger: ledger, applier: try Applier(path: path, lockBudgetMilliseconds: 50), base: nil)
    }

    /// How the table travels, or one of its columns.
    func changeJob(_ random: inout SeededRandom) {
        var subjob = job.subjobs[0]
        let place = subjob.table.columns.indices.dropFirst().randomElement(using: &random)
        names += 1
        switch (Int.random(in: 0..<6, using: &random), place) {
        case (0, _): subjob.policy = subjob.policy == .full ? .delta : .full
        case (1, _): subjob.removal = subjob.removal == .keep ? .delete : .keep
        case (2, let place?): subjob.table.columns.remove(at: place)
        case (3, let place?):
            subjob.formerNames["c\(names)"] = subjob.table.columns[place].name
            subjob.table.columns[place].name = "c\(names)"
        case (4, let place?): subjob.table.columns[place].type = .text
        default: subjob.table.columns.append(ColumnShape("c\(names)", .integer, nullable: true))
        }
        let values = subjob.table.columns.dropFirst().map { ", value AS \($0.name)" }.joined()
        subjob.query = SQLText("SELECT scope, item_id\(values) FROM item")
        job.subjobs[0] = subjob
    }

    /// - Returns: packages that were applied.
    @discardableResult
    func publish(to reached: [StoreID]) throws -> Int {
        number += 1
        let derivation = try chain.rows.derive(job)
        let plan = try chain.rows.plan(
            job, at: derivation, for: reached.map { PlanTarget(store: $0, base: stores[$0]?.base) })
        var applied = 0
        for package in plan.packages {
            let (raw, manifest) = try pack(package, derivation)
            for id in package.stores {
                _ = try stores[id]?.applier.apply(
                    rawPath: raw, manifest: manifest, run: 1, attempt: 1, at: { Timestamp(milliseconds: 1) },
                    pause: { _ in }, shouldStop: { false })
                stores[id]?.base = Base(version: derivation.version.number, token: derivation.token)
                applied += 1
            }
        }
        return applied
    }

    private func pack(_ plan: PackagePlan, _ derivation: Derivation) throws -> (raw: String, manifest: Manifest) {
        let raw = chain.folder + "/\(UUID().uuidString).raw"
        let filled = try chain.rows.fill(plan, job: job, at: derivation, path: raw, uniqueness: Int32(number)) {
            try PackageTables.create($0, schema: $1, in: $2)
        }
        let bases = try plan.stores.compactMap { try stores[$0]?.ledger.state().watermarks[job.id] }
        let contents = PackageContents(
            job: job.id, session: SessionID(number: number, random: 7), version: derivation.version, kind: plan.kind,
            bases: plan.kind == .full ? [] : Array(Set(bases)),
            tables: zip(job.subjobs, filled).map {
                PackageTable(
                    shape: $1.shape, rows: $1.rows, removed: $1.removed, isWhole: $1.isWhole,
                    keepsRows: $0.removal == .keep, formerNames: $0.formerNames)
            },
            created: Timestamp(milliseconds: 1))
        let sealed = try PackageSealer.seal(
            rawPath: raw, folder: chain.folder, contents: contents, signingKey: key)
        try PackageFile.unpack(compressedPath: sealed.path, manifest: sealed.manifest, to: raw)
        try PackageFile.check(rawPath: raw, manifest: sealed.manifest)
        return (raw, try Manifest(decoding: sealed.manifestBytes))
    }

    /// The store's rows as texts, columns in the job's order.
    func content(of store: StoreID) throws -> Set<String> {
        let columns = job.subjobs[0].table.columns.map { quoted($0.name) }.joined(separator: ", ")
        let queue = try OpenDatabase.queue(at: chain.folder + "/\(store).db", label: "till", isReadOnly: true)
        return try queue.read { try texts($0, "SELECT \(columns) FROM thing") }
    }

    /// The same, asked of HQ.
    func truth(for store: StoreID) throws -> Set<String> {
        let columns = job.subjobs[0].table.columns.map { quoted($0.name) }.joined(separator: ", ")
        return try chain.hq.read { db in
            try texts(
                db,
                """
                SELECT \(columns) FROM (\(job.subjobs[0].rows)) WHERE _scope IN (
                    SELECT scope FROM seen WHERE store_id = '\(store)')
                """)
        }
    }

    private func texts(_ db: Database, _ sql: String) throws -> Set<String> {
        Set(
            try Row.fetchAll(db, sql: sql).map { row in
                row.databaseValues.map { $0.isNull ? "NULL" : "\($0.storage.value ?? "")" }.joined(separator: "|")
            })
    }
}
