import GRDB
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// The rows of a table that some scopes showed at a version: those that stand still, and those that have ended since.
struct RowsAt {
    /// Up to so many versions, each is looked at for itself; beyond, what has ended since is put in the order of its keys
    /// first. A look-up is a step for each of the versions, and stores are rarely more than a few behind.
    private static let versionsMax = 8

    /// Some of the rows, and what a row of them must be.
    struct Source {
        var table: String
        /// With the alias that was asked for.
        var condition: String
    }

    let shape: TableShape
    /// The version's SQL parameter.
    let parameter: String
    /// TEMP table of the scopes, in its column `scope`.
    private let scopes: String
    /// At which anything in the scopes has changed since.
    private let later: [Int64]

    /// - Parameter scopes: name of the TEMP table of the scopes, as ``PackagePlan/stageScopes(of:in:)`` makes it.
    init(_ shape: TableShape, at version: Int64, as parameter: String, scopes: String, in db: Database) throws {
        self.shape = shape
        self.parameter = parameter
        self.scopes = "(SELECT scope FROM temp.\(scopes))"
        // Primary key (table_name, scope, version): a step for each scope.
        later = try Int64.fetchAll(
            db,
            sql: """
                SELECT DISTINCT version FROM scope_change
                WHERE table_name = ? AND scope IN \(self.scopes) AND version > ? LIMIT \(RowsAt.versionsMax + 1)
                """,
            arguments: [shape.name, version])
        if isStaged {
            try RowsSchema.stageEnded(
                of: shape, at: ":version", scopes: "_scope IN \(self.scopes)", as: staged, ["version": version], in: db)
        }
    }

    /// Nothing in the scopes has changed since: what they showed is what they show.
    var isNewest: Bool { later.isEmpty }

    /// One version alone has changed anything in them since.
    var isOneStepBehind: Bool { later.count == 1 }

    private var isStaged: Bool { later.count > RowsAt.versionsMax }
    private var staged: String { quoted("ended_since_" + parameter.dropFirst()) }
    private var ended: String { RowsSchema.endedTable(shape) }

    /// SELECT of all of them.
    ///
    /// - Parameter scopes: a condition on `_scope` for some of the scopes only.
    func select(_ columns: String, scopes: String? = nil) -> String {
        RowsSchema.visible(
            columns, of: shape, at: parameter, scopes: scopes ?? "_scope IN \(self.scopes)", isNewest: isNewest)
    }

    /// Where to look rows up by their whole key, a step or a few each; the condition lacks the key.
    ///
    /// - Parameter isEndedOnly: of rows of which it is known that they do not stand any more.
    func sources(_ alias: String, isEndedOnly: Bool = false) -> [Source] {
        let shown = "\(alias)._scope IN \(scopes) AND \(alias)._born <= \(parameter)"
        let standing = Source(table: RowsSchema.rowsTable(shape), condition: shown)
        guard !isNewest else { return isEndedOnly ? [] : [standing] }
        let versions = later.map(String.init).joined(separator: ", ")
        let since =
            isStaged
            ? Source(table: "temp." + staged, condition: shown)
            : Source(table: ended, condition: "\(shown) AND \(alias)._died IN (\(versions))")
        return isEndedOnly ? [since] : [standing, since]
    }

    /// Whether there is such a row.
    ///
    /// - Parameter condition: with the alias, and with the row's whole key.
    func exists(_ alias: String, isEndedOnly: Bool = false, _ condition: String) -> String {
        let found = sources(alias, isEndedOnly: isEndedOnly).map {
            "EXISTS (SELECT 1 FROM \($0.table) AS \(alias) WHERE \($0.condition) AND \(condition))"
        }
        return found.isEmpty ? "false" : "(\(found.joined(separator: " OR ")))"
    }
}
