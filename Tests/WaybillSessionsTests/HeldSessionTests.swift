import Foundation
import GRDB
import Testing
import WaybillModel

@testable import WaybillSessions

/// Sessions that await approval, as they lie in `hub.db`.
@Suite struct HeldSessionTests {
    private let book: HubDatabase
    private let now = Timestamp(milliseconds: 1000)

    init() throws { book = try HubDatabase() }

    private func store(_ name: String) throws -> StoreID { try StoreID(name).orThrow() }

    private func deliveries(_ session: SessionRecord, _ stores: [String], noData: [String] = []) throws -> [Delivery] {
        try (stores + noData).map { name in
            Delivery(
                session: session.id, store: try store(name), job: session.job, version: session.version,
                package: noData.contains(name) ? nil : try package(session), isNoData: noData.contains(name))
        }
    }

    private func package(_ session: SessionRecord) throws -> PackageRef {
        let id = try PackageID(hex: String(repeating: "ab", count: 31) + hex(session.id.number)).orThrow()
        return PackageRef(id: id, kind: .delta, bases: [], rows: 7, bytes: 700)
    }

    private func hex(_ number: Int64) -> String { String(number + 16, radix: 16) }

    /// A session that is held back for these stores.
    private func held(_ stores: [String], noData: [String] = []) throws -> SessionRecord {
        var session = try book.addSession(status: .started)
        session.message = "store A would lose 412 of 500 rows of product (82.4 %, limit 30 %)"
        let deliveries = try deliveries(session, stores, noData: noData)
        try book.write { [session] db in
            try PackageRecord.save(
                try package(session), session: session.id, manifest: [], signature: [], in: db)
            try HeldSession.hold(session, deliveries, at: now, in: db)
        }
        return try book.read { try SessionRecord.find(session.id, in: $0).orThrow() }
    }

    private func status(_ session: SessionRecord) throws -> String {
        try book.read { db in
            let record = try SessionRecord.find(session.id, in: db).orThrow()
            return RollUp.status(record.status, try SessionList.rollUp(session.id, in: db))
        }
    }

    private func waiting(_ session: SessionRecord) throws -> [String] {
        try book.read { try HeldSession.deliveries(of: session, in: $0).map(\.store.rawValue) }
    }

    /// A newer session with packages for some stores, as the wire thread takes it in.
    private func publish(
        _ stores: [String], asked: [String]? = nil, waitsFor: [SessionID] = []
    ) throws -> SessionRecord {
        var session = try book.addSession(status: stores.isEmpty ? .noData : .available)
        session.request.stores = asked
        session.waitsFor = waitsFor
        let deliveries = try deliveries(session, stores)
        try book.write { [session] in try HeldSession.supersede(by: session, deliveries, in: $0) }
        return session
    }

    @Test func nothingThatServesStoresSeesAHeldDelivery() throws {
        let session = try held(["A", "B"], noData: ["C"])
        #expect(try status(session) == "AwaitingApproval")
        #expect(try waiting(session) == ["A", "B", "C"])
        try book.read { db in
            #expect(try DeliveryRecord.open(of: try store("A"), in: db).isEmpty)
            #expect(try SessionList.behind(in: db).isEmpty)
            #expect(try HeldSession.awaitingCount(in: db) == 1)
            let volume = try HeldSession.volume(session.id, in: db)
            #expect(volume.rows == 14 && volume.bytes == 1400)
            let found = try HeldSession.find(session.id, in: db).orThrow()
            #expect(found == HeldSession(reason: session.message, heldAt: now, approvedAt: nil))
            let delivery = try HeldSession.deliveries(of: session, in: db).first.orThrow()
            #expect(delivery.package == (try package(session)))
            #expect(delivery.status == .available && delivery.run == 1)
        }
    }

    @Test func anApprovedSessionIsAnOrdinaryOneThatRemembersWhyItWasHeld() throws {
        let session = try held(["A"])
        try book.write { try HeldSession.approve(session.id, at: now + 5, in: $0) }
        try book.read { db in
            let record = try SessionRecord.find(session.id, in: db).orThrow()
            #expect(record.status == .available && record.message.isEmpty)
            #expect(try HeldSession.deliveries(of: record, in: db).isEmpty)
            #expect(try HeldSession.find(session.id, in: db)?.approvedAt == now + 5)
            #expect(try HeldSession.find(session.id, in: db)?.reason == session.message)
        }
    }

