import Foundation
import WaybillModel
import Yams

/// Reads what starts a job, how it is retried, and when stores may fetch it.
struct TriggerReader {
    let sink: FaultSink

    // MARK: triggers

    func triggers(_ section: Section) -> JobTriggers {
        var triggers = JobTriggers()
        guard let (node, _) = section.node("triggers"),
            let entries = Section(node, "'triggers'", known: ["schedule", "online", "initial"], sink)
        else { return triggers }
        if let isInitial = entries.flag("initial") { triggers.isInitial = isInitial }
        triggers.online = online(entries)
        if let (node, _) = entries.node("schedule") {
            // One schedule needs no list.
            let nodes = node.mapping != nil ? [node] : entries.nodes("schedule")
            triggers.schedules = nodes.compactMap(schedule)
        }
        return triggers
    }

    private func online(_ entries: Section) -> OnlineTrigger? {
        guard let (node, _) = entries.node("online") else { return nil }
        if case .scalar = node { return entries.flag("online") == true ? OnlineTrigger() : nil }
        guard let online = Section(node, "'online'", known: ["watch", "settle_ms", "longest_wait_ms"], sink) else {
            return nil
        }
        let tables = online.plainNames("watch")
        let settle = online.integer("settle_ms", in: 0...3_600_000) ?? OnlineTrigger.defaultSettleMilliseconds
        let longest =
            online.integer("longest_wait_ms", in: 0...3_600_000)
            ?? max(settle, OnlineTrigger.defaultLongestWaitMilliseconds)
        return OnlineTrigger(
            tables: tables.isEmpty ? nil : tables, settleMilliseconds: settle, longestWaitMilliseconds: longest)
    }

    // MARK: schedules

    private static let scheduleSettings = [
        "every", "on", "at", "start", "end", "count", "time_zone", "between",
    ]

    private func schedule(_ node: Node) -> JobSchedule? {
        guard let entry = Section(node, "a schedule", known: TriggerReader.scheduleSettings, sink),
            let every = entry.required("every", hint: "as '15 minutes', 'day', '2 weeks'"),
            let (interval, unit) = recurrence(every, entry)
        else { return nil }
        var schedule = JobSchedule(unit: unit, interval: interval)
        let days = entry.strings("on")
        switch unit {
        case .month: schedule.monthDays = days.compactMap { monthDay($0, entry) }
        case .week: schedule.weekdays = days.flatMap { weekdays($0, entry) }
        case .minute, .hour, .day: break
        }
        schedule.times = entry.strings("at").compactMap { time($0, "at", entry) }.sorted()
        if unit == .minute || unit == .hour, !schedule.times.isEmpty {
            entry.fault("at", "'at' is for days, weeks and months", hint: "use 'start' and 'between'")
        }
        schedule.start = entry.string("start").flatMap { moment($0, "start", entry, timeWithout: (0, 0)) }
        schedule.end = entry.string("end").flatMap { moment($0, "end", entry, timeWithout: (23, 59)) }
        schedule.count = entry.integer("count", in: 1...JobSchedule.countMax)
        if let end = schedule.end, let start = schedule.start, end < start {
            entry.fault("end", "'end' lies before 'start'")
        }
        schedule.timeZone = timeZone(entry)
        schedule.window = window(entry, days: unit == .month || unit == .week ? [] : days)
        return schedule
    }

    private func recurrence(_ text: String, _ entry: Section) -> (Int, JobSchedule.Unit)? {
        let words = text.lowercased().split(separator: " ").map(String.init)
        let interval = words.count == 2 ? Int(words[0]) : words.count == 1 ? 1 : nil
        let word = words.last ?? ""
        let unit = JobSchedule.Unit(rawValue: word.hasSuffix("s") ? String(word.dropLast()) : word)
        guard let interval, let unit, (1...10_000).contains(interval) else {
            entry.fault(
                "every", "'\(text)' is no recurrence", hint: "as '15 minutes', 'hour', 'day', '2 weeks', 'month'")
            return nil
        }
        return (interval, unit)
    }

    private func monthDay(_ text: String, _ entry: Section) -> Int? {
        if text == "last" { return -1 }
        if let day = Int(text), (1...31).contains(day) { return day }
        entry.fault("on", "'\(text)' is no day of a month", hint: "1 to 31, or last")
        return nil
    }

    /// `mon`, `monday`, `mon-fri`.
    private func weekdays(_ text: String, _ entry: Section) -> [JobSchedule.Weekday] {
        func day(_ text: Substring) -> JobSchedule.Weekday? {
            let lower = text.lowercased()
            return JobSchedule.Weekday.allCases.first {
                let name = "\($0)"
                return lower == name || lower == name.prefix(3)
            }
        }
        let ends = text.split(separator: "-").map(day)
        if ends.count == 1, let only = ends[0] { return [only] }
        if ends.count == 2, let first = ends[0], let last = ends[1] {
            let length = (last.rawValue - first.rawValue + 7) % 7
            return (0...length).compactMap { JobSchedule.Weekday(rawValue: (first.rawValue - 1 + $0) % 7 + 1) }
        }
        entry.fault("on", "'\(text)' is no weekday", hint: "as [mon, thu] or mon-fri")
        return []
    }

