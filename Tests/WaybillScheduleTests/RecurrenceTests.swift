import Foundation
import Testing
import WaybillJobs
import WaybillModel

@testable import WaybillSchedule

/// Expected times are written as the wall clock of the zone shows them, with its distance from UTC.
@Suite struct RecurrenceTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var schedule: JobSchedule
        var after: String
        var expected: [String]

        init(_ name: String, _ schedule: JobSchedule, after: String, _ expected: String...) {
            testDescription = name
            self.schedule = schedule
            self.after = after
            self.expected = expected
        }
    }

    static let rows = [
        Row(
            "quarters of an hour fall on the quarters", JobSchedule(unit: .minute, interval: 15, timeZone: vienna),
            after: "2026-11-21T10:03:00+01:00", "2026-11-21T10:15:00+01:00", "2026-11-21T10:30:00+01:00"),
        Row(
            "a due time itself is not after itself", JobSchedule(unit: .minute, interval: 15, timeZone: vienna),
            after: "2026-11-21T10:15:00+01:00", "2026-11-21T10:30:00+01:00"),
        Row(
            "minutes go on through the hour that comes twice",
            JobSchedule(unit: .minute, interval: 30, timeZone: vienna),
            after: "2026-10-25T02:15:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00"),
        Row(
            "minutes go on over the hour that is left out",
            JobSchedule(unit: .minute, interval: 30, timeZone: vienna),
            after: "2026-03-29T01:00:00+01:00", "2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00"),
        Row(
            "hours are elapsed time", JobSchedule(unit: .hour, interval: 6, timeZone: vienna),
            after: "2026-03-28T20:00:00+01:00", "2026-03-29T00:00:00+01:00", "2026-03-29T07:00:00+02:00",
            "2026-03-29T13:00:00+02:00"),
        Row(
            "a time that is left out falls due an hour later",
            JobSchedule(unit: .day, times: [time(2, 30)], timeZone: vienna),
            after: "2026-03-28T00:00:00+01:00", "2026-03-28T02:30:00+01:00", "2026-03-29T03:30:00+02:00",
            "2026-03-30T02:30:00+02:00"),
        Row(
            "two times that become one fall due once",
            JobSchedule(unit: .day, times: [time(2, 30), time(3, 30)], timeZone: vienna),
            after: "2026-03-29T00:00:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"),
        Row(
            "a time that comes twice falls due the first time",
            JobSchedule(unit: .day, times: [time(2, 30)], timeZone: vienna),
            after: "2026-10-25T00:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"),
        Row(
            "times are not combined hour with minute",
            JobSchedule(unit: .day, times: [time(18, 30), time(6, 0)], timeZone: vienna),
            after: "2026-05-01T00:00:00+02:00", "2026-05-01T06:00:00+02:00", "2026-05-01T18:30:00+02:00",
            "2026-05-02T06:00:00+02:00"),
        Row(
            "every second week counts from the week of the start",
            JobSchedule(
                unit: .week, interval: 2, weekdays: [.monday, .sunday], times: [time(6, 0)], start: day(2026, 1, 7),
                timeZone: vienna),
            after: "2026-01-01T00:00:00+01:00", "2026-01-11T06:00:00+01:00", "2026-01-19T06:00:00+01:00",
            "2026-01-25T06:00:00+01:00", "2026-02-02T06:00:00+01:00"),
        Row(
            "a week without days is that of the start",
            JobSchedule(unit: .week, start: day(2026, 1, 7, 8), timeZone: "UTC"),
            after: "2031-01-01T09:00:00Z", "2031-01-08T08:00:00Z"),
        Row(
            "the last day of the month, also when it is named twice",
            JobSchedule(unit: .month, monthDays: [-1, 31], times: [time(3, 0)], timeZone: "UTC"),
            after: "2028-01-15T00:00:00Z", "2028-01-31T03:00:00Z", "2028-02-29T03:00:00Z", "2028-03-31T03:00:00Z",
            "2028-04-30T03:00:00Z"),
        Row(
            "a month without the day is left out",
            JobSchedule(unit: .month, monthDays: [30], times: [time(3, 0)], timeZone: "UTC"),
            after: "2026-01-30T03:00:00Z", "2026-03-30T03:00:00Z"),
        Row(
            "every fifth month counts from the start",
            JobSchedule(unit: .month, interval: 5, monthDays: [1], start: day(2024, 1, 31), timeZone: "UTC"),
            after: "2024-01-31T00:00:00Z", "2024-06-01T00:00:00Z", "2024-11-01T00:00:00Z"),
        Row(
            "29 February comes every fourth year",
            JobSchedule(unit: .month, interval: 12, start: day(2024, 2, 29, 1), timeZone: "UTC"),
            after: "2024-03-01T00:00:00Z", "2028-02-29T01:00:00Z", "2032-02-29T01:00:00Z"),
        Row(
            "nothing before the start, and the start itself counts",
            JobSchedule(unit: .day, interval: 3, start: day(2026, 5, 5, 7), timeZone: "UTC"),
            after: "2020-01-01T00:00:00Z", "2026-05-05T07:00:00Z", "2026-05-08T07:00:00Z"),
        Row(
            "nothing after the end, which counts",
            JobSchedule(unit: .day, times: [time(7, 0)], end: day(2026, 5, 6, 7), timeZone: "UTC"),
            after: "2026-05-05T00:00:00Z", "2026-05-05T07:00:00Z", "2026-05-06T07:00:00Z", "-"),
        Row(
            "no more often than the count, from the start",
            JobSchedule(
                unit: .day, times: [time(7, 0), time(9, 0)], start: day(2026, 5, 5), count: 3, timeZone: "UTC"),
            after: "2026-05-05T08:00:00Z", "2026-05-05T09:00:00Z", "2026-05-06T07:00:00Z", "-"),
        Row(
            "what falls outside the window is left out",
            JobSchedule(
                unit: .hour, interval: 5, timeZone: "UTC", window: DayWindow(from: time(22, 0), to: time(4, 0))),
            after: "2024-01-01T04:30:00Z", "2024-01-02T01:00:00Z", "2024-01-03T02:00:00Z", "2024-01-03T22:00:00Z"),
        Row(
            "a window over midnight belongs to the day on which it begins",
            JobSchedule(
                unit: .minute, interval: 60, timeZone: "UTC",
                window: DayWindow(from: time(23, 0), to: time(2, 0), weekdays: [.friday])),
            after: "2026-11-21T00:00:00Z", "2026-11-21T01:00:00Z", "2026-11-27T23:00:00Z"),
        Row(
            "a window in which nothing ever falls due",
            JobSchedule(
                unit: .day, times: [time(12, 0)], timeZone: "UTC", window: DayWindow(from: time(1, 0), to: time(2, 0))),
            after: "2026-11-21T00:00:00Z", "-"),
        Row(
            "the hub's own zone where none is named", JobSchedule(unit: .day, times: [time(12, 0)]),
            after: "2026-11-21T00:00:00Z", "2026-11-21T17:00:00Z"),
    ]

    static let vienna = "Europe/Vienna"
    static func time(_ hour: Int, _ minute: Int) -> JobSchedule.TimeOfDay { .init(hour: hour, minute: minute) }
    static func day(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0) -> JobSchedule.LocalDateTime {
        JobSchedule.LocalDateTime(year: year, month: month, day: day, time: time(hour, 0))
    }

    @Test(arguments: rows) func fallsDue(row: Row) throws {
        let recurrence = try Recurrence(row.schedule, hubZone: try #require(TimeZone(identifier: "America/New_York")))
        var moment = try moment(row.after)
        for expected in row.expected {
            guard let next = recurrence.next(after: moment) else {
                #expect(expected == "-")
                continue
            }
            #expect(next == (try self.moment(expected)), "\(next.milliseconds) is not \(expected)")
            moment = next
        }
    }

    private func moment(_ text: String) throws -> Timestamp {
        let date = try #require(ISO8601DateFormatter().date(from: text), "\(text)")
        return Timestamp(milliseconds: Int64(date.timeIntervalSince1970) * 1000)
    }

    /// Two hundred years of minutes are a hundred million; each is asked for in far less than a second.
    @Test(arguments: JobSchedule.Unit.allCases)
    func whatIsFarAwayCostsNoMore(unit: JobSchedule.Unit) throws {
        let recurrence = try Recurrence(
            JobSchedule(unit: unit, interval: 7, timeZone: "Europe/Vienna"), hubZone: .gmt)
        let far = try moment("2224-01-01T00:00:00Z")
        let begun = ContinuousClock.now
        let next = try #require(recurrence.next(after: far))
        #expect(ContinuousClock.now - begun < .milliseconds(500))
        #expect(next > far && next - far < 8 * 31 * 86_400_000)
    }

    @Test func aJumpAheadLandsWhereStepByStepDoes() throws {
        for unit in JobSchedule.Unit.allCases {
            let recurrence = try Recurrence(
                JobSchedule(
                    unit: unit, interval: 3, weekdays: [.tuesday, .saturday], monthDays: [1, 15, -1],
                    start: Self.day(2025, 1, 31, 2), timeZone: Self.vienna),
                hubZone: .gmt)
            var steps: [Timestamp] = []
            var at = try moment("2025-01-01T00:00:00Z")
            for _ in 0..<400 {
                guard let next = recurrence.next(after: at) else { break }
                steps.append(next)
                at = next
            }
            #expect(steps.count == 400 && steps == steps.sorted())
            for index in stride(from: 1, to: 400, by: 7) {
                #expect(recurrence.next(after: steps[index] + -1) == steps[index], "\(unit)")
                #expect(recurrence.next(after: steps[index - 1] + 1) == steps[index], "\(unit)")
            }
        }
    }

    @Test(arguments: [
        (JobSchedule(unit: .day, timeZone: "Mars/Olympus"), "there is no time zone 'Mars/Olympus'"),
        (JobSchedule(unit: .day, interval: 0), "every 0 days is not possible, 1 to 10000 is"),
        (JobSchedule(unit: .month, monthDays: [32]), "a month has no day 32; there are 1 to 31, and -1 for the last"),
        (JobSchedule(unit: .day, count: 0), "its count must be from 1 to 100000"),
    ])
    func aScheduleThatCannotBeFollowedIsRefused(schedule: JobSchedule, reason: String) throws {
        #expect(throws: ScheduleFault(reason)) { try Recurrence(schedule, hubZone: .gmt) }
    }
}
