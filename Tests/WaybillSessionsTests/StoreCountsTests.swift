import Foundation
import GRDB
import Testing
import WaybillModel
import WaybillSessions

@Suite struct StoreCountsTests {
    private let hub: HubDatabase

    init() throws { hub = try HubDatabase() }

    private func add(_ names: [String]) throws {
        try hub.write { db in
            for (number, name) in names.enumerated() {
                let secret = Array(repeating: UInt8(number), count: 32)
                let store = try StoreID(name).orThrow()
                try Enrolment.add(store, secretHash: secret, at: at(1), expiresAt: at(1_000_000), in: db)
                if name.hasPrefix("P") { continue }
                try Enrolment.use(store: store, secretHash: secret, publicKey: secret, machine: "", at: at(2), in: db)
                if name.hasPrefix("R") { try Enrolment.retire(store, at: at(3), in: db) }
            }
        }
    }

    @Test func theCountsAreThoseOfTheStoresThemselves() throws {
        try add(["A1", "A2", "A3", "P1", "R1"])
        try hub.write { db in
            for store in ["A1", "A2", "R1"] { try DeliveryRecord.save(try delivery(store: store), in: db) }
            var second = try delivery(session: 8, store: "A1")
            second.isGranted = true
            try DeliveryRecord.save(second, in: db)
            var applied = try delivery(session: 9, store: "A3")
            applied.isNoData = true
            try DeliveryRecord.save(applied, in: db)
            try db.execute(
                sql: """
                    UPDATE store SET renewal_asked_at = 5 WHERE store_id IN ('A2', 'R1');
                    UPDATE store SET known_hub_keys = x'aa' WHERE store_id = 'A3';
                    INSERT INTO store_key (public_key, store_id, state, since) VALUES
                        (x'01', 'A1', 'former', 1), (x'02', 'A1', 'former', 2), (x'03', 'A2', 'next', 1),
                        (x'04', 'R1', 'former', 1);
                    """)
        }
        let counts = try hub.read { try StoreCounts.all(in: $0) }
        #expect(counts.active == 3 && counts.pending == 1 && counts.retired == 1)
        #expect(counts.behind == 2)
        #expect(counts.renewalsAsked == 1 && counts.oldKeysValid == 1)
        #expect(try hub.read { try StoreCounts.unaware(of: [0xaa], in: $0) } == 2)
    }

    @Test func theFirstStoreOfEachNeededStateIsTheFirstOfThoseThatNeedIt() throws {
        try add(["A1", "A2", "A3", "P1", "R1"])
        let (old, new) = (try hub.addSession(), try hub.addSession())
        try hub.write { db in
            for (token, var record) in [old, new].enumerated() {
                record.version = Version(epoch: 1, number: Int64(token) + 4)
                record.token = Int64(token) + 70
                try record.save(in: db)
            }
            for (store, session) in [("A2", old), ("A3", old), ("R1", old), ("A1", new)] {
                let mark = Watermark(version: Version(epoch: 1, number: 4), session: session.id)
                try StoreRecord.savePositions([session.job: mark], of: try StoreID(store).orThrow(), in: db)
            }
            var open = try delivery(session: new.id.number, store: "A2")
            open.session = new.id
            try DeliveryRecord.save(open, in: db)
        }
        let (all, first) = try hub.read { (try Retention.needs(in: $0), try Retention.firstNeeds(in: $0)) }
        let expected = Dictionary(grouping: all, by: \.token).mapValues { $0.map(\.store).min() }
        #expect(expected.count == 2)
        #expect(
            Dictionary(uniqueKeysWithValues: first.map { ($0.token, $0.store) }) == expected.compactMapValues { $0 })
    }

    @Test func positionsThatStayAreNotWrittenAgain() throws {
        try add(["A1"])
        let store = try StoreID("A1").orThrow()
        let (prices, modes) = (try JobID("prices").orThrow(), try JobID("delivery-modes").orThrow())
        let marks = (1...3).map { Watermark(version: Version(epoch: 1, number: $0), session: session($0)) }
        func save(_ positions: [JobID: Watermark]) throws -> Int64 {
            try hub.write { db in
                let before = try Reach.generation(in: db)
                try StoreRecord.savePositions(positions, of: store, in: db)
                #expect(try StoreRecord.positions(of: store, in: db) == positions)
                #expect(try StoreRecord.positions(at: prices, in: db) == positions[prices].map { [store: $0] } ?? [:])
                return try Reach.generation(in: db) - before
            }
        }
        #expect(try save([prices: marks[0], modes: marks[1]]) == 2)
        #expect(try save([prices: marks[0], modes: marks[1]]) == 0)
        #expect(try save([prices: marks[2], modes: marks[1]]) == 1)
        #expect(try save([modes: marks[1]]) == 1)
        #expect(try save([:]) == 1)
    }
}
