import GRDB
import WaybillDatabase
import WaybillJobs

/// What a store must have and has ended since, where that is much: put in the order of its keys once, for `rows.db` has
/// it in the order in which it ended, and each range of keys would read all of it.
struct EndedByKey {
    /// Rows that may as well be read through for each range, of which a step of a verification asks for a few hundred.
    static let rowsMax: Int64 = 2_000

    /// What the content of a staged table is told by. Rows of a version that is still kept are never changed; more of
    /// them end, and then they are more.
    private struct Content: Hashable {
        var epoch: Int64
        var version: Int64
        var scopes: [String]
        var rows: Int64
    }

    /// By table of the job. One at a time: stores that stand alike share it.
    private var staged: [String: Content] = [:]
    /// How often any was made.
    private(set) var stagings = 0

    /// The TEMP table to read in place of the table of all ended rows; nil where that will do. Makes it if need be.
    ///
    /// - Parameter epoch: of the job's history.
    mutating func table(for reader: AuditReader, epoch: Int64) throws -> String? {
        let rows = try reader.endedRows()
        guard rows > EndedByKey.rowsMax else { return nil }
        let content = Content(
            epoch: epoch, version: reader.target.base.version, scopes: try reader.scopes(), rows: rows)
        let name = EndedByKey.name(of: reader.shape.name)
        if staged[reader.shape.name] != content {
            staged[reader.shape.name] = nil
            try reader.stageEnded(as: name)
            staged[reader.shape.name] = content
            stagings += 1
        }
        return "temp." + name
    }

    /// Gives the space back.
    mutating func drop(in db: Database) throws {
        for table in staged.keys.sorted() {
            try db.execute(sql: "DROP TABLE IF EXISTS temp.\(EndedByKey.name(of: table))")
        }
        staged = [:]
    }

    /// No other table's name: SQLite looks among the TEMP tables first.
    private static func name(of table: String) -> String { quoted("audit_ended_" + table) }
}
