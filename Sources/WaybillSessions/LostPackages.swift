import GRDB
import WaybillModel

/// Packages whose files are not there although `hub.db` says so: the hub was restored from a backup, which has none, or
/// somebody has removed them.
public enum LostPackages {
    /// Forgets how to hand them out. Open deliveries are left without a package, so that one is made anew when the store
    /// asks; without this the store would be granted, over and over, what nobody can send.
    /// - Parameter isThere: whether the file of the package of this name (hex) is there.
    /// - Returns: how many were lost.
    public static func forget(in db: Database, where isThere: (String) throws -> Bool) throws -> Int {
        var lost = 0
        for id in try Retention.packagesKept(in: db).sorted() where try !isThere(id) {
            lost += 1
            // package by its key, deliveries by the prefix of theirs (session).
            let session = "(SELECT session FROM package WHERE id = :id)"
            for statement in [
                "UPDATE delivery SET package = NULL WHERE session = \(session) AND package = :id AND is_open",
                "UPDATE held_delivery SET package = NULL WHERE session = \(session) AND package = :id",
                "UPDATE package SET manifest = x'', signature = x'' WHERE id = :id",
            ] {
                try db.execute(sql: statement, arguments: ["id": id])
            }
        }
        return lost
    }
}
