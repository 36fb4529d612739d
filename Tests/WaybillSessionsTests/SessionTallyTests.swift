import GRDB
import Testing
import WaybillDatabase
import WaybillModel
import WaybillSessions

/// The tallies of sessions are kept by triggers; here they are held against what counting says.
@Suite struct SessionTallyTests {
    private let hub: HubDatabase

    init() throws { hub = try HubDatabase() }

    /// As the list counted before there were tallies.
    private func counted(_ session: Int64) throws -> SessionTally {
        try hub.read { db in
            var tally = SessionTally()
            for row in try Row.fetchAll(
                db,
                sql: """
                    SELECT delivery.status, delivery.exceptions, ifnull(package.rows, 0) AS rows,
                        ifnull(package.bytes, 0) AS bytes
                    FROM delivery LEFT JOIN package ON package.id = delivery.package WHERE delivery.session = ?
                    """, arguments: [session])
            {
                let status = try DeliveryStatus(rawValue: row["status"]).orThrow()
                tally.deliveries[status, default: 0] += 1
                tally.exceptions += row["exceptions"] as Int
                guard status != .noData else { continue }
                tally.rows += row["rows"] as Int64
                tally.bytes += row["bytes"] as Int64
                let hasArrived = [DeliveryStatus.downloaded, .applied, .applyFailed].contains(status)
                tally.bytesDone += hasArrived ? row["bytes"] as Int64 : 0
            }
            return tally
        }
    }

    private func kept(_ session: Int64) throws -> SessionTally {
        try hub.read { db in try SessionTally.find([session], in: db)[session] ?? SessionTally() }
    }

    /// Any delivery in any state, several times over.
    private func change(_ delivery: inout Delivery, _ step: UInt64) throws {
        switch step % 9 {
        case 0: delivery.isGranted.toggle()
        case 1: delivery.fold(try report(.downloaded))
        case 2: delivery.fold(try report(.applyFailed, attempt: Int(step % 4) + 1, message: "no"))
        case 3:
            var applied = try report(.applied, attempt: 5, rows: 3)
            applied.exceptions = Int(step % 7)
            delivery.fold(applied)
        case 4: delivery.isNoData.toggle()
        case 5: delivery.package = step % 2 == 0 ? nil : try fullPackage(UInt8(step % 3) + 1)
        case 6: delivery.supersededBy = delivery.supersededBy == nil ? session(9) : nil
        case 7: _ = delivery.cancel(reason: "", at: at(1))
        default: delivery.rerun(package: try fullPackage(2))
        }
    }

    @Test func aTallyIsWhatCountingSaysWhateverHappensToDeliveries() throws {
        try hub.addFullPackages()
        var random: UInt64 = 7
        var deliveries = try (0..<6).map { try delivery(store: "S\($0)") }
        for _ in 0..<400 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let number = Int(random >> 33) % deliveries.count
            try change(&deliveries[number], random >> 40)
            try hub.write { db in try DeliveryRecord.save(deliveries[number], in: db) }
            #expect(try kept(7) == counted(7))
        }
        try hub.write { db in try db.execute(sql: "DELETE FROM delivery WHERE store_id < 'S3'") }
        #expect(try kept(7) == counted(7))
        #expect(try kept(7).deliveries.values.reduce(0, +) == deliveries.filter { $0.store.rawValue >= "S3" }.count)
    }

    @Test func aHubOfBeforeCountsItsDeliveriesOnce() throws {
        try hub.addFullPackages()
        for store in ["S1", "S2", "S3"] {
            var delivery = try delivery(store: store)
            if store == "S2" { delivery.fold(try report(.applied)) }
            try hub.write { [delivery] db in try DeliveryRecord.save(delivery, in: db) }
        }
        let before = try kept(7)
        // As an older hub has left it.
        try hub.write { db in
            try db.execute(
                sql: """
                    DROP TRIGGER session_tally_insert;
                    DROP TRIGGER session_tally_update;
                    DROP TRIGGER session_tally_delete;
                    DROP TABLE session_tally;
                    CREATE INDEX delivery_status ON delivery (session, status);
                    CREATE INDEX delivery_exceptions ON delivery (session, exceptions) WHERE exceptions > 0;
                    DELETE FROM grdb_migrations WHERE identifier = 'tallies of sessions';
                    """)
        }
        let again = try Operations(path: hub.folder + "/hub.db")
        #expect(before.deliveries == [.available: 2, .applied: 1])
        #expect(try again.read { db in try SessionTally.find([7], in: db)[7] } == before)
    }

    @Test func theTallyOfAForgottenSessionGoesWithIt() throws {
        let record = try hub.addSession()
        var delivery = try delivery(session: record.id.number)
        delivery.session = record.id
        delivery.fold(
            StoreReport(
                id: 1, incarnation: Incarnation(counter: 1, random: 1), sequence: 1, session: record.id,
                job: record.job, run: 1, attempt: 1, outcome: .applied, at: at(1)))
        try hub.write { [delivery] db in try DeliveryRecord.save(delivery, in: db) }
        let purged = try hub.write { db in try Retention.purge(before: at(1_000_000), in: db) }
        #expect(purged.deliveries == 1)
        #expect(try hub.read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM session_tally") } == 0)
    }

    @Test func aListReadsNoDeliveryHoweverManyThereAre() throws {
        for number in 1...12 {
            let record = try hub.addSession()
            var delivery = try delivery(session: Int64(number))
            delivery.session = record.id
            try hub.write { [delivery] db in try DeliveryRecord.save(delivery, in: db) }
        }
        var statements: [String] = []
        try hub.read { db in
            db.trace { if case .statement(let statement) = $0 { statements.append(statement.sql) } }
            defer { db.trace(options: []) }
            let lines = try SessionList.lines(SessionQuery(includesNoData: true, limit: 100), in: db)
            #expect(lines.count == 12 && lines.allSatisfy { $0.deliveries == [.available: 1] })
        }
        // The sessions, their tallies, and what their packages are.
        #expect(statements.count == 3)
        #expect(!statements.contains { $0.contains("FROM delivery ") || $0.contains("JOIN delivery ") })
    }
}
