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
        let damage: String?
        do {
            damage = try pool.read { try $0.damage() }
        } catch let error as DatabaseError
            where error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
        {
            throw DamagedOperations(path: pool.path, detail: error.message ?? "no detail")
        } catch let error as DatabaseError {
            throw error.told(of: pool.path)
        }
        if let damage {
            throw DamagedOperations(path: pool.path, detail: damage.split(separator: "\n").joined(separator: ", "))
        }
    }
}
