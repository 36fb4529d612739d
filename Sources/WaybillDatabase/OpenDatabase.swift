import GRDB

/// `name` as an SQL identifier. Names come from catalogues only; quoting is what keeps odd ones harmless.
public func quoted(_ name: String) -> String {
    "\"" + name.replacing("\"", with: "\"\"") + "\""
}

/// How the databases of a hub or a store are opened. One way for all, because the promises hang on it.
public enum OpenDatabase {
    /// Milliseconds to wait for another writer before giving up: longer than any transaction of ours,
    /// short enough that a program that hangs with the lock is named and not waited for.
    public static let busyMilliseconds = 20_000

    /// The settings every connection of ours has.
    ///
    /// - WAL, so that readers never wait and are never waited for.
    /// - `synchronous=FULL`: a commit that is acknowledged afterwards must survive a power cut; NORMAL lost
    ///   acknowledged commits in 16 of 20 simulated ones.
    /// - Transactions begin IMMEDIATE: a deferred one that turns into a writer gets SQLITE_BUSY_SNAPSHOT at once,
    ///   whatever the timeout.
    /// - `trusted_schema=OFF` where others than we write the schema.
    public static func configuration(
        label: String, busyMilliseconds: Int = busyMilliseconds, isReadOnly: Bool = false
    ) -> Configuration {
        var configuration = Configuration()
        configuration.label = label
        configuration.readonly = isReadOnly
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(Double(busyMilliseconds) / 1000)
        if !isReadOnly { configuration.journalMode = .wal }
        configuration.prepareDatabase { db in
            try db.execute(
                sql: """
                    PRAGMA trusted_schema = OFF;
                    PRAGMA synchronous = FULL;
                    PRAGMA recursive_triggers = ON;
                    """)
        }
        return configuration
    }

    /// A single connection behind a queue: for the one thread that owns it.
    public static func queue(
        at path: String, label: String, busyMilliseconds: Int = busyMilliseconds, isReadOnly: Bool = false
    ) throws -> DatabaseQueue {
        try tellingOfMachine(path) {
            let queue = try DatabaseQueue(
                path: path,
                configuration: configuration(label: label, busyMilliseconds: busyMilliseconds, isReadOnly: isReadOnly))
            if !isReadOnly { try queue.writeWithoutTransaction(insistOnSyncing) }
            return queue
        }
    }

    /// GRDB sets `synchronous=NORMAL` when it switches a database to WAL, which is after it has prepared it.
    private static func insistOnSyncing(_ db: Database) throws {
        try db.execute(sql: "PRAGMA synchronous = FULL")
    }

    /// One writer and several readers that never wait for each other.
    public static func pool(at path: String, label: String) throws -> DatabasePool {
        var configuration = configuration(label: label)
        configuration.maximumReaderCount = 4
        return try tellingOfMachine(path) {
            let pool = try DatabasePool(path: path, configuration: configuration)
            try pool.writeWithoutTransaction(insistOnSyncing)
            return pool
        }
    }
}
