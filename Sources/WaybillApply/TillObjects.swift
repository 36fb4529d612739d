import GRDB
import WaybillDatabase
import WaybillModel

/// The tills' own indexes, triggers and views on a table of ours, over the moment at which another table takes its
/// place. Inside the last transaction.
///
/// What still makes sense goes on. Of a table that has changed its columns, an index or a trigger that needs one which
/// is gone is dropped, because it would keep all later rows away from the store; a view is let be, because it stands in
/// nobody's way. Either is said.
struct TillObjects {
    private let shape: TableShape
    private let db: Database
    private let isEvolving: Bool
    private var attached: [Row] = []
    private var soundViews: [String] = []

    /// Notes what there is, before anything changes.
    /// - Parameter isEvolving: the columns change, not only the rows.
    init(on shape: TableShape, isEvolving: Bool, in db: Database) throws {
        self.shape = shape
        self.db = db
        self.isEvolving = isEvolving
        guard isEvolving else { return }
        let views = try String.fetchAll(
            db, sql: "SELECT name FROM main.sqlite_schema WHERE type = 'view' ORDER BY name")
        soundViews = views.filter { fault(of: $0) == nil }
    }

    /// Lets indexes, triggers, views and foreign keys follow a column to its new name.
    ///
    /// SQLite looks through the whole schema and refuses when any view or trigger in it is broken, also one that has
    /// nothing to do with the table; with a writable schema it leaves those as they are.
    func follow(_ renames: [(from: String, to: String)]) throws {
        guard !renames.isEmpty else { return }
        try db.execute(sql: "PRAGMA legacy_alter_table = OFF; PRAGMA writable_schema = ON")
        defer { try? db.execute(sql: "PRAGMA writable_schema = OFF; PRAGMA legacy_alter_table = ON") }
        for (from, to) in renames {
            try db.execute(
                sql: "ALTER TABLE main.\(quoted(shape.name)) RENAME COLUMN \(quoted(from)) TO \(quoted(to))")
        }
    }

    /// Takes indexes and triggers off the table.
    mutating func detach() throws {
        attached = try Row.fetchAll(
            db,
            sql: """
                SELECT type, name, sql FROM main.sqlite_schema
                WHERE tbl_name = ? COLLATE NOCASE AND type IN ('index', 'trigger') AND sql IS NOT NULL
                ORDER BY type, name
                """,
            arguments: [shape.name])
        for object in attached { try drop(object) }
    }

    /// Puts them onto the table that has the name now.
    /// - Returns: a sentence for each that could not go on.
    func attach() throws -> [String] {
        var notes: [String] = []
        for object in attached {
            guard let reason = try attach(object) else { continue }
            notes.append("\(object["type"] as String) \(object["name"] as String) was dropped (\(reason))")
        }
        for view in soundViews {
            if let reason = fault(of: view) { notes.append("view \(view) does not work any more (\(reason))") }
        }
        return notes.isEmpty ? [] : ["table \(shape.name) has other columns now: " + notes.joined(separator: ", ")]
    }

    /// - Returns: nil, or which column is missing to an index or trigger that is therefore gone.
    private func attach(_ object: Row) throws -> String? {
        do {
            try db.execute(sql: object["sql"])
        } catch let error as DatabaseError where isEvolving && TillObjects.isAboutColumn(error) {
            return error.message
        }
        guard isEvolving, object["type"] == "trigger" else { return nil }
        do {
            try compileWrites()
        } catch let error as DatabaseError where TillObjects.isAboutColumn(error) {
            try drop(object)
            return error.message
        } catch is DatabaseError {
            // Broken in another way, as it was before: the next row that fires it says so.
        }
        return nil
    }

    private func drop(_ object: Row) throws {
        let kind = object["type"] == "index" ? "INDEX" : "TRIGGER"
        try db.execute(sql: "DROP \(kind) main.\(quoted(object["name"]))")
    }

    /// SQLite looks into a trigger when a statement that fires it is compiled, not when it is made.
    private func compileWrites() throws {
        let table = "main." + quoted(shape.name)
        let columns = shape.columns.map { quoted($0.name) }
        let places = Array(repeating: "NULL", count: columns.count).joined(separator: ", ")
        let changes = columns.map { "\($0) = NULL" }.joined(separator: ", ")
        for sql in [
            "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(places))",
            "UPDATE \(table) SET \(changes)", "DELETE FROM \(table)",
        ] {
            _ = try db.makeStatement(sql: sql)
        }
    }

    /// - Returns: nil, or why the view cannot be read.
    private func fault(of view: String) -> String? {
        do {
            _ = try db.makeStatement(sql: "SELECT 1 FROM main.\(quoted(view))")
            return nil
        } catch {
            return (error as? DatabaseError)?.message ?? "\(error)"
        }
    }

    /// SQLite has no code of its own for a missing column.
    private static func isAboutColumn(_ error: DatabaseError) -> Bool {
        guard error.resultCode == .SQLITE_ERROR, let message = error.message else { return false }
        return message.contains("no such column") || message.contains("no column named")
    }
}
