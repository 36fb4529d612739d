import GRDB
import WaybillDatabase
import WaybillModel

/// How a store table is declared: in a package, and at a store.
public enum PackageTables {
    /// The suffix of the table that holds the keys to delete.
    public static let removedSuffix = "__removed"

    /// `CREATE TABLE name (…) WITHOUT ROWID` in a package, exactly as it will stand in sqlite_schema.
    public static func createStatement(_ shape: TableShape, name: String, schema: String? = nil) -> String {
        declare(name, columns: shape.columns, key: shape.key, schema: schema)
    }

    /// The same at a store: the key columns stand first, in key order, whatever their order in the shape.
    ///
    /// For other orders SQLite 3.40 reports NULLs that are not there when somebody checks the store's database.
    public static func storeStatement(_ shape: TableShape, name: String, schema: String? = nil) -> String {
        declare(name, columns: keyColumns(shape) + shape.valueColumns, key: shape.key, schema: schema)
    }

    /// Whether the shape itself has that order.
    static func hasKeyFirst(_ shape: TableShape) -> Bool { shape.columns.starts(with: keyColumns(shape)) }

    private static func keyColumns(_ shape: TableShape) -> [ColumnShape] {
        shape.key.compactMap { key in shape.columns.first { $0.name == key } }
    }

    /// The same for the keys to delete.
    public static func createRemovedStatement(_ shape: TableShape, schema: String? = nil) -> String {
        declare(shape.name + removedSuffix, columns: keyColumns(shape), key: shape.key, schema: schema)
    }

    /// Makes both tables, empty, in an attached package.
    public static func create(_ shape: TableShape, schema: String, in db: Database) throws {
        try db.execute(sql: createStatement(shape, name: shape.name, schema: schema))
        try db.execute(sql: createRemovedStatement(shape, schema: schema))
    }

    private static func declare(_ name: String, columns: [ColumnShape], key: [String], schema: String?) -> String {
        let target = schema.map { quoted($0) + "." } ?? ""
        let declarations = columns.map { "\(quoted($0.name)) \($0.type.rawValue)\($0.isNullable ? "" : " NOT NULL")" }
        let keyList = key.map(quoted).joined(separator: ", ")
        return """
            CREATE TABLE \(target)\(quoted(name)) (\(declarations.joined(separator: ", ")), \
            PRIMARY KEY (\(keyList))) WITHOUT ROWID
            """
    }
}
