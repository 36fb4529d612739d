/// Bounds that both sides share, each with its reason. Bounds of one module only stand in that module.
public enum Limits {
    /// Bytes of a store, job, table or column name: fits one line of any listing.
    public static let nameBytesMax = 128
    /// Columns of a store table. SQLite allows 2,000; nobody reads a table of more than 200.
    public static let columnsMax = 200
    /// Key columns of a store table and captured key columns of an HQ table.
    public static let keyColumnsMax = 8
    /// Tables that one job fills: SQLite allows 10 attached databases, a manifest must stay readable.
    public static let tablesMax = 64
    /// Bytes of one chunk of a package. Small enough for a thin line, large enough to be fast (DESIGN.md, section 3).
    public static let chunkBytesMin = 128 * 1024
    /// Chunks grow with the package so that their hashes fit into one manifest, up to this size.
    public static let chunkBytesMax = 1024 * 1024
    /// Chunks of a package: 32 bytes of hash each keep a manifest under 80 KiB.
    public static let chunksMax = 2048
    /// Bytes of a compressed package: `chunkBytesMax` × `chunksMax`.
    public static let packageBytesMax: Int64 = 2 * 1024 * 1024 * 1024
    /// Bytes of a package once decompressed: what a store's disk is asked for at most.
    public static let rawBytesMax: Int64 = 16 * 1024 * 1024 * 1024
    /// Bytes of one ZeroMQ frame: a chunk and its envelope. Set as ZMQ_MAXMSGSIZE, whose default is unlimited.
    public static let messageBytesMax = chunkBytesMax + 64 * 1024
    /// Bytes of a message text that an agent reports: a screen line or two.
    public static let reportTextBytesMax = 1024
    /// Reports in one message.
    public static let reportsMax = 256
    /// Watermarks a package accepts as its base. A store whose own is not among them gets a package of its own.
    public static let basesMax = 256
    /// Milliseconds that a till which writes may wait for us (DESIGN.md, section 4.9).
    public static let lockBudgetMilliseconds = 50
    /// The longest budget that anybody may ask for: a till's own patience.
    public static let lockBudgetMillisecondsMax = 10_000
    /// Failed attempts before a delivery waits for a person (reference: the scheduler's try count).
    public static let tryCount = 3
}
