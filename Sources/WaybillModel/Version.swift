/// A position in HQ's change log.
///
/// `number` only grows within an `epoch`. The epoch rises when HQ finds that its own past has changed
/// (a restored backup), so that the same number never stands for two contents that could be confused.
public struct Version: Hashable, Sendable, Comparable, CustomStringConvertible {
    public var epoch: Int64
    public var number: Int64

    public init(epoch: Int64, number: Int64) {
        self.epoch = epoch
        self.number = number
    }

    public static func < (a: Version, b: Version) -> Bool { (a.epoch, a.number) < (b.epoch, b.number) }
    public var description: String { "\(epoch).\(number)" }
}

/// What a store has applied for one job: the version, and the session that brought it there.
///
/// Committed in `store.db` together with the rows. A watermark whose session HQ does not know belongs to
/// another history, however well its numbers fit: the store then gets a full package.
public struct Watermark: Hashable, Sendable {
    public var version: Version
    public var session: SessionID

    public init(version: Version, session: SessionID) {
        self.version = version
        self.session = session
    }
}

/// One start of one agent process: a counter kept in `store.db`, and 64 random bits.
///
/// A database restored from a backup brings an old counter back; two machines with one identity have equal
/// counters but never equal random bits. Either shows at the hub.
public struct Incarnation: Hashable, Sendable {
    public var counter: Int64
    public var random: UInt64

    public init(counter: Int64, random: UInt64) {
        self.counter = counter
        self.random = random
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z. For people and for waiting; never for deciding an order of events.
public struct Timestamp: Hashable, Sendable, Comparable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }
    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.milliseconds < b.milliseconds }
    public static func + (a: Timestamp, milliseconds: Int64) -> Timestamp {
        Timestamp(milliseconds: a.milliseconds + milliseconds)
    }
    /// How many milliseconds `a` is after `b`.
    public static func - (a: Timestamp, b: Timestamp) -> Int64 { a.milliseconds - b.milliseconds }
}
