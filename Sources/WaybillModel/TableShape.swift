/// How a column of a store table stores its values: SQLite's own type names, nothing else.
public enum ColumnType: String, Sendable, CaseIterable {
    case integer = "INTEGER"
    case real = "REAL"
    case text = "TEXT"
    case blob = "BLOB"
}

/// One column of a store table.
public struct ColumnShape: Hashable, Sendable {
    public var name: String
    public var type: ColumnType
    public var isNullable: Bool

    public init(_ name: String, _ type: ColumnType, nullable: Bool = false) {
        self.name = name
        self.type = type
        self.isNullable = nullable
    }
}

/// One store table as a job defines it: what an agent creates and what a package may hold.
///
/// Key columns are never null and the table is WITHOUT ROWID, so a key names at most one row
/// (in a rowid table SQLite lets NULL keys repeat).
public struct TableShape: Hashable, Sendable {
    public var name: String
    public var columns: [ColumnShape]
    /// Names of the key columns, in key order; each is one of `columns`.
    public var key: [String]

    public init(name: String, columns: [ColumnShape], key: [String]) {
        self.name = name
        self.columns = columns
        self.key = key
    }

    /// The first reason why this is not a table we would create, or nil.
    ///
    /// Names are letters, digits and underscores, because they come from files and from the network.
    public var fault: String? {
        guard TableShape.isPlainName(name) else { return "'\(name)' is not a plain table name" }
        guard !columns.isEmpty, columns.count <= Limits.columnsMax else {
            return "table \(name) has \(columns.count) columns"
        }
        guard !key.isEmpty, key.count <= Limits.keyColumnsMax else {
            return "table \(name) has \(key.count) key columns"
        }
        for column in columns where !TableShape.isPlainName(column.name) {
            return "'\(column.name)' is not a plain column name (table \(name))"
        }
        let names = columns.map { $0.name.lowercased() }
        guard Set(names).count == names.count else { return "table \(name) names a column twice" }
        guard Set(key).count == key.count else { return "table \(name) names a key column twice" }
        for keyColumn in key {
            guard let column = columns.first(where: { $0.name == keyColumn }) else {
                return "key column \(keyColumn) is not a column of table \(name)"
            }
            guard !column.isNullable else { return "key column \(keyColumn) of table \(name) is nullable" }
        }
        return nil
    }

    /// Columns that are not part of the key, in order.
    public var valueColumns: [ColumnShape] { columns.filter { !key.contains($0.name) } }

    /// Letters, digits and underscores, not starting with a digit, none of SQLite's or our own prefixes.
    public static func isPlainName(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard let first = bytes.first, bytes.count <= Limits.nameBytesMax, !(48...57).contains(first) else {
            return false
        }
        guard
            bytes.allSatisfy({ (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 95 }
            )
        else { return false }
        let lower = name.lowercased()
        return !lower.hasPrefix("sqlite_") && !lower.hasPrefix("_waybill")
    }
}
