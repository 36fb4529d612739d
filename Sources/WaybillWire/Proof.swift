import WaybillModel

/// Bounds of the letters by which a store proves what it has, each with its reason.
public enum ProofLimits {
    /// Ranges in one question, over all tables: their digests fit into 64 KiB.
    public static let rangesMax = 1024
    /// Bytes of the keys in one question or answer, about: half of what a message may have.
    public static let keyBytesMax = 512 * 1024
    /// Rows named in one answer.
    public static let rowsMax = 4096
    /// Ranges of one table of a repair; more are joined with what lies between them.
    public static let repairRangesMax = 256
    /// Bytes of a value that is shown to people: more than a screen line.
    public static let shownBytesMax = 200
}

extension HubLetter {
    /// A question about what the store's tables hold.
    public struct Examine: Hashable, Sendable {
        /// Names the verification; with `step` this question of it.
        public var id: Int64
        public var step: Int
        public var job: JobID
        public var tables: [Table]

        public struct Table: Hashable, Sendable {
            public var name: String
            /// Empty: the whole table.
            public var ranges: [KeyRange]
            /// Whether rows are to be named.
            public var rows: Bool
            /// And what is in them.
            public var values: Bool

            public init(name: String, ranges: [KeyRange] = [], rows: Bool = false, values: Bool = false) {
                self.name = name
                self.ranges = ranges
                self.rows = rows
                self.values = values
            }
        }

        public init(id: Int64, step: Int, job: JobID, tables: [Table]) {
            self.id = id
            self.step = step
            self.job = job
            self.tables = tables
        }
    }
}

extension AgentLetter {
    /// What the store's tables hold, read in one snapshot.
    public struct Digests: Hashable, Sendable {
        public var id: Int64
        public var step: Int
        /// The job of the watermark; nil with it.
        public var job: JobID?
        /// Where the store stands; nil when it has nothing of the job.
        public var watermark: Watermark?
        public var tables: [Table]

        public struct Table: Hashable, Sendable {
            public var name: String
            /// Why it cannot be examined; nil when it can.
            public var fault: String?
            /// One for each range asked for.
            public var ranges: [Range]

            public init(name: String, fault: String? = nil, ranges: [Range] = []) {
                self.name = name
                self.fault = fault
                self.ranges = ranges
            }
        }

        public struct Range: Hashable, Sendable {
            public var digest: TableDigest
            /// In key order; empty unless asked for.
            public var rows: [Row]
            /// Where the rows go on that did not fit; nil when those are all.
            public var next: [KeyValue]?

            public init(digest: TableDigest, rows: [Row] = [], next: [KeyValue]? = nil) {
                self.digest = digest
                self.rows = rows
                self.next = next
            }
        }

        /// One row: its key, and the SHA-256 of all of it.
        public struct Row: Hashable, Sendable {
            public var key: [KeyValue]
            public var sha256: [UInt8]
            /// The other columns, cut for people to read; nil is NULL. Empty unless asked for.
            public var values: [KeyValue?]

            public init(key: [KeyValue], sha256: [UInt8], values: [KeyValue?] = []) {
                self.key = key
                self.sha256 = sha256
                self.values = values
            }
        }

        public init(id: Int64, step: Int, job: JobID?, watermark: Watermark?, tables: [Table]) {
            self.id = id
            self.step = step
            self.job = job
            self.watermark = watermark
            self.tables = tables
        }
    }
}
