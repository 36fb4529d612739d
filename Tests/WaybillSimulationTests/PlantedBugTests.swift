import Testing
import WaybillSimulation

/// The checker has to find what is wrong: each planted bug within so many schedules.
@Suite struct PlantedBugTests {
    /// Schedules within which each is found; `waybill-sim --plant all` prints how many it took.
    static let schedulesMax: UInt64 = 80

    @Test(arguments: Sabotage.allCases)
    func aPlantedBugIsFound(_ sabotage: Sabotage) throws {
        let report = try Campaign(seeds: 1..<1 + PlantedBugTests.schedulesMax, sabotage: sabotage, stopsAtFirst: true)
            .run()
        #expect(report.violations.count == 1, "\(sabotage.rawValue) was not found in \(report.schedules) schedules")
    }

    @Test func thereAreAtLeastTwentyOfThem() { #expect(Sabotage.allCases.count >= 20) }
}
