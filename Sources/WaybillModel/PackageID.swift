/// The name of a package: the SHA-256 of its compressed file. What has this name has this content.
public struct PackageID: Hashable, Sendable, CustomStringConvertible {
    /// 32 bytes.
    public let bytes: [UInt8]

    /// nil unless there are exactly 32 bytes.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// nil unless `hex` is 64 lower-case hex digits.
    public init?(hex: String) {
        let digits = Array(hex.utf8)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for pair in stride(from: 0, to: 64, by: 2) {
            guard let high = PackageID.value(digits[pair]), let low = PackageID.value(digits[pair + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        self.bytes = bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 48...57: digit - 48
        case 97...102: digit - 87
        default: nil
        }
    }

    /// 64 lower-case hex digits: also the file's name.
    public var hex: String {
        bytes.map { (String($0 >> 4, radix: 16), String($0 & 15, radix: 16)) }.map { $0 + $1 }.joined()
    }
    public var description: String { String(hex.prefix(12)) }
}
