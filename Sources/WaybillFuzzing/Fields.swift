import WaybillModel

/// Protocol buffers as far as one must know them to damage one field and leave the others whole.
enum Fields {
    private struct Field {
        var number: UInt64
        var wireType: UInt8
        /// The payload: a varint's value, or the bytes.
        var value: UInt64 = 0
        var bytes: [UInt8] = []
    }

    /// Messages within messages that are followed.
    private static let depthMax = 6

    private static let numbers: [UInt64] = [
        0, 1, 2, 127, 128, 255, 256, 65_535, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000,
        UInt64(Int64.max), UInt64(Int64.max) + 1, .max,
    ]

    /// The message with one thing changed; bytes that are no message come back as they are.
    static func mutated(_ message: [UInt8], depth: Int, _ random: inout SplitMix) -> [UInt8] {
        guard var fields = parse(message), !fields.isEmpty else { return message }
        let place = random.below(fields.count)
        // Mostly further in: the outermost message has one field or two.
        if fields[place].wireType == 2, depth < depthMax, !random.isOne(in: 3) {
            if let inner = parse(fields[place].bytes), !inner.isEmpty {
                fields[place].bytes = mutated(fields[place].bytes, depth: depth + 1, &random)
                return write(fields)
            }
        }
        switch random.below(9) {
        case 0: fields.remove(at: place)
        case 1: fields.insert(fields[place], at: random.below(fields.count + 1))
        case 2:
            let field = fields[place]
            fields.insert(contentsOf: repeatElement(field, count: 1 << random.below(11)), at: place)
        case 3: fields[place].number = UInt64(random.below(32))
        case 4: fields[place].wireType = UInt8(random.below(8))
        case 5: fields.swapAt(place, random.below(fields.count))
        case 6:
            // A message in itself, many times.
            for _ in 0..<random.below(120) {
                fields[place].bytes = write([
                    Field(number: fields[place].number, wireType: 2, bytes: fields[place].bytes)
                ])
            }
        default: change(&fields[place], &random)
        }
        var bytes = write(fields)
        // A length that promises more than there is.
        if random.isOne(in: 16), !bytes.isEmpty { bytes[random.below(bytes.count)] = 0xff }
        return bytes
    }

    private static func change(_ field: inout Field, _ random: inout SplitMix) {
        guard field.wireType == 2 else {
            field.value = random.isOne(in: 4) ? random.next() : numbers[random.below(numbers.count)]
            return
        }
        switch random.below(6) {
        case 0: field.bytes = []
        case 1: field.bytes += repeatElement(random.byte(), count: 1 << random.below(13))
        case 2: field.bytes = Array("../\u{1b}[2J\u{0}\u{202e}".utf8)
        case 3: field.bytes = [0xc0, 0x80, 0xff, 0xfe]
        case 4: field.bytes = field.bytes.map { $0 ^ 0x20 }
        default:
            if field.bytes.isEmpty { field.bytes = [0] }
            field.bytes[random.below(field.bytes.count)] = random.byte()
        }
    }

    private static func parse(_ bytes: [UInt8]) -> [Field]? {
        var fields: [Field] = []
        var place = 0
        func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: 0, to: 70, by: 7) {
                guard place < bytes.count else { return nil }
                let byte = bytes[place]
                place += 1
                if shift < 64 { value |= UInt64(byte & 0x7f) << UInt64(shift) }
                if byte < 0x80 { return value }
            }
            return nil
        }
        while place < bytes.count {
            guard let tag = varint(), tag >> 3 > 0 else { return nil }
            var field = Field(number: tag >> 3, wireType: UInt8(tag & 7))
            switch field.wireType {
            case 0:
                guard let value = varint() else { return nil }
                field.value = value
            case 1, 5:
                let count = field.wireType == 1 ? 8 : 4
                guard bytes.count - place >= count else { return nil }
                for index in 0..<count { field.value |= UInt64(bytes[place + index]) << UInt64(8 * index) }
                place += count
            case 2:
                guard let count = varint(), count <= UInt64(bytes.count - place) else { return nil }
                field.bytes = Array(bytes[place..<place + Int(count)])
                place += Int(count)
            default: return nil
            }
            fields.append(field)
        }
        return fields
    }

    private static func write(_ fields: [Field]) -> [UInt8] {
        var bytes: [UInt8] = []
        func varint(_ value: UInt64) {
            var rest = value
            while rest >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }
        for field in fields where bytes.count <= Mutator.inputBytesMax {
            varint(field.number << 3 | UInt64(field.wireType))
            switch field.wireType {
            case 0: varint(field.value)
            case 1: for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: field.value >> UInt64(8 * shift))) }
            case 5: for shift in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: field.value >> UInt64(8 * shift))) }
            default:
                varint(UInt64(field.bytes.count))
                bytes += field.bytes
            }
        }
        return bytes
    }
}
