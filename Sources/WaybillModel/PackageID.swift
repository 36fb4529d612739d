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
        // One name for one package: the same digits in upper case are none.
        guard let bytes = [UInt8](hexText: hex), bytes.hexText == hex else { return nil }
        self.init(bytes)
    }

    /// 64 lower-case hex digits: also the file's name.
    public var hex: String { bytes.hexText }
    public var description: String { String(hex.prefix(12)) }
}
