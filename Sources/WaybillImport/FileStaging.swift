import GRDB
import WaybillCapture
import WaybillDatabase

/// Reads one file into its staging tables and names everything that is wrong within a row.
struct FileStaging {
    private(set) var staged: StagedFile
    private let rules: [RowRule]
    private let insertion: StagingInsert
    private let columnIndexes: [String: Int]
    /// For each column of the table, the position of its field in a record. nil until the header has been read.
    private var positions: [Int?]?
    private var fieldCount = 0
    private var values: [FieldValue]

    /// Creates the TEMP tables.
    init(_ staged: StagedFile, in db: Database) throws {
        try staged.createTables(in: db)
        self.staged = staged
        rules = RowRule.rules(of: staged.table.name)
        insertion = try StagingInsert(staged, in: db)
        let names = staged.table.columns.enumerated().map { ($0.element.name, $0.offset) }
        columnIndexes = Dictionary(uniqueKeysWithValues: names)
        values = Array(repeating: .null, count: names.count)
    }

    /// Reads the whole file. A file that cannot be read is a fault like others, so that all of them are named.
    mutating func read(
        into faults: inout FaultList, progress: (_ rows: Int, _ bytesRead: Int64) throws -> Void
    ) throws {
        do {
            var me = self
            defer { self = me }
            try CSVFile.read(staged.file.path) { record in
                try me.take(record, &faults)
            } progress: { bytesRead in
                try progress(me.staged.rows, bytesRead)
            }
        } catch let fault as FileFault {
            staged.isWhole = false
            faults.add(staged.file, staged.index, line: 0, reason: fault.description)
            return
        }
        if positions == nil {
            staged.hasKeys = false
            faults.add(
                staged.file, staged.index, line: 1,
                reason: "the file is empty; its first line must name the columns \(staged.table.columnList)")
        }
    }

    private mutating func take(_ record: borrowing CSVRecord, _ faults: inout FaultList) throws {
        guard let positions else {
            readHeader(record, &faults)
            return
        }
        // Programs like to end a file with an empty line; it holds nothing that could be lost.
        if record.isBlank { return }
        staged.rows += 1
        guard record.fieldCount == fieldCount else {
            faults.add(staged.file, staged.index, line: record.line, reason: wrongCount(of: record))
            noteEnd(record)
            return
        }
        try record.bytes.withUnsafeBufferPointer { bytes in
            for (index, column) in staged.table.columns.enumerated() {
                guard let position = positions[index] else { continue }
                do throws(FieldFault) {
                    values[index] = try column.value(of: record.fields[position], in: bytes)
                } catch {
                    values[index] = .faulty
                    noteEnd(record)
                    faults.add(
                        staged.file, staged.index, line: record.line, column: column.name, columnIndex: index,
                        reason: error.reason)
                }
            }
            if !rules.isEmpty { checkRules(record.line, bytes, &faults) }
            try insertion.insert(line: record.line, values, bytes: bytes)
        }
    }

    /// A quote that is never closed swallows the rows behind it: then the file cannot tell which keys it has.
    private mutating func noteEnd(_ record: borrowing CSVRecord) {
        if record.fields.last?.fault == .unterminatedQuote { staged.isWhole = false }
    }

    private func checkRules(_ line: Int, _ bytes: UnsafeBufferPointer<UInt8>, _ faults: inout FaultList) {
        let row = RowValues(columns: columnIndexes, values: values, bytes: bytes)
        for rule in rules {
            guard let (column, reason) = rule.fault(in: row) else { continue }
            faults.add(
                staged.file, staged.index, line: line, column: column,
                columnIndex: column.flatMap { columnIndexes[$0] } ?? -1, reason: reason)
        }
    }

    // MARK: Header

    /// Finds the columns. Rows of a file with a faulty header are still checked as far as they can be.
    private mutating func readHeader(_ record: borrowing CSVRecord, _ faults: inout FaultList) {
        var found = [Int?](repeating: nil, count: staged.table.columns.count)
        for (position, field) in record.fields.enumerated() {
            let bytes = record.bytes[field.range]
            let name = String(decoding: bytes, as: UTF8.self)
            let reason: String
            if let fault = field.fault {
                reason = "column name \(position + 1): \(fault.reason)"
            } else if let index = columnIndexes[name] {
                if found[index] == nil {
                    found[index] = position
                    continue
                }
                reason = "column \(name) stands in the header twice"
            } else {
                reason =
                    "\(excerpt(bytes)) is no column of table \(staged.table.name); "
                    + "its columns are \(staged.table.columnList)"
            }
            faults.add(staged.file, staged.index, line: record.line, reason: reason)
        }
        for (index, column) in staged.table.columns.enumerated() where found[index] == nil {
            // Said once, here, and not again in each row: a rule that looks at the column stays silent.
            values[index] = .faulty
            faults.add(
                staged.file, staged.index, line: record.line, column: column.name, columnIndex: index,
                reason: "the header does not name the column")
            if staged.table.key.contains(column.name) { staged.hasKeys = false }
        }
        noteEnd(record)
        positions = found
        fieldCount = record.fieldCount
    }

    private func wrongCount(of record: borrowing CSVRecord) -> String {
        let count =
            "the record has \(record.fieldCount) \(record.fieldCount == 1 ? "field" : "fields"), "
            + "the header \(fieldCount)"
        // The way a field is written usually is the cause of a wrong number of them.
        let cause = record.fields.lazy.compactMap(\.fault).first
        return cause.map { "\(count): \($0.reason)" } ?? count
    }
}

extension HQTable {
    fileprivate var columnList: String { columns.map(\.name).joined(separator: ", ") }
}
