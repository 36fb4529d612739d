import GRDB
import WaybillModel

/// Where a store stands, in numbers: stores with equal standings differ from the derivation in the same.
struct Standing: Hashable {
    /// Names the set of scopes it sees now, within one plan.
    var now: Int
    /// The same of what it saw at the base.
    var before: Int
    /// The version it stands at; nil when it has nothing that counts.
    var base: Int64?
}

/// Stores of one plan, as they fall into packages.
struct PlanGroups {
    private(set) var packages: [PackagePlan] = []
    /// Stores that have it all already.
    private(set) var noData: [StoreID] = []
    /// Standings that were looked at before, and the place of their package; nil for none.
    private var known: [Standing: Int?] = [:]
    private var places: [Difference: Int] = [:]
    private var bases: [Set<Base>] = []

    /// - Parameter difference: asked for once for each standing.
    mutating func add(_ target: PlanTarget, _ standing: Standing, _ difference: () throws -> Difference) throws {
        if known[standing] == nil {
            known.updateValue(try place(of: difference(), target), forKey: standing)
        }
        guard let found = known[standing], let place = found else { return noData.append(target.store) }
        packages[place].stores.append(target.store)
        if let base = target.base, standing.base != nil, bases[place].insert(base).inserted {
            packages[place].bases.append(base)
        }
    }

    /// Stores of one group stand at content that is equal as far as the package goes, whatever version they name it by;
    /// so the first one's version will do.
    private mutating func place(of difference: Difference, _ first: PlanTarget) -> Int? {
        if difference.isEmpty { return nil }
        if let place = places[difference] { return place }
        places[difference] = packages.count
        packages.append(
            PackagePlan(
                stores: [], contentVersion: difference.bases == nil ? nil : first.base?.version, bases: [],
                audience: difference.audience, scopesBefore: difference.before, scopesNow: difference.now,
                scopesHeld: difference.held))
        bases.append([])
        return packages.count - 1
    }
}

/// Scope look-ups of one plan, remembered: thousands of stores share a few sets.
final class ScopeReader {
    private let job: JobID
    private let version: Int64
    private let db: Database
    /// Sets of scopes by their number, and back.
    private var sets: [ScopeSet] = []
    private var numbers: [ScopeSet: Int] = [:]
    /// What stores see now, when it was read for all of them.
    private var seenNow: [String: Int]?
    /// Stores that saw something else at a version.
    private var moved: [Int64: Set<String>] = [:]
    private var changes: [ChangeKey: Int64] = [:]

    private struct ChangeKey: Hashable {
        var entry: ScopeSet.Entry
        var version: Int64
    }

    /// For so many stores it is less work to read what all of them see.
    private static let fewMax = 16

    init(job: JobID, version: Int64, for targets: [PlanTarget], in db: Database) throws {
        self.job = job
        self.version = version
        self.db = db
        guard targets.count > ScopeReader.fewMax else { return }
        seenNow = try readAll()
    }

    /// - Parameter base: nil for a store that has nothing that counts.
    func standing(of store: StoreID, base: Int64?) throws -> Standing {
        let now: Int
        if let seenNow {
            now = seenNow[store.rawValue] ?? number(of: ScopeSet(entries: []))
        } else {
            now = number(of: try scopes(of: store, at: version))
        }
        guard let base else { return Standing(now: now, before: now, base: nil) }
        let hasMoved = seenNow == nil ? true : try storesMoved(since: base).contains(store.rawValue)
        return Standing(
            now: now, before: hasMoved ? number(of: try scopes(of: store, at: base)) : now, base: base)
    }

    /// What a store with that standing lacks.
    func difference(_ standing: Standing) throws -> Difference {
        let (now, before) = (sets[standing.now], sets[standing.before])
        guard let base = standing.base else {
            let nothing = ScopeSet(entries: [])
            return Difference(audience: now, held: nothing, before: nothing, now: now, bases: nil)
        }
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

    private func number(of set: ScopeSet) -> Int {
        if let known = numbers[set] { return known }
        numbers[set] = sets.count
        sets.append(set)
        return sets.count - 1
    }

    /// In one walk over the members, in the order of their key: (job, store_id, …).
    private func readAll() throws -> [String: Int] {
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT store_id, table_name, scope FROM member WHERE job = ? AND _born <= ? AND _died > ? ORDER BY store_id
                """, arguments: [job.rawValue, version, version])
        var seen: [String: Int] = [:]
        var (store, entries): (String?, [ScopeSet.Entry]) = (nil, [])
        func end() {
            if let store { seen[store] = number(of: ScopeSet(entries: entries.sorted())) }
            entries.removeAll(keepingCapacity: true)
        }
        while let row = try rows.next() {
            let next: String = row[0]
            if next != store { end() }
            store = next
            entries.append(ScopeSet.Entry(table: row[1], scope: row[2]))
        }
        end()
        return seen
    }

    private func scopes(of store: StoreID, at version: Int64) throws -> ScopeSet {
        // Primary key prefix (job, store_id).
        let rows = try Row.fetchCursor(
            try db.cachedStatement(
                sql: """
                    SELECT table_name, scope FROM member
                    WHERE job = ? AND store_id = ? AND _born <= ? AND _died > ?
                    """), arguments: [job.rawValue, store.rawValue, version, version])
        var entries: [ScopeSet.Entry] = []
        while let row = try rows.next() { entries.append(ScopeSet.Entry(table: row[0], scope: row[1])) }
        return ScopeSet(entries: entries.sorted())
    }

    /// Stores of which a membership has begun or ended since: the others see what they saw.
    private func storesMoved(since base: Int64) throws -> Set<String> {
        if let known = moved[base] { return known }
        // Primary key prefix (job): once for each version that stores stand at.
        let found = try String.fetchSet(
            db,
            sql: """
                SELECT DISTINCT store_id FROM member
                WHERE job = :job AND (_born > :base AND _born <= :now OR _died > :base AND _died <= :now)
                """, arguments: ["job": job.rawValue, "base": base, "now": version])
        moved[base] = found
        return found
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
