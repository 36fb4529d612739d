import WaybillModel

/// A moment as the administrator's interface writes it: ISO 8601, UTC, milliseconds (`2026-11-21T10:53:00.123Z`).
public struct UTCTime: Hashable, Sendable, Comparable, CustomStringConvertible {
    public var timestamp: Timestamp

    public init(_ timestamp: Timestamp) {
        self.timestamp = timestamp
    }

    /// Reads `2026-11-21`, `2026-11-21T10:53`, `2026-11-21T10:53:00` and `2026-11-21T10:53:00.123`, each of the last
    /// three with `Z`, an offset such as `+01:00`, or nothing, which means UTC.
    ///
    /// nil when `text` is nothing of that, or no date of the calendar.
    public init?(_ text: String) {
        var reader = DigitReader(text)
        guard let year = reader.number(digits: 4), reader.take("-"), let month = reader.number(digits: 2),
            reader.take("-"), let day = reader.number(digits: 2),
            (1...12).contains(month), (1...daysOfMonth(month, year: year)).contains(day)
        else { return nil }
        var milliseconds = Int64(daysSince1970(year: year, month: month, day: day)) * 86_400_000
        if !reader.isAtEnd {
            guard reader.take("T") || reader.take(" "), let time = reader.timeOfDay(), let offset = reader.offset(),
                reader.isAtEnd
            else { return nil }
            milliseconds += time - offset
        }
        timestamp = Timestamp(milliseconds: milliseconds)
    }

    public static func < (a: UTCTime, b: UTCTime) -> Bool { a.timestamp < b.timestamp }

    public var description: String {
        let milliseconds = timestamp.milliseconds
        let day = Int((Double(milliseconds) / 86_400_000).rounded(.down))
        let rest = Int(milliseconds - Int64(day) * 86_400_000)
        let date = civilDate(daysSince1970: day)
        return "\(pad(date.year, 4))-\(pad(date.month, 2))-\(pad(date.day, 2))"
            + "T\(pad(rest / 3_600_000, 2)):\(pad(rest / 60_000 % 60, 2)):\(pad(rest / 1000 % 60, 2))"
            + ".\(pad(rest % 1000, 3))Z"
    }
}

extension UTCTime: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let time = UTCTime(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is no ISO 8601 time")
        }
        self = time
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

private func pad(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

private func daysOfMonth(_ month: Int, year: Int) -> Int {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
}

/// Days of the proleptic Gregorian calendar, by the method of eras of 400 years that start on a 1st of March.
private func daysSince1970(year: Int, month: Int, day: Int) -> Int {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
}

/// The reverse of ``daysSince1970(year:month:day:)``.
private func civilDate(daysSince1970 days: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
}

/// Takes a time's text apart from the left.
private struct DigitReader {
    private var rest: Substring.UTF8View

    init(_ text: String) {
        rest = Substring(text).utf8
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let first = rest.first, UInt32(first) == character.value else { return false }
        rest.removeFirst()
        return true
    }

    mutating func number(digits: Int) -> Int? {
        var value = 0
        for _ in 0..<digits {
            guard let byte = rest.first, (48...57).contains(byte) else { return nil }
            value = value * 10 + Int(byte - 48)
            rest.removeFirst()
        }
        return value
    }

    /// `10:53`, `10:53:00` or `10:53:00.123` in milliseconds since midnight. Digits after the third are dropped.
    mutating func timeOfDay() -> Int64? {
        guard let hour = number(digits: 2), hour < 24, take(":"), let minute = number(digits: 2), minute < 60
        else { return nil }
        var milliseconds = Int64(hour * 60 + minute) * 60_000
        guard take(":") else { return milliseconds }
        guard let second = number(digits: 2), second < 60 else { return nil }
        milliseconds += Int64(second) * 1000
        guard take(".") else { return milliseconds }
        guard var scale = number(digits: 1).map({ (Int64($0) * 100, Int64(10)) }) else { return nil }
        while let digit = number(digits: 1) {
            scale = (scale.0 + Int64(digit) * scale.1, scale.1 / 10)
        }
        return milliseconds + scale.0
    }

    /// Milliseconds east of UTC; 0 for `Z` and for nothing.
    mutating func offset() -> Int64? {
        if isAtEnd || take("Z") { return 0 }
        let sign: Int64
        if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
        guard let hours = number(digits: 2), hours < 24, take(":"), let minutes = number(digits: 2), minutes < 60
        else { return nil }
        return sign * Int64(hours * 60 + minutes) * 60_000
    }
}
