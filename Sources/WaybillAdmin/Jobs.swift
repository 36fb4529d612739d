import WaybillModel

/// A job as one line of the job list.
public struct JobSummary: Codable, Hashable, Sendable {
    public var job: JobID
    public var title: String
    @Nullable public var lastSession: SessionID?
    @Nullable public var lastStatus: String?
    /// Store tables that the job fills, in order.
    public var tables: [String]
    /// The file of `HOME/jobs` that defines the job; null for one that comes with the hub.
    @Nullable public var file: String?
    /// Why the job cannot run; empty when it can.
    public var faults: [String]
    /// How the job stands: one of ``states``.
    @Nullable public var state: String?
    /// Why it is on hold.
    @Nullable public var holdReason: String?
    /// When it starts by itself; null when only a change or a person starts it.
    @Nullable public var nextRunAt: UTCTime?
    @Nullable public var lastRun: JobRunLine?

    public static let states = ["Idle", "Waiting", "Running", "OnHold", "Asleep"]

    public init(
        job: JobID, title: String, lastSession: SessionID?, lastStatus: String?, tables: [String], file: String? = nil,
        faults: [String] = [], state: String? = nil, holdReason: String? = nil, nextRunAt: UTCTime? = nil,
        lastRun: JobRunLine? = nil
    ) {
        self.job = job
        self.title = title
        self.lastSession = lastSession
        self.lastStatus = lastStatus
        self.tables = tables
        self.file = file
        self.faults = faults
        self.state = state
        self.holdReason = holdReason
        self.nextRunAt = nextRunAt
        self.lastRun = lastRun
    }
}

/// A job with its definition: the keys of ``JobSummary``, and the rest.
public struct JobDetail: Codable, Hashable, Sendable {
    public struct Column: Codable, Hashable, Sendable {
        public var name: String
        public var type: ColumnType
        public var nullable: Bool

        public init(_ column: ColumnShape) {
            name = column.name
            type = column.type
            nullable = column.isNullable
        }
    }

    public struct Subjob: Codable, Hashable, Sendable {
        public var table: String
        public var columns: [Column]
        public var key: [String]
        /// The queries that say what stands in the table, and which store sees what.
        public var rows: String
        public var members: String

        public init(table: TableShape, rows: String, members: String) {
            self.table = table.name
            columns = table.columns.map(Column.init)
            key = table.key
            self.rows = rows
            self.members = members
        }
    }

    public var summary: JobSummary
    /// HQ tables whose changes make the job due.
    public var inputs: [String]
    /// Statements that run before the subjobs' queries.
    public var prepare: [String]
    public var subjobs: [Subjob]

    public init(summary: JobSummary, inputs: [String], prepare: [String], subjobs: [Subjob]) {
        self.summary = summary
        self.inputs = inputs
        self.prepare = prepare
        self.subjobs = subjobs
    }

    private enum CodingKeys: String, CodingKey {
        case inputs, prepare, subjobs
    }

    public init(from decoder: any Decoder) throws {
        summary = try JobSummary(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        inputs = try container.decode([String].self, forKey: .inputs)
        prepare = try container.decode([String].self, forKey: .prepare)
        subjobs = try container.decode([Subjob].self, forKey: .subjobs)
    }

    public func encode(to encoder: any Encoder) throws {
        try summary.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(inputs, forKey: .inputs)
        try container.encode(prepare, forKey: .prepare)
        try container.encode(subjobs, forKey: .subjobs)
    }
}
