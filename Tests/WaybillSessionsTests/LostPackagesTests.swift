import GRDB
import Testing
import WaybillModel
import WaybillSessions

@Suite struct LostPackagesTests {
    @Test func anOpenDeliveryWhosePackageIsGoneIsLeftWithoutOneAndTheOthersKeepTheirs() throws {
        let hub = try HubDatabase()
        let record = try hub.addSession()
        for (byte, store, outcome) in [(1, "S1", nil), (2, "S2", nil), (3, "S3", StoreOutcome.applied)] {
            var delivery = try delivery(store: store, isGranted: true)
            delivery.session = record.id
            delivery.package?.id = try packageID(UInt8(byte))
            if let outcome { delivery.fold(try report(outcome)) }
            let ref = try delivery.package.orThrow()
            try hub.write { [delivery] db in
                try PackageRecord.save(ref, session: record.id, manifest: [1], signature: [2], in: db)
                try DeliveryRecord.save(delivery, in: db)
            }
        }
        let kept = try packageID(2).hex
        #expect(try hub.write { db in try LostPackages.forget(in: db) { $0 == kept } } == 2)
        let after = try hub.read { try DeliveryRecord.all(of: record.id, in: $0) }
        #expect(after.map { $0.package?.id.hex } == [nil, kept, try packageID(3).hex])
        // What was applied is remembered for the list, and can be granted no more.
        #expect(try hub.read { try PackageRecord.manifest(of: try packageID(3), in: $0) } == nil)
        #expect(try hub.read { try Retention.packagesKept(in: $0) } == [kept])
        #expect(try hub.write { db in try LostPackages.forget(in: db) { $0 == kept } } == 0)
    }
}
