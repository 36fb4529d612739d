import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// Where a store stands before a session, as the hub knows it: the version and the derivation that its session was of.
public struct Base: Hashable, Sendable {
    public var version: Int64
    public var token: Int64

    public init(version: Int64, token: Int64) {
        self.version = version
        self.token = token
    }
}

/// A store that a session shall bring to a derivation. `base` nil: it has nothing that counts, so it gets everything.
public struct PlanTarget: Hashable, Sendable {
    public var store: StoreID
    public var base: Base?

    public init(store: StoreID, base: Base?) {
        self.store = store
        self.base = base
    }
}

/// Stores that one package serves: they see the same scopes, and what they have has the same content.
public struct PackagePlan: Sendable, Equatable {
    public var stores: [StoreID]
    /// The content all of `bases` have; nil for a full package.
    public var contentVersion: Int64?
    /// Every base that stores of this plan stand at.
    public var bases: [Base]
    /// Scopes seen at the base, and now, by table. Equal but for stores that moved.
    var scopesBefore: ScopeSet
    var scopesNow: ScopeSet

    public var kind: PackageKind { contentVersion == nil ? .full : .delta }

    /// The plan for the other stores; nil when there are none.
    public func without(_ left: Set<StoreID>) -> PackagePlan? {
        var plan = self
        plan.stores.removeAll { left.contains($0) }
        return plan.stores.isEmpty ? nil : plan
    }
}

/// What a session has to do: one package for each plan, and nothing for some stores.
public struct SessionPlan: Sendable, Equatable {
    public var packages: [PackagePlan]
    /// Stores that have it all already.
    public var noData: [StoreID]
}

/// Scopes of one audience, in canonical order: (table, scope) pairs.
struct ScopeSet: Hashable, Sendable {
    struct Entry: Hashable, Sendable, Comparable {
        var table: String
        var scope: String
        static func < (a: Entry, b: Entry) -> Bool { (a.table, a.scope) < (b.table, b.scope) }
    }
    var entries: [Entry]
}

extension Rows {
    /// Groups stores by what they see and by the content they stand at, and leaves out those with nothing new.
    ///
    /// Costs a few index steps for each store and scope and reads no row of any store table.
    public func plan(_ job: Job, at derivation: Derivation, for targets: [PlanTarget]) throws -> SessionPlan {
        try queue.read { db in
            let floor =
                try Int64.fetchOne(db, sql: "SELECT floor FROM job WHERE job = ?", arguments: [job.id.rawValue]) ?? 0
            let reader = ScopeReader(job: job.id, db: db)
            var groups: [GroupKey: PackagePlan] = [:]
            var order: [GroupKey] = []
            var noData: [StoreID] = []
            for target in targets.sorted(by: { $0.store < $1.store }) {
                let now = try reader.scopes(of: target.store, at: derivation.version.number)
                var content: Int64?
                var before = ScopeSet(entries: [])
                if let base = target.base, try isUsable(base, floor: floor, at: derivation, in: db) {
                    before = try reader.scopes(of: target.store, at: base.version)
                    let contentAtBase = try reader.contentVersion(of: before, at: base.version)
                    if before == now, try reader.contentVersion(of: now, at: derivation.version.number) == contentAtBase
                    {
                        noData.append(target.store)
                        continue
                    }
                    content = contentAtBase
                }
                let key = GroupKey(before: before, now: now, content: content)
                if groups[key] == nil {
                    order.append(key)
                    groups[key] = PackagePlan(
                        stores: [], contentVersion: content, bases: [], scopesBefore: before, scopesNow: now)
                }
                groups[key]?.stores.append(target.store)
                if let base = target.base, content != nil, groups[key]?.bases.contains(base) == false {
                    groups[key]?.bases.append(base)
                }
            }
            return SessionPlan(packages: order.compactMap { groups[$0] }, noData: noData)
        }
    }

    /// Whether the rows of an earlier derivation can still be told: it is of this history and not older than what is kept.
    public func canTell(_ derivation: Derivation) throws -> Bool {
        try queue.read { db in
            let floor =
                try Int64.fetchOne(
                    db, sql: "SELECT floor FROM job WHERE job = ?", arguments: [derivation.job.rawValue]) ?? 0
            let base = Base(version: derivation.version.number, token: derivation.token)
            return try isUsable(base, floor: floor, at: derivation, in: db)
        }
    }

    /// Whether what a store has can be told at all: made by this history, and not older than what is kept.
    private func isUsable(_ base: Base, floor: Int64, at derivation: Derivation, in db: Database) throws -> Bool {
        guard base.version >= floor, base.version <= derivation.version.number else { return false }
        // Primary key (job, token).
        return try Bool.fetchOne(
            db, sql: "SELECT version = ? FROM derivation WHERE job = ? AND token = ?",
            arguments: [base.version, derivation.job.rawValue, base.token]) ?? false
    }
}

private struct GroupKey: Hashable {
    var before: ScopeSet
    var now: ScopeSet
    var content: Int64?
}

/// Scope look-ups of one plan, remembered: thousands of stores share a few sets.
private final class ScopeReader {
    private let job: JobID
    private let db: Database
    private var changes: [ChangeKey: Int64] = [:]

    private struct ChangeKey: Hashable {
        var entry: ScopeSet.Entry
        var version: Int64
    }

    init(job: JobID, db: Database) {
        self.job = job
        self.db = db
    }

    func scopes(of store: StoreID, at version: Int64) throws -> ScopeSet {
        // Primary key prefix (job, store_id).
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT table_name, scope FROM member
                WHERE job = ? AND store_id = ? AND _born <= ? AND _died > ?
                """,
            arguments: [job.rawValue, store.rawValue, version, version])
        return ScopeSet(entries: rows.map { ScopeSet.Entry(table: $0["table_name"], scope: $0["scope"]) }.sorted())
    }

    /// The newest version, up to `version`, at which anything in the scopes changed: equal numbers, equal rows.
    func contentVersion(of set: ScopeSet, at version: Int64) throws -> Int64 {
        var newest: Int64 = 0
        for entry in set.entries {
            let key = ChangeKey(entry: entry, version: version)
            if changes[key] == nil {
                // Primary key (table_name, scope, version): one step.
                changes[key] =
                    try Int64.fetchOne(
                        db,
                        sql:
                            "SELECT max(version) FROM scope_change WHERE table_name = ? AND scope = ? AND version <= ?",
                        arguments: [entry.table, entry.scope, version]) ?? 0
            }
            newest = max(newest, changes[key] ?? 0)
        }
        return newest
    }
}
