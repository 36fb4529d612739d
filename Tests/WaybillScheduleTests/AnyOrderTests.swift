import Foundation
import Testing
import WaybillJobs
import WaybillModel

@testable import WaybillSchedule

/// Whatever happens in whatever order, with a hub that may die after any step: no two runs at once, and nothing that
/// anybody or anything has asked for is lost.
@Suite struct AnyOrderTests {
    @Test(arguments: 1...200) func nothingRunsTwiceAtOnceAndNothingIsLost(seed: UInt64) throws {
        var life = Life(seed: seed)
        for _ in 1...150 { life.happen() }
        life.comeToRest()
        #expect(life.duties.isEmpty, "seed \(seed): \(life.duties.prefix(3))")
        #expect(life.office.clock.open.isEmpty, "seed \(seed)")
        #expect(life.faults.isEmpty, "seed \(seed): \(life.faults.prefix(3))")
        #expect(life.office.starts.count > 10)
    }
}

/// What has to be done, and until when it has not.
private struct Duty: CustomStringConvertible {
    enum Kind: Equatable { case manual, automatic, change }
    var job: JobID
    var scope: RunScope
    var kind: Kind
    /// A run that begins earlier does not count.
    var since: Int
    var description: String { "\(kind) \(job) since \(since)" }
}

private struct Life {
    static let jobs = [
        job("prices", reads: ["price"], online, policy: RunPolicy(attempts: 2, waitSeconds: 5, sleepAfter: 0)),
        job("modes", reads: ["mode", "price"], hourly, policy: RunPolicy(attempts: 0, waitSeconds: 5, sleepAfter: 0)),
        job(
            "both", reads: ["mode"], JobTriggers(schedules: hourly.schedules, online: OnlineTrigger()),
            policy: RunPolicy(attempts: 3, waitSeconds: 60, sleepAfter: 0)),
    ]

    var office = Office(Life.jobs)
    var duties: [Duty] = []
    var faults: [String] = []
    private var random: SplitMix
    private var time = 0
    /// When runs were first seen running.
    private var begun: [Int64: Int] = [:]
    private var sessions: Int64 = 1_000_000
    /// The last change of each table, for a hub that reads the log anew.
    private var log: [String: Int64] = [:]

    init(seed: UInt64) { random = SplitMix(seed: seed) }

    mutating func happen() {
        time += 1
        let job = Life.jobs[Int.random(in: 0...2, using: &random)].id
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<20: change()
        case 20..<30: request(job)
        case 30..<37: publish(job)
        case 37..<43:
            let stores = Set([StoreID("S\(Int.random(in: 1...3, using: &random))")].compactMap { $0 })
            for job in Life.jobs { owe(job.id, RunScope(isFull: true, stores: stores), .automatic) }
            office.step(.enrolled(stores))
        case 43..<65: endOne(.made)
        case 65..<70: endOne(Bool.random(using: &random) ? .failed("no disk") : .nothing)
        case 70..<72: endOne(.canceled)
        case 72..<76: office.step(.hold(job, reason: "held"))
        case 76..<82: office.step(.resume(job))
        case 82..<90: restart()
        default: pass(Int64.random(in: 1...(90 * minute), using: &random))
        }
        if Int.random(in: 0..<3, using: &random) == 0 { pass(Int64.random(in: 1...2000, using: &random)) }
        look()
    }

    /// Time passes in steps of minutes, and the hours that strike are duties.
    private mutating func pass(_ milliseconds: Int64) {
        let before = office.now.milliseconds / (60 * minute)
        office.now = office.now + milliseconds
        if office.now.milliseconds / (60 * minute) > before {
            for job in Life.jobs where !job.triggers.schedules.isEmpty { owe(job.id, RunScope(), .automatic) }
        }
        office.step(.tick)
        look()
    }

    private mutating func change() {
        let table = Bool.random(using: &random) ? "price" : "mode"
        office.change(table)
        log[table] = office.head
        for job in Life.jobs where job.triggers.online != nil && job.inputs.contains(table) {
            owe(job.id, RunScope(), .change)
        }
    }

    private mutating func scope() -> RunScope {
        RunScope(isFull: Int.random(in: 0..<4, using: &random) == 0, stores: Bool.random(using: &random) ? nil : shops)
    }

    private mutating func request(_ job: JobID) {
        let scope = scope()
        owe(job, scope, .manual)
        office.step(.requested(job, scope))
        if office.clock.request(of: job, scope) == nil { faults.append("a request has no run") }
    }

    private mutating func publish(_ job: JobID) {
        let scope = scope()
        owe(job, scope, .manual)
        sessions += 1
        office.step(.published(job, scope, SessionID(number: sessions, random: 0)))
    }

    private mutating func owe(_ job: JobID, _ scope: RunScope, _ kind: Duty.Kind) {
        duties.append(Duty(job: job, scope: scope, kind: kind, since: time))
    }

    private mutating func endOne(_ outcome: RunOutcome) {
        guard let run = office.clock.open.values.filter({ $0.state == .running }).min(by: { $0.number < $1.number })
        else { return }
        let begun = begun[run.number] ?? time
        duties.removeAll { duty in
            guard duty.job == run.job, begun >= duty.since, run.scope.covers(duty.scope) else { return false }
            switch outcome {
            case .made, .nothing: return true
            // A person is told, and decides.
            case .failed: return duty.kind == .manual && run.cause == .manual
            case .canceled: return duty.kind != .change
            }
        }
        office.step(.ended(run: run.number, outcome, jitter: Double.random(in: 0...1, using: &random)))
    }

    private mutating func restart() {
        let before = office.clock.open
        office.restart()
        for (number, run) in before where office.clock.open[number] == nil && office.runs[number]?.state != run.state {
            if office.runs[number]?.state != .canceled { faults.append("run \(number) is lost") }
        }
        // It reads the log from where every job has taken care of it.
        office.step(.changed(log, head: office.head))
    }

    private mutating func look() {
        for run in office.clock.open.values where run.state == .running && begun[run.number] == nil {
            begun[run.number] = time
        }
        let running = office.clock.open.values.filter { $0.state == .running }
        if running.count > 1 { faults.append("\(running.map(\.job)) run at once") }
        for run in office.clock.open.values where office.runs[run.number] != run {
            faults.append("run \(run.number) is not as it was kept")
        }
    }

    /// Everybody resumes, nothing fails any more, and time goes on until nothing is left.
    mutating func comeToRest() {
        for job in Life.jobs { office.step(.resume(job.id)) }
        for _ in 1...60 {
            time += 1
            pass(2 * minute)
            endOne(.made)
            look()
        }
        // The hour may just have struck.
        while !office.clock.open.isEmpty, time < 100_000 {
            time += 1
            endOne(.made)
            pass(1)
        }
    }
}
