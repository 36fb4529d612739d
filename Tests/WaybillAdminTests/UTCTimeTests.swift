import Testing
import WaybillAdmin
import WaybillConsole
import WaybillModel

@Suite struct UTCTimeTests {
    @Test(arguments: [
        (0 as Int64, "1970-01-01T00:00:00.000Z"), (1_795_258_380_123, "2026-11-21T10:53:00.123Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"), (253_402_300_799_000, "9999-12-31T23:59:59.000Z"),
    ])
    func aMomentIsWrittenAndReadBack(milliseconds: Int64, text: String) {
        let time = UTCTime(Timestamp(milliseconds: milliseconds))
        #expect(time.description == text)
        #expect(UTCTime(text) == time)
    }

    @Test(arguments: [
        ("2026-11-21", "2026-11-21T00:00:00.000Z"), ("2026-11-21T10:53", "2026-11-21T10:53:00.000Z"),
        ("2026-11-21 10:53:07", "2026-11-21T10:53:07.000Z"), ("2026-11-21T10:53:07.5Z", "2026-11-21T10:53:07.500Z"),
        ("2026-11-21T00:30+01:00", "2026-11-20T23:30:00.000Z"),
        ("2026-11-21T10:53:07.123456Z", "2026-11-21T10:53:07.123Z"),
        ("2026-11-21T23:30:00-05:30", "2026-11-22T05:00:00.000Z"),
    ])
    func timesAreReadAsPeopleWriteThem(text: String, expected: String) {
        #expect(UTCTime(text)?.description == expected)
    }

    @Test(arguments: [
        "", "now", "2026", "2026-13-01", "2026-02-29", "2100-02-29", "2026-11-21T24:00", "2026-11-21T10:60",
        "2026-11-21T",
        "2026-11-21T10:53:00ZZ", "2026-11-21T10:53+1", "21.11.2026",
    ])
    func whatIsNoTimeIsRefused(text: String) {
        #expect(UTCTime(text) == nil)
    }

    @Test(arguments: [
        ("90s", 90_000 as Int64?), ("30min", 1_800_000), ("5m", 300_000), ("2h", 7_200_000), ("3d", 259_200_000),
        ("4w", 2_419_200_000), ("30", nil), ("d", nil), ("-3d", nil), ("3 d", nil), ("3days", nil),
        ("9999999999d", nil),
    ])
    func spansAreReadAsPeopleTypeThem(text: String, milliseconds: Int64?) {
        #expect(TypedTime.span(text) == milliseconds)
    }

    @Test func sinceIsASpanBackOrAMoment() {
        let now = Timestamp(milliseconds: 1_795_258_380_123)
        #expect(TypedTime.moment("2h", now: now)?.description == "2026-11-21T08:53:00.123Z")
        #expect(TypedTime.moment("2026-11-20", now: now)?.description == "2026-11-20T00:00:00.000Z")
        #expect(TypedTime.moment("soon", now: now) == nil)
    }
}
