import Foundation
import GRDB
import Testing
import WaybillModel
import WaybillSessions

@Suite struct OperationsTests {
    private let store = StoreID("S1").unsafelyUnwrapped
    private let job = JobID("prices").unsafelyUnwrapped
    private let now = Timestamp(milliseconds: 1_000_000)

    private func withOperations(_ body: (Operations) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "waybill-hub-\(UInt64.random(in: .min ... .max)).db"
        defer { for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
        try body(try Operations(path: path))
    }

    private func makeSession(_ db: Database, at time: Timestamp, status: SessionStatus = .available) throws
        -> SessionRecord
    {
        let request = SessionRequest(isFull: false, stores: nil)
        let id = try SessionRecord.create(job: job, request: request, at: time, random: 0xabc, in: db)
        var record = try #require(try SessionRecord.find(id, in: db))
        record.status = status
        record.waitsFor = [SessionID("1-0123456789ab")].compactMap { $0 }
        try record.save(in: db)
        return record
    }

    private var package: PackageRef {
        let base = Watermark(
            version: Version(epoch: 1, number: 3), session: SessionID("1-0123456789ab").unsafelyUnwrapped)
        return PackageRef(
            id: PackageID(hex: String(repeating: "ab", count: 32)).unsafelyUnwrapped, kind: .delta, bases: [base],
            rows: 5, bytes: 700)
    }

    /// A hub that was restored to a moment when the session was being built may have given its name to stores before.
    @Test func aSessionThatIsBuiltAnewGetsANewNameAndIsFoundByTheOld() throws {
        try withOperations { operations in
            try operations.write { db in
                let built = try makeSession(db, at: now)
                let begun = try makeSession(db, at: now, status: .started)
                var randoms: [UInt64] = [0xdef]
                let taken = try SessionRecord.takeUpUnfinished(random: { randoms.removeLast() }, in: db)
                #expect(taken.map(\.id) == [SessionID(number: begun.id.number, random: 0xdef)])
                #expect(try SessionRecord.find(begun.id, in: db) == nil)
                #expect(try SessionRecord.named(begun.id, in: db) == taken.first)
                #expect(try SessionRecord.find(built.id, in: db) == built)
                // Once more: the name that people were told at first is the one they ask for.
                let again = try SessionRecord.takeUpUnfinished(random: { 0xabc }, in: db)
                #expect(try SessionRecord.named(begun.id, in: db) == again.first)
                #expect(try SessionRecord.named(SessionID(number: begun.id.number, random: 1), in: db) == nil)
            }
        }
    }

    @Test func aDeliveryComesBackAsItWasWritten() throws {
        try withOperations { operations in
            try operations.write { db in
                let session = try makeSession(db, at: now)
                try PackageRecord.save(package, session: session.id, manifest: [1, 2], signature: [3], in: db)
                var delivery = Delivery(
                    session: session.id, store: store, job: job, version: Version(epoch: 2, number: 8), package: package
                )
                delivery.isGranted = true
                delivery.tryCount = 0
                delivery.forgivenAttempts = 4
                delivery.ignoresWindow = true
                delivery.cancelAskedAt = now
                delivery.cancelReason = "typo"
                delivery.supersededBy = SessionID("9-0123456789ab")
                delivery.fold(
                    StoreReport(
                        id: 1, incarnation: Incarnation(counter: 1, random: 1), sequence: 1, session: session.id,
                        job: job,
                        run: 1, attempt: 2, outcome: .applyFailed, at: now, message: "does not fit", isTransient: true))
                try DeliveryRecord.save(delivery, in: db)
                #expect(try DeliveryRecord.find(session.id, store, in: db) == delivery)
                #expect(try DeliveryRecord.open(of: store, in: db) == [delivery])
                #expect(try SessionRecord.find(session.id, in: db) == session)
                #expect(try PackageRecord.manifest(of: package.id, in: db)?.manifest == [1, 2])
            }
        }
    }

    @Test func sessionsAreListedNewestFirstAndEmptyOnesOnlyOnDemand() throws {
        try withOperations { operations in
            try operations.write { db in
                let first = try makeSession(db, at: now)
                let empty = try makeSession(db, at: now, status: .noData)
                let last = try makeSession(db, at: now)
                func ids(_ query: SessionQuery) throws -> [SessionID] {
                    try SessionList.lines(query, in: db).map(\.session.id)
                }
                #expect(try ids(SessionQuery(includesNoData: false, limit: 10)) == [last.id, first.id])
                #expect(try ids(SessionQuery(includesNoData: true, limit: 2)) == [last.id, empty.id])
                #expect(try ids(SessionQuery(job: "others", includesNoData: true, limit: 10)) == [])
                #expect(try ids(SessionQuery(status: "NoData", includesNoData: false, limit: 10)) == [empty.id])
            }
        }
    }

    @Test(arguments: [
        (SessionStatus.available, [DeliveryStatus.applied: 2, .noData: 1], "Applied"),
        (.available, [.applied: 2, .available: 1], "Available"),
        (.available, [.applied: 2, .suspended: 1], "Suspended"),
        (.available, [.downloaded: 1, .requested: 1], "Requested"),
        (.available, [.canceled: 1, .applied: 1], "Applied"),
        (.available, [.canceled: 2], "Canceled"), (.canceled, [.applied: 1, .requested: 1], "Canceled"),
        (.noData, [:], "NoData"), (.createFailed, [:], "CreateFailed"), (.started, [:], "Started"),
    ])
    func theRollUpShowsTheWorstOrTheLeastAdvanced(
        header: SessionStatus, deliveries: [DeliveryStatus: Int], expected: String
    ) {
        #expect(RollUp.status(header, deliveries) == expected)
    }

    @Test func aCodeIsForOneStoreOneKeyAndOnce() throws {
        try withOperations { operations in
            try operations.write { db in
                let hash = [UInt8](repeating: 7, count: 32)
                let key = [UInt8](repeating: 1, count: 32)
                let later = now + 60_000
                func use(_ store: String, _ key: [UInt8], at time: Timestamp) throws {
                    try Enrolment.use(
                        store: StoreID(store).unsafelyUnwrapped, secretHash: hash, publicKey: key, machine: "m",
                        at: time, in: db)
                }
                #expect(throws: EnrolmentRefusal.self) { try use("S1", key, at: now) }
                try Enrolment.add(store, secretHash: hash, at: now, expiresAt: later, in: db)
                #expect(throws: EnrolmentRefusal.self) { try use("S2", key, at: now) }
                #expect(throws: EnrolmentRefusal.self) { try use("S1", key, at: later + 1) }
                try use("S1", key, at: now)
                // The answer may have been lost: the same key may ask again, also after the code has expired.
                try use("S1", key, at: later + 1)
                #expect(throws: EnrolmentRefusal.self) { try use("S1", [UInt8](repeating: 2, count: 32), at: now) }
                #expect(try StoreRecord.find(store, in: db)?.state == .active)
                #expect(try Enrolment.holder(of: key, in: db) == store)
                try Enrolment.retire(store, at: now, in: db)
                #expect(throws: EnrolmentRefusal.self) { try use("S1", key, at: now) }
            }
        }
    }

    @Test func whatAStoreStandsAtAndWhatIsUnderWaySurviveAPurge() throws {
        try withOperations { operations in
            try operations.write { db in
                let old = Timestamp(milliseconds: 1)
                let finished = try makeSession(db, at: old)
                let stoodAt = try makeSession(db, at: old)
                let open = try makeSession(db, at: old)
                let mark = Watermark(version: stoodAt.version, session: stoodAt.id)
                try StoreRecord.savePositions([job: mark], of: store, in: db)
                let waiting = Delivery(session: open.id, store: store, job: job, version: open.version, package: nil)
                try DeliveryRecord.save(waiting, in: db)
                try PackageRecord.save(package, session: finished.id, manifest: [1], signature: [2], in: db)
                let purged = try Retention.purge(before: now, in: db)
                #expect(purged.sessions == 1)
                #expect(purged.packages.map(\.bytes) == [700])
                #expect(try SessionRecord.find(finished.id, in: db) == nil)
                #expect(try SessionRecord.find(stoodAt.id, in: db) != nil)
                #expect(try SessionRecord.find(open.id, in: db) != nil)
            }
        }
    }
}
