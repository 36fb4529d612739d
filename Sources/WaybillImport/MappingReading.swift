import WaybillDatabase
import Yams

/// Reads one file of mappings and names everything that is wrong in it, with its line.
struct MappingReading {
    enum Outcome {
        case mapping(ImportMapping)
        case broken(MappingFolder.Broken)
    }

    private let name: String
    private let tables: HQTableList
    private var faults: [ImportFault] = []

    static func read(_ text: String, name: String, tables: HQTableList) -> Outcome {
        var reading = MappingReading(name: name, tables: tables)
        let mapping = reading.mapping(text)
        guard reading.faults.isEmpty, let mapping else {
            reading.faults.sort { $0.line < $1.line }
            return .broken(
                MappingFolder.Broken(name: name, patterns: mapping?.patterns ?? [], faults: reading.faults))
        }
        return .mapping(mapping)
    }

    private init(name: String, tables: HQTableList) {
        self.name = name
        self.tables = tables
    }

    private mutating func fault(_ node: Node?, _ reason: String) {
        faults.append(ImportFault(file: "mappings/" + name, line: node?.mark?.line ?? 0, reason: reason))
    }

    // MARK: The file

    private mutating func mapping(_ text: String) -> ImportMapping? {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            faults.append(MappingReading.fault(of: error, name))
            return nil
        }
        guard let root, case .mapping(let top) = root else {
            fault(root, "a mapping has the keys files, table and columns")
            return nil
        }
        checkKeys(top, ["files", "table", "separator", "numbers", "dates", "columns", "skip"], of: "a mapping")
        let patterns = patterns(top["files"], root)
        var mapping = ImportMapping(name: name, patterns: patterns, table: "")
        guard let tableName = top["table"]?.string else {
            fault(top["table"] ?? root, "'table' names the table of HQ that the files fill")
            return mapping
        }
        guard let table = tables.table(tableName) else {
            fault(top["table"], tables.noSuchTable(tableName))
            return mapping
        }
        mapping.table = tableName
        if let node = top["separator"] { mapping.separator = separator(node) ?? mapping.separator }
        if let node = top["numbers"] { mapping.numbers = numbers(node) }
        if let node = top["dates"] { mapping.days = days(node) }
        if let node = top["skip"] { mapping.skipped = Set(texts(node, "skip")) }
        if let node = top["columns"] {
            if case .mapping(let columns) = node {
                for (key, value) in columns {
                    if let column = column(key, value, table) { mapping.columns.append(column) }
                }
            } else {
                fault(node, "'columns' says for columns of the table where their values come from")
            }
        }
        return mapping
    }

    private mutating func patterns(_ node: Node?, _ root: Node) -> [String] {
        guard let node else {
            fault(root, "'files' is missing: the names of the files that the mapping is for, such as PRICES_*.csv")
            return []
        }
        let patterns = texts(node, "files")
        if patterns.contains(where: { $0.isEmpty || $0.contains("/") }) {
            fault(node, "'files' has names of files, without a folder")
        }
        return patterns
    }

    private mutating func separator(_ node: Node) -> UInt8? {
        switch node.string {
        case ",": return UInt8(ascii: ",")
        case ";": return UInt8(ascii: ";")
        case "|": return UInt8(ascii: "|")
        case "\t", "tab": return UInt8(ascii: "\t")
        default:
            fault(node, "'separator' is one of \",\", \";\", \"|\" and tab")
            return nil
        }
    }

    // MARK: A column

    private mutating func column(_ key: Node, _ node: Node, _ table: ImportTable) -> MappedColumn? {
        let name = key.string ?? ""
        guard table.columns.contains(where: { $0.name == name }) else {
            let reason = table.closedColumns[name].map { "column \(name) of table \(table.name) \($0)" }
            fault(key, reason ?? "table \(table.name) has no column '\(name)'; its columns are \(table.columnList)")
            return nil
        }
        // The short form: `product_id: ARTNR`.
        if node.scalar != nil { return MappedColumn(name: name, source: .column(node.string ?? "")) }
        guard case .mapping(let parts) = node else {
            fault(node, "column \(name) has the name of the file's column, or keys such as from and constant")
            return nil
        }
        checkKeys(
            parts, ["from", "constant", "values", "otherwise", "numbers", "date", "lookup"], of: "column \(name)")
        var column: MappedColumn
        switch (parts["from"]?.string, parts["constant"]?.string) {
        case (let from?, nil): column = MappedColumn(name: name, source: .column(from))
        case (nil, let constant?): column = MappedColumn(name: name, source: .constant(constant))
        case (nil, nil): column = MappedColumn(name: name, source: .column(name))
        default:
            fault(node, "column \(name) has both 'from' and 'constant'; it can come from one of them")
            return nil
        }
        if let node = parts["values"] { column.values = values(node, of: name) }
        if let node = parts["otherwise"] {
            column.otherwise = node.string
            if column.values.isEmpty { fault(node, "'otherwise' means something beside 'values' only") }
        }
        if let node = parts["numbers"] { column.number = numbers(node) }
        if let node = parts["date"] { column.day = days(node) }
        if let node = parts["lookup"] { column.lookup = lookup(node) }
        return column
    }

    private mutating func values(_ node: Node, of column: String) -> [String: String] {
        guard case .mapping(let pairs) = node else {
            fault(
                node, "'values' of column \(column) has a value for each that the file may have, such as { J: 1, N: 0 }"
            )
            return [:]
        }
        var values: [String: String] = [:]
        for (key, value) in pairs {
            guard let key = key.string, let text = value.string else {
                fault(value, "'values' of column \(column) has texts and numbers only")
                continue
            }
            values[key] = text
        }
        return values
    }

    private mutating func numbers(_ node: Node) -> NumberFormat? {
        guard case .mapping(let parts) = node else {
            fault(node, "a format of numbers is written { decimal: \",\", thousands: \".\" }")
            return nil
        }
        checkKeys(parts, ["decimal", "thousands"], of: "a format of numbers")
        var format = NumberFormat()
        if let node = parts["decimal"] {
            guard let text = node.string, text == "," || text == "." else {
                fault(node, "'decimal' is \",\" or \".\"")
                return nil
            }
            format.decimal = text.utf8.first ?? format.decimal
        }
        if let node = parts["thousands"] {
            guard let text = node.string, [".", ",", "'", " "].contains(text), text.utf8.first != format.decimal else {
                fault(node, "'thousands' is one of \".\", \",\", \"'\" and \" \", and not what 'decimal' is")
                return nil
            }
            format.thousands = text.utf8.first
        }
        return format
    }

    private mutating func days(_ node: Node) -> DayFormat? {
        guard let format = node.string.flatMap(DayFormat.init) else {
            fault(node, "a format of days has yyyy or yy, MM or M, and dd or d, such as dd.MM.yyyy")
            return nil
        }
        return format
    }

    private mutating func lookup(_ node: Node) -> MappedLookup? {
        guard case .mapping(let parts) = node, let tableName = parts["table"]?.string,
            let match = parts["match"]?.string, let take = parts["take"]?.string
        else {
            fault(node, "a lookup is written { table: category, match: name, take: category_id }")
            return nil
        }
        checkKeys(parts, ["table", "match", "take"], of: "a lookup")
        guard let table = tables.table(tableName) else {
            fault(parts["table"], tables.noSuchTable(tableName))
            return nil
        }
        for (key, column) in [("match", match), ("take", take)]
        where !table.columns.contains(where: { $0.name == column }) {
            fault(
                parts[key], "table \(tableName) has no column '\(column)'; its columns are \(table.columnList)")
        }
        return MappedLookup(table: tableName, match: match, take: take)
    }

    // MARK: Parts

    private mutating func checkKeys(_ mapping: Node.Mapping, _ known: [String], of what: String) {
        for (key, _) in mapping where !known.contains(key.string ?? "") {
            fault(key, "'\(key.string ?? "?")' is no key of \(what), which has \(known.joined(separator: ", "))")
        }
    }

    /// One text, or a list of them.
    private mutating func texts(_ node: Node, _ what: String) -> [String] {
        if node.scalar != nil { return [node.string ?? ""] }
        guard case .sequence(let list) = node, list.allSatisfy({ $0.scalar != nil }) else {
            fault(node, "'\(what)' is a name or a list of names")
            return []
        }
        return list.compactMap(\.string)
    }

    private static func fault(of error: any Error, _ name: String) -> ImportFault {
        var line = 0
        var reason = "\(error)"
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            (line, reason) = (mark.line, "not YAML: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            let names = Set(keys).sorted().map { "'\($0)'" }.joined(separator: ", ")
            (line, reason) = (context.mark.line, "the key \(names) stands here and once more")
        default: break
        }
        return ImportFault(file: "mappings/" + name, line: line, reason: reason)
    }
}
