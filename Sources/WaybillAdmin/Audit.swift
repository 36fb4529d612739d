import WaybillModel

/// One row of the audit log.
public struct AuditLine: Codable, Hashable, Sendable {
    /// From 1, without gaps.
    public var sequence: Int64
    public var at: UTCTime
    /// A user's name, a token's name, or a store's.
    public var who: String
    /// Of the user at the Unix-domain socket.
    @Nullable public var uid: Int64?
    /// `socket`, `tcp`, `agent` or `hub`.
    public var door: String
    /// In the words of the command line: `session cancel`.
    public var action: String
    /// The session, store or job that it is about.
    @Nullable public var subject: String?
    /// What was asked for, as JSON text.
    @Nullable public var arguments: String?
    /// `asked`, `done`, `failed` or `denied`.
    public var outcome: String
    @Nullable public var message: String?
    /// The row with outcome `asked` that this one completes.
    @Nullable public var asked: Int64?
    /// SHA-256 over this row and the hash of the one before, in hex.
    public var hash: String

    public init(
        sequence: Int64, at: UTCTime, who: String, uid: Int64?, door: String, action: String, subject: String?,
        arguments: String?, outcome: String, message: String?, asked: Int64?, hash: String
    ) {
        self.sequence = sequence
        self.at = at
        self.who = who
        self.uid = uid
        self.door = door
        self.action = action
        self.subject = subject
        self.arguments = arguments
        self.outcome = outcome
        self.message = message
        self.asked = asked
        self.hash = hash
    }
}

/// Which rows of the audit log, newest first.
public struct AuditFilter: Hashable, Sendable {
    public static let limitMax = 10_000

    public var since: UTCTime?
    /// A name, or the number of a user.
    public var who: String?
    public var limit = 100

    public init(since: UTCTime? = nil, who: String? = nil, limit: Int = 100) {
        self.since = since
        self.who = who
        self.limit = limit
    }
}

/// A row and its hash as the journal has noted them.
public struct AuditWitness: Hashable, Sendable {
    public var sequence: Int64
    /// At least the first 8 bytes.
    public var hash: [UInt8]

    /// Reads `42:3fa91c…`; nil when it is not a number, a colon and an even number of at least 16 hex digits.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let sequence = Int64(parts[0]), sequence > 0 else { return nil }
        guard (16...64).contains(parts[1].utf8.count), let hash = [UInt8](hexText: String(parts[1])) else { return nil }
        self.hash = hash
        self.sequence = sequence
    }
}

/// Whether the chain of the audit log holds.
public struct AuditVerification: Codable, Hashable, Sendable {
    public struct Break: Codable, Hashable, Sendable {
        /// The first row that does not fit.
        public var sequence: Int64
        public var fault: String

        public init(sequence: Int64, fault: String) {
            self.sequence = sequence
            self.fault = fault
        }
    }

    /// Rows that fit.
    public var rows: Int64
    /// The first row that is still there; 0 when there is none.
    public var first: Int64
    /// The last row that fits, and its hash.
    public var head: Int64
    public var headHash: String
    @Nullable public var firstBreak: Break?

    public init(rows: Int64, first: Int64, head: Int64, headHash: String, firstBreak: Break?) {
        self.rows = rows
        self.first = first
        self.head = head
        self.headHash = headHash
        self.firstBreak = firstBreak
    }
}
