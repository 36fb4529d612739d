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
    /// The part for people; rises with time within one history of the hub.
    public let number: Int64
    /// 48 bits. Numbers, not the text: a hub copies and compares names of sessions for each message it hears.
    private let random: UInt64

    private static let hexDigits = 12
    private static let randomMask: UInt64 = 0xffff_ffff_ffff

    /// nil when `text` is not `NUMBER-HEX`, just as ``rawValue`` writes it.
    public init?(_ text: String) {
        var number: Int64 = 0
        var random: UInt64 = 0
        // -1 before the dash.
        var hexDigits = -1
        for byte in text.utf8 {
            if hexDigits >= 0 {
                switch byte {
                case 48...57: random = random << 4 | UInt64(byte - 48)
                case 97...102: random = random << 4 | UInt64(byte - 87)
                default: return nil
                }
                hexDigits += 1
                guard hexDigits <= SessionID.hexDigits else { return nil }
            } else if byte == 45, number > 0 {
                hexDigits = 0
            } else {
                guard (48...57).contains(byte) else { return nil }
                let (tens, isTooLarge) = number.multipliedReportingOverflow(by: 10)
                let (sum, isLarger) = tens.addingReportingOverflow(Int64(byte - 48))
                // A number that is still 0 began with a 0.
                guard !isTooLarge, !isLarger, sum > 0 else { return nil }
                number = sum
            }
        }
        guard hexDigits == SessionID.hexDigits else { return nil }
        self.number = number
        self.random = random
    }

    /// The session with this number and the low 48 bits of `random`.
    public init(number: Int64, random: UInt64) {
        precondition(number > 0, "session numbers start at 1")
        self.number = number
        self.random = random & SessionID.randomMask
    }

    /// The name as a text.
    public var rawValue: String {
        let hex = String(random, radix: 16)
        return "\(number)-" + String(repeating: "0", count: SessionID.hexDigits - hex.count) + hex
    }

    public var description: String { rawValue }
}

private func isPrintableName(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= Limits.nameBytesMax
        && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f && !(0x80...0x9f).contains($0.value) }
}
