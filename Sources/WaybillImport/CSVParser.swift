/// Bounds of a CSV file, each with its reason.
enum CSVLimits {
    /// Bytes of one field. No HQ column takes more than 4 KiB; what is longer is a quote that somebody forgot to close.
    static let fieldBytesMax = 64 * 1024
    /// Fields kept of one record; with the bound above a record takes at most 16 MiB of memory.
    static let fieldsMax = 256
}

/// What is wrong with the way a field is written, whatever its value.
enum CSVFieldFault: Equatable, Sendable {
    case unterminatedQuote
    case textAfterQuote
    case quoteInUnquotedField
    case tooLong
}

/// Where a field stands in its record's bytes, and how it was written.
struct CSVField: Equatable, Sendable {
    var range: Range<Int>
    var isQuoted: Bool
    var fault: CSVFieldFault?

    /// An empty field without quotes stands for NULL; `""` is an empty text.
    var isNull: Bool { range.isEmpty && !isQuoted && fault == nil }
}

/// One record. The parser uses the same storage for each, so a file of any length takes the memory of one record.
struct CSVRecord: Equatable, Sendable {
    /// The physical line on which the record starts, from 1. A quoted field may go on over further lines.
    var line = 1
    /// The values of all fields, one after the other, without quotes and separators.
    var bytes: [UInt8] = []
    /// The first ``CSVLimits/fieldsMax`` fields.
    var fields: [CSVField] = []
    /// How many fields the record has, kept or not.
    var fieldCount = 0

    /// An empty line, which is no record of any table with more than one column.
    var isBlank: Bool { fieldCount == 1 && fields[0].isNull }
}

/// Reads RFC 4180 from chunks of bytes, cut anywhere, and hands out one record at a time.
///
/// CRLF and LF both end a record, the last one needs neither, and a UTF-8 byte order mark at the start is skipped.
/// A CR alone is data. The parser never gives up: a fault is noted in its field and reading goes on, because all bad
/// rows of a file are to be named, not only the first.
struct CSVParser {
    private enum State: Equatable {
        /// At the very start, so many bytes of the byte order mark have been met.
        case mark(matched: Int)
        case fieldStart
        /// In a field without quotes, or in what wrongly follows a closing quote.
        case plain
        case quoted
        /// After a quote inside a quoted field: the first of a pair, or the closing one.
        case quoteInQuoted
        /// After a CR that ends the record if an LF follows, and is data otherwise.
        case carriageReturn
    }

