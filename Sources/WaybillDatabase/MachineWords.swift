import GRDB

extension DatabaseError {
    /// What the machine did to a database, told for the one who has to act: which file, what is wrong, what to do.
    ///
    /// A full disk is no more to blame on the statement that met it than on any other, so the statement is left out. All
    /// other errors stay as they are, because there the statement is the news. The result code stays in any case.
    public func told(of path: String) -> DatabaseError {
        guard sql != nil || message?.contains(path) != true, let words = machineWords(of: path) else { return self }
        return DatabaseError(resultCode: extendedResultCode, message: words)
    }

    private func machineWords(of path: String) -> String? {
        switch resultCode {
        case .SQLITE_FULL: "the disk of \(path) is full; free some space, then it goes on by itself"
        case .SQLITE_IOERR where extendedResultCode == .SQLITE_IOERR_SHMSIZE:
            "there is no room for the shared memory of \(path); its disk is full, or nearly"
        case .SQLITE_IOERR:
            "the disk under \(path) fails (\(extendedResultCode.rawValue)); look at the disk and the system's log"
        case .SQLITE_CANTOPEN: "\(path) cannot be opened; look at its folder, its permissions and the disk"
        case .SQLITE_READONLY, .SQLITE_PERM: "\(path) cannot be written: it or its file system is read-only"
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            "\(path) is damaged (\(message ?? "no detail")); check it with PRAGMA integrity_check, restore it from a backup"
        case .SQLITE_BUSY, .SQLITE_LOCKED: "another program has held the lock of \(path) for too long"
        case .SQLITE_NOMEM: "there was not enough memory to use \(path)"
        default: nil
        }
    }
}

/// Runs `body`; what the machine does to the database at `path` meanwhile is told in ``GRDB/DatabaseError/told(of:)``.
public func tellingOfMachine<T>(_ path: String, _ body: () throws -> T) throws -> T {
    do { return try body() } catch let error as DatabaseError { throw error.told(of: path) }
}
