/// What an import would do.
public struct ImportPreview: Sendable, Equatable {
    public struct Table: Sendable, Equatable {
        /// As an import would report it.
        public var counts: ImportReport.Table
        public var columns: [String]
        /// The first rows of the file, mapped and checked.
        public var rows: [Row]
    }

    public struct Row: Sendable, Equatable {
        /// `new`, `changed` or `same`.
        public var change: String
        /// One for each column; nil is NULL.
        public var values: [String?]
    }

    /// In the order of the files. Empty when they would be refused.
    public var tables: [Table] = []
    /// The first ``ImportLimits/faultsMax``.
    public var faults: [ImportFault] = []
    public var faultsTotal = 0
    public var warnings: [ImportFault] = []
    public var warningsTotal = 0
    /// Whether nothing would be imported because of the faults.
    public var isRejected = false
}
