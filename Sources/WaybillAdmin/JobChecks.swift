import WaybillModel

/// Asks the hub whether a job file could be used.
public struct JobCheckRequest: Codable, Hashable, Sendable {
    /// The file's name, without its folder.
    public var file: String
    public var text: String

    public init(file: String, text: String) {
        self.file = file
        self.text = text
    }
}

/// What is wrong with a job file, or what the job would give stores now.
public struct JobCheckReply: Codable, Hashable, Sendable {
    public struct Fault: Codable, Hashable, Sendable {
        /// From 1; 0 when it is about the file as a whole.
        public var line: Int
        public var message: String
        @Nullable public var hint: String?

        public init(line: Int, message: String, hint: String?) {
            self.line = line
            self.message = message
            self.hint = hint
        }
    }

    public struct Table: Codable, Hashable, Sendable {
        public var table: String
        public var rows: Int64
        public var stores: Int64

        public init(table: String, rows: Int64, stores: Int64) {
            self.table = table
            self.rows = rows
            self.stores = stores
        }
    }

    public var file: String
    @Nullable public var job: JobID?
    public var faults: [Fault]
    /// HQ tables that the job reads.
    public var inputs: [String]
    public var tables: [Table]

    public init(file: String, job: JobID?, faults: [Fault], inputs: [String], tables: [Table]) {
        self.file = file
        self.job = job
        self.faults = faults
        self.inputs = inputs
        self.tables = tables
    }
}
