import WaybillJobs
import WaybillModel

/// What a job says about the order and the times of its deliveries.
public struct DeliveryRules: Sendable, Equatable {
    /// Jobs that a store applies before this one when they are on offer too: those it names, and those before them.
    public var follows: Set<JobID>
    public var window: DeliveryWindow?

    public init(follows: Set<JobID> = [], window: DeliveryWindow? = nil) {
        self.follows = follows
        self.window = window
    }

    /// The rules of each job. Jobs that follow one another in a circle do not follow one another at all: a circle is
    /// refused where jobs are read, and must not stop deliveries where one comes through.
    public static func of(_ jobs: [Job]) -> [JobID: DeliveryRules] {
        let named = Dictionary(jobs.map { ($0.id, $0.follows) }, uniquingKeysWith: { a, _ in a })
        let before = named.mapValues { all(before: $0, named) }
        return Dictionary(
            jobs.map { job in
                let follows = (before[job.id] ?? []).filter { before[$0]?.contains(job.id) == false }
                return (job.id, DeliveryRules(follows: follows, window: job.deliveryWindow))
            }, uniquingKeysWith: { a, _ in a })
    }

    private static func all(before jobs: [JobID], _ named: [JobID: [JobID]]) -> Set<JobID> {
        var found: Set<JobID> = []
        var open = jobs
        while let job = open.popLast() {
            guard let next = named[job], found.insert(job).inserted else { continue }
            open += next
        }
        return found
    }
}

extension [JobID: DeliveryRules] {
    /// How many jobs come before this one. What follows another has always more before it than that one.
    func rank(of job: JobID) -> Int { self[job]?.follows.count ?? 0 }
}

/// What a wall clock shows.
struct WallClock: Equatable {
    var weekday: JobSchedule.Weekday
    var minuteOfDay: Int

    init(weekday: JobSchedule.Weekday, minuteOfDay: Int) {
        self.weekday = weekday
        self.minuteOfDay = minuteOfDay
    }

    init(at time: Timestamp, utcOffsetMinutes: Int) {
        let minutes = WallClock.floored(time.milliseconds, by: 60_000) + Int64(utcOffsetMinutes)
        let day = WallClock.floored(minutes, by: 1440)
        // 1970-01-01 was a Thursday.
        let weekday = Int(day + 4 - 7 * WallClock.floored(day + 4, by: 7)) + 1
        self.init(weekday: .init(rawValue: weekday) ?? .thursday, minuteOfDay: Int(minutes - day * 1440))
    }

    private static func floored(_ number: Int64, by divisor: Int64) -> Int64 {
        (number - (number < 0 ? divisor - 1 : 0)) / divisor
    }
}

extension DayWindow {
    func contains(_ clock: WallClock) -> Bool { contains(weekday: clock.weekday, minuteOfDay: clock.minuteOfDay) }

    /// When it opens next, seen from outside of it: `20:00`, or `Monday 20:00` where that is not within a day.
    func nextOpening(after clock: WallClock) -> String {
        let minute = from.minuteOfDay % 60
        let time = "\(from.minuteOfDay / 60):\(minute < 10 ? "0" : "")\(minute)"
        let hour = from.minuteOfDay < 600 ? "0" : ""
        for days in 0...7 {
            let day = JobSchedule.Weekday(rawValue: (clock.weekday.rawValue - 1 + days) % 7 + 1) ?? clock.weekday
            guard weekdays.isEmpty || weekdays.contains(day) else { continue }
            let isLater = from.minuteOfDay > clock.minuteOfDay
            if days == 0 && !isLater { continue }
            let isWithinADay = days == 0 || (days == 1 && !isLater)
            return (isWithinADay ? "" : "\(day)".prefix(1).uppercased() + "\(day)".dropFirst() + " ") + hour + time
        }
        return hour + time
    }
}
