/// How files are imported.
public struct ImportRequest: Hashable, Sendable {
    /// The files hold the whole of their tables.
    public var replace: Bool
    /// Leave bad rows out, and import the others.
    public var skipBadRows: Bool
    /// The watched folder in which the files were dropped, if they were.
    public var watch: String?

    public init(replace: Bool = false, skipBadRows: Bool = false, watch: String? = nil) {
        self.replace = replace
        self.skipBadRows = skipBadRows
        self.watch = watch
    }
}

/// What an import would do.
public struct ImportPreviewReply: Codable, Hashable, Sendable {
    public struct Table: Codable, Hashable, Sendable {
        public var counts: ImportReply.Table
        public var columns: [String]
        /// The first rows, mapped and checked.
        public var rows: [Row]

        public init(counts: ImportReply.Table, columns: [String], rows: [Row]) {
            self.counts = counts
            self.columns = columns
            self.rows = rows
        }
    }

    public struct Row: Codable, Hashable, Sendable {
        /// `new`, `changed` or `same`.
        public var change: String
        /// One for each column.
        public var values: [String?]

        public init(change: String, values: [String?]) {
            self.change = change
            self.values = values
        }
    }

    /// Empty when the files would be refused.
    public var tables: [Table]
    public var faults: [ImportFaultLine]
    public var faultsTotal: Int
    public var warnings: [ImportFaultLine]
    public var warningsTotal: Int
    /// Nothing would be imported because of the faults.
    public var rejected: Bool

    public init(
        tables: [Table], faults: [ImportFaultLine], faultsTotal: Int, warnings: [ImportFaultLine], warningsTotal: Int,
        rejected: Bool
    ) {
        self.tables = tables
        self.faults = faults
        self.faultsTotal = faultsTotal
        self.warnings = warnings
        self.warningsTotal = warningsTotal
        self.rejected = rejected
    }
}

/// A file of `HOME/mappings`.
public struct MappingSummary: Codable, Hashable, Sendable {
    public var mapping: String
    /// Names of the files that it is for, with `*`, `?` and `[…]`.
    public var files: [String]
    /// `null` when it cannot be used.
    @Nullable public var table: String?
    /// Why it cannot be used.
    public var faults: [ImportFaultLine]

    public init(mapping: String, files: [String], table: String?, faults: [ImportFaultLine]) {
        self.mapping = mapping
        self.files = files
        self.table = table
        self.faults = faults
    }
}

/// An import, as it was written down.
public struct StagedImportSummary: Codable, Hashable, Sendable {
    public struct File: Codable, Hashable, Sendable {
        public var file: String
        public var table: String
        @Nullable public var mapping: String?
        public var columns: [String]
        public var rows: Int64
        public var badRows: Int64
        public var inserted: Int64
        public var updated: Int64
        public var unchanged: Int64
        public var removed: Int64

        public init(
            file: String, table: String, mapping: String?, columns: [String], rows: Int64, badRows: Int64,
            inserted: Int64, updated: Int64, unchanged: Int64, removed: Int64
        ) {
            self.file = file
            self.table = table
            self.mapping = mapping
            self.columns = columns
            self.rows = rows
            self.badRows = badRows
            self.inserted = inserted
            self.updated = updated
            self.unchanged = unchanged
            self.removed = removed
        }
    }

    public var id: Int64
    /// `Running`, `Finished`, `Rejected` or `Failed`.
    public var state: String
    public var startedAt: UTCTime
    @Nullable public var endedAt: UTCTime?
    public var replace: Bool
    public var skipBadRows: Bool
    @Nullable public var watch: String?
    @Nullable public var version: Int64?
    @Nullable public var message: String?
    public var files: [File]

    public init(
        id: Int64, state: String, startedAt: UTCTime, endedAt: UTCTime?, replace: Bool, skipBadRows: Bool,
        watch: String?, version: Int64?, message: String?, files: [File]
    ) {
        self.id = id
        self.state = state
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.replace = replace
        self.skipBadRows = skipBadRows
        self.watch = watch
        self.version = version
        self.message = message
        self.files = files
    }
}

/// A row as it stood in its file.
public struct StagedRowLine: Codable, Hashable, Sendable {
    public static let states = ["NotStarted", "Error", "Finished"]

    public var file: String
    public var table: String
    public var line: Int
    /// `NotStarted`, `Error` or `Finished`.
    public var state: String
    public var values: [String]
    @Nullable public var message: String?

    public init(file: String, table: String, line: Int, state: String, values: [String], message: String?) {
        self.file = file
        self.table = table
        self.line = line
        self.state = state
        self.values = values
        self.message = message
    }
}

/// An import with rows of it: the bad ones first.
public struct StagedImportDetail: Codable, Hashable, Sendable {
    public var summary: StagedImportSummary
    public var rows: [StagedRowLine]

    public init(summary: StagedImportSummary, rows: [StagedRowLine]) {
        self.summary = summary
        self.rows = rows
    }

    private enum CodingKeys: String, CodingKey {
        case rows
    }

    /// One flat document: the summary's keys, and `rows`.
    public init(from decoder: any Decoder) throws {
        summary = try StagedImportSummary(from: decoder)
        rows = try decoder.container(keyedBy: CodingKeys.self).decode([StagedRowLine].self, forKey: .rows)
    }

    public func encode(to encoder: any Encoder) throws {
        try summary.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(rows, forKey: .rows)
    }
}

/// Which rows of an import are wanted.
public struct StagedRowFilter: Hashable, Sendable {
    public static let limitMax = 10_000

    public var state: String?
    public var table: String?
    public var limit: Int

    public init(state: String? = nil, table: String? = nil, limit: Int = 50) {
        self.state = state
        self.table = table
        self.limit = limit
    }
}

public struct StagingCleanRequest: Codable, Hashable, Sendable {
    @Nullable public var table: String?
    @Nullable public var `import`: Int64?
    public var force: Bool

    public init(table: String? = nil, import: Int64? = nil, force: Bool = false) {
        self.table = table
        self.import = `import`
        self.force = force
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case table, `import`, force
    }

    public init(from decoder: any Decoder) throws {
        // With `tables` for `table`, a clean would remove everything.
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        table = try container.decodeIfPresent(String.self, forKey: .table)
        `import` = try container.decodeIfPresent(Int64.self, forKey: .import)
        force = try container.decodeIfPresent(Bool.self, forKey: .force) ?? false
    }
}

public struct StagingCleanReply: Codable, Hashable, Sendable {
    public var rows: Int64
    public var bytesFreed: Int64
    /// Imports of which nothing is left.
    public var imports: Int64
    /// Rows that stayed because they are unfinished.
    public var keptRows: Int64

    public init(rows: Int64, bytesFreed: Int64, imports: Int64, keptRows: Int64) {
        self.rows = rows
        self.bytesFreed = bytesFreed
        self.imports = imports
        self.keptRows = keptRows
    }
}

/// A file of a watched folder that is imported, and that nobody has said was moved away.
public struct UnfiledFile: Codable, Hashable, Sendable {
    public var `import`: Int64
    public var file: String

    public init(import: Int64, file: String) {
        self.import = `import`
        self.file = file
    }
}

public struct FiledRequest: Codable, Hashable, Sendable {
    public var files: [String]

    public init(files: [String]) {
        self.files = files
    }
}
