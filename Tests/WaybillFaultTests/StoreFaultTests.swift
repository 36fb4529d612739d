import Testing
import WaybillApply
import WaybillModel

/// `store.db` after every fault that its disk can have, at every moment.
@Suite("Every fault in the store's database")
struct StoreFaultTests {
    private func expectWhole(_ scene: @autoclosure () throws -> StoreScene, _ strike: Strike, stride: Int = 1) throws {
        var faults = try EveryFault(try scene())
        try faults.run(strike, stride: stride)
        #expect(faults.struck > 0)
        // Added up by deploy/faults io-errors.
        print("figure: \(faults.struck) faults of \(strike) in \(faults.scene.name)")
    }

    @Test(arguments: Strike.allCases)
    func aDeltaIsAppliedWholeOrNotAtAll(_ strike: Strike) throws {
        try expectWhole(try StoreScene("delta") { try $0.apply($0.second) }, strike)
    }

    @Test(arguments: Strike.allCases)
    func aTableIsReplacedThroughAShadowWholeOrNotAtAll(_ strike: Strike) throws {
        try expectWhole(
            try StoreScene("shadow", lockBudget: 0, rows: 1_500, isDelta: false) { try $0.apply($0.second) }, strike)
    }

    @Test(arguments: Strike.allCases)
    func aTableChangesItsColumnsWholeOrNotAtAll(_ strike: Strike) throws {
        var shape = StoreScene.price
        shape = TableShape(
            name: shape.name, columns: shape.columns + [ColumnShape("note", .text, nullable: true)], key: shape.key)
        try expectWhole(
            try StoreScene("evolution", isDelta: false, shape: shape) { try $0.apply($0.second) }, strike)
    }

    @Test(arguments: Strike.allCases)
    func aCancelIsPromisedOrNot(_ strike: Strike) throws {
        try expectWhole(
            try StoreScene("cancel") { scene in
                try scene.withLedger {
                    _ = try $0.cancel(
                        session: StoreScene.session(2), job: StoreScene.job, run: 1, at: scene.at(5))
                }
            }, strike)
    }

    @Test(arguments: Strike.allCases)
    func reportsAreForgottenTogether(_ strike: Strike) throws {
        try expectWhole(
            try StoreScene("acknowledge") { scene in
                try scene.withLedger { ledger in try ledger.acknowledge(try ledger.outbox(limit: 10).map(\.name)) }
            }, strike)
    }

    @Test(arguments: Strike.allCases)
    func aLifeBeginsWholeOrNotAtAll(_ strike: Strike) throws {
        try expectWhole(
            try StoreScene("incarnation") { scene in
                try scene.withLedger { ledger in
                    // Idempotent here, so that a second try comes to the same end.
                    if try ledger.state().incarnation.counter < 8 {
                        try ledger.raiseIncarnation(above: 7, random: 9)
                    }
                }
            }, strike)
    }

    @Test func aFullDiskLeavesTheStoreAsItWasWhateverFits() throws {
        for scene in [
            try StoreScene("delta") { try $0.apply($0.second) },
            try StoreScene("shadow", lockBudget: 0, rows: 1_500, isDelta: false) { try $0.apply($0.second) },
        ] {
            var faults = try EveryFault(scene)
            try faults.runFull()
            #expect(faults.struck > 3)
        }
    }
}
