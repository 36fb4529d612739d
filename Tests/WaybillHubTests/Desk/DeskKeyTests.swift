import Testing
import WaybillModel
@testable import WaybillSessions
import WaybillWire

@testable import WaybillHub

/// A store's record changes in the middle of a turn, when its key does.
@Suite struct DeskKeyTests {
    private let next = SpareKey(publicKey: [8], state: .next, since: Timestamp(milliseconds: 5))

    /// `hub.db` does not have yet what the same turn has heard.
    @Test func aKeyThatIsReplacedMakesTheStoreNoOlder() throws {
        var desk = try DeskAtWork()
        let life = Incarnation(counter: 7, random: 3)
        _ = desk.hello(as: life)
        var record = try DeskAtWork.record()
        record.spareKeys = [next]
        _ = desk.desk.step(.recordChanged(record), now: desk.now)
        #expect(desk.desk.record.incarnation == life)
        #expect(desk.desk.record.spareKeys == [next])

        record = try DeskAtWork.record(key: 8)
        record.keySince = desk.now
        _ = desk.desk.step(.recordChanged(record), now: desk.now)
        #expect(desk.desk.record.incarnation == life)
        #expect(desk.desk.peer != nil)
    }

    @Test func anEnrolmentBeginsANewLife() throws {
        for key: UInt8 in [7, 9] {
            var desk = try DeskAtWork()
            _ = desk.hello(as: Incarnation(counter: 7, random: 3))
            var record = try DeskAtWork.record(key: key)
            record.keySince = desk.now
            _ = desk.desk.step(.recordChanged(record), now: desk.now)
            #expect(desk.desk.record.incarnation.counter == 0, "enrolled anew with key \(key)")
        }
    }

    /// An enrolment forgets in `hub.db` where the store stood: a desk that still knew would never write it down again.
    @Test func whereAStoreStandsIsWrittenDownAgainAfterItHasEnrolledAnew() throws {
        for key: UInt8 in [7, 9] {
            var desk = try DeskAtWork()
            let life = Incarnation(counter: 7, random: 3)
            let positions = [Sample.prices: Sample.mark(4)]
            _ = desk.hello(positions, as: life)
            var record = try DeskAtWork.record(key: key)
            record.keySince = desk.now
            _ = desk.desk.step(.recordChanged(record), now: desk.now)
            let effects = desk.hello(positions, as: life)
            #expect(effects.contains(.savePositions(positions)), "enrolled anew with key \(key)")
            #expect(!effects.contains(.catchUp(Sample.prices)), "it has lost nothing")
        }
    }
}
