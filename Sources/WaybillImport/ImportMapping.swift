/// How the columns of an integrator's files become the columns of an HQ table. Read from `HOME/mappings/*.yaml`.
public struct ImportMapping: Sendable, Equatable {
    /// The file's name in the folder of mappings: `erp-prices.yaml`.
    public var name: String
    /// Names of the files that it is for, with `*`, `?` and `[…]`.
    public var patterns: [String]
    public var table: String
    /// The byte between the fields of the files.
    var separator = UInt8(ascii: ",")
    /// Columns of the table that the mapping says something about.
    var columns: [MappedColumn] = []
    /// Columns of the file that nobody wants; `*`: all that are not named.
    var skipped: Set<String> = []
    /// Of all columns of numbers that do not say otherwise.
    var numbers: NumberFormat?
    /// Of all columns of days that do not say otherwise.
    var days: DayFormat?

    init(name: String, patterns: [String], table: String) {
        self.name = name
        self.patterns = patterns
        self.table = table
    }

    func skips(_ column: String) -> Bool { skipped.contains(column) || skipped.contains("*") }
}

/// Where a table's column gets its values.
struct MappedColumn: Sendable, Equatable {
    enum Source: Sendable, Equatable {
        /// The file's column of this name.
        case column(String)
        case constant(String)
    }

    /// Of the table.
    var name: String
    var source: Source
    /// What the file says, and what is meant. Empty: values are taken as they are.
    var values: [String: String] = [:]
    /// What is meant by everything else; nil: it is a fault.
    var otherwise: String?
    var number: NumberFormat?
    var day: DayFormat?
    var lookup: MappedLookup?
}

/// A value that is found in another table of HQ: the `take` of its row whose `match` is what the file says.
struct MappedLookup: Sendable, Equatable {
    var table: String
    var match: String
    var take: String
}
