import CFaultDisk

/// Kinds of what SQLite does to files.
public struct DiskOperations: OptionSet, Hashable, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let open = DiskOperations(rawValue: Int32(FAULT_OPEN))
    public static let read = DiskOperations(rawValue: Int32(FAULT_READ))
    public static let write = DiskOperations(rawValue: Int32(FAULT_WRITE))
    public static let truncate = DiskOperations(rawValue: Int32(FAULT_TRUNCATE))
    public static let sync = DiskOperations(rawValue: Int32(FAULT_SYNC))
    public static let delete = DiskOperations(rawValue: Int32(FAULT_DELETE))

    /// Those that leave something behind: the places where a crash makes a difference.
    public static let changes: DiskOperations = [.write, .truncate, .sync, .delete]
    public static let all: DiskOperations = [.open, .read, .write, .truncate, .sync, .delete]
}

/// How an operation fails.
public enum DiskFailure: Sendable {
    /// The hardware says no.
    case ioError
    /// There is no room.
    case full

    /// SQLite's result code; 0 lets the disk choose the one that fits the operation.
    var code: Int32 {
        switch self {
        case .ioError: 0
        case .full: 13
        }
    }
}

/// A mistake of the test, not a fault that it has ordered.
public struct FaultDiskError: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// What SQLite takes from the machine, replaced for the whole process: what a run from a seed needs.
public enum DiskWorld {
    /// SQLite's own random numbers begin again from here; nil gives them back to the system.
    public static func seedRandomness(_ seed: UInt32?) { fault_vfs_seed_randomness(seed ?? 0) }
    /// What SQL's `now` is; nil is the time of day.
    public static func setClock(milliseconds: Int64?) { fault_vfs_set_clock(milliseconds ?? 0) }
    /// Waiting for a lock takes no time. On one thread nobody could let go of it meanwhile.
    public static func skipSleeps(_ skips: Bool = true) { fault_vfs_set_sleeps(skips ? 0 : 1) }
}
