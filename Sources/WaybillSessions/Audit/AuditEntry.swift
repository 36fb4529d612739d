import Crypto
import WaybillModel

/// Who did something, and by which door he came in.
public struct AuditWho: Hashable, Sendable {
    public enum Door: String, Sendable, CaseIterable {
        /// The Unix-domain socket: the system vouches for the user.
        case socket
        /// TCP, with a token.
        case tcp
        /// A store's machine, by the sockets of the agents.
        case agent
        /// The hub itself, or a command run in its home.
        case hub
    }

    /// A user's name, a token's name, or a store's.
    public var name: String
    /// Of the process at the other end of the Unix-domain socket.
    public var uid: Int64?
    public var door: Door

    public init(name: String, uid: Int64? = nil, door: Door) {
        self.name = name
        self.uid = uid
        self.door = door
    }
}

/// What became of an action.
public enum AuditOutcome: String, Sendable, CaseIterable {
    /// Written down before it begins; a later row that names this one says how it ended.
    case asked
    case done
    case failed
    /// Not allowed, or not let in.
    case denied
}

/// One row of the audit log before it has its place in the chain.
public struct AuditEntry: Hashable, Sendable {
    public var at: Timestamp
    public var who: AuditWho
    /// In the words of the command line: `session cancel`.
    public var action: String
    /// The session, store or job that it is about; empty for none.
    public var subject: String
    /// What was asked for, as JSON; empty for nothing.
    public var arguments: String
    public var outcome: AuditOutcome
    /// One plain sentence: the reason of a failure, or what came of it.
    public var message: String
    /// The row with outcome `asked` that this one completes.
    public var asked: Int64?
    /// Of a checkpoint: rows up to this one may be gone, and `message` carries the hash of that row.
    public internal(set) var through: Int64?

    /// Bytes of a name, of an action or a subject; of arguments; of a message. What is longer is cut, and says so.
    static let nameBytesMax = 256
    static let argumentBytesMax = 4096
    static let messageBytesMax = 1024

    public init(
        at: Timestamp, who: AuditWho, action: String, subject: String = "", arguments: String = "",
        outcome: AuditOutcome, message: String = "", asked: Int64? = nil
    ) {
        self.at = at
        self.who = who
        self.who.name = bounded(who.name, AuditEntry.nameBytesMax)
        self.action = bounded(action, AuditEntry.nameBytesMax)
        self.subject = bounded(subject, AuditEntry.nameBytesMax)
        self.arguments = bounded(arguments, AuditEntry.argumentBytesMax)
        self.outcome = outcome
        self.message = bounded(message, AuditEntry.messageBytesMax)
        self.asked = asked
    }

    /// The same action with another outcome.
    public func ended(
        _ outcome: AuditOutcome, _ message: String, at: Timestamp, asked: Int64? = nil
    ) -> AuditEntry {
        var ended = self
        ended.at = at
        ended.outcome = outcome
        ended.message = bounded(message, AuditEntry.messageBytesMax)
        ended.asked = asked
        return ended
    }

    /// SHA-256 over the row before and every value of this one, each with its length in front of it: no two rows have
    /// the same encoding.
    func hash(sequence: Int64, after previous: [UInt8]) -> [UInt8] {
        var encoding = CanonicalEncoding("waybill-audit-1")
        encoding.add(previous)
        encoding.add(sequence)
        encoding.add(at.milliseconds)
        encoding.add(who.name)
        encoding.add(who.uid)
        encoding.add(who.door.rawValue)
        encoding.add(action)
        encoding.add(subject)
        encoding.add(arguments)
        encoding.add(outcome.rawValue)
        encoding.add(message)
        encoding.add(asked)
        encoding.add(through)
        return Array(SHA256.hash(data: encoding.bytes))
    }
}

/// A row in its place.
public struct AuditRow: Hashable, Sendable {
    /// From 1, without gaps.
    public var sequence: Int64
    public var entry: AuditEntry
    public var previousHash: [UInt8]
    public var hash: [UInt8]
}

/// Values one after the other, each with a tag and its length.
private struct CanonicalEncoding {
    private(set) var bytes: [UInt8] = []

    init(_ purpose: String) { add(purpose) }

    mutating func add(_ value: [UInt8]) {
        append(UInt64(value.count))
        bytes += value
    }

    mutating func add(_ text: String) { add(Array(text.utf8)) }

    mutating func add(_ number: Int64?) {
        guard let number else { return bytes.append(0) }
        bytes.append(1)
        append(UInt64(bitPattern: number))
    }

    private mutating func append(_ number: UInt64) {
        for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }
}

/// `text` on one line, at most `bytesMax` bytes of it. Without control characters: a NUL would not come back from the
/// database as it went in, and the hash would not fit any more.
private func bounded(_ text: String, _ bytesMax: Int) -> String {
    var result = String.UnicodeScalarView()
    var bytes = 0
    for scalar in text.unicodeScalars {
        bytes += UTF8.width(scalar)
        if bytes > bytesMax {
            result.append(contentsOf: "…".unicodeScalars)
            break
        }
        result.append(scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) ? " " : scalar)
    }
    return String(result)
}
