import Testing
import WaybillAdmin
import WaybillModel

@testable import WaybillConsole

@Suite struct RenderingTests {
    private let file = Screen(columns: nil, hasColour: false)

    @Test func numbersStandToTheRightAndTheLastColumnIsNotPadded() {
        var table = TextTable("STORE", ">ROWS", "MESSAGE")
        table.add(.init("S1"), .init("1,204"), .init("fine"))
        table.add(.init("Store 2"), .init("7"), .init(""))
        #expect(
            table.lines(file) == [
                "STORE     ROWS  MESSAGE",
                "S1       1,204  fine",
                "Store 2      7",
            ])
    }

    @Test func aMessageColumnWithoutMessagesIsLeftOut() {
        var table = TextTable("STORE", "MESSAGE")
        table.add(.init("S1"), .init(""))
        #expect(table.lines(file) == ["STORE", "S1"])
    }

    @Test func noLineIsWiderThanTheTerminal() {
        var table = TextTable("STORE", ">ROWS", "MESSAGE")
        table.add(.init("北京店"), .init("1"), .init("the disk of the store is full"))
        for columns in [1, 5, 12, 20, 30] {
            for line in table.lines(Screen(columns: columns, hasColour: false)) {
                #expect(TerminalText.width(line) <= columns)
            }
        }
        #expect(table.lines(Screen(columns: 22, hasColour: false)).last == "北京店     1  the dis…")
    }

    @Test func optionalColumnsGiveWayToTheMessage() {
        var table = TextTable("STORE", "?KIND", "?>ROWS", "MESSAGE")
        table.add(.init("S1"), .init("delta"), .init("1,204"), .init("the disk is full, 3 MB free"))
        #expect(
            table.lines(Screen(columns: 45, hasColour: false)).last == "S1     delta  1,204  the disk is full, 3 MB …")
        #expect(table.lines(Screen(columns: 40, hasColour: false)).last == "S1     delta  the disk is full, 3 MB fr…")
        #expect(table.lines(Screen(columns: 34, hasColour: false)).last == "S1     the disk is full, 3 MB free")
        #expect(table.lines(Screen(columns: 20, hasColour: false)).last == "S1     the disk is …")
    }

    @Test func coloursTakeNoRoomAndAreOnlyThereOnRequest() {
        var table = TextTable("STATUS", "STORE")
        table.add(.init("Applied", .good), .init("S1"))
        #expect(
            table.lines(Screen(columns: 40, hasColour: true)) == [
                "\u{1b}[1mSTATUS \u{1b}[0m  \u{1b}[1mSTORE\u{1b}[0m", "\u{1b}[32mApplied\u{1b}[0m  S1",
            ])
        #expect(!table.lines(file).joined().contains("\u{1b}"))
    }

    @Test func textFromOutsideStaysOnItsLine() {
        #expect(TerminalText.plain("a\nb\tc\u{1b}[2Jd\u{202e}e\u{9b}f\u{7f}") == "a b c[2Jdef")
    }

    @Test(arguments: [
        (0 as Int64, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
        (38_123_456, "38.1 MB"), (2_500_000_000_000, "2.5 TB"), (-1500, "-1.5 kB"),
    ])
    func sizesAreShort(bytes: Int64, text: String) {
        #expect(Humane.bytes(bytes) == text)
    }

    @Test func countsHaveSeparators() {
        #expect(Humane.count(0) == "0")
        #expect(Humane.count(999) == "999")
        #expect(Humane.count(1_204_331) == "1,204,331")
        #expect(Humane.count(-1234) == "-1,234")
        #expect(Humane.count(1, "store") == "1 store")
        #expect(Humane.count(2, "store") == "2 stores")
    }

    @Test(arguments: [
        (0 as Int64, "now"), (59_000, "59 s ago"), (60_000, "1 min ago"), (3_600_000, "1 h ago"),
        (172_800_000, "2 d ago"),
        (-5000, "now"),
    ])
    func agesAreShort(milliseconds: Int64, text: String) {
        let time = UTCTime(Timestamp(milliseconds: 1_000_000_000))
        #expect(Humane.age(time, now: time.timestamp + milliseconds) == text)
    }

    @Test func anotherDayIsShownWithItsDate() throws {
        let created = try #require(UTCTime("2026-11-21T10:53"))
        #expect(Humane.moment(UTCTime("2026-11-21T10:54:01"), near: created) == "10:54:01")
        #expect(Humane.moment(UTCTime("2026-11-22T00:00:02"), near: created) == "11-22 00:00:02")
        #expect(Humane.moment(nil, near: created) == "-")
    }

    @Test func aSessionsLineShowsStoresRowsBytesRateAndFailures() throws {
        let session = try Sample.session([.applied, .applied, .requested, .applyFailed]).summary
        #expect(
            ProgressViews.session(session, bytesPerSecond: 4_200_000, file)
                == "7-000000000001 prices  [##########..........] 2/4 stores  1 failed  4.0 kB of 8.0 kB  4.2 MB/s  40 rows"
        )
        #expect(
            ProgressViews.plainSession(session)
                == "session 7-000000000001 prices Available: 1 Requested, 2 Applied, 1 ApplyFailed")
    }

    @Test func aRateIsThatOfTheLastSeconds() {
        var meter = RateMeter()
        #expect(meter.bytesPerSecond == 0)
        meter.add(0, at: Timestamp(milliseconds: 0))
        #expect(meter.bytesPerSecond == 0)
        meter.add(1000, at: Timestamp(milliseconds: 500))
        #expect(meter.bytesPerSecond == 2000)
        meter.add(1000, at: Timestamp(milliseconds: 10_000))
        meter.add(1500, at: Timestamp(milliseconds: 11_000))
        #expect(meter.bytesPerSecond == 500)
    }

    @Test func faultsAreWrittenAsEditorsReadThem() {
        let faults = [
            ImportFaultLine(file: "a.csv", line: 3, column: "name", reason: "is empty"),
            ImportFaultLine(file: "b.csv", line: 0, column: nil, reason: "has no\nheader"),
        ]
        #expect(
            HubViews.faults(faults, total: 12) == [
                "a.csv:3: column name: is empty", "b.csv: has no header", "… and 10 more",
            ])
    }
}

enum Sample {
    static func store(_ number: Int) throws -> StoreID { try #require(StoreID("S\(number)")) }

    /// A session whose stores S1, S2, … have these statuses.
    static func session(_ statuses: [DeliveryStatus], header: String = "Available") throws -> SessionDetail {
        let created = UTCTime(Timestamp(milliseconds: 1_795_258_380_123))
        let deliveries = try statuses.enumerated().map { index, status in
            DeliveryDetail(
                store: try store(index + 1), status: status, kind: .delta, rows: 10, bytes: 2000, bytesDone: 1000,
                requestedAt: nil, downloadedAt: nil, appliedAt: status == .applied ? created : nil, attempts: 3,
                longestLockMs: nil, message: status.isFailure ? "no space" : nil, run: 1, cancelRequested: false)
        }
        return SessionDetail(
            summary: SessionSummary(
                id: SessionID(number: 7, random: 1), job: try #require(JobID("prices")), status: header, kind: .delta,
                version: Version(epoch: 1, number: 9), createdAt: created, rows: Int64(10 * statuses.count),
                bytes: Int64(2000 * statuses.count), bytesDone: Int64(1000 * statuses.count), deliveries: [:],
                message: nil),
            deliveries: deliveries)
    }
}
