import GRDB
import Testing
import WaybillModel
import WaybillSessions

/// The keys of one store at the hub, on their way from offered to ended.
@Suite struct StoreKeyTests {
    private let hub: HubDatabase
    private let store: StoreID
    private let other: StoreID
    private let first = [UInt8](repeating: 1, count: 32)
    private let second = [UInt8](repeating: 2, count: 32)
    private let third = [UInt8](repeating: 3, count: 32)

    init() throws {
        hub = try HubDatabase()
        store = try StoreID("S1").orThrow()
        other = try StoreID("S2").orThrow()
        try enrol(store, first)
    }

    private func enrol(_ store: StoreID, _ key: [UInt8], at now: Int64 = 100) throws {
        try hub.write { db in
            try Enrolment.add(store, secretHash: key, at: at(now), expiresAt: at(now + 1000), in: db)
            try Enrolment.use(store: store, secretHash: key, publicKey: key, machine: "", at: at(now), in: db)
        }
    }

    private func offer(_ key: [UInt8], of store: StoreID? = nil, at now: Int64 = 200) throws {
        try hub.write { db in try StoreKeys.offer(key, of: store ?? self.store, at: at(now), in: db) }
    }

    @discardableResult
    private func use(_ key: [UInt8], at now: Int64 = 300, grace: Int64 = 1000) throws -> Bool {
        try hub.write { db in try StoreKeys.use(key, of: store, at: at(now), grace: grace, in: db) }
    }

    private func record(_ store: StoreID? = nil) throws -> StoreRecord {
        try hub.read { db in try StoreRecord.find(store ?? self.store, in: db).orThrow() }
    }

    private func spare() throws -> [[UInt8]: SpareKey.State] {
        try Dictionary(uniqueKeysWithValues: record().spareKeys.map { ($0.publicKey, $0.state) })
    }

    @Test func anOfferedKeyIsGoodBesideThePresentOne() throws {
        try offer(second)
        try offer(second, at: 250)
        #expect(try record().publicKey == first)
        #expect(try spare() == [second: .next])
        #expect(try hub.read { try StoreRecord.all(in: $0) } == [record()])
    }

    @Test func theFirstUseMakesItThePresentOneAndGivesTheOldOneItsGrace() throws {
        try offer(second)
        #expect(try use(second))
        #expect(try record().publicKey == second && record().keySince == at(300))
        #expect(try spare() == [first: .former])
        #expect(try !use(second), "the second message with it is nothing new")
        #expect(try hub.write { try StoreKeys.endOld(at: at(1299), in: $0) } == [])
        #expect(try hub.write { try StoreKeys.endOld(at: at(1300), in: $0) } == [store])
        #expect(try spare() == [:])
        #expect(try hub.read { try Enrolment.holder(of: first, in: $0) } == store, "for the log")
    }

    @Test func anOldKeyEndsAtOnceWhenThatWasAskedOrThereIsNoGrace() throws {
        #expect(try hub.write { try StoreKeys.askRenewal(of: store, atOnce: true, at: at(150), in: $0) })
        #expect(try record().renewalAskedAt == at(150))
        try offer(second)
        try use(second)
        #expect(try spare() == [:])
        #expect(try record().renewalAskedAt == nil && !record().isRenewalAtOnce)
        try offer(third)
        try use(third, grace: 0)
        #expect(try spare() == [:])
    }

    @Test func onlyOneOfferStands() throws {
        try offer(second)
        try offer(third)
        #expect(try spare() == [third: .next])
        #expect(try !use(second))
        #expect(try record().publicKey == first)
    }

    @Test func aKeyIsNeverThatOfTwoStores() throws {
        try enrol(other, second)
        #expect(throws: EnrolmentRefusal("this key is that of store S2 already")) { try offer(second) }
        try offer(third)
        #expect(throws: EnrolmentRefusal("this key is that of store S1 already")) { try offer(third, of: other) }
        #expect(throws: EnrolmentRefusal("this key is that of store S1 already")) { try enrol(other, third, at: 500) }
    }

    @Test func aRetiredStoreLosesAllItsKeysAtOnce() throws {
        try offer(second)
        try use(second)
        try offer(third)
        try hub.write { try Enrolment.retire(store, at: at(400), in: $0) }
        #expect(try record().publicKey == nil && record().spareKeys.isEmpty)
        #expect(throws: EnrolmentRefusal("store S1 is not enrolled")) { try offer(third) }
        for key in [first, second, third] {
            #expect(try !use(key))
            #expect(try hub.read { try Enrolment.holder(of: key, in: $0) } == store)
        }
    }

    @Test func aNewMachineEndsWhatTheOldOneHad() throws {
        try offer(second)
        try use(second)
        _ = try hub.write { try StoreKeys.askRenewal(of: store, atOnce: false, at: at(350), in: $0) }
        try hub.write { try StoreKeys.noteKnown([7], by: store, in: $0) }
        try enrol(store, third, at: 400)
        let renewed = try record()
        #expect(renewed.publicKey == third && renewed.spareKeys.isEmpty)
        #expect(renewed.renewalAskedAt == nil && renewed.knownHubKeys == nil)
    }

    @Test func aKeyOfAnOlderBackupBecomesThePresentOneAgain() throws {
        // The hub was restored: it knows the first key only, and the store offers what it has already.
        try offer(second)
        try use(second)
        _ = try hub.write { try StoreKeys.endOld(at: at(5000), in: $0) }
        try offer(first, at: 6000)
        #expect(try use(first, at: 6001))
        #expect(try record().publicKey == first)
        #expect(try spare() == [second: .former])
    }

    @Test func aCodeShownByAnotherKeyIsAnAlarmAndByAnUnknownCodeIsNone() throws {
        let refusals = [(first, second), (third, second)].map { code, key in
            #expect(throws: EnrolmentRefusal.self) {
                try hub.write { db in
                    try Enrolment.use(store: store, secretHash: code, publicKey: key, machine: "", at: at(1), in: db)
                }
            }
        }
        #expect(refusals.map { $0?.isAlarm } == [true, false])
    }

    @Test func unusedCodesAreListedWithTheirEndAndCanBeVoided() throws {
        try hub.write { try Enrolment.add(other, secretHash: [9], at: at(1), expiresAt: at(77), in: $0) }
        #expect(try hub.read { try Enrolment.unusedCodes(in: $0) } == [other: at(77)])
        #expect(try hub.write { try Enrolment.voidUnusedCodes(in: $0) } == [other])
        #expect(try hub.read { try Enrolment.unusedCodes(in: $0) } == [:])
    }
}
