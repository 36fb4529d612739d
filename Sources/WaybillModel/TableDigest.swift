/// What a set of rows adds up to: how many there are, and the sum of their SHA-256, modulo 2^64 in each of four parts.
///
/// A sum does not depend on the order of the rows, and the sums of two parts of a table add up to that of both: a
/// table can be summed up scope by scope. It guards against accidents and against hands that edit rows, not against
/// somebody who owns the store and looks for rows whose sums agree.
public struct TableDigest: Hashable, Sendable {
    public static let bytesCount = 32

    public var count: Int64
    private var parts: (UInt64, UInt64, UInt64, UInt64)

    /// No rows.
    public init() {
        count = 0
        parts = (0, 0, 0, 0)
    }

    /// nil unless there are 32 bytes, each of the four parts with its greatest byte first.
    public init?(count: Int64, bytes: some Collection<UInt8>) {
        guard bytes.count == TableDigest.bytesCount else { return nil }
        var words: [UInt64] = [0, 0, 0, 0]
        for (index, byte) in bytes.enumerated() { words[index / 8] = words[index / 8] << 8 | UInt64(byte) }
        self.count = count
        parts = (words[0], words[1], words[2], words[3])
    }

    public var bytes: [UInt8] {
        [parts.0, parts.1, parts.2, parts.3].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
        }
    }

    public static func + (a: TableDigest, b: TableDigest) -> TableDigest {
        var sum = a
        sum.count += b.count
        sum.parts = (
            a.parts.0 &+ b.parts.0, a.parts.1 &+ b.parts.1, a.parts.2 &+ b.parts.2, a.parts.3 &+ b.parts.3
        )
        return sum
    }

    public static func == (a: TableDigest, b: TableDigest) -> Bool { a.count == b.count && a.parts == b.parts }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        hasher.combine(parts.0)
    }
}
