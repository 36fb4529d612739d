import GRDB
import WaybillCapture
import WaybillDatabase

/// The tables of an HQ database that files can fill: those of the catalogue, and every ordinary table with a primary
/// key that somebody made beside them.
public struct HQTableList: Sendable {
    /// Parents stand before children, as far as foreign keys form no circle.
    let tables: [ImportTable]
    /// Tables that users made and that no file can fill, with the reason.
    let closed: [String: String]

    public var names: [String] { tables.map(\.name) }

    func table(_ name: String) -> ImportTable? { tables.first { $0.name == name } }

    /// The place of a table in the order in which tables are filled.
    func position(of name: String) -> Int { tables.firstIndex { $0.name == name } ?? tables.count }

    /// Why a file for this table cannot be imported.
    func noSuchTable(_ name: String) -> String {
        if let reason = closed[name] { return "table \(name) of HQ cannot be filled from a file: \(reason)" }
        return "HQ has no table \(excerpt(Array(name.utf8))); its tables are \(names.joined(separator: ", "))"
    }

    /// Reads the schema; a few statements for each table that is not in the catalogue.
    public init(in db: Database) throws {
        let catalogue = HQCatalogue.tables.map(ImportTable.init)
        let known = Set(catalogue.map(\.name))
        // Views, virtual tables and their shadows cannot take rows as a table does; what begins with _ is ours.
        let made = try String.fetchAll(
            db,
            sql: """
                SELECT name FROM pragma_table_list
                WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                    AND name NOT LIKE '\\_waybill%' ESCAPE '\\'
                ORDER BY name
                """
        ).filter { !known.contains($0) }
        var closed: [String: String] = [:]
        var tables: [ImportTable] = []
        for name in made {
            let reading = TableReading(name: name, db: db)
            switch try reading.table() {
            case .success(let table): tables.append(table)
            case .failure(let reason): closed[name] = reason.text
            }
        }
        self.tables = catalogue + HQTableList.parentsFirst(tables)
        self.closed = closed
    }

    /// Each table behind those that it names. In a circle the alphabet decides: references are checked as sets, so
    /// the order is a courtesy to triggers and to people.
    private static func parentsFirst(_ tables: [ImportTable]) -> [ImportTable] {
        var left = tables
        var ordered: [ImportTable] = []
        while !left.isEmpty {
            let names = Set(left.map(\.name))
            let next = left.firstIndex { table in
                !table.references.contains { $0.table != table.name && names.contains($0.table) }
            }
            ordered.append(left.remove(at: next ?? 0))
        }
        return ordered
    }
}

/// Reads one table that users made.
private struct TableReading {
    let name: String
    let db: Database

    struct Reason: Error { var text: String }

    func table() throws -> Result<ImportTable, Reason> {
        // hidden: 0 ordinary, 2 and 3 generated columns. pk: the place in the primary key, from 1.
        let rows = try Row.fetchAll(
            db, sql: "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid",
            arguments: [name])
        let key = rows.filter { ($0["pk"] as Int) > 0 }.sorted { ($0["pk"] as Int) < ($1["pk"] as Int) }
            .map { $0["name"] as String }
        guard !key.isEmpty else {
            return .failure(Reason(text: "it has no primary key, by which a row of a file would find its row in HQ"))
        }
        let collations = try keyCollations()
        var columns: [ImportColumn] = []
        var closedColumns: [String: String] = [:]
        for row in rows {
            let column: String = row["name"]
            let type: String = row["type"]
            let isKey = key.contains(column)
            let isRequired = (row["notnull"] as Bool) || isKey
            let hasDefault = row["dflt_value"] as String? != nil
            if (row["hidden"] as Int) != 0 {
                closedColumns[column] = "is computed by the database"
            } else if let kind = fieldKind(type, isRequired: isRequired, isKey: isKey) {
                var described = ImportColumn(column, kind, nullable: !isRequired, affinity: affinity(type))
                described.collation = isKey ? collations[column] : nil
                described.mayBeLeftOut = !isKey && (!isRequired || hasDefault)
                columns.append(described)
            } else if isRequired, !hasDefault {
                return .failure(Reason(text: "its column \(column) needs bytes (\(type)), which no CSV file holds"))
            } else {
                closedColumns[column] = "holds bytes (\(type)), which no CSV file can bring"
            }
        }
        var table = ImportTable(name: name, columns: columns, key: key, references: try references())
        table.closedColumns = closedColumns
        return .success(table)
    }

    /// By the declared type, read as SQLite reads it: by what it contains. nil: a column of bytes.
    private func fieldKind(_ declared: String, isRequired: Bool, isKey: Bool) -> FieldKind? {
        let type = declared.uppercased()
        func has(_ parts: String...) -> Bool { parts.contains { type.contains($0) } }
        if has("BLOB") { return nil }
        if type.hasPrefix("BOOL") { return .flag }
        if type == "DATE" { return .date }
        if has("INT"), !has("POINT") { return .integer(allowsNegative: true) }
        if has("REAL", "FLOA", "DOUB", "DEC", "NUM", "MONEY") { return .number }
        if isKey { return .text }
        // Programs write an empty text as nothing; where NULL cannot be, it is meant.
        return isRequired ? .textOrEmpty : .anyText
    }

    /// SQLite's five rules (datatype3.html, 3.1), in their order.
    private func affinity(_ declared: String) -> String {
        let type = declared.uppercased()
        func has(_ parts: String...) -> Bool { parts.contains { type.contains($0) } }
        if has("INT") { return "INTEGER" }
        if has("CHAR", "CLOB", "TEXT") { return "TEXT" }
        if has("BLOB") || type.isEmpty { return "BLOB" }
        if has("REAL", "FLOA", "DOUB") { return "REAL" }
        return "NUMERIC"
    }

    /// How the key's index compares. A single INTEGER PRIMARY KEY has no index, and no text to compare.
    private func keyCollations() throws -> [String: String] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT columns.name, columns.coll
                FROM pragma_index_list(?) AS indexes, pragma_index_xinfo(indexes.name) AS columns
                WHERE indexes.origin = 'pk' AND columns.key = 1 AND columns.coll <> 'BINARY'
                """, arguments: [name])
        return Dictionary(rows.map { ($0[0] as String, $0[1] as String) }) { first, _ in first }
    }

    private func references() throws -> [ImportReference] {
        let rows = try Row.fetchAll(
            db, sql: "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?) ORDER BY id, seq",
            arguments: [name])
        var found: [Int: ImportReference] = [:]
        for row in rows {
            let id: Int = row["id"]
            let parent: String = row["table"]
            var reference =
                found[id]
                ?? ImportReference(columns: [], table: parent, referencedColumns: [], isRequired: true, isTree: false)
            reference.columns.append(row["from"])
            if let named = row["to"] as String? { reference.referencedColumns.append(named) }
            found[id] = reference
        }
        return try found.sorted { $0.key < $1.key }.compactMap { _, reference in
            var reference = reference
            // A foreign key that names no columns means the other table's primary key.
            if reference.referencedColumns.isEmpty { reference.referencedColumns = try primaryKey(reference.table) }
            // One that cannot be (no such table, another number of columns) is the database's to refuse.
            return reference.columns.count == reference.referencedColumns.count ? reference : nil
        }
    }

    private func primaryKey(_ table: String) throws -> [String] {
        try String.fetchAll(
            db, sql: "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", arguments: [table])
    }
}
