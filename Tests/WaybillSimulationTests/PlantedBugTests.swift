import Testing
import WaybillSimulation

/// The checker has to find what is wrong: each planted bug within so many schedules.
@Suite struct PlantedBugTests {
    /// Schedules within which each is found; `waybill-sim --plant all` prints how many it took.
    static let schedulesMax: UInt64 = 80

    /// Bugs that take more schedules than a test has time for: `waybill-sim --plant NAME --schedules 10000`.
    static let rare: Set<Sabotage> = [.wrongBase, .outboxClearedEarly, .cancelWithoutStore, .formerKeysObeyed]

    @Test(arguments: Sabotage.allCases.filter { !rare.contains($0) })
    func aPlantedBugIsFound(_ sabotage: Sabotage) throws {
        let report = try Campaign(seeds: 1..<1 + PlantedBugTests.schedulesMax, sabotage: sabotage, stopsAtFirst: true)
            .run()
        #expect(report.violations.count == 1, "\(sabotage.rawValue) was not found in \(report.schedules) schedules")
    }
}
