import GRDB
import Testing
import WaybillModel
import WaybillSessions

/// Packages go before their sessions do; what an open delivery needs never does.
@Suite struct PackageRetentionTests {
    private let hub: HubDatabase

    init() throws { hub = try HubDatabase() }

    /// A session with a package of its own for each store named; the stores have it or, with nil, wait for it.
    @discardableResult
    private func add(
        createdAt: Int64, status: SessionStatus = .available, _ outcomes: [(store: String, outcome: StoreOutcome?)]
    ) throws -> SessionRecord {
        let record = try hub.addSession(status: status, createdAt: createdAt)
        for (place, told) in outcomes.enumerated() {
            var delivery = try delivery(store: told.store, isGranted: true)
            delivery.session = record.id
            delivery.package?.id = try packageID(UInt8(record.id.number) * 10 + UInt8(place))
            if let outcome = told.outcome { delivery.fold(try report(outcome)) }
            let ref = try delivery.package.orThrow()
            try hub.write { [delivery] db in
                try PackageRecord.save(ref, session: record.id, manifest: [1], signature: [2], in: db)
                try DeliveryRecord.save(delivery, in: db)
            }
        }
        return record
    }

    private func drop(before: Int64, limit: Int = 100) throws -> [String] {
        try hub.write { try Retention.dropPackagesSlice(before: at(before), limit: limit, in: $0) }.map(\.id)
    }

    @Test func aPackageThatAStoreStillWaitsForStays() throws {
        try add(createdAt: 10, [("S1", .applied), ("S2", nil), ("S3", .applyFailed)])
        #expect(try drop(before: 100) == [packageID(10).hex])
        #expect(try hub.read { try Retention.packagesKept(in: $0) } == [packageID(11).hex, packageID(12).hex])
    }

    @Test func theSessionListStillShowsWhatWasSent() throws {
        let session = try add(createdAt: 10, [("S1", .applied)])
        #expect(try drop(before: 100).count == 1)
        try hub.read { db in
            let store = try StoreID("S1").orThrow()
            #expect(try DeliveryRecord.find(session.id, store, in: db)?.package?.bytes == 345)
            #expect(try SessionTally.find([session.id.number], in: db)[session.id.number]?.rows == 12)
            // And it cannot be granted.
            #expect(try PackageRecord.manifest(of: packageID(10), in: db) == nil)
        }
        #expect(try drop(before: 100).isEmpty, "what has gone is not counted twice")
        #expect(try hub.write { try Retention.purge(before: at(100), in: $0) }.packages.isEmpty)
    }

    @Test func youngAndUnfinishedSessionsKeepTheirs() throws {
        try add(createdAt: 100, [("S1", .applied)])
        try add(createdAt: 10, status: .started, [("S1", .applied)])
        #expect(try drop(before: 100).isEmpty)
    }

    @Test func packagesAndDeliveriesGoInSlices() throws {
        for number in 0..<3 { try add(createdAt: Int64(number), [("S1", .applied), ("S2", .applied)]) }
        #expect(try drop(before: 100, limit: 4).count == 4)
        #expect(try drop(before: 100, limit: 4).count == 2)
        var slices: [Retention.Purged] = []
        while slices.last?.isLast != true {
            slices.append(try hub.write { try Retention.purgeSlice(before: at(100), limit: 3, in: $0) })
        }
        #expect(slices.allSatisfy { $0.deliveries <= 3 })
        #expect(slices.reduce(0) { $0 + $1.deliveries } == 6)
        #expect(slices.reduce(0) { $0 + $1.sessions } == 3)
        #expect(try hub.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM delivery") } == 0)
    }

    @Test func whatWouldGoIsCountedAsItGoes() throws {
        try add(createdAt: 1, [("S1", .applied), ("S2", .applied)])
        try add(createdAt: 2, [("S1", nil)])
        let counted = try hub.read { try Retention.countPurge(before: at(100), in: $0) }
        let purged = try hub.write { try Retention.purge(before: at(100), in: $0) }
        #expect((counted.sessions, counted.deliveries, counted.packages.count) == (1, 2, 2))
        #expect((purged.sessions, purged.deliveries, purged.packages.count) == (1, 2, 2))
    }

    // MARK: who needs the past

    @Test func activeStoresNeedWhereTheyStandAndWhereTheyAreGoing() throws {
        let store = try StoreID("S1").orThrow()
        let old = try add(createdAt: 1, [])
        try add(createdAt: 2, [("S1", nil), ("S2", nil)])
        try hub.write { db in
            for name in ["S1", "S2", "S3"] {
                try db.execute(
                    sql: "INSERT INTO store (store_id, state, added_at) VALUES (?, 'active', 0)", arguments: [name])
            }
            try db.execute(sql: "UPDATE store SET state = 'retired' WHERE store_id = 'S2'")
            try db.execute(sql: "UPDATE session SET version = number * 5, token = number * 7")
            let mark = Watermark(version: Version(epoch: 1, number: 5), session: old.id)
            try StoreRecord.savePositions([old.job: mark], of: store, in: db)
        }
        let needs = try hub.read { try Retention.needs(in: $0) }.sorted { $0.version < $1.version }
        #expect(needs.map(\.store) == [store, store])
        #expect(needs.map(\.version) == [5, 10])
        #expect(needs.map(\.token) == [7, 14])
    }

    // MARK: deliveries whose rows are no longer kept

    @Test func aDeliveryThatCannotBeToldIsReplacedOnce() throws {
        let session = try add(createdAt: 1, [("S1", nil)])
        let store = try StoreID("S1").orThrow()
        func replacement() throws -> Replacement {
            try hub.write { try Replacement.find(for: session, store, at: at(9), random: 1, in: $0) }
        }
        let first = try replacement()
        #expect(first.isNew)
        let begun = try hub.read { try SessionRecord.find(first.session, in: $0) }
        #expect(begun?.status == .started)
        #expect(begun?.request == SessionRequest(isFull: false, stores: ["S1"]))
        let again = try replacement()
        #expect(again.session == first.session && !again.isNew)
        // Built and on its way.
        var offered = try delivery(store: "S1")
        offered.session = first.session
        try hub.write { [offered] db in
            try DeliveryRecord.save(offered, in: db)
            try db.execute(sql: "UPDATE session SET status = 'Available'")
        }
        let onItsWay = try replacement()
        #expect(onItsWay.session == first.session && !onItsWay.isNew)
    }

    @Test func aSessionThatIsBeingBuiltForOthersReplacesNothing() throws {
        let session = try add(createdAt: 1, [("S1", nil)])
        try hub.write { db in
            _ = try SessionRecord.create(
                job: session.job, request: SessionRequest(isFull: false, stores: ["S2"]), at: at(2), random: 3, in: db)
        }
        let store = try StoreID("S1").orThrow()
        #expect(try hub.write { try Replacement.find(for: session, store, at: at(9), random: 1, in: $0) }.isNew)
    }
}