    private func time(_ text: String, _ key: String, _ entry: Section) -> JobSchedule.TimeOfDay? {
        let parts = text.split(separator: ":").map { Int($0) }
        guard parts.count == 2, let hour = parts[0], let minute = parts[1], (0...59).contains(minute),
            (0...23).contains(hour) || (hour == 24 && minute == 0 && key == "between")
        else {
            // YAML 1.1 reads 22:00 as a number in base 60; Yams keeps the text, so nothing else can go wrong here.
            entry.fault(key, "'\(text)' is no time of day", hint: "as 05:30")
            return nil
        }
        return JobSchedule.TimeOfDay(hour: hour, minute: minute)
    }

    private func moment(
        _ text: String, _ key: String, _ entry: Section, timeWithout: (Int, Int)
    ) -> JobSchedule.LocalDateTime? {
        let halves = text.split(whereSeparator: { $0 == " " || $0 == "T" })
        let numbers = (halves.first ?? "").split(separator: "-").compactMap { Int($0) }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        guard (1...2).contains(halves.count), numbers.count == 3,
            DateComponents(calendar: calendar, year: numbers[0], month: numbers[1], day: numbers[2]).isValidDate
        else {
            entry.fault(key, "'\(text)' is no date", hint: "as 2026-11-30, or 2026-11-30 06:00")
            return nil
        }
        var at = JobSchedule.TimeOfDay(hour: timeWithout.0, minute: timeWithout.1)
        if halves.count == 2 {
            guard let given = time(String(halves[1]), key, entry) else { return nil }
            at = given
        }
        return JobSchedule.LocalDateTime(year: numbers[0], month: numbers[1], day: numbers[2], time: at)
    }

    private func timeZone(_ entry: Section) -> String? {
        guard let name = entry.string("time_zone") else { return nil }
        if TimeZone(identifier: name) != nil { return name }
        let near = nearestName(to: name, among: TimeZone.knownTimeZoneIdentifiers)
        entry.fault("time_zone", "there is no time zone '\(name)'", hint: near.map { "did you mean '\($0)'?" })
        return nil
    }

    /// `between: 20:00-06:00`, on some days.
    private func window(_ entry: Section, days: [String]) -> DayWindow? {
        let weekdays = days.flatMap { self.weekdays($0, entry) }
        guard let text = entry.string("between") else {
            if weekdays.isEmpty { return nil }
            let midnight = JobSchedule.TimeOfDay(hour: 0, minute: 0)
            return DayWindow(from: midnight, to: JobSchedule.TimeOfDay(hour: 24, minute: 0), weekdays: weekdays)
        }
        let ends = text.split(separator: "-").map { $0.trimmingCharacters(in: .whitespaces) }
        guard ends.count == 2 else {
            entry.fault("between", "'\(text)' is no part of a day", hint: "as 20:00-06:00")
            return nil
        }
        guard let from = time(ends[0], "between", entry), let to = time(ends[1], "between", entry) else { return nil }
        guard from != to else {
            entry.fault("between", "'\(text)' begins when it ends")
            return nil
        }
        return DayWindow(from: from, to: to, weekdays: weekdays)
    }

    // MARK: delivery and retry

    func delivery(_ section: Section) -> (window: DeliveryWindow?, tryCount: Int?) {
        guard let (node, _) = section.node("delivery"),
            let entry = Section(node, "'delivery'", known: ["between", "on", "clock", "try_count"], sink)
        else { return (nil, nil) }
        let window = window(entry, days: entry.strings("on"))
        let clock = entry.word("clock", DeliveryWindow.Clock.self) ?? .store
        if window == nil, entry.node("clock") != nil { entry.fault("clock", "'clock' is for a window: add 'between'") }
        return (window.map { DeliveryWindow(window: $0, clock: clock) }, entry.integer("try_count", in: 0...1000))
    }

    func retry(_ section: Section) -> RunPolicy {
        var policy = RunPolicy()
        let known = ["attempts", "wait_seconds", "longest_wait_seconds", "sleep_after"]
        guard let (node, _) = section.node("retry"), let entry = Section(node, "'retry'", known: known, sink) else {
            return policy
        }
        if let value = entry.integer("attempts", in: 0...1_000_000) { policy.attempts = value }
        if let value = entry.integer("wait_seconds", in: 1...86_400) { policy.waitSeconds = value }
        if let value = entry.integer("longest_wait_seconds", in: 1...604_800) { policy.longestWaitSeconds = value }
        if let value = entry.integer("sleep_after", in: 0...1_000_000) { policy.sleepAfter = value }
        policy.longestWaitSeconds = max(policy.longestWaitSeconds, policy.waitSeconds)
        return policy
    }
}
