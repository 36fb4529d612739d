import GRDB
import Testing
import WaybillModel
import WaybillSessions

@Suite struct EnrolmentTests {
    private let hub: HubDatabase
    private let store: StoreID
    private let other: StoreID
    private let code = [UInt8](repeating: 1, count: 32)
    private let later = [UInt8](repeating: 2, count: 32)
    private let key = [UInt8](repeating: 8, count: 32)
    private let otherKey = [UInt8](repeating: 9, count: 32)

    init() throws {
        hub = try HubDatabase()
        store = try StoreID("S1").orThrow()
        other = try StoreID("S2").orThrow()
    }

    private func add(_ store: StoreID, _ code: [UInt8], at now: Int64 = 100) throws {
        try hub.write { db in
            try Enrolment.add(store, secretHash: code, at: at(now), expiresAt: at(now + 1000), in: db)
        }
    }

    private func use(_ store: StoreID, _ code: [UInt8], _ key: [UInt8], at now: Int64 = 200) throws {
        try hub.write { db in
            try Enrolment.use(store: store, secretHash: code, publicKey: key, machine: "box", at: at(now), in: db)
        }
    }

    private func record(_ store: StoreID) throws -> StoreRecord {
        try hub.read { db in try StoreRecord.find(store, in: db).orThrow() }
    }

    private func refusal(_ store: StoreID, _ code: [UInt8], _ key: [UInt8], at now: Int64 = 200) -> String? {
        #expect(throws: EnrolmentRefusal.self) { try use(store, code, key, at: now) }?.description
    }

    @Test func aCodeMakesAPendingStoreActiveWithItsKey() throws {
        try add(store, code)
        #expect(try record(store).state == .pending)
        #expect(try record(store).publicKey == nil)
        try use(store, code, key)
        let active = try record(store)
        #expect(active.state == .active && active.publicKey == key && active.machine == "box")
    }

    @Test func theSameKeyMayAskAgainForTheAnswerMayBeLost() throws {
        try add(store, code)
        try use(store, code, key)
        let before = try record(store)
        try use(store, code, key, at: 5000)
        #expect(try record(store) == before)
    }

    @Test func aUsedCodeIsRefusedToAnotherKey() throws {
        try add(store, code)
        try use(store, code, key)
        #expect(
            refusal(store, code, otherKey) == "the enrolment code of store S1 has been used already; ask for a new one")
        #expect(try record(store).publicKey == key)
    }

    @Test func unknownForeignAndExpiredCodesAreRefused() throws {
        try add(store, code)
        try add(other, later)
        #expect(refusal(store, key, key) == "the enrolment code is not known here; ask for a new one")
        #expect(refusal(store, later, key) == "the enrolment code is for another store than S1")
        #expect(refusal(store, code, key, at: 1101) == "the enrolment code of store S1 has expired; ask for a new one")
        #expect(try record(store).state == .pending)
        try use(store, code, key, at: 1100)
    }

    @Test func aKeyBelongsToOneStore() throws {
        try add(store, code)
        try add(other, later)
        try use(store, code, key)
        #expect(refusal(other, later, key) == "this key is that of store S1 already")
        try use(other, later, otherKey)
    }

    @Test func aNewCodeVoidsTheUnusedOneAndKeepsTheStoreGoing() throws {
        try add(store, code)
        try add(store, later)
        #expect(refusal(store, code, key) == "the enrolment code is not known here; ask for a new one")
        try use(store, later, key)
        try add(store, code)
        #expect(try record(store).state == .active)
        #expect(try record(store).publicKey == key)
    }

    @Test func aMachineThatEnrolsAnewBeginsWithNothing() throws {
        try add(store, code)
        try use(store, code, key)
        var contact = try record(store)
        contact.incarnation = Incarnation(counter: 5, random: .max)
        contact.sequence = 77
        contact.lastSeen = at(300)
        contact.agentVersion = "0.1"
        contact.message = "all well"
        let mark = Watermark(version: Version(epoch: 2, number: 10), session: session(3))
        let prices = try JobID("prices").orThrow()
        try hub.write { [contact] db in
            try contact.saveContact(in: db)
            try StoreRecord.savePositions([prices: mark], of: store, in: db)
        }
        #expect(try record(store) == contact)
        #expect(try hub.read { db in try StoreRecord.positions(of: store, in: db) } == [prices: mark])

        try add(store, later)
        try use(store, later, otherKey)
        let renewed = try record(store)
        #expect(renewed.publicKey == otherKey)
        #expect(renewed.incarnation == Incarnation(counter: 0, random: 0) && renewed.sequence == 0)
        #expect(try hub.read { db in try StoreRecord.positions(of: store, in: db) } == [:])
        // The old machine cannot come back with its old code.
        #expect(refusal(store, code, key) == "the enrolment code of store S1 has been used already; ask for a new one")
    }

    @Test func aRetiredStoreIsRefusedUntilItIsAddedAgain() throws {
        try add(store, code)
        try use(store, code, key)
        try add(store, later)
        try hub.write { db in try Enrolment.retire(store, at: at(300), in: db) }
        #expect(try record(store).state == .retired)
        #expect(try record(store).publicKey == nil)
        #expect(refusal(store, later, key) == "the enrolment code is not known here; ask for a new one")
        #expect(refusal(store, code, key) == "store S1 is retired; add it again for a new code")
        try add(store, later, at: 400)
        #expect(try record(store).state == .pending)
        // A used code stays used, also by its own key.
        #expect(refusal(store, code, key) == "the enrolment code of store S1 has been used already; ask for a new one")
        try use(store, later, key, at: 500)
        #expect(try record(store).state == .active)
    }

    @Test func positionsAreReplacedAsAWhole() throws {
        let mark = Watermark(version: Version(epoch: 2, number: 10), session: session(3))
        let (prices, modes) = (try JobID("prices").orThrow(), try JobID("delivery-modes").orThrow())
        try hub.write { db in
            try StoreRecord.savePositions([prices: mark, modes: mark], of: store, in: db)
            try StoreRecord.savePositions([prices: mark], of: other, in: db)
            try StoreRecord.savePositions([modes: mark], of: store, in: db)
        }
        try hub.read { (db: Database) throws in
            #expect(try StoreRecord.positions(of: store, in: db) == [modes: mark])
            #expect(try StoreRecord.positions(of: other, in: db) == [prices: mark])
        }
    }

    @Test func storesAreListedByName() throws {
        try add(other, code)
        try add(store, later)
        #expect(try hub.read { db in try StoreRecord.all(in: db).map(\.id) } == [store, other])
    }
}
