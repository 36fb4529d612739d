import Testing
import WaybillModel

@Suite struct HexTextTests {
    @Test func everyByteComesBackFromItsDigits() {
        let bytes = (0...255).map(UInt8.init)
        #expect(bytes.hexText.hasPrefix("000102030405060708090a0b0c0d0e0f10"))
        #expect(bytes.hexText.hasSuffix("fdfeff"))
        #expect([UInt8](hexText: bytes.hexText) == bytes)
        #expect([UInt8](hexText: bytes.hexText.uppercased()) == bytes)
    }

    @Test func nothingElseIsReadAsDigits() {
        for text in ["a", "0g", "+1", " 1", "1 ", "é", "0x12"] { #expect([UInt8](hexText: text) == nil, "\(text)") }
        #expect([UInt8](hexText: "") == [])
    }

    @Test func aPackageHasOneNameOnly() throws {
        let hex = String(repeating: "ab", count: 32)
        #expect(try #require(PackageID(hex: hex)).hex == hex)
        #expect(PackageID(hex: hex.uppercased()) == nil)
        #expect(PackageID(hex: String(hex.dropLast(2))) == nil)
    }
}
