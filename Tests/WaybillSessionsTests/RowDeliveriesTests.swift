import GRDB
import Testing
import WaybillModel
import WaybillSessions

/// Which session brought, brings or took away what HQ had at a version.
@Suite struct RowDeliveriesTests {
    private enum Part { case applied, noData, available, canceled, none }

    /// Sessions 1, 2, … of the job `prices`, at versions 10, 20, …, each a delta from the version before.
    private func hub(_ parts: Part..., kind: PackageKind = .delta) throws -> HubDatabase {
        let hub = try HubDatabase()
        try hub.write { db in
            try db.execute(
                sql: "INSERT INTO store (store_id, state, added_at, enrolled_at) VALUES ('S1', 'active', 0, 500)")
        }
        for (index, part) in parts.enumerated() {
            let number = Int64(index + 1)
            var record = try hub.addSession(createdAt: 1000 * number)
            record.version = Version(epoch: 1, number: 10 * number)
            let base = Watermark(version: Version(epoch: 1, number: 10 * (number - 1)), session: session(99))
            let package = PackageRef(
                id: try packageID(UInt8(number)), kind: kind, bases: kind == .full ? [] : [base], rows: 1, bytes: 1)
            try hub.write { db in
                try record.save(in: db)
                guard part != .none else { return }
                try PackageRecord.save(package, session: record.id, manifest: [], signature: [], in: db)
                var made = Delivery(
                    session: record.id, store: try StoreID("S1").orThrow(), job: record.job, version: record.version,
                    package: part == .noData ? nil : package, isNoData: part == .noData)
                let outcomes: [Part: StoreOutcome] = [.applied: .applied, .canceled: .canceled]
                made.told.standing = outcomes[part].map { Delivery.Standing(outcome: $0, attempt: 1) }
                try DeliveryRecord.save(made, in: db)
            }
        }
        return hub
    }

    private func ask<Value>(_ hub: HubDatabase, _ body: (RowDeliveries) throws -> Value) throws -> Value {
        try hub.read { db in
            try body(
                RowDeliveries(store: try StoreID("S1").orThrow(), job: try JobID("prices").orThrow(), db: db))
        }
    }

    @Test func theFirstSessionThatTheStoreAppliedSinceTheVersionBroughtIt() throws {
        let hub = try hub(.applied, .canceled, .noData, .applied, .applied)
        func number(_ version: Int64, before: Int64 = .max) throws -> Int64? {
            try ask(hub) { try $0.applied(since: version, before: before)?.session.number }
        }
        #expect(try [1, 10, 11, 20, 40, 41, 51].map { try number($0) } == [1, 1, 4, 4, 4, 5, nil])
        #expect(try number(11, before: 40) == nil)
    }

    @Test func aPurgedSessionLeavesADoubtOnlyWhereItMayHaveBroughtTheRow() throws {
        for kind in [PackageKind.delta, .full] {
            let hub = try hub(.applied, .applied, .applied, kind: kind)
            func isExact(_ version: Int64) throws -> Bool? {
                try ask(hub) { try $0.applied(since: version)?.isExact }
            }
            #expect(try isExact(15) == true)
            try hub.write { db in _ = try Retention.purge(before: at(1500), in: db) }
            // Brought by session 1, which is not kept; session 2 is a delta from 10, or brings everything again.
            #expect(try isExact(5) == false)
            #expect(try isExact(15) == (kind == .delta))
            // A store that has enrolled since has had nothing from the session that is gone.
            try hub.write { db in try db.execute(sql: "UPDATE store SET enrolled_at = 9000") }
            #expect(try isExact(5) == true)
        }
    }

    @Test func theNewestSessionThatConcernsTheStoreIsTheOneItWaitsFor() throws {
        let hub = try hub(.applied, .canceled, .available, .noData, .none)
        let found = try #require(try ask(hub) { try $0.pending(since: 15) })
        #expect(found.session.number == 3 && found.delivery?.status == .available)
        let other = try #require(try ask(hub) { try $0.pending(since: 45) })
        #expect(other.session.number == 5 && other.delivery == nil && other.sessionStatus == "Available")
        #expect(try ask(hub) { try $0.pending(since: 55) } == nil)
    }

    @Test func aSessionThatIsHeldBackStandsBeforeOlderDeliveries() throws {
        let hub = try hub(.applied, .available, .none)
        try hub.write { try $0.execute(sql: "UPDATE session SET status = 'AwaitingApproval' WHERE number = 3") }
        let found = try #require(try ask(hub) { try $0.pending(since: 25) })
        #expect(found.session.number == 3 && found.sessionStatus == "AwaitingApproval")
    }
}
