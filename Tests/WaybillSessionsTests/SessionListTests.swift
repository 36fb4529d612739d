import GRDB
import Testing
import WaybillModel
import WaybillSessions

@Suite struct SessionListTests {
    private let hub: HubDatabase

    init() throws { hub = try HubDatabase() }

    private func add(_ delivery: Delivery, to session: SessionRecord) throws {
        var delivery = delivery
        delivery.session = session.id
        delivery.job = session.job
        try hub.write { [delivery] db in
            if let package = delivery.package {
                try PackageRecord.save(package, session: session.id, manifest: [1], signature: [2], in: db)
            }
            try DeliveryRecord.save(delivery, in: db)
        }
    }

    private func numbers(_ query: SessionQuery) throws -> [Int64] {
        try hub.read { db in try SessionList.lines(query, in: db).map(\.session.id.number) }
    }

    @Test func numbersRiseAndNamesAreOfThisHub() throws {
        let (first, second) = (try hub.addSession(), try hub.addSession())
        #expect(first.id.number == 1 && second.id.number == 2)
        #expect(first.id.rawValue == "1-00000000002a")
        #expect(try hub.read { db in try SessionRecord.find(number: 2, in: db) } == second)
        let stranger = SessionID(number: 2, random: 1)
        #expect(try hub.read { db in try SessionRecord.find(stranger, in: db) } == nil)
    }

    @Test func whatWasAskedForAndWhatWasMadeIsKept() throws {
        let request = SessionRequest(isFull: true, stores: ["S1", "S2"])
        var record = try hub.write { db in
            let id = try SessionRecord.create(
                job: try JobID("prices").orThrow(), request: request, at: at(5), random: .max, in: db)
            return try SessionRecord.find(id, in: db).orThrow()
        }
        #expect(record.status == .started && record.kind == .full && record.request == request)
        #expect(try hub.read { db in try SessionRecord.unfinished(in: db) } == [record])
        record.kind = .delta
        record.status = .available
        record.version = Version(epoch: 3, number: 44)
        record.token = -7
        record.rows = 8
        record.bytes = 9
        record.message = "it's done"
        try hub.write { [record] db in try record.save(in: db) }
        try hub.read { (db: Database) throws in
            #expect(try SessionRecord.find(record.id, in: db) == record)
            #expect(try SessionRecord.unfinished(in: db) == [])
            #expect(try SessionRecord.newestVersion(in: db) == Version(epoch: 3, number: 44))
        }
    }

    @Test func theNewestComeFirstUpToTheLimit() throws {
        for _ in 1...5 { try hub.addSession() }
        #expect(try numbers(SessionQuery(includesNoData: false, limit: 3)) == [5, 4, 3])
    }

    @Test func sessionsWithoutDataAreShownWhenAskedFor() throws {
        try hub.addSession()
        try hub.addSession(status: .noData)
        #expect(try numbers(SessionQuery(includesNoData: false, limit: 9)) == [1])
        #expect(try numbers(SessionQuery(includesNoData: true, limit: 9)) == [2, 1])
        #expect(try numbers(SessionQuery(status: "NoData", includesNoData: false, limit: 9)) == [2])
    }

    @Test func filtersAddUp() throws {
        try hub.addSession(job: "prices", createdAt: 10)
        try hub.addSession(job: "assortments", createdAt: 20)
        let third = try hub.addSession(job: "prices", createdAt: 30)
        var failed = try delivery(isGranted: true)
        failed.fold(try report(.applyFailed, message: "digest"))
        try add(failed, to: third)
        #expect(try numbers(SessionQuery(job: "prices", includesNoData: false, limit: 9)) == [3, 1])
        #expect(try numbers(SessionQuery(since: at(20), includesNoData: false, limit: 9)) == [3, 2])
        #expect(try numbers(SessionQuery(job: "prices", since: at(20), includesNoData: false, limit: 9)) == [3])
        #expect(try numbers(SessionQuery(status: "ApplyFailed", includesNoData: false, limit: 9)) == [3])
        #expect(try numbers(SessionQuery(status: "Available", includesNoData: false, limit: 9)) == [3, 2, 1])
        #expect(try numbers(SessionQuery(status: "Canceled", includesNoData: false, limit: 9)) == [])
        #expect(try numbers(SessionQuery(job: "nothing", includesNoData: false, limit: 9)) == [])
    }

    @Test func aLineCountsItsDeliveriesByStatus() throws {
        let record = try hub.addSession()
        for store in ["S1", "S2", "S3"] {
            var delivery = try delivery(store: store, isGranted: true)
            if store != "S1" { delivery.fold(try report(.applied)) }
            try add(delivery, to: record)
        }
        let lines = try hub.read { db in try SessionList.lines(SessionQuery(includesNoData: false, limit: 9), in: db) }
        #expect(lines.map(\.deliveries) == [[.requested: 1, .applied: 2]])
    }

    /// Two stores share a package: each of them has all of its rows and bytes to come.
    @Test func theVolumeCountsAPackageForEachStore() throws {
        let record = try hub.addSession()
        for store in ["S1", "S2"] {
            var delivery = try delivery(store: store, isGranted: true)
            if store == "S2" { delivery.fold(try report(.downloaded)) }
            try add(delivery, to: record)
        }
        var nothing = try delivery(store: "S3")
        nothing.isNoData = true
        try add(nothing, to: record)
        let number = record.id.number
        let tallies = try hub.read { db in try SessionTally.find([number, 99], in: db) }
        let tally = try #require(tallies[number])
        #expect((tally.rows, tally.bytes, tally.bytesDone) == (24, 690, 345))
        #expect(tallies[99] == nil)
    }

    @Test func failuresRunningSessionsAndStoresBehindAreFound() throws {
        let old = try hub.addSession()
        let new = try hub.addSession(job: "assortments")
        try hub.addSession(status: .started)
        var failed = try delivery(store: "S2", isGranted: true)
        failed.fold(try report(.downloadFailed, message: "digest"))
        var applied = try delivery(store: "S3", isGranted: true)
        applied.fold(try report(.applied))
        try add(failed, to: old)
        try add(applied, to: old)
        try add(failed, to: new)
        try hub.read { (db: Database) throws in
            #expect(try SessionList.failures(limit: 9, in: db).map(\.session) == [new.id, old.id])
            #expect(try SessionList.failures(limit: 1, in: db).map(\.session) == [new.id])
            #expect(try SessionList.behind(in: db) == [failed.store: [old.job, new.job]])
            #expect(try SessionList.runningCount(in: db) == 3)
            let newest = try SessionList.newest(of: failed.store, limit: 9, in: db)
            #expect(newest.map(\.1.id) == [new.id, old.id])
            #expect(try SessionList.newest(of: applied.store, limit: 9, in: db).map(\.0.status) == [.applied])
        }
    }
}