    private static let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]

    private var state = State.mark(matched: 0)
    private var record = CSVRecord()
    private var line = 1
    private var fieldStart = 0
    private var isQuoted = false
    private var fault: CSVFieldFault?

    private let separator: UInt8

    /// - Parameter separator: the byte between fields; a comma unless a mapping says otherwise.
    init(separator: UInt8 = UInt8(ascii: ",")) {
        self.separator = separator
    }

    /// Takes the next bytes of the file and calls `take` for each record that they complete.
    mutating func feed(_ chunk: UnsafeBufferPointer<UInt8>, take: (borrowing CSVRecord) throws -> Void) rethrows {
        var next = 0
        while next < chunk.count {
            switch state {
            case .mark(let matched):
                if chunk[next] == CSVParser.byteOrderMark[matched] {
                    next += 1
                    state = matched == 2 ? .fieldStart : .mark(matched: matched + 1)
                } else {
                    endMark(matched)
                }
            case .fieldStart:
                if chunk[next] == .quote {
                    isQuoted = true
                    state = .quoted
                    next += 1
                } else {
                    state = .plain
                }
            case .plain:
                next = try plain(chunk, from: next, take: take)
            case .quoted:
                next = quoted(chunk, from: next)
            case .quoteInQuoted:
                try afterQuote(chunk[next], take: take)
                next += 1
            case .carriageReturn:
                if chunk[next] == .lineFeed {
                    next += 1
                    try endRecord(take: take)
                } else {
                    strayCarriageReturn()
                }
            }
        }
    }

    /// Ends the file: hands out the last record if no line end did.
    mutating func finish(take: (borrowing CSVRecord) throws -> Void) rethrows {
        if case .mark(let matched) = state { endMark(matched) }
        if state == .carriageReturn { strayCarriageReturn() }
        if state == .quoted { fault = .unterminatedQuote }
        if state == .fieldStart, record.fieldCount == 0 { return }
        try endRecord(take: take)
    }

    // MARK: In a field

    /// The run up to the next separator, and the separator. Returns where to go on.
    private mutating func plain(
        _ chunk: UnsafeBufferPointer<UInt8>, from start: Int, take: (borrowing CSVRecord) throws -> Void
    ) rethrows -> Int {
        var end = start
        while end < chunk.count {
            let byte = chunk[end]
            if byte == separator || byte == .lineFeed || byte == .carriageReturn || byte == .quote { break }
            end += 1
        }
        keep(chunk, start..<end)
        guard end < chunk.count else { return end }
        switch chunk[end] {
        case separator: endField()
        case .lineFeed: try endRecord(take: take)
        case .carriageReturn: state = .carriageReturn
        default:
            note(.quoteInUnquotedField)
            keep(chunk, end..<end + 1)
        }
        return end + 1
    }

    /// The run up to the next quote, and the quote. Returns where to go on.
    private mutating func quoted(_ chunk: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var end = start
        while end < chunk.count, chunk[end] != .quote {
            if chunk[end] == .lineFeed { line += 1 }
            end += 1
        }
        keep(chunk, start..<end)
        guard end < chunk.count else { return end }
        state = .quoteInQuoted
        return end + 1
    }

    private mutating func afterQuote(_ byte: UInt8, take: (borrowing CSVRecord) throws -> Void) rethrows {
        switch byte {
        case .quote:
            keep(.quote)
            state = .quoted
        case separator: endField()
        case .lineFeed: try endRecord(take: take)
        case .carriageReturn: state = .carriageReturn
        default:
            note(.textAfterQuote)
            keep(byte)
            state = .plain
        }
    }

    private mutating func strayCarriageReturn() {
        if isQuoted { note(.textAfterQuote) }
        keep(.carriageReturn)
        state = .plain
    }

    /// What looked like the start of a byte order mark is the start of the first field.
    private mutating func endMark(_ matched: Int) {
        for byte in CSVParser.byteOrderMark.prefix(matched) { keep(byte) }
        state = matched == 0 ? .fieldStart : .plain
    }

    // MARK: Keeping

    private mutating func keep(_ chunk: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
        guard hasRoom(for: range.count) else { return }
        record.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: chunk[range]))
    }

    private mutating func keep(_ byte: UInt8) {
        guard hasRoom(for: 1) else { return }
        record.bytes.append(byte)
    }

    private mutating func hasRoom(for count: Int) -> Bool {
        guard record.fieldCount < CSVLimits.fieldsMax else { return false }
        guard record.bytes.count - fieldStart + count <= CSVLimits.fieldBytesMax else {
            note(.tooLong)
            return false
        }
        return true
    }

    /// The first fault of a field is the cause of the others.
    private mutating func note(_ newFault: CSVFieldFault) {
        if fault == nil { fault = newFault }
    }

    private mutating func endField() {
        if record.fieldCount < CSVLimits.fieldsMax {
            record.fields.append(CSVField(range: fieldStart..<record.bytes.count, isQuoted: isQuoted, fault: fault))
        }
        record.fieldCount += 1
        fieldStart = record.bytes.count
        isQuoted = false
        fault = nil
        state = .fieldStart
    }

    private mutating func endRecord(take: (borrowing CSVRecord) throws -> Void) rethrows {
        endField()
        try take(record)
        line += 1
        record.line = line
        record.bytes.removeAll(keepingCapacity: true)
        record.fields.removeAll(keepingCapacity: true)
        record.fieldCount = 0
        fieldStart = 0
    }
}

extension UInt8 {
    fileprivate static let quote = UInt8(ascii: "\"")
    fileprivate static let lineFeed = UInt8(ascii: "\n")
    fileprivate static let carriageReturn = UInt8(ascii: "\r")
}
