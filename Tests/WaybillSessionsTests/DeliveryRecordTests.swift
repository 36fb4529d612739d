import GRDB
import Testing
import WaybillModel
import WaybillSessions

@Suite struct DeliveryRecordTests {
    private let hub: HubDatabase

    init() throws { hub = try HubDatabase() }

    private func savePackage(_ package: PackageRef, session: SessionID, _ hub: HubDatabase) throws {
        try hub.write { db in
            try PackageRecord.save(package, session: session, manifest: [1, 2], signature: [3], in: db)
        }
    }

    /// Every fact set to something of its own, so that two swapped columns show.
    @Test func everyFactComesBack() throws {
        var full = try delivery(isGranted: true)
        full.run = 4
        full.cancelAskedAt = at(11)
        full.cancelReason = "wrong prices"
        full.isRevokedByHub = true
        full.supersededBy = session(9)
        full.note = "a note"
        for failed in [5, 1, 3] {
            full.fold(try report(.applyFailed, attempt: failed, run: 4, message: "it's \"bad\"\nü"))
        }
        full.fold(try report(.requested, attempt: 6, run: 4, at: 12))
        full.fold(try report(.downloaded, attempt: 6, run: 4, at: 13))
        full.fold(try report(.canceled, attempt: 6, run: 4, at: 15))
        full.fold(try report(.applied, attempt: 6, run: 4, at: 14, rows: 16, lock: 17))
        var failing = try delivery(store: "S2")
        failing.fold(try report(.downloadFailed, attempt: 2, message: "no line", isTransient: true))
        var empty = try delivery(store: "S3")
        empty.package = nil
        empty.isNoData = true

        let package = try full.package.orThrow()
        try savePackage(package, session: full.session, hub)
        try hub.write { db in for each in [full, failing, empty] { try DeliveryRecord.save(each, in: db) } }
        try hub.read { (db: Database) throws in
            #expect(try DeliveryRecord.find(full.session, full.store, in: db) == full)
            #expect(try DeliveryRecord.all(of: full.session, in: db) == [full, failing, empty])
            #expect(try DeliveryRecord.open(of: full.store, in: db) == [])
            #expect(try DeliveryRecord.open(of: failing.store, in: db) == [failing])
            #expect(try DeliveryRecord.find(session(8), full.store, in: db) == nil)
            let stored = try PackageRecord.manifest(of: package.id, in: db).orThrow()
            #expect(stored.manifest == [1, 2] && stored.signature == [3])
            #expect(try PackageRecord.find(packageID(9), in: db) == nil)
        }
    }

    @Test func aSessionOfTheSameNumberFromAnotherHistoryIsNotFound() throws {
        let known = try delivery()
        try hub.write { db in try DeliveryRecord.save(known, in: db) }
        let other = SessionID(number: known.session.number, random: 999)
        #expect(try hub.read { db in try DeliveryRecord.find(other, known.store, in: db) } == nil)
    }

    @Test func savingAgainReplacesTheRowAndWhatListsShow() throws {
        var delivery = try delivery(isGranted: true)
        try hub.write { db in try DeliveryRecord.save(delivery, in: db) }
        delivery.fold(try report(.applied, at: 5))
        try hub.write { db in try DeliveryRecord.save(delivery, in: db) }
        try hub.read { (db: Database) throws in
            #expect(try SessionList.rollUp(delivery.session, in: db) == [.applied: 1])
            #expect(try SessionList.behind(in: db) == [:])
        }
    }

    @Test func aDeliveryIsOpenWhileTheStoresAnswerToACancelIs() throws {
        var delivery = try delivery(isGranted: true)
        delivery.supersededBy = session(8)
        _ = delivery.cancel(reason: "", at: at(1))
        let store = delivery.store
        delivery.package = nil
        try hub.write { db in try DeliveryRecord.save(delivery, in: db) }
        #expect(try hub.read { db in try DeliveryRecord.open(of: store, in: db) } == [delivery])
    }

    @Test func openDeliveriesComeOldestFirst() throws {
        for number: Int64 in [12, 7, 9] {
            var delivery = try delivery(session: number)
            delivery.package = nil
            try hub.write { db in try DeliveryRecord.save(delivery, in: db) }
        }
        let open = try hub.read { db in try DeliveryRecord.open(of: StoreID("S1").orThrow(), in: db) }
        #expect(open.map(\.session.number) == [7, 9, 12])
    }
}
