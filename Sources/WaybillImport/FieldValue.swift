/// A field as it will stand in its column.
enum FieldValue: Equatable {
    case null
    /// The field has a fault of its own. Stored as NULL, so that the rest of the row can still be checked.
    case faulty
    case integer(Int64)
    case real(Double)
    /// A part of the record's bytes: UTF-8 without control characters.
    case text(Range<Int>)

    var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .real(let value): value
        case .null, .faulty, .text: nil
        }
    }
}

/// Why a field cannot stand in its column.
struct FieldFault: Error, Equatable {
    var reason: String

    init(_ reason: String) { self.reason = reason }
}

extension ImportColumn {
    /// The value that `field` of a record with these `bytes` has in this column.
    func value(of field: CSVField, in bytes: UnsafeBufferPointer<UInt8>) throws(FieldFault) -> FieldValue {
        if let fault = field.fault { throw FieldFault(fault.reason) }
        if field.isNull {
            if kind == .textOrEmpty { return .text(field.range) }
            guard isNullable else { throw FieldFault("the value is missing") }
            return .null
        }
        let content = UnsafeBufferPointer(rebasing: bytes[field.range])
        // Text is looked at as text first: an invalid byte is the better reason, whatever the column is for.
        try checkText(content)
        if content.isEmpty {
            if kind == .textOrEmpty || kind == .anyText { return .text(field.range) }
            throw FieldFault(
                isNullable ? "the value is an empty text; for no value leave out the quotes" : "the value is empty")
        }
        switch kind {
        case .text, .textOrEmpty, .anyText:
            return .text(field.range)
        case .date:
            guard isCalendarDay(content) else {
                throw FieldFault("\(excerpt(content)) is not a calendar day (YYYY-MM-DD)")
            }
            return .text(field.range)
        case .decimal(let digits):
            return try decimal(content, digits: digits)
        case .number:
            return try number(content)
        case .integer(let allowsNegative):
            return try integer(content, allowsNegative: allowsNegative)
        case .flag:
            guard content.count == 1, content[0] == UInt8(ascii: "0") || content[0] == UInt8(ascii: "1") else {
                throw FieldFault("\(excerpt(content)) is neither 0 nor 1")
            }
            return .integer(content[0] == UInt8(ascii: "1") ? 1 : 0)
        case .word(let words):
            guard words.contains(where: { $0.utf8.elementsEqual(content) }) else {
                throw FieldFault("\(excerpt(content)) is none of \(words.joined(separator: ", "))")
            }
            return .text(field.range)
        }
    }
}

extension CSVFieldFault {
    var reason: String {
        switch self {
        case .unterminatedQuote: "the quote that opens the value is never closed; what follows could not be read"
        case .textAfterQuote: "there is text after the closing quote"
        case .quoteInUnquotedField: "there is a quote inside a value that does not start with one"
        case .tooLong: "the value is over \(CSVLimits.fieldBytesMax) bytes long; perhaps a quote is not closed"
        }
    }
}

/// A value as faults quote it: cut where it gets long, with what cannot be printed written as `\u{…}`.
func excerpt(_ content: some Collection<UInt8>) -> String {
    // Four bytes hold the longest character, so the cut never shows.
    let text = String(decoding: content.prefix(4 * (ImportLimits.excerptMax + 1)), as: UTF8.self)
    var quoted = "'"
    for (index, scalar) in text.unicodeScalars.enumerated() {
        if index == ImportLimits.excerptMax {
            quoted += "…"
            break
        }
        let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
        quoted += isControl ? scalar.escaped(asASCII: true) : String(scalar)
    }
    return quoted + "'"
}

// MARK: Text

private func checkText(_ content: UnsafeBufferPointer<UInt8>) throws(FieldFault) {
    var isPlain = content.count <= ImportLimits.textBytesMax
    for byte in content where byte < 0x20 || byte >= 0x7f { isPlain = false }
    if isPlain { return }
    if content.contains(0) { throw FieldFault("the value holds a NUL byte") }
    guard let text = String(validating: content, as: UTF8.self) else {
        throw FieldFault("\(excerpt(content)) is not valid UTF-8")
    }
    for scalar in text.unicodeScalars where scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) {
        throw FieldFault("\(excerpt(content)) holds a control character (\(scalar.escaped(asASCII: true)))")
    }
    guard content.count <= ImportLimits.textBytesMax else {
        throw FieldFault("the value is \(content.count) bytes long; at most \(ImportLimits.textBytesMax) are allowed")
    }
}

// MARK: Days and numbers

