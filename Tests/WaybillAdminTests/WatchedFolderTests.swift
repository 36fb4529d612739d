import Testing
import WaybillConsole
import WaybillModel

@Suite struct WatchedFolderTests {
    private var folder = WatchedFolder(settleMilliseconds: 2_000)

    private func entry(_ name: String, size: Int64 = 10, at modified: Int64 = 0, inode: UInt64 = 1)
        -> WatchedFolder.Entry
    {
        WatchedFolder.Entry(
            name: name, size: size, modifiedAt: Timestamp(milliseconds: modified), inode: inode)
    }

    private mutating func look(_ now: Int64, _ entries: WatchedFolder.Entry...) -> [String] {
        folder.look(entries, now: Timestamp(milliseconds: now))
    }

    @Test mutating func aFileThatIsBeingWrittenIsTakenWhenItHasRested() {
        #expect(look(10_000, entry("a.csv", size: 1, at: 9_900)) == [])
        #expect(look(11_000, entry("a.csv", size: 2, at: 10_900)) == [])
        #expect(look(12_900, entry("a.csv", size: 2, at: 10_900)) == [])
        #expect(look(13_000, entry("a.csv", size: 2, at: 10_900)) == ["a.csv"])
    }

    @Test mutating func aWriteThatChangesTheTimeOnlyStartsTheWaitAgain() {
        #expect(look(10_000, entry("a.csv", at: 9_000)) == [])
        #expect(look(10_999, entry("a.csv", at: 10_999)) == [])
        #expect(look(12_000, entry("a.csv", at: 10_999)) == [])
        #expect(look(12_999, entry("a.csv", at: 10_999)) == ["a.csv"])
    }

    @Test mutating func whatHasRestedBeforeWeLookedIsTakenAtOnce() {
        #expect(look(10_000, entry("a.csv", at: 8_000)) == ["a.csv"])
    }

    @Test mutating func aFileFromAClockThatIsAheadIsTakenAllTheSame() {
        #expect(look(10_000, entry("a.csv", at: 99_000)) == [])
        #expect(look(12_000, entry("a.csv", at: 99_000)) == ["a.csv"])
    }

    @Test mutating func aFileThatIsRenamedIntoPlaceIsTakenAtOnce() {
        #expect(look(10_000, entry("a.csv.part", at: 9_999, inode: 7)) == [])
        #expect(look(10_100, entry("a.csv", at: 9_999, inode: 7)) == ["a.csv"])
        // Also in the place of one that was there.
        #expect(look(10_200, entry("a.csv", at: 9_999, inode: 7), entry(".b", at: 10_190, inode: 8)) == ["a.csv"])
        #expect(look(10_300, entry("a.csv", at: 10_190, inode: 8)) == ["a.csv"])
        // Written to after the rename, it is a file like others.
        #expect(look(10_400, entry("a.csv", size: 11, at: 10_390, inode: 8)) == [])
    }

    @Test(arguments: ["a.csv.tmp", "a.csv.part", ".a.csv", "a.csv~", "~a.csv", "A.CSV.FILEPART", ".waybill-watch"])
    mutating func temporaryNamesAreLeftAlone(name: String) {
        #expect(look(1_000_000, entry(name)) == [])
        #expect(WatchedFolder.isTemporary(name))
    }

    @Test mutating func aFileThatGoesAndComesAgainIsAnotherOne() {
        #expect(look(10_000, entry("a.csv", at: 9_000)) == [])
        #expect(look(10_500) == [])
        #expect(look(11_500, entry("a.csv", at: 10_900)) == [])
        #expect(look(12_900, entry("a.csv", at: 10_900)) == ["a.csv"])
    }

    @Test mutating func whatWasWrittenFirstComesFirst() {
        #expect(
            look(90_000, entry("b.csv", at: 2), entry("c.csv", at: 1), entry("a.csv", at: 2)) == [
                "c.csv", "a.csv", "b.csv",
            ])
    }
}

@Suite struct WatchRoundTests {
    private func files(_ files: (String, String?)...) -> [WatchRound.File] {
        files.map { WatchRound.File(name: $0.0, table: $0.1) }
    }

    @Test func filesOfDifferentTablesGoTogetherParentsFirst() {
        let round = WatchRound.next(
            files(("product.csv", "product"), ("P2.txt", "product"), ("odd.csv", nil), ("category.csv", "category")),
            tables: ["category", "product"])
        #expect(round.map(\.name) == ["category.csv", "product.csv"])
    }

    @Test func aFileThatFitsNothingGoesAlone() {
        let round = WatchRound.next(files(("odd.csv", nil), ("odder.csv", nil)), tables: ["product"])
        #expect(round.map(\.name) == ["odd.csv"])
        #expect(WatchRound.next([], tables: ["product"]).isEmpty)
    }

    @Test func theTableOfAFileIsItsMappingsOrItsNames() {
        let patterns = [(pattern: "ART*.txt", table: "product"), (pattern: "store.csv", table: "org_node")]
        func table(_ name: String) -> String? { WatchRound.table(of: name, tables: ["store"], patterns: patterns) }
        #expect(table("ART1.txt") == "product")
        #expect(table("art1.txt") == nil)
        #expect(table("store.csv") == "org_node")
        #expect(WatchRound.table(of: "store.csv", tables: ["store"], patterns: []) == "store")
        #expect(table("store.txt") == nil)
        #expect(table("product.csv") == nil)
    }
}
