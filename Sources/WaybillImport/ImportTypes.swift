/// One CSV file and the HQ table that it fills.
public struct ImportFile: Sendable, Equatable {
    /// A table of HQ.
    public var table: String
    /// How faults and reports call the file: `product.csv`.
    public var displayName: String
    public var path: String
    /// How its columns become the table's; nil: they have the table's names and values.
    public var mapping: ImportMapping?

    public init(table: String, displayName: String, path: String, mapping: ImportMapping? = nil) {
        self.table = table
        self.displayName = displayName
        self.path = path
        self.mapping = mapping
    }
}

/// How rows already in HQ are treated.
public struct ImportOptions: Sendable, Equatable {
    /// The files hold the whole of their tables: rows of those tables that are not in the files are removed.
    /// Off, a file adds and changes rows, and removes none.
    public var replace: Bool
    /// Rows that are at fault are left out, and named in the report; the others are imported. Not with `replace`:
    /// files whose bad rows are left out are not the whole of their tables.
    public var skipBadRows: Bool
    /// The folder in which the files were dropped, or nil. A file of it is imported once for each time it is dropped:
    /// until ``StagingDatabase/markFiled(_:files:)`` says that it was moved away, the same file is the same drop.
    public var watch: String?

    public init(replace: Bool = false, skipBadRows: Bool = false, watch: String? = nil) {
        precondition(!(replace && skipBadRows), "files without their bad rows are not the whole of their tables")
        self.replace = replace
        self.skipBadRows = skipBadRows
        self.watch = watch
    }
}

/// One thing that is wrong (or, in a list of warnings, odd) in an import, and where.
public struct ImportFault: Error, Codable, Sendable, Equatable, CustomStringConvertible {
    /// The file's display name.
    public var file: String
    /// The physical line on which the record starts, from 1. 0: the file as a whole.
    public var line: Int
    /// nil: the record as a whole.
    public var column: String?
    /// Half a sentence that says what was found, and where it helps what was expected.
    public var reason: String

    public init(file: String, line: Int, column: String? = nil, reason: String) {
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason
    }

    /// `product.csv:17: column category_id: category 'X' is neither in HQ nor in category.csv`
    public var description: String {
        let place = line > 0 ? "\(file):\(line)" : file
        return column.map { "\(place): column \($0): \(reason)" } ?? "\(place): \(reason)"
    }
}

/// The files were refused because of what stands in them. Nothing was changed.
public struct ImportRejected: Error, Sendable, CustomStringConvertible {
    /// The first ``ImportLimits/faultsMax`` faults, by file and line.
    public var faults: [ImportFault]
    /// How many faults there are, listed or not.
    public var total: Int

    public init(faults: [ImportFault], total: Int) {
        self.faults = faults
        self.total = total
    }

    public var description: String {
        let first = faults.first.map { ", the first in \($0)" } ?? ""
        return "nothing was imported: \(total) \(total == 1 ? "fault" : "faults")\(first)"
    }
}

/// The import could not be carried out, whatever stands in the files. Nothing was changed.
public struct ImportFailed: Error, Sendable, CustomStringConvertible {
    public var description: String

    init(_ reason: String) {
        description = "nothing was imported: \(reason)"
    }
}

/// What an import did, table by table.
public struct ImportReport: Codable, Sendable, Equatable {
    public struct Table: Codable, Sendable, Equatable {
        public var table: String
        public var file: String
        /// Records of the file, without the header.
        public var rows: Int
        public var inserted: Int
        public var updated: Int
        /// Rows that were in HQ just so. They were not written and are no change.
        public var unchanged: Int
        /// Rows that were not in the file; 0 unless ``ImportOptions/replace`` was asked for.
        public var removed: Int
        /// Bad rows that were left out; 0 unless ``ImportOptions/skipBadRows`` was asked for.
        public var skipped = 0
    }

    /// In the order of the files.
    public var tables: [Table]
    /// The first ``ImportLimits/faultsMax`` things that are allowed but look wrong, by file and line.
    public var warnings: [ImportFault]
    public var warningsTotal: Int
    /// The first ``ImportLimits/faultsMax`` faults of the rows that were left out.
    public var faults: [ImportFault] = []
    public var faultsTotal = 0
    /// HQ's version after the import.
    public var version: Int64
    /// The import's number in the staging database; nil when nothing was staged.
    public var importID: Int64?
    /// Files that an earlier import brought in already, with its number. They were left alone.
    public var already: [String: Int64] = [:]

    /// Bad rows that were left out of all files.
    public var skipped: Int { tables.reduce(0) { $0 + $1.skipped } }

    enum CodingKeys: String, CodingKey {
        case tables
        case warnings
        case warningsTotal = "warnings_total"
        case faults
        case faultsTotal = "faults_total"
        case version
        case importID = "import"
        case already
    }
}

/// How far an import has come. Made for a line on a screen; never for deciding anything.
public struct ImportProgress: Sendable, Equatable {
    public enum Phase: String, Sendable, CaseIterable {
        /// Reading files and checking values.
        case reading
        /// Looking for duplicate keys and unknown references.
        case checking
        /// Finding the rows that differ from HQ's.
        case comparing
        /// Writing them, in one transaction.
        case writing
    }

    /// The file at work.
    public var file: String
    /// Records read of all files so far.
    public var rowsRead: Int
    /// Bytes read of all files so far.
    public var bytesRead: Int64
    /// Bytes of all files.
    public var bytesTotal: Int64
    public var phase: Phase
}

/// Bounds of an import, each with its reason.
public enum ImportLimits {
    /// Faults and warnings kept with their text: more than anybody reads, few enough for one answer of the hub.
    public static let faultsMax = 10_000
    /// Bytes of a text value: a product's name and then some.
    public static let textBytesMax = 4096
    /// Characters of a value that a fault quotes.
    static let excerptMax = 60
    /// Rounds in which rows are left out because the rows they need were: a tree of bad rows so deep is a bad file.
    static let skipRoundsMax = 100
    /// Rows that a preview shows of a table.
    public static let previewRowsMax = 10
}
