import GRDB
import WaybillDatabase

/// Reads one file into its staging tables and names everything that is wrong within a row.
struct FileStaging {
    private(set) var staged: StagedFile
    private let db: Database
    private let rules: [RowRule]
    private let verdicts: RowVerdicts
    /// Files that were read before this one: look-ups find their rows.
    private let earlier: [StagedFile]
    /// Made when the header is known.
    private var insertion: StagingInsert?
    private var mapper: RowMapper?
    private var columnIndexes: [String: Int] = [:]
    /// For each column of the table, the position of its field in a record. nil until the header has been read.
    private var positions: [Int?]?
    private var fieldCount = 0
    private var values: [FieldValue] = []

    init(_ staged: StagedFile, earlier: [StagedFile], verdicts: RowVerdicts, in db: Database) {
        self.staged = staged
        self.earlier = earlier
        self.verdicts = verdicts
        self.db = db
        rules = RowRule.rules(of: staged.table.name)
    }

    /// Reads the whole file. A file that cannot be read is a fault like others, so that all of them are named.
    mutating func read(
        into faults: inout FaultList, progress: (_ rows: Int, _ bytesRead: Int64) throws -> Void
    ) throws {
        do {
            var me = self
            defer { self = me }
            let separator = staged.file.mapping?.separator ?? UInt8(ascii: ",")
            try CSVFile.read(staged.file.path, separator: separator) { record in
                try me.take(record, &faults)
            } progress: { bytesRead in
                try me.verdicts.endBatch()
                try progress(me.staged.rows, bytesRead)
            }
        } catch let fault as FileFault {
            staged.isWhole = false
            try faults.add(staged.file, staged.index, line: 0, reason: fault.description)
        }
        if positions == nil {
            if staged.isWhole {
                staged.isHeaderGood = false
                try faults.add(
                    staged.file, staged.index, line: 1,
                    reason: "the file is empty; its first line must name the columns \(staged.table.columnList)")
            }
            staged.hasKeys = false
            try staged.createTables(in: db)
        }
    }

    private mutating func take(_ record: borrowing CSVRecord, _ faults: inout FaultList) throws {
        guard let positions else {
            try readHeader(record, &faults)
            return
        }
        // Programs like to end a file with an empty line; it holds nothing that could be lost.
        if record.isBlank { return }
        staged.rows += 1
        verdicts.beginRow()
        if record.fieldCount == fieldCount {
            try check(record, positions, &faults)
        } else {
            try faults.add(staged.file, staged.index, line: record.line, reason: wrongCount(of: record))
            noteEnd(record)
        }
        try verdicts.endRow(staged.index, record)
    }

    private mutating func check(
        _ record: borrowing CSVRecord, _ positions: [Int?], _ faults: inout FaultList
    ) throws {
        if mapper != nil {
            try mapper?.map(record)
            guard let mapper else { return }
            // The last field may be one that nobody wants; the rows that its quote swallows are wanted.
            if record.fields.last?.fault == .unterminatedQuote, staged.isWhole {
                noteEnd(record)
                try faults.add(
                    staged.file, staged.index, line: record.line, reason: CSVFieldFault.unterminatedQuote.reason)
            }
            try mapper.bytes.withUnsafeBufferPointer { bytes in
                try check(record.line, mapper.fields, bytes, positions, mapper.reasons, &faults)
            }
        } else {
            try record.bytes.withUnsafeBufferPointer { bytes in
                try check(record.line, record.fields, bytes, positions, [], &faults)
            }
        }
    }

    private mutating func check(
        _ line: Int, _ fields: [CSVField], _ bytes: UnsafeBufferPointer<UInt8>, _ positions: [Int?],
        _ reasons: [String?], _ faults: inout FaultList
    ) throws {
        for (index, column) in staged.table.columns.enumerated() {
            guard let position = positions[index] else { continue }
            do throws(FieldFault) {
                if !reasons.isEmpty, let reason = reasons[index] { throw FieldFault(reason) }
                values[index] = try column.value(of: fields[position], in: bytes)
            } catch {
                values[index] = .faulty
                if fields[position].fault == .unterminatedQuote { staged.isWhole = false }
                try faults.add(
                    staged.file, staged.index, line: line, column: column.name, columnIndex: index,
                    reason: error.reason)
            }
        }
        if !rules.isEmpty { try checkRules(line, bytes, &faults) }
        try insertion?.insert(line: line, values, bytes: bytes)
    }

    /// A quote that is never closed swallows the rows behind it: then the file cannot tell which keys it has.
    private mutating func noteEnd(_ record: borrowing CSVRecord) {
        if record.fields.last?.fault == .unterminatedQuote { staged.isWhole = false }
    }

    private func checkRules(_ line: Int, _ bytes: UnsafeBufferPointer<UInt8>, _ faults: inout FaultList) throws {
        let row = RowValues(columns: columnIndexes, values: values, bytes: bytes)
        for rule in rules {
            guard let (column, reason) = rule.fault(in: row) else { continue }
            try faults.add(
                staged.file, staged.index, line: line, column: column,
                columnIndex: column.flatMap { columnIndexes[$0] } ?? -1, reason: reason)
        }
    }

    // MARK: Header

    /// Finds the columns. Rows of a file with a faulty header are still checked as far as they can be.
    private mutating func readHeader(_ record: borrowing CSVRecord, _ faults: inout FaultList) throws {
        try verdicts.header(staged.index, record)
        let header = FileHeader(record, table: staged.table, mapping: staged.file.mapping)
        for fault in header.faults {
            try faults.add(
                staged.file, staged.index, line: record.line, column: fault.column,
                columnIndex: fault.column.flatMap { name in header.table.columns.firstIndex { $0.name == name } } ?? -1,
                reason: fault.reason)
        }
        staged.isHeaderGood = header.faults.isEmpty
        staged.table = header.table
        noteEnd(record)
        for key in staged.table.key {
            let index = staged.table.columns.firstIndex { $0.name == key }
            if index.flatMap({ header.positions[$0] }) == nil { staged.hasKeys = false }
        }
        // A column without a field is faulty in each row, and that is said once, in the header.
        values = header.positions.map { $0 == nil ? .faulty : .null }
        columnIndexes = Dictionary(
            uniqueKeysWithValues: staged.table.columns.enumerated().map { ($0.element.name, $0.offset) })
        try staged.createTables(in: db)
        insertion = try StagingInsert(staged, in: db)
        positions = header.positions
        fieldCount = record.fieldCount
        if let mapping = staged.file.mapping {
            mapper = try RowMapper(mapping, staged.table, positions: header.names, staged: earlier, in: db)
            // The mapper's records have the table's columns, in their order.
            positions = header.positions.enumerated().map { $0.element == nil ? nil : $0.offset }
        }
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
