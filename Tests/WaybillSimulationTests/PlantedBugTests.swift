import Testing
import WaybillSimulation

/// The checker has to find what is wrong: each planted bug within so many schedules.
@Suite struct PlantedBugTests {
    /// The schedules that may be looked at, each with the troubles in which the bug does harm. As counted with
    /// `waybill-sim --plant all`, most of them are found in the first schedule and all within the first six.
    static let schedulesMax: UInt64 = 40

    /// Where to begin, shortly before what is found: a test need not wait for the schedules in which nothing shows.
    static let firstSeeds: [Sabotage: UInt64] = [
        .foldAcceptsRegressions: 3, .wrongBase: 6, .appliedAgain: 2, .halfCommitted: 2,
    ]

    @Test(arguments: Sabotage.allCases)
    func aPlantedBugIsFound(_ sabotage: Sabotage) throws {
        let first = PlantedBugTests.firstSeeds[sabotage] ?? 1
        let report = try Campaign(
            seeds: first..<first + PlantedBugTests.schedulesMax, sabotage: sabotage, stopsAtFirst: true
        ).run()
        #expect(report.violations.count == 1, "\(sabotage.rawValue) was not found in \(report.schedules) schedules")
    }
}
