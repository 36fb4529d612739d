import GRDB
import Testing
import WaybillModel
import WaybillSessions

@Suite struct RetentionTests {
    private let hub: HubDatabase
    private let store: StoreID

    init() throws {
        hub = try HubDatabase()
        store = try StoreID("S1").orThrow()
    }

    /// A session with one delivery, and a package of its own.
    private func add(createdAt: Int64, _ outcome: StoreOutcome?, package: UInt8) throws -> SessionRecord {
        let record = try hub.addSession(createdAt: createdAt)
        var delivery = try delivery(isGranted: true)
        delivery.session = record.id
        delivery.package?.id = try packageID(package)
        if let outcome { delivery.fold(try report(outcome)) }
        let ref = try delivery.package.orThrow()
        try hub.write { [delivery] db in
            try PackageRecord.save(ref, session: record.id, manifest: [1], signature: [2], in: db)
            try DeliveryRecord.save(delivery, in: db)
        }
        return record
    }

    private func purge(before: Int64) throws -> Retention.Purged {
        try hub.write { db in try Retention.purge(before: at(before), in: db) }
    }

    private func sessionsLeft() throws -> [Int64] {
        try hub.read { db in try Int64.fetchAll(db, sql: "SELECT number FROM session ORDER BY number") }
    }

    @Test func whatIsOverAndOldIsForgottenWithAllThatBelongsToIt() throws {
        let old = try add(createdAt: 10, .applied, package: 1)
        let new = try add(createdAt: 20, .applied, package: 2)
        let purged = try purge(before: 20)
        #expect(purged.sessions == 1)
        #expect(try purged.packages.map(\.id) == [packageID(1).hex])
        #expect(purged.packages.map(\.bytes) == [345])
        #expect(try sessionsLeft() == [new.id.number])
        try hub.read { (db: Database) throws in
            #expect(try DeliveryRecord.find(old.id, store, in: db) == nil)
            #expect(try PackageRecord.find(packageID(1), in: db) == nil)
            #expect(try PackageRecord.find(packageID(2), in: db)?.bases.count == 1)
            #expect(try Int.fetchOne(db, sql: "SELECT count(*) FROM package_base") == 1)
        }
    }

    @Test(arguments: [nil, StoreOutcome.requested, .downloaded, .downloadFailed, .applyFailed])
    func aSessionWithAnOpenDeliveryStays(outcome: StoreOutcome?) throws {
        _ = try add(createdAt: 10, outcome, package: 1)
        #expect(try purge(before: 1000).sessions == 0)
        #expect(try sessionsLeft() == [1])
    }

    @Test func aSessionThatAStoreStandsAtStays() throws {
        let base = try add(createdAt: 10, .applied, package: 1)
        _ = try add(createdAt: 11, .canceled, package: 2)
        let mark = Watermark(version: Version(epoch: 1, number: 10), session: base.id)
        try hub.write { db in try StoreRecord.savePositions([base.job: mark], of: store, in: db) }
        #expect(try purge(before: 1000).packages.map(\.id) == [packageID(2).hex])
        #expect(try sessionsLeft() == [base.id.number])
    }

    @Test func aSessionThatIsBeingBuiltStays() throws {
        try hub.addSession(status: .started, createdAt: 10)
        try hub.addSession(status: .createFailed, createdAt: 10)
        try hub.addSession(status: .noData, createdAt: 10)
        #expect(try purge(before: 1000).sessions == 2)
        #expect(try sessionsLeft() == [1])
    }

    @Test func aForgottenNumberIsNotUsedAgain() throws {
        _ = try add(createdAt: 10, .applied, package: 1)
        _ = try purge(before: 1000)
        #expect(try hub.addSession().id.number == 2)
        #expect(try purge(before: 0).sessions == 0)
    }
}