    @Test func aCanceledSessionIsNotApprovedAfterwards() throws {
        let session = try held(["A"])
        try book.write { db in
            var record = session
            record.status = .canceled
            try record.save(in: db)
            try HeldSession.approve(session.id, at: now, in: db)
            #expect(try SessionRecord.find(session.id, in: db)?.status == .canceled)
            #expect(try HeldSession.find(session.id, in: db)?.approvedAt == nil)
        }
    }

    @Test func aNewerSessionForAllTakesThePlaceOfTheOneThatWaits() throws {
        let session = try held(["A", "B"], noData: ["C"])
        let newer = try publish(["A"])
        #expect(try status(session) == "Superseded")
        #expect(try waiting(session).isEmpty)
        try book.read { db in
            let record = try SessionRecord.find(session.id, in: db).orThrow()
            #expect(record.message == "never approved: session \(newer.id) is newer and has what HQ says now")
            let delivery = try DeliveryRecord.find(session.id, try store("B"), in: db).orThrow()
            #expect(delivery.supersededBy == newer.id && !delivery.isOpen)
        }
    }

    @Test func aNewerSessionWithoutDataHasUndoneTheChange() throws {
        let session = try held(["A"])
        _ = try publish([])
        #expect(try status(session) == "Superseded")
    }

    @Test func aNewerSessionForOneStoreLeavesTheOthersWaiting() throws {
        let session = try held(["A", "B"])
        _ = try publish(["A"], asked: ["A"])
        #expect(try status(session) == "AwaitingApproval")
        #expect(try waiting(session) == ["B"])
        _ = try publish([], asked: ["B"])
        #expect(try status(session) == "Superseded")
    }

    @Test func aRunThatFoundNothingNewLeavesItWaiting() throws {
        let session = try held(["A", "B"])
        _ = try publish([], waitsFor: [session.id])
        #expect(try waiting(session) == ["A", "B"])
        // A store that has lost everything is supplied nevertheless, with the same rows.
        _ = try publish(["A"], waitsFor: [session.id])
        #expect(try waiting(session) == ["B"])
        #expect(try status(session) == "AwaitingApproval")
    }

    @Test func sessionsOfOtherJobsAndOlderOnesTouchNothing() throws {
        let older = try book.addSession()
        let session = try held(["A"])
        let other = try book.addSession(job: "assortments")
        try book.write { db in
            try HeldSession.supersede(by: older, [], in: db)
            try HeldSession.supersede(by: other, [], in: db)
        }
        #expect(try waiting(session) == ["A"])
    }

    @Test func aPurgeKeepsWhatAwaitsApprovalAndForgetsAllOfWhatItRemoves() throws {
        let waitingOne = try held(["A"])
        let approved = try held(["B"])
        try book.write { db in
            try HeldSession.approve(approved.id, at: now, in: db)
            #expect(try Retention.purge(before: Timestamp(milliseconds: 10_000), in: db).sessions == 1)
            #expect(try SessionRecord.find(waitingOne.id, in: db) != nil)
            #expect(try HeldSession.find(waitingOne.id, in: db) != nil)
            #expect(try HeldSession.find(approved.id, in: db) == nil)
        }
        #expect(try waiting(waitingOne) == ["A"])
    }

    @Test func onlyWhatStoresWereOfferedCountsAsLetOut() throws {
        let passed = try book.addSession()
        let overtaken = try held(["A"])
        let canceled = try book.addSession(status: .canceled)
        let nothing = try publish([])
        let approved = try held(["A"])
        try book.write { try HeldSession.approve(approved.id, at: now, in: $0) }
        let waits = try held(["A"])
        let found = try book.read { try SessionRecord.letOut(passed.job, limit: 10, in: $0) }.map(\.id)
        #expect(found == [approved.id, passed.id])
        #expect(try status(overtaken) == "Superseded")
        #expect(!found.contains(canceled.id) && !found.contains(nothing.id) && !found.contains(waits.id))
    }
}
