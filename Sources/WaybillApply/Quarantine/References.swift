import GRDB
import WaybillDatabase
import WaybillModel
import WaybillWire

/// Which rows wait for which: what a job says about the columns that refer to other tables of it.
struct References {
    /// A column that holds the key of a row of another table, and that table has rows in quarantine.
    struct Reference: Hashable {
        var column: String
        var parent: String
        var parentKey: String
    }

    /// By table, in lower case; only those that can block anything now.
    private let all: [String: [Reference]]

    /// Notes what a package says of its tables.
    static func save(_ manifest: Manifest, in db: Database) throws {
        for table in manifest.tables {
            try db.execute(sql: "DELETE FROM _waybill_reference WHERE table_name = ?", arguments: [table.shape.name])
            for (column, parent) in table.references.sorted(by: { $0.key < $1.key }) {
                try db.execute(
                    sql: "INSERT INTO _waybill_reference (table_name, column_name, parent) VALUES (?, ?, ?)",
                    arguments: [table.shape.name, column, parent])
            }
        }
    }

    init(in db: Database) throws {
        var all: [String: [Reference]] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT * FROM _waybill_reference ORDER BY table_name, column_name") {
            let parent: String = row["parent"]
            guard try QuarantineSchema.exists(QuarantineSchema.rowsPrefix + parent, in: db),
                try QuarantineSchema.exists(parent, in: db),
                let shape = try TableShape.standing(parent, in: db), shape.key.count == 1
            else { continue }
            all[(row["table_name"] as String).lowercased(), default: []].append(
                Reference(column: row["column_name"], parent: shape.name, parentKey: shape.key[0]))
        }
        self.all = all
    }

    func of(_ table: String) -> [Reference] { all[table.lowercased()] ?? [] }

    /// SQL that is true for a row of `alias` when what it refers to is in quarantine and the store has nothing of it.
    /// By the primary keys of both tables.
    static func isBlocked(_ reference: Reference, _ alias: String) -> String {
        let value = "\(alias).\(quoted(reference.column))"
        let key = quoted(reference.parentKey)
        return """
            (EXISTS (SELECT 1 FROM main.\(quoted(QuarantineSchema.rowsPrefix + reference.parent)) AS held_parent
                    WHERE held_parent.\(key) = \(value))
                AND NOT EXISTS (SELECT 1 FROM main.\(quoted(reference.parent)) AS parent WHERE parent.\(key) = \(value)))
            """
    }
}

extension TableShape {
    /// A table of the store as it stands; nil when it is not there or is none that we would make.
    static func standing(_ name: String, in db: Database) throws -> TableShape? {
        let columns = try TableEvolution.columns(of: name, in: db)
        let shapes = columns.compactMap { column in
            ColumnType(rawValue: column.type).map { ColumnShape(column.name, $0, nullable: column.isNullable) }
        }
        let key = columns.filter { $0.keyPlace > 0 }.sorted { $0.keyPlace < $1.keyPlace }.map(\.name)
        guard !columns.isEmpty, shapes.count == columns.count, !key.isEmpty else { return nil }
        return TableShape(name: name, columns: shapes, key: key)
    }
}
