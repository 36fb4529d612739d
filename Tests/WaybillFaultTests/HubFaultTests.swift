import Testing
import WaybillSessions

/// `hub.db` and `rows.db` after every fault that their disk can have, at every moment.
@Suite("Every fault in the hub's databases")
struct HubFaultTests {
    private func expectWhole(_ scene: any FaultScene, _ strike: Strike) throws {
        var faults = try EveryFault(scene)
        try faults.run(strike)
        #expect(faults.struck > 0)
        // Added up by deploy/faults io-errors.
        print("figure: \(faults.struck) faults of \(strike) in \(faults.scene.name)")
    }

    @Test(arguments: Strike.allCases)
    func whatStoresSaidIsFoldedTogether(_ strike: Strike) throws {
        try expectWhole(try OperationsScene("fold", OperationsScene.fold), strike)
    }

    @Test(arguments: Strike.allCases)
    func aSessionIsOfferedWholeOrNotAtAll(_ strike: Strike) throws {
        let scene = try OperationsScene("offer") { operations in
            try operations.write { db in
                guard try SessionRecord.find(number: 2, in: db) == nil else { return }
                try OperationsScene.offer(try OperationsScene.newSession(in: db), in: db)
            }
        }
        try expectWhole(scene, strike)
    }

    @Test(arguments: Strike.allCases)
    func aNewHubIsMadeOrMadeAgain(_ strike: Strike) throws {
        try expectWhole(try NewOperationsScene(), strike)
    }

    @Test(arguments: Strike.allCases)
    func rowsAreDerivedWholeOrNotAtAll(_ strike: Strike) throws {
        try expectWhole(try DeriveScene("derive"), strike)
    }

    @Test func aFullDiskLeavesTheHubAsItWasWhateverFits() throws {
        let scenes: [any FaultScene] = [
            try OperationsScene("fold", OperationsScene.fold), try DeriveScene("derive"), try NewOperationsScene(),
        ]
        for scene in scenes {
            var faults = try EveryFault(scene)
            try faults.runFull()
            #expect(faults.struck > 3, "\(scene.name)")
        }
    }
}
