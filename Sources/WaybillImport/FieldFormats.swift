/// How a file writes numbers.
struct NumberFormat: Sendable, Equatable {
    var decimal = UInt8(ascii: ".")
    /// Between groups of three digits; nil: digits are not grouped.
    var thousands: UInt8?

    /// The number as HQ's columns read it: `-1234.50`.
    ///
    /// A minus may stand behind the number, as some programs write it. Groups must be groups: in `1.23` with
    /// thousands `.`, the file means something else than the mapping says.
    func canonical(_ content: some BidirectionalCollection<UInt8>) throws(FieldFault) -> [UInt8] {
        var digits = Array(content)
        var isNegative = false
        if digits.first == UInt8(ascii: "-") {
            isNegative = true
            digits.removeFirst()
        } else if digits.last == UInt8(ascii: "-") {
            isNegative = true
            digits.removeLast()
        }
        let parts = digits.split(separator: decimal, maxSplits: 1, omittingEmptySubsequences: false)
        let groups = thousands.map { parts[0].split(separator: $0, omittingEmptySubsequences: false) } ?? [parts[0]]
        let isGrouped = groups.count == 1 || (groups[0].count <= 3 && groups.dropFirst().allSatisfy { $0.count == 3 })
        let all = groups + parts.dropFirst()
        guard isGrouped, all.allSatisfy({ !$0.isEmpty && $0.allSatisfy { (48...57).contains($0) } }) else {
            throw FieldFault("\(excerpt(content)) is not a number such as \(example)")
        }
        var result: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
        for group in groups { result += group }
        if parts.count == 2 { result += [UInt8(ascii: ".")] + parts[1] }
        return result
    }

    private var example: String {
        let point = String(decoding: [decimal], as: UTF8.self)
        return thousands.map { "1\(String(decoding: [$0], as: UTF8.self))234\(point)50" } ?? "1234\(point)50"
    }
}

/// How a file writes days: `dd.MM.yyyy`, `M/d/yy`, `yyyyMMdd`, `yyyy-MM-dd HH:mm:ss`.
struct DayFormat: Sendable, Equatable {
    private enum Part: Sendable, Equatable {
        case year(digits: Int)
        /// One or two digits; exactly two where the pattern has two letters.
        case month(digits: Int)
        case day(digits: Int)
        /// Hours, minutes, seconds: read, and not kept. HQ's columns hold days.
        case ignored
        case literal(UInt8)
    }

    let pattern: String
    private let parts: [Part]

    /// nil when `pattern` does not have a year, a month and a day, each once, or has letters that mean nothing.
    init?(_ pattern: String) {
        var parts: [Part] = []
        var rest = pattern.utf8[...]
        while let letter = rest.first {
            let run = rest.prefix { $0 == letter }.count
            let part: Part
            switch (letter, run) {
            case (UInt8(ascii: "y"), 4), (UInt8(ascii: "y"), 2): part = .year(digits: run)
            case (UInt8(ascii: "M"), 1...2): part = .month(digits: run)
            case (UInt8(ascii: "d"), 1...2): part = .day(digits: run)
            case (UInt8(ascii: "H"), 2), (UInt8(ascii: "m"), 2), (UInt8(ascii: "s"), 2): part = .ignored
            case (65...90, _), (97...122, _), (48...57, _): return nil
            default:
                parts += Array(repeating: .literal(letter), count: run)
                rest = rest.dropFirst(run)
                continue
            }
            parts.append(part)
            rest = rest.dropFirst(run)
        }
        func count(_ isSuch: (Part) -> Bool) -> Int { parts.filter(isSuch).count }
        let years = count { if case .year = $0 { true } else { false } }
        let months = count { if case .month = $0 { true } else { false } }
        let days = count { if case .day = $0 { true } else { false } }
        guard years == 1, months == 1, days == 1 else { return nil }
        self.pattern = pattern
        self.parts = parts
    }

    /// The day as `YYYY-MM-DD`. Whether there is such a day is for the column to say.
    func canonical(_ content: some BidirectionalCollection<UInt8>) throws(FieldFault) -> [UInt8] {
        var rest = Array(content)[...]
        var (year, month, day) = (0, 0, 0)
        for part in parts {
            let value: Int?
            switch part {
            case .literal(let byte): value = rest.popFirst() == byte ? 0 : nil
            case .ignored: value = number(&rest, 2)
            case .year(let digits):
                value = number(&rest, digits)
                // Two digits are of this century: HQ keeps days to come, and some that are just gone.
                year = (value ?? 0) + (digits == 2 ? 2000 : 0)
            case .month(let digits):
                value = number(&rest, digits)
                month = value ?? 0
            case .day(let digits):
                value = number(&rest, digits)
                day = value ?? 0
            }
            guard value != nil else { throw fault(content) }
        }
        guard rest.isEmpty else { throw fault(content) }
        func padded(_ value: Int, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return Array("\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))".utf8)
    }

    private func fault(_ content: some BidirectionalCollection<UInt8>) -> FieldFault {
        FieldFault("\(excerpt(content)) is not a day written as \(pattern)")
    }

    /// Exactly `digits` digits; with one letter, one or two.
    private func number(_ rest: inout ArraySlice<UInt8>, _ digits: Int) -> Int? {
        let found = rest.prefix(digits == 1 ? 2 : digits).prefix { (48...57).contains($0) }
        guard digits == 1 ? !found.isEmpty : found.count == digits else { return nil }
        rest = rest.dropFirst(found.count)
        return found.reduce(0) { $0 * 10 + Int($1 - 48) }
    }
}
