import Testing
import WaybillModel

@testable import WaybillImport

/// A record as tests write it down: nil is NULL, "" an empty text.
private struct Plain: Equatable {
    var line: Int
    var fields: [String?]
    var faults: [CSVFieldFault] = []
}

private func parse(_ text: String, chunk: Int = .max) -> [Plain] { parse(Array(text.utf8), cuts: [], chunk: chunk) }

/// Reads `bytes` cut at each of `cuts`, or into chunks of equal size.
private func parse(_ bytes: [UInt8], cuts: [Int], chunk: Int = .max) -> [Plain] {
    var records: [Plain] = []
    var parser = CSVParser()
    let take: (borrowing CSVRecord) -> Void = { record in
        let fields: [String?] = record.fields.map { field in
            field.isNull ? nil : String(decoding: record.bytes[field.range], as: UTF8.self)
        }
        records.append(Plain(line: record.line, fields: fields, faults: record.fields.compactMap(\.fault)))
    }
    var ends = cuts
    if chunk < bytes.count { ends = Array(stride(from: chunk, to: bytes.count, by: chunk)) }
    var start = 0
    for end in ends + [bytes.count] {
        Array(bytes[start..<end]).withUnsafeBufferPointer { parser.feed($0, take: take) }
        start = end
    }
    parser.finish(take: take)
    return records
}

@Suite struct CSVParserTests {
    @Test func bothLineEndsAndNoLineEndFinishARecord() {
        let expected = [Plain(line: 1, fields: ["a", "b"]), Plain(line: 2, fields: ["c", "d"])]
        #expect(parse("a,b\r\nc,d\r\n") == expected)
        #expect(parse("a,b\nc,d\n") == expected)
        #expect(parse("a,b\nc,d") == expected)
    }

