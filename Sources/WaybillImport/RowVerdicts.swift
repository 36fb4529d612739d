import GRDB

/// Hears of every fault of every row: writes it down beside the row, and remembers which rows to leave out.
final class RowVerdicts {
    private let record: ImportRecord?
    private let noteBad: Statement?
    /// What is wrong with the row that is being read; it is not written down yet.
    private var message: String?
    private var isReading = false
    /// The same storage for each row.
    private var line: [UInt8] = []
    /// Rows at fault, each time one is named: grows when a round has found something.
    private(set) var count = 0

    /// - Parameters:
    ///   - record: nil when nothing is staged.
    ///   - db: HQ's connection, when rows are to be left out.
    init(record: ImportRecord?, leavingOutIn db: Database?) throws {
        self.record = record
        guard let db else {
            noteBad = nil
            return
        }
        try db.execute(
            sql: """
                CREATE TEMP TABLE _bad_line (
                    file INTEGER NOT NULL, line INTEGER NOT NULL, PRIMARY KEY (file, line)
                ) WITHOUT ROWID
                """)
        noteBad = try db.makeStatement(sql: "INSERT OR IGNORE INTO temp._bad_line (file, line) VALUES (?, ?)")
    }

    var leavesOut: Bool { noteBad != nil }

    func note(_ file: Int, line: Int, _ text: String) throws {
        count += 1
        try noteBad?.execute(arguments: [file, line])
        if isReading {
            message = message.map { $0 + "; " + text } ?? text
        } else {
            try record?.note(file, line: line, message: text)
        }
    }

    // MARK: While rows are read

    func beginRow() {
        isReading = true
        message = nil
    }

    /// Writes the row down as it stood in the file, with what was found.
    func endRow(_ file: Int, _ row: borrowing CSVRecord) throws {
        isReading = false
        guard let record else { return }
        line.removeAll(keepingCapacity: true)
        row.appendLine(to: &line)
        try record.row(file, line: row.line, line, message: message)
    }

    func header(_ file: Int, _ row: borrowing CSVRecord) throws {
        guard let record else { return }
        line.removeAll(keepingCapacity: true)
        row.appendLine(to: &line)
        try record.header(file, line)
    }

    func endBatch() throws { try record?.endBatch() }
}

extension StagedFile {
    /// Moves the rows that are at fault out of the staged ones. Both look-ups go by line.
    mutating func leaveOutBadRows(in db: Database) throws {
        let isBad = "line IN (SELECT line FROM temp._bad_line WHERE file = \(index))"
        try db.execute(
            sql: """
                INSERT INTO \(badTable) SELECT * FROM \(rowsTable) WHERE \(isBad);
                DELETE FROM \(rowsTable) WHERE \(isBad);
                """)
        skipped =
            try Int.fetchOne(db, sql: "SELECT count(*) FROM temp._bad_line WHERE file = ?", arguments: [index]) ?? 0
    }
}

extension CSVRecord {
    /// The record as one line of CSV, whatever separator it had in its file.
    func appendLine(to line: inout [UInt8]) {
        for (index, field) in fields.enumerated() {
            if index > 0 { line.append(UInt8(ascii: ",")) }
            let content = bytes[field.range]
            let needsQuotes = field.isQuoted || content.contains(where: \.needsQuotes)
            guard needsQuotes else {
                line.append(contentsOf: content)
                continue
            }
            line.append(UInt8(ascii: "\""))
            for byte in content {
                if byte == UInt8(ascii: "\"") { line.append(byte) }
                line.append(byte)
            }
            line.append(UInt8(ascii: "\""))
        }
    }
}

extension UInt8 {
    fileprivate var needsQuotes: Bool {
        switch self {
        case UInt8(ascii: ","), UInt8(ascii: "\""), 0x0a, 0x0d: true
        default: false
        }
    }
}
