import WaybillCapture

/// What a field must be to stand in its column.
enum FieldKind: Equatable {
    /// UTF-8 text without control characters, not empty.
    case text
    /// As `text`, but an empty value is an empty text.
    case textOrEmpty
    /// As `text`, but `""` is an empty text, and nothing at all is NULL: text columns of tables that users made.
    case anyText
    /// A calendar day as `YYYY-MM-DD`.
    case date
    /// A decimal number, not negative, with at most `digits` digits after the point.
    case decimal(digits: Int)
    /// Any decimal number: numeric columns of tables that users made.
    case number
    case integer(allowsNegative: Bool)
    /// 0 or 1.
    case flag
    case word([String])

    init(_ kind: HQColumnKind) {
        switch kind {
        case .text: self = .text
        case .textOrEmpty: self = .textOrEmpty
        case .date: self = .date
        case .decimal(let digits): self = .decimal(digits: digits)
        case .integer(let allowsNegative): self = .integer(allowsNegative: allowsNegative)
        case .flag: self = .flag
        case .word(let words): self = .word(words)
        }
    }
}

/// One column that a file can fill.
struct ImportColumn: Equatable {
    var name: String
    var kind: FieldKind
    var isNullable: Bool
    /// The affinity of HQ's column, so that a staged value compares with HQ's as HQ's own do.
    var affinity: String
    /// How HQ compares texts of this column; nil: byte by byte. Known of key columns only, where it decides what is
    /// the same row.
    var collation: String?
    /// Whether a file may leave the column out: then rows keep what they have, and new ones get the default.
    var mayBeLeftOut = false

    init(_ name: String, _ kind: FieldKind, nullable: Bool, affinity: String) {
        self.name = name
        self.kind = kind
        isNullable = nullable
        self.affinity = affinity
    }

    init(_ column: HQColumn) {
        let affinity =
            switch column.kind {
            case .text, .textOrEmpty, .date, .word: "TEXT"
            case .decimal: "NUMERIC"
            case .integer, .flag: "INTEGER"
            }
        self.init(column.name, FieldKind(column.kind), nullable: column.isNullable, affinity: affinity)
    }
}

/// Columns whose values together name a row of another table.
struct ImportReference: Equatable {
    var columns: [String]
    var table: String
    var referencedColumns: [String]
    /// False where an unknown name has a meaning ("covers nothing"): then there is a warning, and no fault.
    var isRequired: Bool
    /// Whether the rows are a tree, so that one below itself is a fault. A foreign key that a user declared says
    /// nothing about that.
    var isTree: Bool
}

/// A table of HQ as an import sees it: one of the catalogue, or one that users made in `hq.db`.
struct ImportTable: Equatable {
    var name: String
    /// What a file can fill, in the table's order.
    var columns: [ImportColumn]
    var key: [String]
    var references: [ImportReference]
    /// Columns that are there and cannot be filled from a file, with the reason.
    var closedColumns: [String: String] = [:]

    init(name: String, columns: [ImportColumn], key: [String], references: [ImportReference]) {
        self.name = name
        self.columns = columns
        self.key = key
        self.references = references
    }

    init(_ table: HQTable) {
        self.init(
            name: table.name, columns: table.columns.map(ImportColumn.init), key: table.key,
            references: table.references.map {
                ImportReference(
                    columns: [$0.column], table: $0.table, referencedColumns: [$0.referencedColumn],
                    isRequired: $0.isRequired, isTree: $0.table == table.name)
            })
    }

    var columnList: String { columns.map(\.name).joined(separator: ", ") }
}
