import GRDB
import Testing
import WaybillModel
import WaybillSessions

/// What building costs in things that can be counted: times belong into waybill-bench.
@Suite struct BuildCountTests {
    @Test func thousandsOfStoresInOneAudienceCostOnePackage() throws {
        let chain = try SteppedChain(stores: 5_000, groups: 1)
        _ = try chain.hub.publish(chain.job, isFull: false, stores: nil)
        while chain.hub.work() {}
        #expect(try chain.packageFiles() == 1)
    }

    @Test func eachAudienceCostsOnePackageAlsoWhereStoresStandAtSeveralSessions() throws {
        let chain = try SteppedChain(stores: 60, groups: 6)
        let first = try #require(try chain.publish())
        #expect(try chain.count("SELECT count(*) FROM package WHERE session = \(first.id.number)") == 6)
        // A third of the stores has applied it, the others nothing yet.
        try chain.hub.operations.write { db in
            let mark = Watermark(version: first.version, session: first.id)
            for store in chain.stores.prefix(20) {
                try StoreRecord.savePositions([chain.job: mark], of: store, in: db)
                try db.execute(
                    sql: """
                        UPDATE delivery SET status = 'Applied', told_outcome = 'applied', is_open = 0 WHERE store_id = ?
                        """, arguments: [store.rawValue])
            }
        }
        for store in chain.stores { chain.hub.forgetDesk(of: store) }
        try chain.changePrices()
        let second = try #require(try chain.publish())
        // One for those who stand at the first session, one for those who have nothing, in each audience.
        let made = "SELECT count(*) FROM package WHERE session = \(second.id.number) AND kind"
        #expect(try chain.count("\(made) = 'delta'") == 6)
        #expect(try chain.count("\(made) = 'full'") == 6)
        #expect(try chain.count("SELECT count(*) FROM delivery WHERE session = \(second.id.number) AND is_open") == 60)
    }

    @Test func aStoreThatHasMovedGetsAPackageOfItsOwn() throws {
        let chain = try SteppedChain(stores: 40, groups: 2)
        let first = try #require(try chain.publish())
        try chain.hub.operations.write { db in
            let mark = Watermark(version: first.version, session: first.id)
            for store in chain.stores { try StoreRecord.savePositions([chain.job: mark], of: store, in: db) }
            try db.execute(
                sql: "UPDATE delivery SET status = 'Applied', told_outcome = 'applied', is_open = 0")
        }
        for store in chain.stores { chain.hub.forgetDesk(of: store) }
        try chain.move(chain.stores[0], to: "G1")
        let second = try #require(try chain.publish())
        #expect(second.status == .available)
        #expect(try chain.count("SELECT count(*) FROM package WHERE session = \(second.id.number)") == 1)
        let concerned = try chain.hub.operations.read {
            try String.fetchAll(
                $0, sql: "SELECT store_id FROM delivery WHERE session = ? AND is_open", arguments: [second.id.number])
        }
        #expect(concerned == [chain.stores[0].rawValue])
    }
}
