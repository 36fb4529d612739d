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

/// Stores that one package serves: they see the same and lack the same.
public struct PackagePlan: Sendable, Equatable {
    public var stores: [StoreID]
    /// A version at which all of `bases` have the same content, as far as the package goes; nil for a full package.
    public var contentVersion: Int64?
    /// Every base that stores of this plan stand at.
    public var bases: [Base]
    /// All that the stores see.
    var audience: ScopeSet
    /// Scopes to look at, at the base and now. Equal but for stores that moved.
    var scopesBefore: ScopeSet
    var scopesNow: ScopeSet
    /// All that the stores see at the base, whether anything changed in it or not; empty for a full package.
    var scopesHeld: ScopeSet

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
            var groups: [Difference: PackagePlan] = [:]
            var order: [Difference] = []
            var noData: [StoreID] = []
            for target in targets.sorted(by: { $0.store < $1.store }) {
                let now = try reader.scopes(of: target.store, at: derivation.version.number)
                var difference = Difference(
                    audience: now, held: ScopeSet(entries: []), before: ScopeSet(entries: []), now: now, bases: nil)
                if let base = target.base, try isUsable(base, floor: floor, at: derivation, in: db) {
                    difference = try reader.difference(
                        of: target.store, from: base.version, to: derivation.version.number, now: now)
                    if difference.isEmpty {
                        noData.append(target.store)
                        continue
                    }
                }
                if groups[difference] == nil {
                    order.append(difference)
                    // Stores of one group stand at content that is equal as far as the package goes, whatever version
                    // they name it by; so the first one's version will do.
                    groups[difference] = PackagePlan(
                        stores: [], contentVersion: difference.bases == nil ? nil : target.base?.version, bases: [],
                        audience: now, scopesBefore: difference.before, scopesNow: difference.now,
                        scopesHeld: difference.held)
                }
                groups[difference]?.stores.append(target.store)
                if let base = target.base, difference.bases != nil, groups[difference]?.bases.contains(base) == false {
                    groups[difference]?.bases.append(base)
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

/// What separates a store from a derivation. Equal differences, equal packages.
private struct Difference: Hashable {
    /// All that the store sees now. A package is for one audience, by definition, even where two lack the same.
    var audience: ScopeSet
    /// All that it saw at the base: the audience, unless it has moved since.
    var held: ScopeSet
    /// The scopes to look at, at the base and now. For a store that sees the same scopes as before these are only
    /// the ones in which something changed.
    var before: ScopeSet
    var now: ScopeSet
    /// For each of `before`, the version of the content the store has; nil when it has nothing that counts.
    var bases: [Int64]?

    var isEmpty: Bool { bases != nil && before.entries.isEmpty && now.entries.isEmpty }
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

    /// What a store lacks that sees the scopes `now`.
    func difference(of store: StoreID, from base: Int64, to version: Int64, now: ScopeSet) throws -> Difference {
        let before = try scopes(of: store, at: base)
        if before != now {
            return Difference(
                audience: now, held: before, before: before, now: now,
                bases: try before.entries.map { try lastChange(in: $0, at: base) })
        }
        var changed = ScopeSet(entries: [])
        var bases: [Int64] = []
        for entry in now.entries {
            let had = try lastChange(in: entry, at: base)
            guard try lastChange(in: entry, at: version) != had else { continue }
            changed.entries.append(entry)
            bases.append(had)
        }
        return Difference(audience: now, held: now, before: changed, now: changed, bases: bases)
    }

    /// The newest version, up to `version`, at which anything in a scope changed: equal numbers, equal rows.
    private func lastChange(in entry: ScopeSet.Entry, at version: Int64) throws -> Int64 {
        let key = ChangeKey(entry: entry, version: version)
        if let known = changes[key] { return known }
        // Primary key (table_name, scope, version): one step.
        let found =
            try Int64.fetchOne(
                db, sql: "SELECT max(version) FROM scope_change WHERE table_name = ? AND scope = ? AND version <= ?",
                arguments: [entry.table, entry.scope, version]) ?? 0
        changes[key] = found
        return found
    }
}
