import WaybillModel

/// What starts a job, besides an administrator, who always can.
public struct JobTriggers: Sendable, Equatable {
    public var schedules: [JobSchedule]
    public var online: OnlineTrigger?
    /// Whether a store that has enrolled gets the job's rows at once, without waiting for the next run.
    public var isInitial: Bool

    public init(schedules: [JobSchedule] = [], online: OnlineTrigger? = nil, isInitial: Bool = true) {
        self.schedules = schedules
        self.online = online
        self.isInitial = isInitial
    }
}

/// Starts the job when a committed change to one of these tables has been seen.
public struct OnlineTrigger: Sendable, Equatable {
    /// HQ tables; nil for all that the job reads.
    public var tables: [String]?
    /// A burst of changes is one run: the job starts when no further change has come for so long…
    public var settleMilliseconds: Int
    /// …but at the latest so long after the first.
    public var longestWaitMilliseconds: Int

    public static let defaultSettleMilliseconds = 200
    public static let defaultLongestWaitMilliseconds = 900

    public init(
        tables: [String]? = nil, settleMilliseconds: Int = OnlineTrigger.defaultSettleMilliseconds,
        longestWaitMilliseconds: Int = OnlineTrigger.defaultLongestWaitMilliseconds
    ) {
        self.tables = tables
        self.settleMilliseconds = settleMilliseconds
        self.longestWaitMilliseconds = longestWaitMilliseconds
    }
}

/// A recurrence: every so many minutes, hours, days, weeks or months.
public struct JobSchedule: Sendable, Equatable {
    public enum Unit: String, Sendable, CaseIterable { case minute, hour, day, week, month }

    public enum Weekday: Int, Sendable, CaseIterable {
        case sunday = 1
        case monday, tuesday, wednesday, thursday, friday, saturday
    }

    /// A time of day on the wall clock of `timeZone`.
    public struct TimeOfDay: Sendable, Hashable, Comparable {
        public var hour: Int
        public var minute: Int

        public init(hour: Int, minute: Int) {
            self.hour = hour
            self.minute = minute
        }

        public var minuteOfDay: Int { hour * 60 + minute }
        public static func < (a: Self, b: Self) -> Bool { a.minuteOfDay < b.minuteOfDay }
    }

    public var unit: Unit
    /// Every `interval` units, counted from `start`.
    public var interval: Int
    /// With weeks: on which days. Empty: on the weekday of `start`.
    public var weekdays: [Weekday]
    /// With months: on which days, 1 to 31; -1 is the last day. A month that has no such day is left out.
    /// Empty: on the day of `start`.
    public var monthDays: [Int]
    /// With days, weeks and months: at which times. Empty: at the time of `start`.
    public var times: [TimeOfDay]
    /// The first day on which it may fall due, `YYYY-MM-DD` on the wall clock, and the time with it. nil: 2024-01-01
    /// 00:00, so that "every 15 minutes" falls on the full quarters.
    public var start: LocalDateTime?
    /// Never after the end of that day or that time.
    public var end: LocalDateTime?
    /// At most so many times from `start`, those that were missed included.
    public var count: Int?
    /// An identifier of the time zone database; nil for the hub's own.
    public var timeZone: String?
    /// Falls due only within; occurrences outside are left out, not put off.
    public var window: DayWindow?

    /// Occurrences that ``count`` may allow: they are counted out once, from the start.
    public static let countMax = 100_000

    /// A wall-clock time without a zone.
    public struct LocalDateTime: Sendable, Equatable, Comparable {
        public var year: Int
        public var month: Int
        public var day: Int
        public var time: TimeOfDay

        public init(year: Int, month: Int, day: Int, time: TimeOfDay) {
            self.year = year
            self.month = month
            self.day = day
            self.time = time
        }

        public static func < (a: Self, b: Self) -> Bool {
            (a.year, a.month, a.day, a.time) < (b.year, b.month, b.day, b.time)
        }
    }

    public init(
        unit: Unit, interval: Int = 1, weekdays: [Weekday] = [], monthDays: [Int] = [], times: [TimeOfDay] = [],
        start: LocalDateTime? = nil, end: LocalDateTime? = nil, count: Int? = nil, timeZone: String? = nil,
        window: DayWindow? = nil
    ) {
        self.unit = unit
        self.interval = interval
        self.weekdays = weekdays
        self.monthDays = monthDays
        self.times = times
        self.start = start
        self.end = end
        self.count = count
        self.timeZone = timeZone
        self.window = window
    }
}

/// Part of each day, on some weekdays. `from` after `to` crosses midnight and belongs to the day on which it begins.
public struct DayWindow: Sendable, Equatable {
    public var from: JobSchedule.TimeOfDay
    /// Exclusive; 24:00 is the end of the day.
    public var to: JobSchedule.TimeOfDay
    /// Empty: every day.
    public var weekdays: [JobSchedule.Weekday]

    public init(from: JobSchedule.TimeOfDay, to: JobSchedule.TimeOfDay, weekdays: [JobSchedule.Weekday] = []) {
        self.from = from
        self.to = to
        self.weekdays = weekdays
    }

    /// Whether a wall-clock moment lies within.
    public func contains(weekday: JobSchedule.Weekday, minuteOfDay: Int) -> Bool {
        func isOn(_ day: JobSchedule.Weekday) -> Bool { weekdays.isEmpty || weekdays.contains(day) }
        let (from, to) = (from.minuteOfDay, to.minuteOfDay)
        if from < to { return isOn(weekday) && from <= minuteOfDay && minuteOfDay < to }
        let dayBefore = JobSchedule.Weekday(rawValue: (weekday.rawValue + 5) % 7 + 1) ?? weekday
        return (isOn(weekday) && minuteOfDay >= from) || (isOn(dayBefore) && minuteOfDay < to)
    }
}

/// When stores may fetch what a job has for them.
public struct DeliveryWindow: Sendable, Equatable {
    /// Whose wall clock counts.
    public enum Clock: String, Sendable, CaseIterable { case hub, store }

    public var window: DayWindow
    public var clock: Clock

    public init(window: DayWindow, clock: Clock = .store) {
        self.window = window
        self.clock = clock
    }
}
