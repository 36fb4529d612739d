import WaybillModel

/// Turns real values into damaged ones. Knows the structure of what it damages, for random bytes do not get far.
struct Mutator {
    enum Kind: Sendable {
        /// Fields with tags and lengths: protocol buffers.
        case fields
        /// Lines and words.
        case text
        /// Nothing known.
        case bytes
    }

    /// Bytes of an input at most: more than a frame of the protocol would only cost time.
    static let inputBytesMax = 64 * 1024

    let kind: Kind
    let corpus: [[UInt8]]

    func input(_ random: inout SplitMix) -> [UInt8] {
        var bytes = corpus[random.below(corpus.count)]
        // Now and then a value as it is: that it is taken is a promise too.
        if random.isOne(in: 64) { return bytes }
        for _ in 0...random.below(4) {
            switch kind {
            case .fields where !random.isOne(in: 4): bytes = Fields.mutated(bytes, depth: 0, &random)
            case .text where !random.isOne(in: 4): mutateText(&bytes, &random)
            default: mutateBytes(&bytes, &random)
            }
        }
        if bytes.count > Mutator.inputBytesMax { bytes.removeLast(bytes.count - Mutator.inputBytesMax) }
        return bytes
    }

    // MARK: bytes

    private func mutateBytes(_ bytes: inout [UInt8], _ random: inout SplitMix) {
        guard !bytes.isEmpty else { return bytes.append(random.byte()) }
        let place = random.below(bytes.count)
        switch random.below(8) {
        case 0: bytes[place] ^= 1 << UInt8(random.below(8))
        case 1: bytes[place] = random.byte()
        case 2: bytes[place] = [0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x22, 0x2c][random.below(8)]
        case 3: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.below(16)))
        case 4: bytes.insert(contentsOf: (0...random.below(16)).map { _ in random.byte() }, at: place)
        case 5:
            let piece = Array(bytes[place..<min(bytes.count, place + 1 + random.below(64))])
            for _ in 0...random.below(8) { bytes.insert(contentsOf: piece, at: place) }
        case 6: bytes.removeLast(bytes.count - place)
        default: bytes = Array(bytes[..<place]) + tail(&random)
        }
    }

    /// The end of another value.
    private func tail(_ random: inout SplitMix) -> [UInt8] {
        let other = corpus[random.below(corpus.count)]
        return other.isEmpty ? [] : Array(other[random.below(other.count)...])
    }

    // MARK: text

    /// What has a meaning in YAML, JSON or CSV, or none where one expects some.
    private static let words = [
        "\"", "'", ",", ":", ": ", "\n", "\r\n", "\r", "- ", "{", "}", "[", "]", "[[[[[[[[", "{{{{{{{{", "&a ", "*a",
        "<<: *a", "!!binary ", "!!set ", "? ", "|", ">", "---\n", "...\n", "#", "\t", "%YAML 9.9\n", "null", "~", "-1",
        "0", "1e999", "9223372036854775808", "NaN", ".inf", "0x", "true", "\u{0}", "\u{1b}[2J", "\u{202e}", "\u{feff}",
        "\\u0000", "\\ud800", "é", "\u{1f680}", "    ", "../", "SELECT", ";", "$", "=", "waybill1.",
    ].map { Array($0.utf8) }

    private func mutateText(_ bytes: inout [UInt8], _ random: inout SplitMix) {
        let place = bytes.isEmpty ? 0 : random.below(bytes.count)
        switch random.below(6) {
        case 0, 1: bytes.insert(contentsOf: Mutator.words[random.below(Mutator.words.count)], at: place)
        case 2:
            let word = Mutator.words[random.below(Mutator.words.count)]
            bytes.replaceSubrange(place..<min(bytes.count, place + word.count), with: word)
        case 3:
            // A line goes, or comes again somewhere else.
            var lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: false).map(Array.init)
            let line = lines.remove(at: random.below(lines.count))
            if random.isOne(in: 2) { lines.insert(line, at: random.below(lines.count + 1)) }
            bytes = Array(lines.joined(separator: [0x0a]))
        case 4:
            let word = Mutator.words[random.below(Mutator.words.count)]
            for _ in 0..<(1 << random.below(10)) where bytes.count < Mutator.inputBytesMax {
                bytes.insert(contentsOf: word, at: place)
            }
        default: mutateBytes(&bytes, &random)
        }
    }
}
