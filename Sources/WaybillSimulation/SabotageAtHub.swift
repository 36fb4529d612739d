import GRDB
import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillWire

/// What planted bugs do at headquarters.
extension Sabotage {
    /// What the hub hears instead.
    func changed(_ world: World, _ frame: [UInt8]) -> [UInt8] {
        // As if the hub did not look at what a store says that it has.
        guard self == .wrongBase, world.isRough, let hub = world.hub, var letter = try? AgentLetter(decoding: frame),
            case .hello(var hello) = letter.body,
            let told = try? hub.operations.read({ try StoreRecord.positions(of: letter.store, in: $0) }), !told.isEmpty
        else { return frame }
        hello.watermarks = told
        letter.body = .hello(hello)
        return (try? letter.encoded()) ?? frame
    }

    /// A letter is about to be heard by the hub.
    func hubHears(_ world: World, _ line: Int, _ frame: [UInt8]) {
        guard let hub = world.hub, let letter = try? AgentLetter(decoding: frame) else { return }
        switch (self, letter.body) {
        case (.acknowledgedEarly, .reports(let reports)):
            guard let answer = try? HubLetter.acknowledgement(reports.map(\.name)).encoded() else { return }
            _ = world.send(answer, to: World.routing(line))
            // And the report itself is sometimes lost with the process.
            if world.isRough, world.chance.happens(0.3) { world.killHub(.killed) }
        case (.foldAcceptsRegressions, .reports(let reports)):
            for report in reports where report.outcome == .downloaded {
                execute(
                    hub,
                    """
                    UPDATE delivery SET told_outcome = 'downloaded', told_attempt = ?, status = 'Downloaded', is_open = 1
                    WHERE session_id = ? AND store_id = ? AND run = ? AND status = 'Applied'
                    """, [report.attempt, report.session.rawValue, letter.store.rawValue, report.run], letter.store)
            }
        case (.twinsObeyed, _):
            // Whoever speaks is taken for the newest life.
            execute(
                hub, "UPDATE store SET counter = ?, random = ? WHERE store_id = ?",
                [
                    letter.incarnation.counter, Int64(bitPattern: letter.incarnation.random), letter.store.rawValue,
                ], letter.store)
        default: break
        }
    }

    /// A turn has been written and said.
    func afterTurn(_ world: World, _ hub: SteppedHub) {
        switch self {
        case .cancelWithoutStore:
            let rows = try? hub.operations.read { db in
                try Row.fetchAll(
                    db,
                    sql: """
                        SELECT session_id, store_id FROM delivery
                        WHERE is_open AND cancel_asked_at IS NOT NULL AND is_granted AND NOT is_revoked_by_hub
                        """)
            }
            for row in rows ?? [] {
                guard let store = StoreID(row["store_id"]) else { continue }
                execute(
                    hub,
                    """
                    UPDATE delivery SET is_revoked_by_hub = 1, status = 'Canceled', is_open = 0
                    WHERE session_id = ? AND store_id = ?
                    """, [row["session_id"] as String, store.rawValue], store)
            }
        case .rerunKeepsRun: everyDesk(world, hub, "UPDATE delivery SET run = 1 WHERE run > 1")
        case .grantUnwritten:
            everyDesk(
                world, hub,
                "UPDATE delivery SET is_granted = 0, told_outcome = NULL, status = 'Available' WHERE status = 'Requested'"
            )
        case .noDataForMoved where world.injected[Trouble.storeMoved.rawValue] != nil:
            everyDesk(
                world, hub,
                """
                UPDATE delivery SET is_no_data = 1, status = 'NoData', is_open = 0
                WHERE status = 'Available' AND NOT is_granted AND job = 'items' AND store_id = 'S1'
                """)
        case .supersededApplied:
            everyDesk(
                world, hub,
                "UPDATE delivery SET superseded_by = NULL, status = 'Available', is_open = 1 WHERE status = 'Superseded'"
            )
        case .catchUpForgotten:
            let begun = try? hub.operations.read { try SessionRecord.unfinished(in: $0) }
            for var session in begun ?? [] where !world.checker.published.contains(session.id) {
                session.status = .noData
                _ = try? hub.operations.write { try session.save(in: $0) }
            }
        case .approvalIgnored:
            let waiting = try? hub.operations.read { db in
                try world.jobIDs.flatMap { try HeldSession.awaiting($0, in: db) }.map(\.id)
            }
            for session in waiting ?? [] { hub.approve(session) { _ in } }
        default: break
        }
    }

    private func execute(_ hub: SteppedHub, _ sql: String, _ arguments: StatementArguments, _ store: StoreID) {
        let changed = try? hub.operations.write { db in
            try db.execute(sql: sql, arguments: arguments)
            return db.changesCount > 0
        }
        if changed == true { hub.forgetDesk(of: store) }
    }

    private func everyDesk(_ world: World, _ hub: SteppedHub, _ sql: String) {
        for store in world.stores { execute(hub, sql, [], store) }
    }
}
