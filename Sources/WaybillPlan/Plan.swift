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
    /// Costs an index step for each scope of a store, and for all stores that see and lack the same, one comparison;
    /// reads no row of any store table.
    public func plan(_ job: Job, at derivation: Derivation, for targets: [PlanTarget]) throws -> SessionPlan {
        try queue.read { db in
            let floor =
                try Int64.fetchOne(db, sql: "SELECT floor FROM job WHERE job = ?", arguments: [job.id.rawValue]) ?? 0
            let reader = try ScopeReader(job: job.id, version: derivation.version.number, for: targets, in: db)
            var usable: [Base: Bool] = [:]
            var groups = PlanGroups()
            for target in targets.sorted(by: { $0.store < $1.store }) {
                var base = target.base
                if let named = base {
                    let isUsable = try usable[named] ?? isUsable(named, floor: floor, at: derivation, in: db)
                    usable[named] = isUsable
                    if !isUsable { base = nil }
                }
                let standing = try reader.standing(of: target.store, base: base?.version)
                try groups.add(target, standing) { try reader.difference(standing) }
            }
            return SessionPlan(packages: groups.packages, noData: groups.noData)
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
struct Difference: Hashable {
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
