import GRDB
import WaybillDatabase
import WaybillModel
import WaybillWire

/// What separates a store's table as it stands from the shape that a package gives it.
struct TableEvolution {
    /// A column as the store has it.
    struct Column {
        var name: String
        var type: String
        var isNullable: Bool
        /// Place in the key, from 1; 0 for a column that is not part of it.
        var keyPlace: Int
    }

    /// Columns that go on under another name.
    private(set) var renames: [(from: String, to: String)] = []
    /// For each column of the shape, what a row that stays has in it: SQL over the store's table AS here. Empty when
    /// no row can stay, because keys that differ now might be one key then.
    private(set) var values: [String] = []
    var canKeepRows: Bool { !values.isEmpty }

    init(from before: [Column], to table: PackageTable) {
        let known = Dictionary(before.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
        var sources: [String: Column] = [:]
        var taken: Set<String> = []
        for column in table.shape.columns where known[column.name.lowercased()] == nil {
            // The name now is new to the store, and the name before is not: then it is the same column.
            guard let former = table.formerNames[column.name]?.lowercased(), let source = known[former],
                taken.insert(former).inserted
            else { continue }
            renames.append((from: source.name, to: column.name))
            sources[column.name] = source
        }
        for column in table.shape.columns where !taken.contains(column.name.lowercased()) {
            if let source = known[column.name.lowercased()] { sources[column.name] = source }
        }
        guard TableEvolution.isKeyIntact(before, table.shape, sources) else { return }
        values = table.shape.columns.map { TableEvolution.value(of: $0, from: sources[$0.name]) }
    }

    /// Whether rows whose keys differ at the store still differ in the new key: it holds all of the old one.
    private static func isKeyIntact(_ before: [Column], _ shape: TableShape, _ sources: [String: Column]) -> Bool {
        let key = before.filter { $0.keyPlace > 0 }
        guard !key.isEmpty else { return false }
        return key.allSatisfy { old in
            shape.columns.contains {
                sources[$0.name]?.name == old.name && shape.key.contains($0.name) && $0.type.rawValue == old.type
            }
        }
    }

    /// HQ does not give the row any more, so nobody says what a new column has in it: nothing, or the least there is.
    /// Of a column that changes its type SQLite converts what it can, and the rest stays as it was.
    private static func value(of column: ColumnShape, from source: Column?) -> String {
        let least =
            switch column.type {
            case .integer: "0"
            case .real: "0.0"
            case .text: "''"
            case .blob: "x''"
            }
        guard let source else { return column.isNullable ? "NULL" : least }
        let value = "here." + quoted(source.name)
        return source.isNullable && !column.isNullable ? "ifnull(\(value), \(least))" : value
    }

    /// The columns of a table as it stands, whoever made or altered it.
    static func columns(of table: String, in db: Database) throws -> [Column] {
        try Row.fetchAll(
            db, sql: "SELECT name, type, \"notnull\" AS is_required, pk FROM pragma_table_info(?, 'main') ORDER BY cid",
            arguments: [table]
        ).map {
            Column(name: $0["name"], type: $0["type"], isNullable: !($0["is_required"] as Bool), keyPlace: $0["pk"])
        }
    }
}
