import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel

@testable import WaybillApply

/// Tables, rows and changes of either drawn from a seed; after each package the store is what a plain model says.
@Suite struct RandomEvolutionTests {
    @Test(arguments: [(50, false), (50, true), (0, false), (0, true)], 0..<10)
    func theStoreIsWhatTheModelSays(how: (budget: Int, keepsRows: Bool), seed: UInt64) throws {
        var model = EvolvingTable(seed: seed, keepsRows: how.keepsRows)
        let shop = try Shop(lockBudgetMilliseconds: how.budget)
        try shop.apply(model.firstLoad())
        try shop.execute("CREATE VIEW till_broken AS SELECT nix FROM nowhere")
        for _ in 0..<14 {
            if let sql = model.somethingOfATill() { try shop.execute(sql) }
            let (parcel, losses) = model.next()
            try shop.apply(parcel)
            #expect(try content(of: shop, model.shape) == model.content)
            #expect(try indexes(of: shop) == model.indexes)
            for view in model.views { _ = try shop.rows("SELECT * FROM \(view)") }
            let said = try shop.ledger.outbox(limit: 100).last?.message ?? ""
            for loss in losses { #expect(said.contains(loss + " "), "\(said)") }
            if losses.isEmpty { #expect(said == "") }
            #expect(try shop.leftOvers == [])
        }
        #expect(try shop.rows("PRAGMA integrity_check") == ["ok"])
    }

    private func content(of shop: Shop, _ shape: TableShape) throws -> [String: [String: Int?]] {
        try shop.till.read { db in
            var content: [String: [String: Int?]] = [:]
            for row in try Row.fetchAll(db, sql: "SELECT * FROM thing") {
                #expect(Set(row.columnNames) == Set(shape.columns.map(\.name)))
                var values: [String: Int?] = [:]
                for column in shape.valueColumns {
                    let value: DatabaseValue = row[column.name]
                    // A row that was kept may have a text that is no number in a column that has become one.
                    let isText = value != "".databaseValue && String.fromDatabaseValue(value) != nil
                    #expect(value.isNull || value == "".databaseValue || (column.type == .text) == isText)
                    values[column.name] = .some(
                        Int.fromDatabaseValue(value) ?? String.fromDatabaseValue(value).map { Int($0) ?? 0 })
                }
                content["\(row["zone"] as Int)/\(row["item"] as String)"] = values
            }
            return content
        }
    }

    /// The column of each of the till's indexes.
    private func indexes(of shop: Shop) throws -> [String: String] {
        try shop.till.read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT i.name AS name, c.name AS of_column FROM sqlite_schema AS i, pragma_index_info(i.name) AS c
                    WHERE i.type = 'index' AND i.name GLOB 'till_*'
                    """)
            return Dictionary(uniqueKeysWithValues: rows.map { ($0["name"], $0["of_column"]) })
        }
    }
}

/// HQ's table, the store's, and what a till has made there. All values are small numbers, whatever the column's type.
private struct EvolvingTable {
    private var random: SplitMix
    private let keepsRows: Bool
    private(set) var shape = TableShape(
        name: "thing", columns: [ColumnShape("zone", .integer), ColumnShape("item", .text)], key: ["zone", "item"])
    private var formerNames: [String: String] = [:]
    private var number: Int64 = 1
    private var names = 0
    private var columnsAtStore: Set<String> = []
    private var atHQ: [String: [String: Int?]] = [:]
    /// What the store must have.
    private(set) var content: [String: [String: Int?]] = [:]
    private(set) var indexes: [String: String] = [:]
    private var columnsOfViews: [String: String] = [:]
    var views: [String] { columnsOfViews.keys.sorted() }

    init(seed: UInt64, keepsRows: Bool) {
        random = SplitMix(seed: seed)
        self.keepsRows = keepsRows
    }

    mutating func firstLoad() -> Parcel {
        for _ in 0..<3 { addColumn() }
        editRows()
        content = atHQ
        return parcel(base: nil, rows: atHQ)
    }

    /// An index or a view on a column.
    mutating func somethingOfATill() -> String? {
        guard let column = shape.valueColumns.randomElement(using: &random)?.name else { return nil }
        names += 1
        switch Int.random(in: 0..<3, using: &random) {
        case 0:
            indexes["till_i\(names)"] = column
            return "CREATE INDEX till_i\(names) ON thing (\(Bool.random(using: &random) ? column : quoted(column)))"
        case 1:
            columnsOfViews["till_v\(names)"] = column
            return "CREATE VIEW till_v\(names) AS SELECT max(\(column)) FROM thing"
        default: return nil
        }
    }

    /// Something happens at HQ, and a package brings it.
    /// - Returns: also what the till loses by it.
    mutating func next() -> (Parcel, losses: [String]) {
        let before = atHQ
        number += 1
        var losses: [String] = []
        let isEvolving = Int.random(in: 0..<2, using: &random) == 0
        columnsAtStore = Set(shape.columns.map(\.name))
        if isEvolving { for _ in 0..<Int.random(in: 1...2, using: &random) { losses += evolve() } }
        editRows()
        let kept = keepsRows ? content : [:]
        if isEvolving || Int.random(in: 0..<4, using: &random) == 0 {
            content = kept.merging(atHQ) { _, new in new }
            return (parcel(base: nil, rows: atHQ), losses)
        }
        if Int.random(in: 0..<3, using: &random) == 0 {
            content = kept.merging(atHQ) { _, new in new }
            return (parcel(base: number - 1, rows: atHQ, isWhole: true), losses)
        }
        let changed = atHQ.filter { before[$0.key] != $0.value }
        let removed = keepsRows ? [] : before.keys.filter { atHQ[$0] == nil }
        content.merge(changed) { _, new in new }
        for key in removed { content[key] = nil }
        return (parcel(base: number - 1, rows: changed, removed: removed), losses)
    }

    private func parcel(
        base: Int64?, rows: [String: [String: Int?]], removed: [String] = [], isWhole: Bool = false
    ) -> Parcel {
        func key(_ key: String) -> TestRow {
            let parts = key.split(separator: "/")
            return [Int(parts[0]), String(parts[1])]
        }
        let table = Parcel.Table(
            shape: shape,
            rows: rows.sorted { $0.key < $1.key }.map { row in
                let keyOfRow = key(row.key)
                return shape.columns.map { column in
                    if let place = shape.key.firstIndex(of: column.name) { return keyOfRow[place] }
                    return row.value[column.name] ?? nil
                }
            },
            removed: removed.sorted().map(key), isWhole: isWhole, keepsRows: keepsRows, formerNames: formerNames)
        return Parcel(number: number, base: base, tables: [table])
    }

    // MARK: what HQ does

    private mutating func editRows() {
        for _ in 0..<Int.random(in: 0..<12, using: &random) {
            let key = "\(Int.random(in: 0..<3, using: &random))/P\(Int.random(in: 0..<9, using: &random))"
            if Int.random(in: 0..<4, using: &random) == 0 {
                atHQ[key] = nil
            } else {
                atHQ[key] = Dictionary(uniqueKeysWithValues: shape.valueColumns.map { ($0.name, value(of: $0)) })
            }
        }
    }

    private mutating func value(of column: ColumnShape) -> Int? {
        column.isNullable && Bool.random(using: &random) ? nil : Int.random(in: 0..<5, using: &random)
    }

    /// - Returns: what a till's index or view loses by it.
    private mutating func evolve() -> [String] {
        guard let name = shape.valueColumns.randomElement(using: &random)?.name,
            let place = shape.columns.firstIndex(where: { $0.name == name })
        else {
            addColumn()
            return []
        }
        switch Int.random(in: 0..<6, using: &random) {
        case 0: addColumn()
        case 1:
            shape.columns.remove(at: place)
            set(name) { _ in nil }
            return forget(name)
        case 2: rename(place)
        case 3: shape.columns[place].type = shape.columns[place].type == .text ? .integer : .text
        case 4:
            shape.columns[place].isNullable.toggle()
            if !shape.columns[place].isNullable { set(name) { .some(($0 ?? 0) ?? 0) } }
        default: shape.columns.shuffle(using: &random)
        }
        return []
    }

    private mutating func addColumn() {
        names += 1
        let column = ColumnShape(
            "c\(names)", Bool.random(using: &random) ? .text : .integer, nullable: Bool.random(using: &random))
        shape.columns.insert(column, at: Int.random(in: 0...shape.columns.count, using: &random))
        for key in atHQ.keys.sorted() {
            let value = value(of: column)
            atHQ[key]?[column.name] = .some(value)
        }
        // Kept rows have nothing there, or the least there is.
        for key in content.keys { content[key]?[column.name] = .some(column.isNullable ? nil : 0) }
    }

    private mutating func rename(_ place: Int) {
        names += 1
        let (before, after) = (shape.columns[place].name, "c\(names)")
        // A column of the evolution at hand is not at the store yet, and one has only one name there.
        formerNames[after] = formerNames[before].flatMap { columnsAtStore.contains($0) ? $0 : nil } ?? before
        shape.columns[place].name = after
        for key in atHQ.keys { if let value = atHQ[key]?.removeValue(forKey: before) { atHQ[key]?[after] = value } }
        for key in content.keys {
            if let value = content[key]?.removeValue(forKey: before) { content[key]?[after] = value }
        }
        indexes = indexes.mapValues { $0 == before ? after : $0 }
        columnsOfViews = columnsOfViews.mapValues { $0 == before ? after : $0 }
    }

    private mutating func set(_ name: String, _ value: (Int??) -> Int??) {
        for (key, row) in atHQ { atHQ[key]?[name] = value(row[name]) }
        for (key, row) in content { content[key]?[name] = value(row[name]) }
    }

    private mutating func forget(_ name: String) -> [String] {
        let losses =
            indexes.filter { $0.value == name }.map { "index \($0.key)" }
            + columnsOfViews.filter { $0.value == name }.map { "view \($0.key)" }
        indexes = indexes.filter { $0.value != name }
        columnsOfViews = columnsOfViews.filter { $0.value != name }
        return losses
    }
}
