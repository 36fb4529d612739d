import GRDB

extension Database {
    /// What SQLite finds wrong when it reads every page of the file: how pages and rows hang together, and NULLs where
    /// none may be. A changed letter within a value it does not see. Takes about two seconds for a gigabyte.
    ///
    /// - Parameter trustsNulls: false leaves out what SQLite says of NULLs: version 3.40 takes one column for another in
    ///   tables WITHOUT ROWID whose key is not their first columns.
    /// - Returns: the first fault found, nil for none.
    public func damage(trustsNulls: Bool = false) throws -> String? {
        // Damaged pages come first in SQLite's list, NULLs after them; ten lines suffice to tell which it is.
        try String.fetchAll(self, sql: "PRAGMA quick_check(10)")
            .first { $0 != "ok" && (trustsNulls || !$0.hasPrefix("NULL value in ")) }
    }
}
