import Testing
import WaybillJobs
import WaybillModel

@testable import WaybillHub

/// Order and windows as values.
@Suite struct DeliveryRulesTests {
    private static func job(_ name: String, follows: [String] = []) throws -> Job {
        Job(
            id: try #require(JobID(name)), title: "", inputs: [], prepare: [], subjobs: [],
            follows: follows.compactMap(JobID.init))
    }

    private static func follows(_ jobs: Job...) -> [String: [String]] {
        Dictionary(
            uniqueKeysWithValues: DeliveryRules.of(jobs).map {
                ($0.key.rawValue, $0.value.follows.map(\.rawValue).sorted())
            })
    }

    @Test func aJobFollowsAlsoWhatTheOnesBeforeItFollow() throws {
        let rules = Self.follows(
            try Self.job("c", follows: ["b"]), try Self.job("b", follows: ["a"]), try Self.job("a"))
        #expect(rules == ["a": [], "b": ["a"], "c": ["a", "b"]])
    }

    @Test func jobsThatFollowOneAnotherInACircleDoNotWaitForOneAnother() throws {
        let rules = Self.follows(
            try Self.job("a", follows: ["b"]), try Self.job("b", follows: ["a"]), try Self.job("c", follows: ["b"]),
            try Self.job("d", follows: ["d"]))
        #expect(rules == ["a": [], "b": [], "c": ["a", "b"], "d": []])
    }

    @Test func aJobThatIsNotThereIsNotFollowed() throws {
        #expect(Self.follows(try Self.job("a", follows: ["gone"])) == ["a": []])
    }

    // MARK: the wall clock

    @Test(
        arguments: [
            // 2026-11-21 is a Saturday; 12:34:56 UTC.
            (1_795_264_496_000, 0, JobSchedule.Weekday.saturday, 12 * 60 + 34),
            (1_795_264_496_000, 12 * 60, .sunday, 34), (1_795_264_496_000, -13 * 60, .friday, 23 * 60 + 34),
            (1_795_264_496_000, 345, .saturday, 18 * 60 + 19),
            (0, 0, .thursday, 0), (-1, 0, .wednesday, 1439), (0, -1, .wednesday, 1439),
        ] as [(Int64, Int, JobSchedule.Weekday, Int)])
    func aWallClockIsReadFromTimeAndOffset(time: Int64, offset: Int, weekday: JobSchedule.Weekday, minute: Int) {
        let clock = WallClock(at: Timestamp(milliseconds: time), utcOffsetMinutes: offset)
        #expect(clock == WallClock(weekday: weekday, minuteOfDay: minute))
    }

    @Test(
        arguments: [
            ([], JobSchedule.Weekday.monday, 12 * 60, "20:00"), ([], .monday, 23 * 60, "20:00"),
            ([.tuesday], .monday, 12 * 60, "Tuesday 20:00"), ([.tuesday], .monday, 23 * 60, "20:00"),
            ([.monday], .monday, 12 * 60, "20:00"), ([.monday], .monday, 23 * 60, "Monday 20:00"),
            ([.saturday, .sunday], .monday, 0, "Saturday 20:00"),
        ] as [([JobSchedule.Weekday], JobSchedule.Weekday, Int, String)])
    func theNextOpeningNamesTheDayWhereItIsNotWithinADay(
        days: [JobSchedule.Weekday], weekday: JobSchedule.Weekday, minute: Int, text: String
    ) {
        let window = DayWindow(from: .init(hour: 20, minute: 0), to: .init(hour: 22, minute: 0), weekdays: days)
        #expect(window.nextOpening(after: WallClock(weekday: weekday, minuteOfDay: minute)) == text)
    }

    @Test func timesAreWrittenWithTwoDigits() {
        let window = DayWindow(from: .init(hour: 6, minute: 5), to: .init(hour: 7, minute: 0))
        #expect(window.nextOpening(after: WallClock(weekday: .monday, minuteOfDay: 0)) == "06:05")
    }
}
