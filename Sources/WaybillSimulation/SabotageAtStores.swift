import Foundation
import GRDB
import WaybillAgent
import WaybillApply
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillSessions
import WaybillWire

/// What planted bugs do at stores.
extension Sabotage {
    func beforeWork(_ world: World, _ machine: Machine, _ agent: SteppedAgent, _ piece: SteppedAgent.WorkPiece?) {
        guard case .apply(let manifest, _)? = piece else { return }
        let raw = agent.rawPath(manifest.id)
        switch self {
        case .watermarkApart:
            try? agent.ledger.meddle { db in try setWatermark(manifest, in: db) }
            if world.chance.happens(0.3) { machine.disk.crash(.killed) }
        case .wrongBase:
            guard manifest.kind == .delta, let base = manifest.bases.first else { return }
            try? agent.ledger.meddle { db in
                try db.execute(
                    sql: "UPDATE _waybill_watermark SET epoch = ?, version = ?, session = ? WHERE job = ?",
                    arguments: [base.version.epoch, base.version.number, base.session.rawValue, manifest.job.rawValue])
            }
        case .tablesOneByOne:
            guard manifest.kind == .delta, let table = manifest.tables.first(where: { $0.rows > 0 }) else { return }
            let columns = table.shape.columns.map { quoted($0.name) }.joined(separator: ", ")
            withPackage(raw, agent) { db in
                try db.execute(
                    sql: """
                        INSERT OR REPLACE INTO main.\(quoted(table.shape.name)) (\(columns))
                        SELECT \(columns) FROM package.\(quoted(table.shape.name))
                        """)
            }
        case .contentUnchecked, .removalsIgnored: alter(raw, manifest)
        case .halfCommitted:
            guard manifest.kind == .delta, world.chance.happens(0.3) else { return }
            let removed = manifest.tables.first { $0.removed > 0 }?.shape
            guard let shape = removed else { return }
            let key = shape.key.map(quoted).joined(separator: ", ")
            withPackage(raw, agent) { db in
                try db.execute(
                    sql: """
                        DELETE FROM main.\(quoted(shape.name)) WHERE (\(key)) IN (
                            SELECT \(key) FROM package.\(quoted(shape.name + PackageTables.removedSuffix)))
                        """)
            }
            machine.disk.crash(.killed)
        default: break
        }
    }

    private func setWatermark(_ manifest: Manifest, in db: Database) throws {
        try db.execute(
            sql: "UPDATE _waybill_watermark SET epoch = ?, version = ?, session = ? WHERE job = ?",
            arguments: [
                manifest.version.epoch, manifest.version.number, manifest.session.rawValue, manifest.job.rawValue,
            ])
    }

    private func withPackage(_ raw: String, _ agent: SteppedAgent, _ body: (Database) throws -> Void) {
        try? agent.ledger.meddleOutsideTransaction { db in
            try db.execute(sql: "ATTACH DATABASE ? AS package", arguments: [PackageFile.immutableURI(raw)])
            try? body(db)
            try db.execute(sql: "DETACH DATABASE package")
        }
    }

    /// Changes what was unpacked and checked.
    private func alter(_ raw: String, _ manifest: Manifest) {
        guard let queue = try? DatabaseQueue(path: raw) else { return }
        try? queue.write { db in
            for table in manifest.tables {
                if self == .removalsIgnored {
                    try db.execute(sql: "DELETE FROM \(quoted(table.shape.name + PackageTables.removedSuffix))")
                } else {
                    try db.execute(
                        sql: "DELETE FROM \(quoted(table.shape.name)) WHERE \(quoted(table.shape.key[0])) LIKE '%1'")
                }
            }
        }
        try? queue.close()
    }

    func afterWork(_ world: World, _ machine: Machine, _ agent: SteppedAgent, _ piece: SteppedAgent.WorkPiece?) {
        guard self == .appliedAgain, case .apply(let manifest, let run)? = piece, world.chance.happens(0.2) else {
            return
        }
        // The row is written as if for the first time: another transaction moves the watermark to the same session.
        try? agent.ledger.meddle { db in
            try db.execute(
                sql: """
                    UPDATE _waybill_watermark SET version = version - 1
                    WHERE job = ? AND session = ? AND EXISTS (
                        SELECT 1 FROM _waybill_outcome WHERE session = ? AND run = ? AND outcome = 'applied')
                    """,
                arguments: [manifest.job.rawValue, manifest.session.rawValue, manifest.session.rawValue, run])
        }
    }

    func agentSent(_ world: World, _ machine: Machine, _ letter: AgentLetter) {
        guard let agent = machine.agent else { return }
        switch (self, letter.body) {
        case (.outboxClearedEarly, .reports(let reports)): try? agent.ledger.acknowledge(reports.map(\.name))
        default: break
        }
    }

    /// What the agent hears instead.
    func agentHears(_ world: World, _ machine: Machine, _ frame: [UInt8]) -> [UInt8] {
        if self == .promiseForgotten { return withoutCancels(frame, machine) }
        guard self == .wrongBase || self == .supersededApplied, let agent = machine.agent,
            case .grant(let grant)? = try? HubLetter(decoding: frame),
            var manifest = try? world.signingKey.verifyingKey.openManifest(grant.manifest, signature: grant.signature),
            manifest.kind == .delta, let mark = try? agent.ledger.state().watermarks[manifest.job],
            !manifest.bases.contains(mark)
        else { return frame }
        // As if the agent did not look at the base.
        manifest.bases = [mark]
        guard let bytes = try? manifest.encoded(), let signature = try? world.signingKey.sign(manifest: bytes) else {
            return frame
        }
        var changed = grant
        changed.manifest = bytes
        changed.signature = signature
        return (try? HubLetter.grant(changed).encoded()) ?? frame
    }
}

extension Sabotage {
    /// Cancels are answered with a promise at once, and then forgotten.
    private func withoutCancels(_ frame: [UInt8], _ machine: Machine) -> [UInt8] {
        guard let agent = machine.agent, let letter = try? HubLetter(decoding: frame) else { return frame }
        var orders: [HubLetter.CancelOrder] = []
        var rest = HubLetter.acknowledgement([])
        switch letter {
        case .cancel(let order): orders = [order]
        case .welcome(var welcome):
            orders = welcome.cancels
            welcome.cancels = []
            rest = .welcome(welcome)
        default: return frame
        }
        for order in orders {
            try? agent.ledger.meddle { db in
                try db.execute(
                    sql: "DELETE FROM _waybill_outcome WHERE session = ? AND run = ? AND outcome = 'canceled'",
                    arguments: [order.session.rawValue, order.run])
            }
            _ = try? agent.ledger.cancel(
                session: order.session, job: order.job, run: order.run, at: Timestamp(milliseconds: World.start))
            try? agent.ledger.meddle { db in
                try db.execute(
                    sql: "DELETE FROM _waybill_outcome WHERE session = ? AND run = ? AND outcome = 'canceled'",
                    arguments: [order.session.rawValue, order.run])
            }
        }
        return orders.isEmpty ? frame : (try? rest.encoded()) ?? frame
    }
}
