/// The first record of a file: which field fills which column of the table.
struct FileHeader {
    struct Fault {
        /// The table's column; nil: the header as a whole.
        var column: String?
        var reason: String
    }

    /// Where the file's columns stand in a record.
    private(set) var names: [String: Int] = [:]
    /// The table, without the columns that the file leaves out and may leave out.
    private(set) var table: ImportTable
    /// For each column of ``table`` the position of its field; nil: there is none. With a mapping, a constant has 0.
    private(set) var positions: [Int?] = []
    private(set) var faults: [Fault] = []

    init(_ record: borrowing CSVRecord, table: ImportTable, mapping: ImportMapping?) {
        self.table = table
        for (position, field) in record.fields.enumerated() {
            let bytes = record.bytes[field.range]
            let name = String(decoding: bytes, as: UTF8.self)
            if let fault = field.fault {
                faults.append(Fault(reason: "column name \(position + 1): \(fault.reason)"))
            } else if let reason = FileHeader.reason(against: name, excerpt(bytes), table, mapping) {
                faults.append(Fault(reason: reason))
            } else if names[name] == nil {
                names[name] = position
            } else if mapping?.skips(name) != true {
                faults.append(Fault(reason: "column \(name) stands in the header twice"))
            }
        }
        findColumns(mapping)
    }

    /// Why nothing can be done with a column of this name, or nil.
    private static func reason(
        against name: String, _ shown: String, _ table: ImportTable, _ mapping: ImportMapping?
    ) -> String? {
        let isColumn = table.columns.contains { $0.name == name }
        guard let mapping else {
            if isColumn { return nil }
            if let reason = table.closedColumns[name] { return "column \(name) of table \(table.name) \(reason)" }
            return "\(shown) is no column of table \(table.name); its columns are \(table.columnList)"
        }
        if mapping.columns.contains(where: { $0.source == .column(name) }) || mapping.skips(name) { return nil }
        // A column that the mapping fills from elsewhere is not filled from its namesake as well.
        if isColumn, !mapping.columns.contains(where: { $0.name == name }) { return nil }
        return "mapping \(mapping.name) neither uses nor skips \(shown), which is no column of table \(table.name)"
    }

    private mutating func findColumns(_ mapping: ImportMapping?) {
        var kept: [ImportColumn] = []
        for column in table.columns {
            let mapped = mapping?.columns.first { $0.name == column.name }
            var position: Int?
            switch mapped?.source {
            case .constant: position = 0
            case .column(let name):
                position = names[name]
                if position == nil {
                    faults.append(
                        Fault(
                            column: column.name,
                            reason: "the header does not name \(excerpt(name.utf8)), from which mapping "
                                + "\(mapping?.name ?? "") fills the column"))
                }
            case nil:
                position = mapping?.skipped.contains(column.name) == true ? nil : names[column.name]
                // Who writes a mapping has said what the file brings; a file without one that lacks a column of the
                // retail tables is cut off.
                let mayBeLeftOut = column.mayBeLeftOut || (mapping != nil && column.isNullable)
                if position == nil, mayBeLeftOut, !table.key.contains(column.name) { continue }
                if position == nil {
                    faults.append(Fault(column: column.name, reason: "the header does not name the column"))
                }
            }
            kept.append(column)
            positions.append(position)
        }
        table.columns = kept
    }
}
