/// A folder at the hub that files are uploaded into before they are imported.
public struct ImportCreated: Codable, Hashable, Sendable {
    public var id: String

    public init(id: String) {
        self.id = id
    }
}

/// How far an import has come; for a line on a screen.
public struct ImportProgressLine: Codable, Hashable, Sendable {
    /// `reading`, `checking`, `comparing` or `writing`.
    public var phase: String
    /// The file at work.
    public var file: String
    /// Of all files so far.
    public var rows: Int64
    public var bytesDone: Int64
    public var bytes: Int64

    public init(phase: String, file: String, rows: Int64, bytesDone: Int64, bytes: Int64) {
        self.phase = phase
        self.file = file
        self.rows = rows
        self.bytesDone = bytesDone
        self.bytes = bytes
    }
}

/// Something that is wrong, or odd, in a file.
public struct ImportFaultLine: Codable, Hashable, Sendable {
    public var file: String
    /// Where the record starts, from 1; 0: the file as a whole.
    public var line: Int
    @Nullable public var column: String?
    public var reason: String

    public init(file: String, line: Int, column: String?, reason: String) {
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason
    }
}

/// What an import did.
public struct ImportReply: Codable, Hashable, Sendable {
    public struct Table: Codable, Hashable, Sendable {
        public var table: String
        public var file: String
        public var rows: Int64
        public var inserted: Int64
        public var updated: Int64
        /// Rows that were in HQ just so.
        public var unchanged: Int64
        /// Rows of the table that were not in the file; 0 unless `replace` was asked for.
        public var removed: Int64
        /// Bad rows that were left out; 0 unless `skip_bad_rows` was asked for.
        public var skipped: Int64

        public init(
            table: String, file: String, rows: Int64, inserted: Int64, updated: Int64, unchanged: Int64,
            removed: Int64, skipped: Int64 = 0
        ) {
            self.table = table
            self.file = file
            self.rows = rows
            self.inserted = inserted
            self.updated = updated
            self.unchanged = unchanged
            self.removed = removed
            self.skipped = skipped
        }
    }

    public var tables: [Table]
    /// The first ones.
    public var warnings: [ImportFaultLine]
    /// How many there are.
    public var warningsTotal: Int
    /// The first ones of the rows that were left out.
    public var faults: [ImportFaultLine]
    /// How many faults those rows have.
    public var faultsTotal: Int
    /// HQ's version after the import.
    public var version: Int64
    /// Its number among the staged imports.
    @Nullable public var `import`: Int64?
    /// Files of a watched folder that an earlier import has brought in, with its number; they were left alone.
    public var already: [String: Int64]

    public init(
        tables: [Table], warnings: [ImportFaultLine], warningsTotal: Int, faults: [ImportFaultLine] = [],
        faultsTotal: Int = 0, version: Int64, import: Int64? = nil, already: [String: Int64] = [:]
    ) {
        self.tables = tables
        self.warnings = warnings
        self.warningsTotal = warningsTotal
        self.faults = faults
        self.faultsTotal = faultsTotal
        self.version = version
        self.import = `import`
        self.already = already
    }

    /// Bad rows of all files that were left out.
    public var skipped: Int64 { tables.reduce(0) { $0 + $1.skipped } }
}

/// The files were refused because of what stands in them; nothing was changed.
///
/// Thrown by the backend's import; the last line of its answer then holds it under `rejected`.
public struct ImportFaults: Error, Codable, Hashable, Sendable, CustomStringConvertible {
    /// The first ones, by file and line.
    public var faults: [ImportFaultLine]
    public var total: Int

    public init(faults: [ImportFaultLine], total: Int) {
        self.faults = faults
        self.total = total
    }

    public var description: String { "nothing was imported: \(total) \(total == 1 ? "fault" : "faults") in the files" }
}

/// One line of the answer to an import. Exactly one key is there; any but `progress` is the last line.
public enum ImportLine: Codable, Hashable, Sendable {
    case progress(ImportProgressLine)
    case result(ImportReply)
    case preview(ImportPreviewReply)
    case rejected(ImportFaults)
    case error(AdminError)

    private enum CodingKeys: String, CodingKey {
        case progress, result, preview, rejected, error
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let value = try container.decodeIfPresent(ImportProgressLine.self, forKey: .progress) {
            self = .progress(value)
        } else if let value = try container.decodeIfPresent(ImportReply.self, forKey: .result) {
            self = .result(value)
        } else if let value = try container.decodeIfPresent(ImportPreviewReply.self, forKey: .preview) {
            self = .preview(value)
        } else if let value = try container.decodeIfPresent(ImportFaults.self, forKey: .rejected) {
            self = .rejected(value)
        } else {
            self = .error(try container.decode(AdminError.self, forKey: .error))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .progress(let value): try container.encode(value, forKey: .progress)
        case .result(let value): try container.encode(value, forKey: .result)
        case .preview(let value): try container.encode(value, forKey: .preview)
        case .rejected(let value): try container.encode(value, forKey: .rejected)
        case .error(let value): try container.encode(value, forKey: .error)
        }
    }
}
