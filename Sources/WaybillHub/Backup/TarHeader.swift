/// A header of the tar format (POSIX ustar), for plain files only: what `tar tvf` and every archiver can read.
struct TarHeader: Hashable {
    static let blockBytes = 512

    /// Relative, with `/` between folders.
    var name: String
    var bytes: Int64
    var mode: UInt32
    /// Seconds since 1970.
    var modified: Int64

    /// Zero bytes that follow the content, up to the next block.
    var padding: Int { Int((512 - bytes % 512) % 512) }

    // MARK: writing

    /// - Throws: ``BackupFault`` when the name is longer than the format can hold.
    func encoded() throws(BackupFault) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: TarHeader.blockBytes)
        func put(_ bytes: some Collection<UInt8>, at offset: Int) {
            for (place, byte) in bytes.enumerated() { block[offset + place] = byte }
        }
        let (prefix, last) = try split()
        put(last, at: 0)
        put(TarHeader.octal(Int64(mode), digits: 7), at: 100)
        put(TarHeader.octal(0, digits: 7), at: 108)
        put(TarHeader.octal(0, digits: 7), at: 116)
        put(TarHeader.size(bytes), at: 124)
        put(TarHeader.octal(max(0, modified), digits: 11), at: 136)
        block[156] = UInt8(ascii: "0")
        put("ustar\u{0}00".utf8, at: 257)
        put(prefix, at: 345)
        put(TarHeader.octal(TarHeader.checksum(block), digits: 6) + [0, UInt8(ascii: " ")], at: 148)
        return block
    }

    /// A name of more than 100 bytes is cut at a `/`.
    private func split() throws(BackupFault) -> (prefix: [UInt8], last: [UInt8]) {
        let whole = Array(name.utf8)
        if whole.count <= 100 { return ([], whole) }
        for cut in whole.indices
        where whole[cut] == UInt8(ascii: "/") && cut <= 155 && whole.count - cut - 1 <= 100 && cut > 0 {
            return (Array(whole[..<cut]), Array(whole[(cut + 1)...]))
        }
        throw BackupFault("the name \(name) is too long for a backup; give the file a shorter one")
    }

    private static func octal(_ number: Int64, digits: Int) -> [UInt8] {
        let text = String(number, radix: 8)
        return Array((String(repeating: "0", count: max(0, digits - text.count)) + text).utf8)
    }

    /// Eleven octal digits end at 8 GiB; beyond, the number stands in binary, as GNU tar and bsdtar do it.
    private static func size(_ bytes: Int64) -> [UInt8] {
        if bytes < 1 << 33 { return octal(bytes, digits: 11) }
        return [0x80, 0, 0, 0] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: bytes >> (8 * Int64($0))) }
    }

    // MARK: reading

    /// nil for a block that is not the header of a plain file, or is damaged.
    init?(_ block: [UInt8]) {
        guard block.count == TarHeader.blockBytes, block[156] == UInt8(ascii: "0"),
            Array(block[257..<263]) == Array("ustar\u{0}".utf8),
            let sum = TarHeader.number(block[148..<156]), sum == TarHeader.checksum(block),
            let size = TarHeader.number(block[124..<136]), size >= 0,
            let mode = TarHeader.number(block[100..<108]), let modified = TarHeader.number(block[136..<148])
        else { return nil }
        let prefix = TarHeader.text(block[345..<500])
        let last = TarHeader.text(block[0..<100])
        guard let prefix, let last, !last.isEmpty else { return nil }
        name = prefix.isEmpty ? last : prefix + "/" + last
        bytes = size
        self.mode = UInt32(truncatingIfNeeded: mode)
        self.modified = modified
        // Bits that mean nothing are as they were written, or something has changed them.
        guard let written = try? encoded(), written == block else { return nil }
    }

    init(name: String, bytes: Int64, mode: UInt32, modified: Int64) {
        self.name = name
        self.bytes = bytes
        self.mode = mode
        self.modified = modified
    }

    private static func text(_ field: ArraySlice<UInt8>) -> String? {
        String(validating: field.prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func number(_ field: ArraySlice<UInt8>) -> Int64? {
        if field.first == 0x80 {
            let bytes = field.suffix(8)
            guard let first = bytes.first, first < 0x80, field.dropFirst().dropLast(8).allSatisfy({ $0 == 0 }) else {
                return nil
            }
            return bytes.reduce(0) { $0 << 8 | Int64($1) }
        }
        let digits = field.prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
        return String(validating: digits, as: UTF8.self).flatMap { Int64($0, radix: 8) }
    }

    /// The sum of all bytes, those of the checksum itself taken as blanks.
    private static func checksum(_ block: [UInt8]) -> Int64 {
        var sum: Int64 = 0
        for (place, byte) in block.enumerated() {
            sum += (148..<156).contains(place) ? Int64(UInt8(ascii: " ")) : Int64(byte)
        }
        return sum
    }
}
