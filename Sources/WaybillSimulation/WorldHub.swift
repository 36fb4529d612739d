import Foundation
import GRDB
import WaybillFaultDisk
import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillSocket
import WaybillWire

/// The hub's process.
extension World {
    func startHub() {
        guard hub == nil else { return }
        if hubDisk.isDown { hubDisk.restart() }
        if hq.disk.isDown { hq.disk.restart() }
        hubLife += 1
        hubProcessError = hubClockError
        isTurnDue = false
        isHubWorkDue = false
        running = .hub
        defer { running = nil }
        do {
            var surroundings = SteppedHub.Surroundings(
                now: { [unowned self] in hubTime }, random: { [unowned self] in drawForHub() },
                utcOffsetMinutes: { 60 }, logger: logger)
            surroundings.batchMax = hubBatchMax
            let started = try SteppedHub(
                at: hubHome, jobs: jobs, signingKey: signingKey, helloSeconds: World.helloSeconds,
                hubRun: hubRun(), surroundings: surroundings, lines: self)
            started.onDerived = { [unowned self] in derived($0) }
            admitted = try started.operations.read { db in
                Set(
                    try StoreRecord.all(in: db).filter { $0.state == .active }.compactMap { $0.publicKey }
                        .map(publicKey))
            }
            hub = started
        } catch {
            note("hub cannot start: \(error)")
            mark("hub start failed")
            if !isRough, !hubDisk.isDown, !hq.disk.isDown { checker.violate("the hub cannot start: \(error)") }
        }
        if hubDisk.isDown || hub == nil { return hubDied() }
        note("hub starts")
        wakeHub()
    }

    var hubTime: Timestamp { Timestamp(milliseconds: World.start + now + hubProcessError) }

    /// Whether the process at hand is dead although its code still runs to the end of a step.
    var isHubDying: Bool { hubDisk.isDown }

    func hubDied() {
        hub?.close()
        hub = nil
        hubLife += 1
        for (number, line) in lines.sorted(by: { $0.key < $1.key }) where line.isOpen {
            // The system closes a killed process's connections; a machine that lost power says nothing.
            breakLine(number, isNoticed: chance.happens(0.8))
        }
        agenda.add(.hubStart, at: now + chance.milliseconds(50...5000))
    }

    func killHub(_ how: FaultDisk.Crash) {
        guard hub != nil else { return }
        note("hub: \(how)")
        hubDisk.crash(how)
        if case .powerCut = how {
            hq.close()
            hq.disk.crash(.powerCut)
        }
        hubDied()
    }

    func wakeHub() {
        guard let hub else { return }
        if hub.hasMail || hub.hasUnkeptOrders, !isTurnDue {
            isTurnDue = true
            // After a turn that could not be written the loop would turn at once; so fast a disk is not healed.
            let wait = hub.hasUnkeptOrders ? chance.milliseconds(200...900) : chance.milliseconds(1...40)
            agenda.add(.hubTurn(life: hubLife), at: now + wait)
        }
        if !hub.isPublisherIdle, !isHubWorkDue {
            isHubWorkDue = true
            agenda.add(.hubWork(life: hubLife), at: now + chance.milliseconds(5...400))
        }
    }

    func hubTurn() {
        isTurnDue = false
        guard let hub else { return }
        armHubCrash()
        running = .hub
        hub.step()
        running = nil
        if let sabotage, !isHubDying {
            sabotage.afterTurn(self, hub)
            inspectHub()
        }
        afterHub()
    }

    func hubWork() {
        isHubWorkDue = false
        guard let hub else { return }
        armHubCrash()
        running = .hub
        _ = hub.work()
        running = nil
        afterHub()
    }

    private func afterHub() {
        if isHubDying { return hubDied() }
        wakeHub()
    }

    /// From time to time the process dies in the middle of what a step writes.
    private func armHubCrash() {
        if strikes(.hubKilled, 0.015) {
            inject(.hubKilled)
            hubDisk.crash(at: chance.number(1...60), .killed)
        } else if strikes(.hubPowerCut, 0.015) {
            inject(.hubPowerCut)
            hubDisk.crash(at: chance.number(1...60), .powerCut)
        }
    }

    func drawForHub() -> UInt64 { sabotage == .sessionNamesRepeat ? 7 : productChance.next() }
    private func hubRun() -> UInt64 { productChance.next() }

    // MARK: what administrators ask for

    func publish(_ job: JobID, isFull: Bool = false, stores: [StoreID]? = nil) {
        guard let hub else { return }
        running = .hub
        defer { running = nil }
        do {
            let session = try hub.publish(job, isFull: isFull, stores: stores)
            checker.published.insert(session)
            note("publish \(job): \(session)\(isFull ? " full" : "") \(stores.map { "\($0)" } ?? "")")
        } catch {
            note("publish failed: \(error)")
        }
        if isHubDying { return hubDied() }
        wakeHub()
    }

    func recentSession() -> SessionRecord? {
        guard let hub else { return nil }
        let back = chance.number(0...3)
        return try? hub.operations.read { db in
            try Int64.fetchOne(
                db, sql: "SELECT number FROM session ORDER BY number DESC LIMIT 1 OFFSET ?", arguments: [back]
            ).flatMap { try SessionRecord.find(number: $0, in: db) }
        }
    }

    func cancel(_ session: SessionID, stores: [StoreID]?) {
        guard let hub else { return }
        let life = hubLife
        hub.cancel(session, stores: stores) { [unowned self] answers in
            guard life == hubLife, !isHubDying else { return }
            canceled(session, answers)
        }
        wakeHub()
    }

    // MARK: keys and codes

    func publicKey(_ bytes: [UInt8]) throws -> String { try CurvePublicKey(bytes: bytes).z85 }

    /// Gives a machine a code for its store, as `store add` does.
    func giveCode(_ machine: Machine) {
        guard let hub else { return }
        let secret = (0..<16).map { _ in UInt8(truncatingIfNeeded: chance.next()) }
        running = .hub
        defer { running = nil }
        do {
            try hub.operations.write { db in
                try Enrolment.add(
                    machine.store, secretHash: secretHash(secret), at: hubTime, expiresAt: hubTime + 90 * 86_400_000,
                    in: db)
            }
            machine.code = secret
            hub.storeChanged(machine.store)
            agenda.add(.enrol(machine), at: now + chance.milliseconds(1...500))
        } catch {
            note("no code for m\(machine.number): \(error)")
        }
        if isHubDying { return hubDied() }
        wakeHub()
    }

    func retire(_ store: StoreID) {
        guard let hub else { return }
        running = .hub
        defer { running = nil }
        do {
            try hub.operations.write { db in try Enrolment.retire(store, at: hubTime, in: db) }
            hub.storeChanged(store)
        } catch {
            note("\(store) could not be retired: \(error)")
        }
        if isHubDying { return hubDied() }
        wakeHub()
    }
}
