import Testing
import WaybillCapture

@testable import WaybillImport

@Suite struct FieldValueTests {
    private func read(
        _ text: String?, _ kind: HQColumnKind, nullable: Bool = false, quoted: Bool = false
    ) -> Result<FieldValue, FieldFault> {
        read(bytes: Array((text ?? "").utf8), kind, nullable: nullable, quoted: quoted)
    }

    private func read(
        bytes: [UInt8], _ kind: HQColumnKind, nullable: Bool = false, quoted: Bool = false
    ) -> Result<FieldValue, FieldFault> {
        let field = CSVField(range: 0..<bytes.count, isQuoted: quoted)
        return bytes.withUnsafeBufferPointer { buffer in
            do throws(FieldFault) {
                return .success(try ImportColumn(HQColumn("c", kind, nullable: nullable)).value(of: field, in: buffer))
            } catch {
                return .failure(error)
            }
        }
    }

    private func fault(_ text: String, _ kind: HQColumnKind) -> String {
        if case .failure(let fault) = read(text, kind) { return fault.reason }
        return "(taken)"
    }

    @Test(arguments: ["2024-02-29", "2000-02-29", "1900-02-28", "0001-01-01", "9999-12-31", "2025-04-30"])
    func realDaysAreTaken(day: String) {
        #expect(read(day, .date) == .success(.text(0..<10)))
    }

    @Test(arguments: [
        "2023-02-29", "1900-02-29", "2025-04-31", "2025-13-01", "2025-00-10", "2025-01-00", "0000-01-01", "2025-1-01",
        "01.02.2025", "2025-01-01T00:00:00Z", "2025/01/01", "２０２５-01-01", " 2025-01-01", "2025-01-1x", "heute",
    ])
    func otherDaysAreRefused(day: String) {
        #expect(fault(day, .date) == "'\(day)' is not a calendar day (YYYY-MM-DD)")
    }

    @Test func decimalsAreTakenExactly() {
        let kind = HQColumnKind.decimal(digits: 4)
        #expect(read("12.2900", kind) == .success(.real(12.29)))
        #expect(read("20.0000", kind) == .success(.integer(20)))
        #expect(read("0", kind) == .success(.integer(0)))
        #expect(read("007.50", kind) == .success(.real(7.5)))
        #expect(read("99999999999.9999", kind) == .success(.real(99_999_999_999.9999)))
        #expect(read("0.000001", .decimal(digits: 6)) == .success(.real(0.000001)))
    }

    @Test func otherDecimalsAreRefusedWithTheReason() {
        let kind = HQColumnKind.decimal(digits: 4)
        #expect(fault("-1", kind) == "'-1' is negative")
        #expect(fault("-0.00", kind) == "'-0.00' is negative")
        #expect(fault("1.00000", kind) == "'1.00000' has more than 4 digits after the point")
        #expect(fault("100000000000", kind) == "'100000000000' is not below 100000000000")
        #expect(fault("9999999999999999999999999.1", kind) == "'9999999999999999999999999.1' is not below 100000000000")
        for text in ["1e5", "1,5", "1.000,00", "+1", ".5", "5.", "-", ".", "1.2.3", "1 000", "NaN", "inf", "0x10", "١"]
        {
            #expect(fault(text, kind) == "'\(text)' is not a number such as 12.50")
        }
    }

    @Test func integersFlagsAndWordsAreChecked() {
        #expect(read("42", .integer(allowsNegative: false)) == .success(.integer(42)))
        #expect(read("-3", .integer(allowsNegative: true)) == .success(.integer(-3)))
        #expect(fault("-3", .integer(allowsNegative: false)) == "'-3' is negative")
        #expect(fault("3.0", .integer(allowsNegative: true)) == "'3.0' is not a whole number")
        #expect(fault("-", .integer(allowsNegative: true)) == "'-' is not a whole number")
        #expect(fault("9223372036854775808", .integer(allowsNegative: true)) == "'9223372036854775808' is too large")
        #expect(read("1", .flag) == .success(.integer(1)))
        #expect(fault("true", .flag) == "'true' is neither 0 nor 1")
        #expect(read("draft", .word(["draft", "published"])) == .success(.text(0..<5)))
        #expect(fault("Draft", .word(["draft", "published"])) == "'Draft' is none of draft, published")
    }

    @Test func missingAndEmptyValuesAreToldApart() {
        #expect(read(nil, .text, nullable: true) == .success(.null))
        #expect(read(nil, .text) == .failure(FieldFault("the value is missing")))
        #expect(read(nil, .textOrEmpty) == .success(.text(0..<0)))
        #expect(read("", .textOrEmpty, quoted: true) == .success(.text(0..<0)))
        #expect(read("", .text, quoted: true) == .failure(FieldFault("the value is empty")))
        #expect(
            read("", .date, nullable: true, quoted: true)
                == .failure(FieldFault("the value is an empty text; for no value leave out the quotes")))
    }

    @Test func textIsValidPrintableAndBounded() {
        #expect(read("Crème brûlée 🍮", .text) == .success(.text(0..<"Crème brûlée 🍮".utf8.count)))
        #expect(fault("a\nb", .text) == "'a\\nb' holds a control character (\\n)")
        #expect(fault("a\u{85}b", .text).contains("holds a control character"))
        #expect(fault("a\u{7f}", .text).contains("holds a control character"))
        #expect(fault("a\0b", .text) == "the value holds a NUL byte")
        #expect(fault(String(repeating: "é", count: 2048), .text) == "(taken)")
        #expect(
            fault(String(repeating: "é", count: 2048) + "x", .text)
                == "the value is 4097 bytes long; at most 4096 are allowed")
    }

    @Test(arguments: [[0xff], [0x61, 0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x80]])
    func invalidUTF8IsNamedWhateverTheColumnHolds(bytes: [UInt8]) {
        for kind in [HQColumnKind.text, .date, .decimal(digits: 4), .flag] {
            guard case .failure(let fault) = read(bytes: bytes, kind) else {
                Issue.record("\(bytes) was taken as \(kind)")
                continue
            }
            #expect(fault.reason.hasSuffix("is not valid UTF-8"))
        }
    }

    @Test func aLongValueIsCutInTheReason() {
        let reason = fault(String(repeating: "9", count: 300), .date)
        #expect(reason == "'\(String(repeating: "9", count: 60))…' is not a calendar day (YYYY-MM-DD)")
    }
}