private func isCalendarDay(_ content: UnsafeBufferPointer<UInt8>) -> Bool {
    guard content.count == 10, content[4] == UInt8(ascii: "-"), content[7] == UInt8(ascii: "-"),
        let year = digits(content, 0..<4), let month = digits(content, 5..<7), let day = digits(content, 8..<10)
    else { return false }
    guard year >= 1, (1...12).contains(month), day >= 1 else { return false }
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    return day <= days
}

private func digits(_ content: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Int? {
    var value = 0
    for index in range {
        guard let digit = digit(content[index]) else { return nil }
        value = value * 10 + digit
    }
    return value
}

private func digit(_ byte: UInt8) -> Int? {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? Int(byte - UInt8(ascii: "0")) : nil
}

/// Reads `12`, `12.5`, `12.5000`; no sign, exponent or separator, and at least one digit on each side of the point.
///
/// The number has at most 15 significant digits: so many a double keeps exactly, whoever reads it back.
private func decimal(_ content: UnsafeBufferPointer<UInt8>, digits digitsMax: Int) throws(FieldFault) -> FieldValue {
    let isNegative = content[0] == UInt8(ascii: "-")
    var mantissa: Int64 = 0
    var whole = 0
    var fraction = 0
    var isAfterPoint = false
    let limit = power(of: 10, 15 - digitsMax)
    for byte in content[(isNegative ? 1 : 0)...] {
        if byte == UInt8(ascii: "."), !isAfterPoint, whole > 0 {
            isAfterPoint = true
        } else if let digit = digit(byte) {
            if isAfterPoint { fraction += 1 } else { whole += 1 }
            // Beyond the bound the value no longer matters, only whether the rest is a number.
            if mantissa < power(of: 10, 15), fraction <= digitsMax { mantissa = mantissa * 10 + Int64(digit) }
        } else {
            throw FieldFault("\(excerpt(content)) is not a number such as 12.50")
        }
    }
    guard whole > 0, !isAfterPoint || fraction > 0 else {
        throw FieldFault("\(excerpt(content)) is not a number such as 12.50")
    }
    guard !isNegative else { throw FieldFault("\(excerpt(content)) is negative") }
    guard fraction <= digitsMax else {
        throw FieldFault("\(excerpt(content)) has more than \(digitsMax) digits after the point")
    }
    let scale = power(of: 10, fraction)
    guard mantissa / scale < limit else { throw FieldFault("\(excerpt(content)) is not below \(limit)") }
    // As SQLite's own NUMERIC columns: whole numbers as integers. Both operands are exact, so the quotient is the
    // double nearest to what the file says.
    return mantissa % scale == 0 ? .integer(mantissa / scale) : .real(Double(mantissa) / Double(scale))
}

/// Any decimal number that a double keeps: at most 15 significant digits, as ``decimal(_:digits:)``.
private func number(_ content: UnsafeBufferPointer<UInt8>) throws(FieldFault) -> FieldValue {
    let unsigned = content[(content[0] == UInt8(ascii: "-") ? 1 : 0)...]
    let parts = unsigned.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
    let isNumber = parts.allSatisfy { !$0.isEmpty && $0.allSatisfy { digit($0) != nil } }
    let text = String(decoding: content, as: UTF8.self)
    guard isNumber, let value = Double(text) else {
        throw FieldFault("\(excerpt(content)) is not a number such as -12.50")
    }
    let significant = parts.joined().drop { $0 == UInt8(ascii: "0") }.count
    guard significant <= 15 else { throw FieldFault("\(excerpt(content)) has more than 15 digits") }
    // As SQLite's own numeric columns: whole numbers as integers.
    if let whole = Int64(exactly: value) { return .integer(whole) }
    return .real(value)
}

private func integer(_ content: UnsafeBufferPointer<UInt8>, allowsNegative: Bool) throws(FieldFault) -> FieldValue {
    let isNegative = content[0] == UInt8(ascii: "-")
    let magnitude = content[(isNegative ? 1 : 0)...]
    guard !magnitude.isEmpty, magnitude.allSatisfy({ digit($0) != nil }) else {
        throw FieldFault("\(excerpt(content)) is not a whole number")
    }
    guard allowsNegative || !isNegative else { throw FieldFault("\(excerpt(content)) is negative") }
    guard let value = Int64(String(decoding: content, as: UTF8.self)) else {
        throw FieldFault("\(excerpt(content)) is too large")
    }
    return .integer(value)
}

private func power(of base: Int64, _ exponent: Int) -> Int64 {
    var value: Int64 = 1
    for _ in 0..<exponent { value *= base }
    return value
}
