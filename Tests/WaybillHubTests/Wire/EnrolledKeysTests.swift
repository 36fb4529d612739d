import Foundation
import GRDB
import Testing
import WaybillModel
import WaybillWire

@testable import WaybillHub
@testable import WaybillSessions
@testable import WaybillSocket

/// Which message is whose, while stores replace their keys.
@Suite struct EnrolledKeysTests {
    private let pairs: [CurveKeyPair]
    private let store = Sample.store

    init() throws { pairs = try (0..<3).map { _ in try CurveKeyPair.generate() } }

    private func name(_ index: Int) -> String { pairs[index].publicKey.z85 }

    private func record(_ present: Int?, spare: [SpareKey] = [], state: StoreState = .active) throws -> StoreRecord {
        var record = try DeskAtWork.record(state: state)
        record.publicKey = present.map { pairs[$0].publicKey.bytes }
        record.spareKeys = spare
        return record
    }

    private func spare(_ index: Int, _ state: SpareKey.State, endsAt: Int64? = nil) -> SpareKey {
        SpareKey(
            publicKey: pairs[index].publicKey.bytes, state: state, since: Timestamp(milliseconds: 5_000),
            endsAt: endsAt.map(Timestamp.init(milliseconds:)))
    }

    @Test func allGoodKeysOfAStoreSpeakForIt() throws {
        let record = try record(0, spare: [spare(1, .next), spare(2, .former, endsAt: 9_000)])
        let keys = EnrolledKeys([record])
        for index in 0..<3 { #expect(keys.holder(of: name(index)) == .store(store)) }
        #expect(keys.standing(of: name(0)) == .present)
        #expect(keys.standing(of: name(1)) == .next)
        #expect(keys.standing(of: name(2)) == .old(since: Timestamp(milliseconds: 5_000)))
        #expect(keys.nextEnd == Timestamp(milliseconds: 9_000))
        #expect(Set(EnrolledKeys.allowList([record]).values) == Set((0..<3).map(name)))
    }

    @Test func aKeyThatHasEndedIsGoneAndNamed() throws {
        var keys = EnrolledKeys([try record(0, spare: [spare(1, .next)])])
        #expect(keys.update(try record(1, spare: [spare(0, .former, endsAt: 9_000)])).isEmpty)
        #expect(keys.standing(of: name(1)) == .present)
        #expect(keys.update(try record(1)) == [pairs[0].publicKey])
        #expect(keys.holder(of: name(0)) == .former(store))
        #expect(keys.nextEnd == nil)
    }

    @Test func aRetiredStoreHasNoKeyLeft() throws {
        var keys = EnrolledKeys([try record(0, spare: [spare(1, .next), spare(2, .former, endsAt: 9_000)])])
        let retired = try record(nil, spare: [spare(1, .next)], state: .retired)
        #expect(Set(keys.update(retired)) == Set(pairs.map(\.publicKey)))
        for index in 0..<3 { #expect(keys.holder(of: name(index)) == .former(store)) }
        #expect(EnrolledKeys.allowList([retired]).isEmpty)
        #expect(keys.holder(of: "nobody") == .nobody)
    }

    @Test func anOldKeyThatGoesOnSpeakingIsSaidOnceInAWhile() throws {
        var keys = EnrolledKeys([])
        func warns(_ now: Int64) -> Bool {
            keys.shouldWarn(
                of: store, since: Timestamp(milliseconds: 0), now: Timestamp(milliseconds: now))
        }
        #expect([59_999, 60_000, 60_001, 659_999, 660_000].map(warns) == [false, true, false, false, true])
    }

    @Test func goingOverToAnOfferedKeyIsNoNewMachine() throws {
        var desk = try DeskAtWork(positions: [:])
        desk.desk.record = try record(0, spare: [spare(1, .next)])
        #expect(!desk.desk.isAnotherMachine(try record(0)))
        #expect(!desk.desk.isAnotherMachine(try record(1, spare: [spare(0, .former)])))
        #expect(desk.desk.isAnotherMachine(try record(2)))
    }

    @Test func aWelcomeSpeaksOfKeysOnlyWhenThereIsSomethingToSay() throws {
        var desk = try DeskAtWork()
        func news(_ effects: [DeskEffect]) -> [KeyNews?] {
            effects.compactMap { if case .send(_, .welcome(let welcome)) = $0 { .some(welcome.keys) } else { nil } }
        }
        #expect(news(desk.hello()) == [nil])
        desk.desk.record.renewalAskedAt = desk.now
        #expect(news(desk.hello()) == [KeyNews(isRenewalAsked: true)])
        let next = HubKeys(curve: pairs[0].publicKey.bytes, signing: pairs[1].publicKey.bytes)
        desk.desk.settings.keyNews = KeyNews(next: next, signature: [1])
        desk.desk.record.renewalAskedAt = nil
        #expect(news(desk.hello()) == [KeyNews(next: next, signature: [1])])
    }
}
