import WaybillAdmin
import WaybillModel

/// Numbers, sizes and times for eyes. Scripts use `--json`.
public enum Humane {
    /// `1,204,331`
    public static func count(_ number: some BinaryInteger) -> String {
        let digits = String(number.magnitude)
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result += "," }
            result.append(digit)
        }
        return number < 0 ? "-" + result : result
    }

    /// `1 store`, `3 stores`
    public static func count(_ number: some BinaryInteger, _ one: String, _ many: String? = nil) -> String {
        "\(count(number)) \(number == 1 ? one : many ?? one + "s")"
    }

    /// `38.1 MB`; units of 1000, as disks and lines are sold.
    public static func bytes(_ bytes: Int64) -> String {
        guard abs(bytes) >= 1000 else { return "\(bytes) B" }
        var value = Double(bytes)
        var unit = "B"
        for next in ["kB", "MB", "GB", "TB"] where abs(value) >= 999.95 || unit == "B" {
            value /= 1000
            unit = next
        }
        return "\(oneDecimal(value)) \(unit)"
    }

    /// `4.2 MB/s`
    public static func rate(_ bytesPerSecond: Double) -> String {
        bytes(Int64(bytesPerSecond.rounded())) + "/s"
    }

    /// `12 s`, `5 min`, `3 h`, `4 d`
    public static func span(milliseconds: Int64) -> String {
        let seconds = max(0, milliseconds) / 1000
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3600: return "\(seconds / 60) min"
        case ..<(48 * 3600): return "\(seconds / 3600) h"
        default: return "\(seconds / 86_400) d"
        }
    }

    /// `5 min ago`; `never` for nil. A moment a little ahead is another clock's now.
    public static func age(_ time: UTCTime?, now: Timestamp) -> String {
        guard let time else { return "never" }
        let milliseconds = now - time.timestamp
        return milliseconds < 1000 ? "now" : span(milliseconds: milliseconds) + " ago"
    }

    /// `2026-11-21 10:53:00Z`
    public static func moment(_ time: UTCTime) -> String {
        let text = time.description
        return text.prefix(10) + " " + text.dropFirst(11).prefix(8) + "Z"
    }

    /// The time of day where it is the day of `reference`, otherwise month, day and time. UTC.
    public static func moment(_ time: UTCTime?, near reference: UTCTime) -> String {
        guard let time else { return "-" }
        let text = time.description
        let timeOfDay = String(text.dropFirst(11).prefix(8))
        return text.prefix(10) == reference.description.prefix(10)
            ? timeOfDay : text.dropFirst(5).prefix(5) + " " + timeOfDay
    }

    private static func oneDecimal(_ value: Double) -> String {
        let tenths = Int64((value * 10).rounded())
        return "\(tenths / 10).\(abs(tenths % 10))"
    }
}

/// Times as people type them.
public enum TypedTime {
    /// Milliseconds of `90s`, `30min`, `2h`, `3d` or `4w`; nil for anything else.
    public static func span(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits), digits.count <= 9 else { return nil }
        let seconds: Int64
        switch text.dropFirst(digits.count) {
        case "s": seconds = 1
        case "m", "min": seconds = 60
        case "h": seconds = 3600
        case "d": seconds = 86_400
        case "w": seconds = 7 * 86_400
        default: return nil
        }
        return number * seconds * 1000
    }

    /// The moment that `2h` (so long ago) or an ISO 8601 time names.
    public static func moment(_ text: String, now: Timestamp) -> UTCTime? {
        if let span = span(text) { return UTCTime(now + -span) }
        return UTCTime(text)
    }
}