    @Test func anEmptyFieldIsNullAndAQuotedOneIsAnEmptyText() {
        #expect(
            parse("a,,\"\"\n,\n") == [Plain(line: 1, fields: ["a", nil, ""]), Plain(line: 2, fields: [nil, nil])])
        #expect(parse("").isEmpty)
        #expect(parse("\n") == [Plain(line: 1, fields: [nil])])
    }

    @Test func quotedFieldsHoldSeparatorsQuotesAndLineEnds() {
        let records = parse("\"a,b\",\"say \"\"hi\"\"\"\r\n\"two\r\nlines\",x\nnext,y\n")
        #expect(
            records == [
                Plain(line: 1, fields: ["a,b", "say \"hi\""]), Plain(line: 2, fields: ["two\r\nlines", "x"]),
                Plain(line: 4, fields: ["next", "y"]),
            ])
    }

    @Test func aByteOrderMarkIsSkippedAndWhatOnlyStartsLikeOneIsKept() {
        #expect(parse([0xef, 0xbb, 0xbf] + Array("\"a\",b".utf8), cuts: []) == [Plain(line: 1, fields: ["a", "b"])])
        #expect(
            parse("\u{feff}a\n\u{feff}b\n") == [Plain(line: 1, fields: ["a"]), Plain(line: 2, fields: ["\u{feff}b"])])
        #expect(parse("\u{ff01}a\n") == [Plain(line: 1, fields: ["\u{ff01}a"])])
    }

    @Test func aLoneCarriageReturnIsData() {
        #expect(parse("a\rb\nc\r") == [Plain(line: 1, fields: ["a\rb"]), Plain(line: 2, fields: ["c\r"])])
    }

    @Test func faultsOfWritingAreNotedAndReadingGoesOn() {
        #expect(
            parse("\"a\"x,b\nc,d\n") == [
                Plain(line: 1, fields: ["ax", "b"], faults: [.textAfterQuote]), Plain(line: 2, fields: ["c", "d"]),
            ])
        #expect(
            parse("a\"b,c\nd,e") == [
                Plain(line: 1, fields: ["a\"b", "c"], faults: [.quoteInUnquotedField]),
                Plain(line: 2, fields: ["d", "e"]),
            ])
        #expect(parse("\"a\"\rb\n") == [Plain(line: 1, fields: ["a\rb"], faults: [.textAfterQuote])])
        #expect(
            parse("a,b\nc,\"d\ne,f\n") == [
                Plain(line: 1, fields: ["a", "b"]),
                Plain(line: 2, fields: ["c", "d\ne,f\n"], faults: [.unterminatedQuote]),
            ])
    }

    @Test func aFieldWithoutEndTakesBoundedMemory() {
        let long = String(repeating: "x", count: CSVLimits.fieldBytesMax)
        #expect(parse(long + "\n", chunk: 1000) == [Plain(line: 1, fields: [long])])
        let records = parse(long + "x,b\nc,d\n", chunk: 1000)
        #expect(records.map(\.faults) == [[.tooLong], []])
        #expect((records[0].fields[0]?.utf8.count ?? 0) <= CSVLimits.fieldBytesMax)
        #expect(records[1] == Plain(line: 2, fields: ["c", "d"]))
    }

    @Test func fieldsBeyondTheBoundAreCountedAndNotKept() {
        var parser = CSVParser()
        var counts: [[Int]] = []
        let bytes = Array((String(repeating: "ab,", count: 1000) + "ab\nc\n").utf8)
        let take: (borrowing CSVRecord) -> Void = { counts.append([$0.fieldCount, $0.fields.count, $0.bytes.count]) }
        bytes.withUnsafeBufferPointer { parser.feed($0, take: take) }
        #expect(counts == [[1001, CSVLimits.fieldsMax, 2 * CSVLimits.fieldsMax], [1, 1, 1]])
    }

    /// Random records come back as they were written, however the bytes are cut.
    @Test(arguments: 0..<40) func whatIsWrittenIsReadBack(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var expected: [Plain] = []
        var text: [UInt8] = random.chance(4) ? [0xef, 0xbb, 0xbf] : []
        var line = 1
        let end = random.chance(2) ? "\r\n" : "\n"
        let width = Int.random(in: 1...5, using: &random)
        let count = Int.random(in: 1...12, using: &random)
        for number in 0..<count {
            let fields = (0..<width).map { _ in random.field() }
            expected.append(Plain(line: line, fields: fields))
            let row = fields.map { written($0, isQuoted: random.chance(3)) }.joined(separator: ",")
            line += 1 + row.utf8.count { $0 == 10 }
            text += Array(row.utf8)
            // Without a line end a last record of one NULL field would be no record at all.
            let isOpen = number == count - 1 && !row.isEmpty && random.chance(3)
            text += isOpen ? [] : Array(end.utf8)
        }
        #expect(parse(text, cuts: []) == expected)
        #expect(parse(text, cuts: [], chunk: 1) == expected)
        for cut in 0...text.count where parse(text, cuts: [cut]) != expected {
            Issue.record("cut at byte \(cut) of \(String(decoding: text, as: UTF8.self).debugDescription)")
        }
    }

    /// Whatever the bytes are, where they are cut makes no difference.
    @Test(arguments: 0..<40) func rubbishIsReadAlikeHoweverItIsCut(seed: UInt64) {
        var random = SplitMix(seed: seed &+ 1000)
        let alphabet: [UInt8] = Array("a,,\"\"\"\r\n\n".utf8) + [0xef, 0xbb, 0xbf, 0]
        let text = (0..<60).map { _ in alphabet.randomElement(using: &random) ?? 0 }
        let whole = parse(text, cuts: [])
        #expect(parse(text, cuts: [], chunk: 1) == whole)
        for cut in 0...text.count where parse(text, cuts: [cut]) != whole {
            Issue.record("cut at byte \(cut) of \(text)")
        }
    }
}

private func written(_ field: String?, isQuoted: Bool) -> String {
    guard let field else { return "" }
    let mustQuote = field.isEmpty || field.utf8.contains { [10, 13, 34, 44].contains($0) }
    // A field that starts with the byte order mark would lose it at the start of a file.
    guard mustQuote || isQuoted || field.hasPrefix("\u{feff}") else { return field }
    return "\"" + field.replacing("\"", with: "\"\"") + "\""
}

/// Drawn with a seed, so that what fails once fails again.
extension SplitMix {
    mutating func chance(_ of: UInt64) -> Bool { next() % of == 0 }

    mutating func field() -> String? {
        if chance(4) { return nil }
        let alphabet = ["a", "7", " ", ",", "\"", "\r", "\n", "\r\n", "é", "日", "🍞"]
        return (0..<Int.random(in: 0...6, using: &self)).map { _ in alphabet.randomElement(using: &self) ?? "" }
            .joined()
    }
}
