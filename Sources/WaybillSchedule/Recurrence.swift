public import Foundation
public import WaybillJobs
public import WaybillModel

/// When a schedule falls due: the next time after a moment.
///
/// The calendar's arithmetic is Foundation's `Calendar.RecurrenceRule`. What it does on the two odd days of a year:
/// a time that the clock leaves out in spring falls due as much later as the clock has jumped (02:30 at 03:30), a time
/// that comes twice in autumn falls due the first time. Minutes and hours are elapsed time and know no odd days.
///
/// Two of its habits are worked around. It walks from the first occurrence to the one asked for also when a range is
/// given, one and a half seconds for three years of quarters of an hour, so here it is given a start shortly before
/// (``anchor(before:)``). And days that name the same day twice (31 and -1) give it twice, so only later times count.
public struct Recurrence: Sendable {
    private let schedule: JobSchedule
    private let calendar: Calendar
    private let start: Date
    /// Nothing falls due after; nil for no end.
    private var end: Date?
    /// One for each time of day: a rule's hours and minutes would be combined each with each.
    private let rules: [Calendar.RecurrenceRule]

    /// How far ahead an occurrence is looked for: 29 February comes after eight years at the latest.
    private static let horizonSeconds: TimeInterval = 9 * 366 * 86_400
    /// Closed windows that are passed over before the schedule counts as one that never falls due: four years of days.
    private static let windowsMax = 1500

    /// - Parameter hubZone: for a schedule that names no zone.
    /// - Throws: ``ScheduleFault`` for a schedule that cannot be followed.
    public init(_ schedule: JobSchedule, hubZone: TimeZone) throws(ScheduleFault) {
        try Recurrence.check(schedule)
        var calendar = Calendar(identifier: .gregorian)
        calendar.firstWeekday = JobSchedule.Weekday.monday.rawValue
        calendar.timeZone = hubZone
        if let name = schedule.timeZone {
            guard let zone = TimeZone(identifier: name) else { throw ScheduleFault("there is no time zone '\(name)'") }
            calendar.timeZone = zone
        }
        self.schedule = schedule
        self.calendar = calendar
        let first =
            schedule.start
            ?? JobSchedule.LocalDateTime(
                year: 2024, month: 1, day: 1, time: JobSchedule.TimeOfDay(hour: 0, minute: 0))
        guard let start = calendar.date(first) else { throw ScheduleFault("its start is no day") }
        self.start = start
        rules = Recurrence.rules(schedule, calendar, start: start)
        if let last = schedule.end {
            guard let end = calendar.date(last) else { throw ScheduleFault("its end is no day") }
            self.end = end
        }
        if let count = schedule.count { countOut(count) }
    }

    private static func check(_ schedule: JobSchedule) throws(ScheduleFault) {
        guard (1...10_000).contains(schedule.interval) else {
            throw ScheduleFault("every \(schedule.interval) \(schedule.unit.rawValue)s is not possible, 1 to 10000 is")
        }
        if let count = schedule.count, !(1...JobSchedule.countMax).contains(count) {
            throw ScheduleFault("its count must be from 1 to \(JobSchedule.countMax)")
        }
        for day in schedule.monthDays where day != -1 && !(1...31).contains(day) {
            throw ScheduleFault("a month has no day \(day); there are 1 to 31, and -1 for the last")
        }
        for time in schedule.times where !(0...23).contains(time.hour) || !(0...59).contains(time.minute) {
            throw ScheduleFault("a day has no time \(time.hour):\(time.minute)")
        }
    }

    private static func rules(_ schedule: JobSchedule, _ calendar: Calendar, start: Date) -> [Calendar.RecurrenceRule] {
        let parts = calendar.dateComponents([.hour, .minute, .day, .weekday], from: start)
        let times =
            schedule.times.isEmpty
            ? [JobSchedule.TimeOfDay(hour: parts.hour ?? 0, minute: parts.minute ?? 0)] : schedule.times
        func rule(_ frequency: Calendar.RecurrenceRule.Frequency) -> Calendar.RecurrenceRule {
            Calendar.RecurrenceRule(calendar: calendar, frequency: frequency, interval: schedule.interval)
        }
        if schedule.unit == .minute { return [rule(.minutely)] }
        if schedule.unit == .hour { return [rule(.hourly)] }
        return Set(times).sorted().map { time in
            var daily = rule(.daily)
            if schedule.unit == .week {
                daily = rule(.weekly)
                let days = schedule.weekdays.isEmpty ? [parts.weekday ?? 1] : schedule.weekdays.map(\.rawValue)
                daily.weekdays = Set(days).sorted().compactMap { Recurrence.weekdays[$0].map { .every($0) } }
            } else if schedule.unit == .month {
                daily = rule(.monthly)
                daily.daysOfTheMonth = schedule.monthDays.isEmpty ? [parts.day ?? 1] : schedule.monthDays
            }
            daily.hours = [time.hour]
            daily.minutes = [time.minute]
            daily.seconds = [0]
            return daily
        }
    }

