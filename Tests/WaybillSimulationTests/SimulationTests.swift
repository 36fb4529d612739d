import Foundation
import Testing
import WaybillSimulation

/// Schedules of the deterministic simulation. A seed that fails is looked at with `waybill-sim --replay SEED --trace`.
@Suite struct SimulationTests {
    /// Schedules in all; `WAYBILL_SIMULATIONS` makes it more, or fewer.
    static let schedules = ProcessInfo.processInfo.environment["WAYBILL_SIMULATIONS"].flatMap(UInt64.init) ?? 1000
    static let parts: UInt64 = 8

    @Test(arguments: 0..<parts)
    func whateverHappensEveryStoreEndsWithWhatHeadquartersSays(part: UInt64) throws {
        let size = SimulationTests.schedules / SimulationTests.parts
        let first = 1 + part * size
        let report = try Campaign(seeds: first..<first + size).run()
        for verdict in report.violations {
            Issue.record("\(verdict.violation ?? ""); \(verdict.schedule.shrunk().replayCommand)")
        }
        #expect(report.applied > Int(size), "schedules in which nothing happens prove nothing")
    }

    @Test(arguments: [UInt64(1), 2, 3, 5, 8])
    func theSameSeedTakesTheSameCourse(seed: UInt64) throws {
        let once = try Simulation.run(Schedule(seed: seed))
        let again = try Simulation.run(Schedule(seed: seed))
        #expect(once.traceHash == again.traceHash)
        #expect(once.events == again.events && once.virtualMilliseconds == again.virtualMilliseconds)
    }

    @Test func everyTroubleReallyHappens() throws {
        let report = try Campaign(seeds: 1..<150).run()
        let missing = Trouble.allCases.map(\.rawValue).filter { report.injected[$0] == nil }
        #expect(missing.isEmpty, "\(missing)")
    }

    @Test func aScheduleCanBeMadeShorterAndStillFails() throws {
        let report = try Campaign(seeds: 1..<20, sabotage: .contentUnchecked, stopsAtFirst: true).run()
        let found = try #require(report.violations.first)
        let shrunk = found.schedule.shrunk(triesMax: 40)
        #expect((shrunk.steps ?? 99) < 26)
        #expect(try Simulation.run(shrunk).violation != nil)
        #expect(shrunk.replayCommand.contains("--replay \(found.schedule.seed)"))
    }
}
