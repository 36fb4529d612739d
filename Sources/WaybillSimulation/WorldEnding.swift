import GRDB
import WaybillModel
import WaybillSessions

/// How a schedule ends: the troubles cease, everything comes to rest by itself, one more publication, and then all must
/// be as headquarters says.
extension World {
    private static let patience: Int64 = 3_600_000

    /// From now on nothing bad happens.
    func heal() {
        note("---- heals")
        isRough = false
        phase = .settling
        phaseDeadline = now + World.patience
        hubDisk.heal()
        hq.disk.heal()
        hubClockError = hubProcessError
        // Of two machines with one identity somebody takes one away; a machine that was replaced goes too.
        for store in stores {
            guard let kept = newest(store) else { continue }
            for machine in machines where machine.store == store && machine !== kept && machine.isPresent {
                kill(machine, .killed)
                machine.isPresent = false
            }
        }
        for machine in machines where machine.isPresent {
            machine.disk.heal()
            machine.isCut = false
            machine.clockError = machine.processError
            if let line = machine.line {
                lines[line]?.deafToHubUntil = 0
                lines[line]?.deafToAgentUntil = 0
            }
        }
    }

    func look() {
        guard phase != .rough else {
            inspectHub()
            return agenda.add(.look, at: now + 5000)
        }
        agenda.add(.look, at: now + 2000)
        if phase == .final { approveSomething() }
        let obstacle = obstacle()
        guard let obstacle else { return rest() }
        if now > phaseDeadline {
            checker.violate("nothing stands in the way any more, and yet after an hour \(obstacle)")
        }
    }

    /// Why things have not come to rest; nil when they have.
    private func obstacle() -> String? {
        guard let hub, !isHubDying else { return "the hub does not run" }
        guard !hub.hasMail, !hub.hasUnkeptOrders, hub.isPublisherIdle else { return "the hub is busy" }
        do {
            let records = try hub.operations.read { try StoreRecord.all(in: $0) }
            for record in records where record.state != .retired {
                guard let machine = newest(record.id) else { continue }
                if record.state == .pending || record.publicKey.flatMap({ try? publicKey($0) }) != machine.key {
                    // A restored hub may not know the newest machine: somebody gives it a new code.
                    if machine.code == nil { giveCode(machine) }
                    return "store \(record.id) has not enrolled"
                }
                guard let agent = machine.agent, let line = machine.line, lines[line]?.isOpen == true else {
                    return "store \(record.id) is not connected"
                }
                if agent.hasWork { return "store \(record.id) is at work" }
            }
            return try hub.operations.read { try unfinished(records, in: $0) }
        } catch {
            return "hub.db cannot be read: \(error)"
        }
    }

    private func unfinished(_ records: [StoreRecord], in db: Database) throws -> String? {
        if let session = try SessionRecord.unfinished(in: db).first {
            return "session \(session.id) of \(session.job) is still \(session.status.rawValue)"
        }
        let active = Set(records.filter { $0.state == .active }.map(\.id))
        for row in try Row.fetchAll(
            db,
            sql: "SELECT session_id, store_id, status, package, message FROM delivery WHERE is_open ORDER BY session")
        {
            guard let store = StoreID(row["store_id"]), active.contains(store) else { continue }
            let (status, package): (String, String?) = (row["status"], row["package"])
            let isDamaged = package.map(checker.damaged.contains) ?? false
            if status == "Suspended" || (isDamaged && status == "DownloadFailed"), phase != .final {
                guard wasDamaged else { return "session \(row["session_id"] as String) is suspended at \(store)" }
                mark("ended in a clear state")
                continue
            }
            return "session \(row["session_id"] as String) is \(status) at store \(store): \(row["message"] as String)"
        }
        // What the hub believes of a store is what the store says of itself.
        for record in records where record.state == .active {
            guard let agent = newest(record.id)?.agent else { continue }
            let own = try agent.ledger.read { try World.watermarks($0) }
            let told = try StoreRecord.positions(of: record.id, in: db)
            if own != told { return "the hub believes \(told) of store \(record.id), which has \(own)" }
            if try agent.ledger.read({ try Int.fetchOne($0, sql: "SELECT count(*) FROM _waybill_outbox") }) != 0 {
                return "store \(record.id) has reports that nobody has acknowledged"
            }
        }
        return nil
    }

    /// Whether anything was done that a store cannot heal by trying again.
    private var wasDamaged: Bool {
        let causes: [Trouble] = [
            .packageDamaged, .downloadDamaged, .agentDiskFails, .agentDiskFull, .hubDiskFails, .hubDiskFull,
        ]
        return causes.contains { injected[$0.rawValue] != nil }
    }

    private func rest() {
        inspectHub()
        for machine in machines where machine.isPresent { inspect(machine) }
        if phase == .settling {
            for store in stores where isActive(store) { inspectReached(by: store) }
            note("---- at rest; one more publication")
            phase = .final
            phaseDeadline = now + World.patience
            for job in jobIDs { publish(job) }
            return
        }
        for store in stores { inspectEnd(of: store) }
        isDone = true
    }

    private func isActive(_ store: StoreID) -> Bool {
        (try? hub?.operations.read { try StoreRecord.find(store, in: $0)?.state }) == .active
    }

    private func inspectEnd(of store: StoreID) {
        guard let agent = newest(store)?.agent, isActive(store),
            let contents = try? agent.ledger.read({ try World.contents($0) })
        else { return }
        for job in jobIDs {
            let truth = hq.model.content(job, store)
            for (table, _) in LittleChain.tables[job] ?? [] where contents[table] ?? [] != truth[table] {
                checker.violate(
                    "in the end store \(store) does not hold what headquarters says in table \(table): "
                        + World.difference(contents[table] ?? [], truth[table] ?? []))
            }
        }
    }
}
