import ArgumentParser
import Foundation
import WaybillSimulation

@main
struct WaybillSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "waybill-sim",
        abstract: "Run a hub and its stores through troubles, thousands of times, and check every promise.",
        discussion: """
            Each seed is one schedule: the real hub and agents over real databases on simulated disks, in one thread with \
            a clock of its own, while letters are lost, processes killed, disks filled and backups restored. Afterwards \
            everything must come to rest by itself and every store must hold what headquarters says.

            Examples:
              waybill-sim --schedules 1000 --jobs 2
              waybill-sim --replay 4711 --without lost,cut --steps 12 --trace
              waybill-sim --plant outbox-cleared-early --schedules 500

            Exit status: 0 no violation, 1 at least one, 64 wrong usage.
            """)

    @Option(help: "How many schedules to run.")
    var schedules = 1000
    @Option(help: "The first seed; the others follow it.")
    var seed: UInt64 = 1
    @Option(help: "Threads, each with a world of its own.")
    var jobs = 2
    @Option(help: "Run only this seed.")
    var replay: UInt64?
    @Option(help: "Troubles to leave out, separated by commas.")
    var without = ""
    @Option(help: "With --replay: moments of meddling at most.")
    var steps: Int?
    @Option(help: "With --replay: stores at most.")
    var stores: Int?
    @Option(help: "Plant a bug that has to be found: its name, or 'all' for each in turn.")
    var plant: String?
    @Flag(help: "With --replay: print what happens, line by line.")
    var trace = false
    @Flag(inversion: .prefixedNo, help: "Look for the shortest schedule that fails like the first ones found.")
    var shrink = true
    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        for name in without.split(separator: ",") where Trouble.named[String(name)] == nil {
            throw ValidationError("there is no trouble '\(name)'; there are: \(list(Trouble.allCases))")
        }
        if let plant, plant != "all", Sabotage(rawValue: plant) == nil {
            throw ValidationError("there is no bug '\(plant)'; there are: \(list(Sabotage.allCases))")
        }
        guard schedules > 0, jobs > 0 else { throw ValidationError("--schedules and --jobs must be above 0") }
    }

    private func list<T: RawRepresentable<String>>(_ all: [T]) -> String {
        all.map(\.rawValue).joined(separator: ", ")
    }

    func run() throws {
        if let replay { return try run(replay) }
        if plant == "all" { return try plantAll() }
        let begun = ContinuousClock.now
        let report = try campaign(plant.flatMap(Sabotage.init), stopsAtFirst: plant != nil).run()
        let output = SimulationOutput(report, seconds: seconds(since: begun), shrinks: shrink)
        try output.print(isJSON: json)
        if !report.violations.isEmpty { throw ExitCode(1) }
    }

    private var left: Set<Trouble> { Set(without.split(separator: ",").compactMap { Trouble.named[String($0)] }) }

    private func campaign(_ sabotage: Sabotage?, stopsAtFirst: Bool) -> Campaign {
        let isQuiet = json || plant != nil
        return Campaign(
            seeds: seed..<seed + UInt64(schedules), without: left, sabotage: sabotage, threads: jobs,
            stopsAtFirst: stopsAtFirst
        ) { done in
            if !isQuiet, done % 1000 == 0 { FileHandle.standardError.write(Data("\(done) schedules\n".utf8)) }
        }
    }

    private func run(_ replayed: UInt64) throws {
        let verdict = try Simulation.run(
            Schedule(
                seed: replayed, without: left, steps: steps, stores: stores, sabotage: plant.flatMap(Sabotage.init),
                keepsTrace: trace))
        for line in verdict.trace { print(line) }
        try SimulationOutput(verdict).print(isJSON: json)
        if verdict.violation != nil { throw ExitCode(1) }
    }

    /// Each planted bug, until it is found.
    private func plantAll() throws {
        var missed = 0
        for sabotage in Sabotage.allCases {
            let report = try campaign(sabotage, stopsAtFirst: true).run()
            let found = report.violations.first
            if found == nil { missed += 1 }
            let name = sabotage.rawValue.padding(toLength: 26, withPad: " ", startingAt: 0)
            print(
                "\(name)\(found.map { "seed \($0.schedule.seed): \($0.violation ?? "")" } ?? "NOT FOUND in \(schedules)")"
            )
        }
        if missed > 0 { throw ExitCode(1) }
    }

    private func seconds(since begun: ContinuousClock.Instant) -> Double {
        let (seconds, attoseconds) = begun.duration(to: .now).components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