    private static let weekdays: [Int: Locale.Weekday] = [
        1: .sunday, 2: .monday, 3: .tuesday, 4: .wednesday, 5: .thursday, 6: .friday, 7: .saturday,
    ]

    /// The end is where the last of `count` occurrences falls.
    private mutating func countOut(_ count: Int) {
        var last = start.addingTimeInterval(-1)
        for _ in 0..<count {
            guard let due = next(after: last) else { break }
            last = due
        }
        end = last
    }

    /// The first time later than `moment` at which the schedule falls due; nil when there is none any more.
    public func next(after moment: Timestamp) -> Timestamp? {
        let date = Date(timeIntervalSince1970: Double(moment.milliseconds) / 1000)
        return next(after: date).map { Timestamp(milliseconds: Int64(($0.timeIntervalSince1970 * 1000).rounded())) }
    }

    private func next(after moment: Date) -> Date? {
        var moment = max(moment, start.addingTimeInterval(-0.001))
        for _ in 0..<Recurrence.windowsMax {
            guard let due = nextOfRules(after: moment) else { return nil }
            if let end, due > end { return nil }
            guard let window = schedule.window, !isWithin(window, due) else { return due }
            // Whatever falls before the window opens again is left out; looking at each would take long.
            guard let opening = opening(of: window, after: due) else { return nil }
            moment = max(due, opening.addingTimeInterval(-0.001))
        }
        return nil
    }

    private func nextOfRules(after moment: Date) -> Date? {
        let range = moment..<moment.addingTimeInterval(Recurrence.horizonSeconds)
        let anchor = anchor(before: moment)
        return rules.compactMap { rule in
            rule.recurrences(of: anchor, in: range).first { $0 > moment && $0 >= start }
        }.min()
    }

    /// A moment from which the rules give the same occurrences as from the start, at most two steps before `moment`.
    private func anchor(before moment: Date) -> Date {
        let interval = schedule.interval
        func stepped(_ unit: Calendar.Component, from first: Date, by size: Int) -> Date {
            let passed = calendar.dateComponents([unit], from: first, to: moment).value(for: unit) ?? 0
            return calendar.date(byAdding: unit, value: max(0, passed / size - 1) * size, to: first) ?? first
        }
        switch schedule.unit {
        case .minute, .hour:
            let step = Double(interval) * (schedule.unit == .minute ? 60 : 3600)
            return start.addingTimeInterval(max(0, (moment.timeIntervalSince(start) / step).rounded(.down)) * step)
        case .day: return stepped(.day, from: calendar.startOfDay(for: start), by: interval)
        case .week:
            let week = calendar.dateInterval(of: .weekOfYear, for: start)?.start ?? start
            return stepped(.day, from: week, by: 7 * interval)
        case .month:
            let month = calendar.dateInterval(of: .month, for: start)?.start ?? start
            return stepped(.month, from: month, by: interval)
        }
    }

    private func isWithin(_ window: DayWindow, _ moment: Date) -> Bool {
        let parts = calendar.dateComponents([.weekday, .hour, .minute], from: moment)
        guard let weekday = JobSchedule.Weekday(rawValue: parts.weekday ?? 1) else { return false }
        return window.contains(weekday: weekday, minuteOfDay: (parts.hour ?? 0) * 60 + (parts.minute ?? 0))
    }

    private func opening(of window: DayWindow, after moment: Date) -> Date? {
        let time = DateComponents(hour: window.from.hour, minute: window.from.minute, second: 0)
        var opening = moment
        // A week and a day: the window is open on one weekday at least.
        for _ in 0..<8 {
            guard let next = calendar.nextDate(after: opening, matching: time, matchingPolicy: .nextTime) else {
                return nil
            }
            opening = next
            if isWithin(window, opening) { return opening }
        }
        return opening
    }
}

/// A schedule that cannot be followed, in words that go after "its schedule: ".
public struct ScheduleFault: Error, Hashable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

extension Calendar {
    fileprivate func date(_ local: JobSchedule.LocalDateTime) -> Date? {
        date(
            from: DateComponents(
                year: local.year, month: local.month, day: local.day, hour: local.time.hour, minute: local.time.minute))
    }
}
