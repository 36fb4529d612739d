import GRDB
import WaybillDatabase

/// `hub.db` holds other bytes than were written.
public struct DamagedOperations: Error, CustomStringConvertible {
    public let path: String
    public let detail: String
    public var description: String {
        "\(path) is damaged (\(detail)); this hub will not serve from it: restore it from a backup"
    }
}

extension Operations {
    /// Reads every page, which takes about two seconds for a gigabyte.
    ///
    /// Done before anything else is read: a delivery that is read from a damaged page may be anything, also one that was
    /// never made. What SQLite finds is the order of pages and rows; a changed letter within a value it does not.
    func check() throws {
        let found: [String]
        do {
            // SQLite 3.40 says 'NULL value in' of every table WITHOUT ROWID whose key is not its first columns. Damaged
            // pages stand before that in its list.
            found = try pool.read { try String.fetchAll($0, sql: "PRAGMA quick_check(1)") }
        } catch let error as DatabaseError
            where error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
        {
            throw DamagedOperations(path: pool.path, detail: error.message ?? "no detail")
        } catch let error as DatabaseError {
            throw error.told(of: pool.path)
        }
        if let damage = found.first(where: { $0 != "ok" && !$0.hasPrefix("NULL value in ") }) {
            throw DamagedOperations(path: pool.path, detail: damage.split(separator: "\n").joined(separator: ", "))
        }
    }
}
