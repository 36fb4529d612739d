import Foundation
import Testing
import WaybillJobs
import WaybillModel

@testable import WaybillSchedule

/// A clock with its jobs, and what a database would remember of it; time passes only when a test says so.
struct Office {
    var clock: JobClock
    var now = Timestamp(milliseconds: 1_800_000_000_000)
    /// As written: by number and by job.
    var runs: [Int64: JobRun] = [:]
    var memories: [JobID: JobMemory] = [:]
    var log: [String] = []
    /// Runs in the order in which they were started.
    var starts: [JobRun] = []
    var head: Int64 = 100
    private var jobs: [Job]

    init(_ jobs: Job..., isAutomatic: Bool = true) {
        self.init(jobs, isAutomatic: isAutomatic)
    }

    init(_ jobs: [Job], isAutomatic: Bool = true) {
        self.jobs = jobs
        clock = JobClock(
            settings: JobClockSettings(isAutomatic: isAutomatic, zone: .gmt), memories: [], open: [], lastNumber: 0)
        step(.changed([:], head: head))
        step(.catalogue(jobs))
    }

    mutating func step(_ event: JobEvent) {
        for effect in clock.step(event, now: now) {
            switch effect {
            case .save(let run): runs[run.number] = run
            case .remember(let memory): memories[memory.job] = memory
            case .log(let text, _): log.append(text)
            case .start(let run):
                starts.append(run)
                step(.started(run: run.number, SessionID(number: run.number, random: 7)))
            }
        }
    }

    mutating func wait(_ milliseconds: Int64) {
        now = now + milliseconds
        step(.tick)
    }

    /// A commit that touches these tables.
    mutating func change(_ tables: String...) {
        head += 1
        step(.changed(Dictionary(uniqueKeysWithValues: tables.map { ($0, head) }), head: head))
    }

    mutating func end(_ job: JobID, _ outcome: RunOutcome = .made, jitter: Double = 1) {
        guard let run = running(job) else {
            Issue.record("\(job) does not run")
            return
        }
        step(.ended(run: run.number, outcome, jitter: jitter))
    }

    /// The hub dies and another begins with what was written.
    mutating func restart(jobs: [Job]? = nil) {
        clock = JobClock(
            settings: clock.settings, memories: Array(memories.values),
            open: runs.values.filter { !$0.state.isFinal }, lastNumber: runs.keys.max() ?? 0)
        self.jobs = jobs ?? self.jobs
        step(.catalogue(self.jobs))
    }

    func running(_ job: JobID) -> JobRun? { clock.open.values.first { $0.job == job && $0.state == .running } }
    func open(_ job: JobID) -> [JobRun] {
        clock.open.values.filter { $0.job == job }.sorted { $0.number < $1.number }
    }
    func states(_ job: JobID) -> [RunState] {
        runs.values.filter { $0.job == job }.sorted { $0.number < $1.number }.map(\.state)
    }
    func causes(_ job: JobID) -> [RunCause] { starts.filter { $0.job == job }.map(\.cause) }
    func hold(of job: JobID) -> String? { memories[job]?.hold }
}

func name(_ text: String) -> JobID {
    guard let id = JobID(text) else { preconditionFailure("'\(text)' cannot name a job") }
    return id
}

func job(
    _ id: String, reads inputs: [String] = ["price"], _ triggers: JobTriggers = JobTriggers(),
    policy: RunPolicy = RunPolicy()
) -> Job {
    Job(
        id: name(id), title: id, inputs: inputs, subjobs: [], triggers: triggers,
        runPolicy: policy)
}

let prices = name("prices")
let modes = name("modes")
let shops = Set(["S1", "S2"].compactMap(StoreID.init))
let minute: Int64 = 60_000
let online = JobTriggers(online: OnlineTrigger())
let hourly = JobTriggers(schedules: [JobSchedule(unit: .hour, timeZone: "UTC")])
