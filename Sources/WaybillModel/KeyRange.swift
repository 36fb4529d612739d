/// One value of a key, with its type, as SQLite stores it: text is bytes, which need not be UTF-8 and may hold a NUL.
public enum KeyValue: Hashable, Sendable, Comparable {
    case integer(Int64)
    case real(Double)
    case text([UInt8])
    case blob([UInt8])

    /// SQLite's own order: numbers, then text, then blobs.
    public static func < (a: KeyValue, b: KeyValue) -> Bool {
        switch (a, b) {
        case (.integer(let a), .integer(let b)): a < b
        case (.real(let a), .real(let b)): a < b
        case (.integer(let a), .real(let b)): Double(a) < b
        case (.real(let a), .integer(let b)): a < Double(b)
        case (.text(let a), .text(let b)), (.blob(let a), .blob(let b)): a.lexicographicallyPrecedes(b)
        default: a.rank < b.rank
        }
    }

    private var rank: Int {
        switch self {
        case .integer, .real: 0
        case .text: 1
        case .blob: 2
        }
    }

    /// Of a text or a blob the first bytes.
    public func cut(to bytesMax: Int) -> KeyValue {
        switch self {
        case .text(let bytes): .text(Array(bytes.prefix(bytesMax)))
        case .blob(let bytes): .blob(Array(bytes.prefix(bytesMax)))
        case .integer, .real: self
        }
    }

    /// Bytes that it takes up in a letter, about.
    public var bytes: Int {
        switch self {
        case .integer, .real: 10
        case .text(let bytes), .blob(let bytes): bytes.count + 6
        }
    }
}

/// Rows of a table with keys from `lower` on and below `upper`, in the order of the key's columns.
public struct KeyRange: Hashable, Sendable {
    /// nil: from the first row.
    public var lower: [KeyValue]?
    /// nil: to the last row.
    public var upper: [KeyValue]?

    public init(lower: [KeyValue]? = nil, upper: [KeyValue]? = nil) {
        self.lower = lower
        self.upper = upper
    }

    /// All rows.
    public static let all = KeyRange()

    /// Bytes that it takes up in a letter, about.
    public var bytes: Int { (lower ?? []).reduce(8) { $0 + $1.bytes } + (upper ?? []).reduce(0) { $0 + $1.bytes } }
}

extension [KeyRange] {
    /// The ranges in order, those that touch as one, and no more than `limit`: beyond it neighbours are joined, with
    /// what lies between them.
    public func joined(limit: Int) -> [KeyRange] {
        let sorted = sorted { a, b in
            guard let left = a.lower else { return b.lower != nil }
            guard let right = b.lower else { return false }
            return left.lexicographicallyPrecedes(right)
        }
        var joined: [KeyRange] = []
        for range in sorted {
            guard let last = joined.last else {
                joined.append(range)
                continue
            }
            if touches(last, range) {
                joined[joined.count - 1].upper = later(last.upper, range.upper)
            } else {
                joined.append(range)
            }
        }
        guard joined.count > limit, limit > 0 else { return joined }
        let size = (joined.count + limit - 1) / limit
        return stride(from: 0, to: joined.count, by: size).map { start in
            let group = joined[start..<Swift.min(start + size, joined.count)]
            return KeyRange(lower: group.first?.lower, upper: group.last?.upper)
        }
    }

    private func touches(_ a: KeyRange, _ b: KeyRange) -> Bool {
        guard let upper = a.upper else { return true }
        guard let lower = b.lower else { return true }
        return !upper.lexicographicallyPrecedes(lower)
    }

    private func later(_ a: [KeyValue]?, _ b: [KeyValue]?) -> [KeyValue]? {
        guard let a, let b else { return nil }
        return a.lexicographicallyPrecedes(b) ? b : a
    }
}
