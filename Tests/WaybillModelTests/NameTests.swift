import Testing
import WaybillModel

@Suite struct NameTests {
    @Test func aSessionsNameHoldsItsNumberAndItsRandomPart() {
        let session = SessionID(number: 42, random: 0xffff_9f3c_1b2e_55aa)
        #expect(session.rawValue == "42-9f3c1b2e55aa")
        #expect(session.number == 42)
        #expect(SessionID("42-9f3c1b2e55aa") == session)
        #expect(SessionID(number: 1, random: 0xa).rawValue == "1-00000000000a")
    }

    @Test(arguments: [
        "", "42", "42-", "042-9f3c1b2e55aa", "0-9f3c1b2e55aa", "42-9F3C1B2E55AA", "42-9f3c1b2e55a", "-1-9f3c1b2e55aa",
    ])
    func whatIsNoSessionsNameIsRefused(text: String) {
        #expect(SessionID(text) == nil)
    }

    @Test(arguments: ["", "a\u{0}b", "line\nbreak", "\u{1b}[31m", String(repeating: "x", count: 129)])
    func storesAndJobsHavePrintableNames(text: String) {
        #expect(StoreID(text) == nil)
        #expect(JobID(text) == nil)
    }

    @Test func namesOfManyAlphabetsAreNames() {
        #expect(StoreID("Zürich-Enge №1 東京")?.rawValue == "Zürich-Enge №1 東京")
    }

    @Test func aPackagesNameIsItsHashInHex() {
        let hex = String(repeating: "0f", count: 32)
        #expect(PackageID(hex: hex)?.hex == hex)
        #expect(PackageID(hex: hex.uppercased()) == nil)
        #expect(PackageID([1, 2, 3]) == nil)
    }

    private func shape(
        _ name: String = "price", columns: [ColumnShape] = [ColumnShape("id", .text)], key: [String] = ["id"]
    ) -> TableShape {
        TableShape(name: name, columns: columns, key: key)
    }

    @Test func aPlainTableHasNoFault() {
        #expect(shape().fault == nil)
    }

    @Test func whatCouldNotBeATableIsNamed() {
        #expect(shape("a b").fault == "'a b' is not a plain table name")
        #expect(shape("sqlite_schema").fault != nil)
        #expect(shape("_waybill_meta").fault != nil)
        #expect(shape(columns: []).fault != nil)
        #expect(shape(key: []).fault != nil)
        #expect(shape(key: ["other"]).fault == "key column other is not a column of table price")
        #expect(
            shape(columns: [ColumnShape("id", .text, nullable: true)]).fault
                == "key column id of table price is nullable")
        #expect(
            shape(columns: [ColumnShape("id", .text), ColumnShape("ID", .text)]).fault
                == "table price names a column twice")
    }

    @Test func versionsCompareByEpochFirst() {
        #expect(Version(epoch: 1, number: 900) < Version(epoch: 2, number: 1))
    }
}
