/// A name that head office gave to a store, as in column `store_id` of HQ's table `store`.
public struct StoreID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: String

    /// nil when `text` is empty, longer than ``Limits/nameBytesMax`` or holds control characters.
    public init?(_ text: String) {
        guard isPrintableName(text) else { return nil }
        rawValue = text
    }

    public var description: String { rawValue }
    public static func < (a: StoreID, b: StoreID) -> Bool { a.rawValue < b.rawValue }
}

/// The name of a job: `assortments`, `delivery-modes`, `prices`, or one that a user added.
public struct JobID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: String

    /// nil when `text` is empty, longer than ``Limits/nameBytesMax`` or holds control characters.
    public init?(_ text: String) {
        guard isPrintableName(text) else { return nil }
        rawValue = text
    }

    public var description: String { rawValue }
    public static func < (a: JobID, b: JobID) -> Bool { a.rawValue < b.rawValue }
}

/// The name of one download session: its number in this hub's list, a dash, and 48 random bits in hex (`42-9f3c1b2e55aa`).
///
/// The number is for people. The random part makes the name unique for ever: a hub restored from an older
/// backup uses the number again, never the name.
public struct SessionID: Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String

    /// nil when `text` is not `NUMBER-HEX`.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int64(parts[0]), number > 0, String(number) == parts[0],
            parts[1].utf8.count == 12,
            parts[1].utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else { return nil }
        rawValue = text
    }

    /// The session with this number and the low 48 bits of `random`.
    public init(number: Int64, random: UInt64) {
        precondition(number > 0, "session numbers start at 1")
        let hex = String(random & 0xffff_ffff_ffff, radix: 16)
        rawValue = "\(number)-" + String(repeating: "0", count: 12 - hex.count) + hex
    }

    /// The part for people; rises with time within one history of the hub.
    public var number: Int64 { Int64(rawValue.prefix { $0 != "-" }) ?? 0 }
    public var description: String { rawValue }
}

private func isPrintableName(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= Limits.nameBytesMax
        && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f && !(0x80...0x9f).contains($0.value) }
}
