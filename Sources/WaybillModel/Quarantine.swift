/// Why a row of HQ's is not at a store as HQ has it.
public enum QuarantineKind: String, Sendable, CaseIterable {
    /// The store's own schema refuses it: a till's unique index, a till's trigger.
    case refused
    /// It refers to a row that is in quarantine and of which the store has nothing.
    case depends
    /// HQ has removed it, and a till's trigger does not let it go.
    case kept
}

/// One row in a store's quarantine, as a list shows it. The row's values stay at the store.
public struct QuarantineEntry: Hashable, Sendable {
    public var job: JobID
    public var table: String
    /// The values of the key columns, with commas between them; at most ``QuarantineLimits/keyBytesMax``.
    public var key: String
    public var kind: QuarantineKind
    /// SQLite's own words, or what it waits for.
    public var detail: String
    /// The store has an older row of that key, and sells by it.
    public var hasOlderRow: Bool
    /// The session that brought it last, and the version it is of.
    public var session: SessionID
    public var version: Version
    /// When it came into quarantine first; by the store's clock.
    public var since: Timestamp
    /// How often it was tried: by sessions that brought it, and by people.
    public var attempts: Int

    public init(
        job: JobID, table: String, key: String, kind: QuarantineKind, detail: String, hasOlderRow: Bool,
        session: SessionID, version: Version, since: Timestamp, attempts: Int
    ) {
        self.job = job
        self.table = table
        self.key = key
        self.kind = kind
        self.detail = detail
        self.hasOlderRow = hasOlderRow
        self.session = session
        self.version = version
        self.since = since
        self.attempts = attempts
    }

    /// A key as a store writes it into its list: values with commas between them, blobs in capital hexadecimal digits,
    /// cut after so many characters.
    public static func keyText(_ values: [String]) -> String {
        String(
            String.UnicodeScalarView(
                values.joined(separator: ",").unicodeScalars.prefix(QuarantineLimits.keyBytesMax / 4)))
    }

    /// What that means for the tills, in plain words.
    public var consequence: String {
        switch kind {
        case .refused: hasOlderRow ? "the store keeps the row as it was before" : "the store has no such row"
        case .depends: "until then the store \(hasOlderRow ? "keeps the row as it was" : "has no such row")"
        case .kept: "HQ has removed it, the store still has it"
        }
    }
}

/// What a store tells of its quarantine: the state, not a change of it.
public struct QuarantineReport: Hashable, Sendable {
    /// Names the content. 0: nothing is in quarantine.
    public var revision: UInt64
    /// Rows in quarantine, also those that are not in `entries`.
    public var total: Int
    /// At most ``QuarantineLimits/entriesMax``: refused ones first.
    public var entries: [QuarantineEntry]
    /// Orders that were carried out lately, newest last.
    public var ordersDone: [String]

    public init(revision: UInt64 = 0, total: Int = 0, entries: [QuarantineEntry] = [], ordersDone: [String] = []) {
        self.revision = revision
        self.total = total
        self.entries = entries
        self.ordersDone = ordersDone
    }
}

/// What somebody wants done with rows in quarantine at one store.
public struct QuarantineOrder: Hashable, Sendable {
    public enum Action: String, Sendable, CaseIterable {
        /// Try each of them once.
        case retry
        /// Forget them: the store goes on without until HQ changes the row, or everything is sent.
        case drop
    }

    /// Never used twice: what a store has carried out it does not carry out again.
    public var id: String
    public var action: Action
    /// nil for all.
    public var job: JobID?
    public var table: String?
    public var key: String?

    public init(id: String, action: Action, job: JobID? = nil, table: String? = nil, key: String? = nil) {
        self.id = id
        self.action = action
        self.job = job
        self.table = table
        self.key = key
    }
}

/// Bounds of a store's quarantine.
public enum QuarantineLimits {
    /// Rows of one table that may be refused in one session: more is not about rows, but about the store's schema.
    public static let refusedMax = 1_000
    /// So many may be refused however few rows there are, and of many rows a tenth.
    public static let refusedFloor = 100
    /// Rows in quarantine at one store: a list that nobody can work through is not one.
    public static let entriesInStoreMax = 10_000
    /// Entries in one message, some 200 bytes each; the rest is counted.
    public static let entriesMax = 200
    /// Bytes of a key as it is shown and asked for.
    public static let keyBytesMax = 256
    /// Bytes of SQLite's words that are kept.
    public static let detailBytesMax = 300
    /// Orders that a store remembers: the hub asks about those that are open, a handful.
    public static let ordersRemembered = 64
    /// Rows that a session tries again by itself, because others of their table have changed and may have let go of what
    /// they need. A bound, because it takes place under the lock.
    public static let secondTriesMax = 100
    /// Transactions that a trigger may end with ROLLBACK before the apply gives up: each costs all that came before.
    public static let endingsMax = 32

    /// How many of so many rows may be refused.
    public static func refusedMax(of rows: Int64) -> Int {
        min(refusedMax, max(refusedFloor, Int(clamping: rows / 10)))
    }
}
