import GRDB
import Testing
import WaybillModel

@testable import WaybillApply

/// Whatever tills' constraints say and whatever HQ sends: what the store has and what lies in its quarantine are
/// together what HQ says. Nothing is lost without being listed.
@Suite struct QuarantineRandomTests {
    @Test(arguments: 1...30) func storeAndQuarantineAddUpToWhatHQSays(seed: Int) throws {
        var world = try QuarantineWorld(seed: UInt64(seed))
        for _ in 0..<12 {
            try world.step()
            try world.check()
        }
    }
}

/// HQ's rows as a plain dictionary, and one store.
private struct QuarantineWorld {
    typealias Row = [String: String?]

    var chance: SplitMix
    let shop: Shop
    let direct: Applier
    let shadow: Applier
    var hq: [String: [String: [String?]]] = ["category": [:], "product": [:]]
    var number: Int64 = 0
    var history: [String] = []
    /// Keys that somebody has dropped from quarantine and HQ has not touched since.
    var dropped: Set<String> = []

    init(seed: UInt64) throws {
        chance = SplitMix(seed: seed)
        shop = try Shop()
        direct = try Applier(path: shop.path, lockBudgetMilliseconds: 10_000)
        shadow = try Applier(path: shop.path, lockBudgetMilliseconds: 0)
    }

    mutating func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &chance) }

    mutating func step() throws {
        switch number == 0 ? 0 : pick(10) {
        case 0...6: try publish()
        case 7: try changeTill()
        case 8:
            try shop.order(.retry, "\(number)-\(pick(1_000_000))")
            history.append("retry")
        default:
            let entries = try shop.entries
            guard !entries.isEmpty else { return }
            let entry = entries[pick(entries.count)]
            let before = Set(entries.map { "\($0.table) \($0.key)" })
            try shop.order(.drop, "\(number)-\(pick(1_000_000))", table: entry.table, key: entry.key)
            let after = Set(try shop.entries.map { "\($0.table) \($0.key)" })
            dropped.formUnion(before.subtracting(after))
            history.append("drop \(entry.table) \(entry.key)")
        }
    }

    /// Tills change their minds about what they take.
    private mutating func changeTill() throws {
        let actions = ["ABORT, 'no'", "FAIL, 'no'", "IGNORE", "ROLLBACK, 'no'"]
        let table = ["category", "product"][pick(2)]
        let action = actions[pick(actions.count)]
        let event = ["INSERT", "UPDATE", "DELETE"][pick(3)]
        let row = event == "DELETE" ? "OLD" : "NEW"
        let name = "n\(pick(5))"
        // An index that cannot be made over the rows there are is not made.
        for sql in [
            "DROP TRIGGER IF EXISTS till_\(table)",
            pick(2) == 0
                ? "CREATE UNIQUE INDEX till_\(table)_name ON \(table) (name)"
                : "DROP INDEX IF EXISTS till_\(table)_name",
            "CREATE TRIGGER till_\(table) BEFORE \(event) ON \(table) WHEN \(row).name = '\(name)' BEGIN "
                + "SELECT RAISE(\(action)); END",
        ] where (try? shop.execute(sql)) != nil { history.append(sql) }
    }

    private mutating func publish() throws {
        let before = hq
        var touched: Set<String> = []
        for table in ["category", "product"] {
            for _ in 0..<(1 + pick(4)) {
                let key = "\(table.prefix(1))\(pick(8))"
                touched.insert("\(table) \(key)")
                if pick(4) == 0 {
                    hq[table]?[key] = nil
                } else {
                    let parent: String? = pick(3) == 0 ? nil : "c\(pick(8))"
                    let name = "n\(pick(5))"
                    hq[table]?[key] = [parent, name]
                }
            }
        }
        number += 1
        let isFull = number == 1 || pick(4) == 0
        let isWhole = !isFull && pick(4) == 0
        var tables: [Parcel.Table] = []
        for (name, make) in [("category", Parcel.Table.category), ("product", Parcel.Table.product)] {
            let (old, new) = (before[name] ?? [:], hq[name] ?? [:])
            let isAll = isFull || isWhole
            let rows = new.filter { isAll || old[$0.key] != $0.value }.sorted { $0.key < $1.key }
            let removed = isAll ? [] : old.keys.filter { new[$0] == nil }.sorted()
            var table = make(rows.map { [$0.key, $0.value[0], $0.value[1]] }, removed.map { [$0] })
            table.isWhole = isWhole
            tables.append(table)
            for key in Set(old.keys).union(new.keys) where isAll || old[key] != new[key] {
                dropped.remove("\(name) \(key)")
            }
        }
        let parcel = Parcel(number: number, base: isFull ? nil : number - 1, tables: tables)
        let applier = pick(2) == 0 ? direct : shadow
        history.append(
            "\(number) \(isFull ? "full" : isWhole ? "whole" : "delta") \(applier === direct ? "direct" : "shadow") "
                + tables.map { "\($0.rows) -\($0.removed)" }.joined(separator: " / "))
        let (raw, manifest) = try shop.pack(parcel)
        do {
            _ = try applier.apply(
                rawPath: raw, manifest: manifest, run: 1, attempt: 1, at: { Timestamp(milliseconds: 1) },
                pause: { _ in }, shouldStop: { false })
        } catch {
            Issue.record("\(error)\n\(history.joined(separator: "\n"))")
        }
    }

    func check() throws {
        let entries = try shop.entries
        let listed = Dictionary(entries.map { ("\($0.table) \($0.key)", $0) }, uniquingKeysWith: { a, _ in a })
        #expect(listed.count == entries.count, "an entry is there twice")
        for (table, reference) in [("category", "parent_id"), ("product", "category_id")] {
            let key = table + "_id"
            var store: [String: [String?]] = [:]
            for row in try shop.till.read({ try GRDB.Row.fetchAll($0, sql: "SELECT * FROM \(table)") }) {
                store[row[key]] = [row[reference], row["name"]]
            }
            let wanted = hq[table] ?? [:]
            for name in Set(store.keys).union(wanted.keys) {
                let entry = listed["\(table) \(name)"]
                if dropped.contains("\(table) \(name)") { continue }
                if store[name] == wanted[name] {
                    // Right at the store, and listed all the same? Only while an older row happens to be equal.
                    #expect(entry == nil, "\(table) \(name) is right and in quarantine\n\(text)")
                } else {
                    #expect(entry != nil, "\(table) \(name) is wrong and nobody says so\n\(text)")
                    #expect(entry?.kind == .kept || wanted[name] != nil, "\(table) \(name)\n\(text)")
                    #expect((entry?.hasOlderRow ?? false) == (store[name] != nil), "\(table) \(name)\n\(text)")
                }
            }
        }
        #expect(try shop.rows("PRAGMA integrity_check") == ["ok"])
        #expect(try shop.ledger.quarantineRevision() == 0 || !entries.isEmpty)
    }

    private var text: String { history.joined(separator: "\n") }
}
