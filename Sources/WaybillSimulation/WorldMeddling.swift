import Foundation
import WaybillFaultDisk
import WaybillHub
import WaybillModel
import WaybillSessions

/// What people, machines and disks do to a hub and its stores.
extension World {
    func meddle() {
        guard isRough else { return }
        guard stepsLeft > 0 else {
            lastBlow()
            return heal()
        }
        stepsLeft -= 1
        agenda.add(.meddle, at: now + chance.milliseconds(50...3000))
        // The routine goes on whatever else happens.
        if chance.happens(0.55) { edit() }
        if chance.happens(0.45), let job = chance.pick(jobIDs) { publish(job) }
        keepCopies()
        guard let trouble = chance.pick(possible), chance.happens(mixture.strength(trouble)) else { return }
        mix(30, trouble.rawValue.utf8.count)
        begin(trouble)
    }

    /// Backups are made while all is well, where this seed may need them.
    private func keepCopies() {
        let hubs: [Trouble] = [.hubRestored, .hubDatabaseRestored]
        if hubs.contains(where: { mixture.strength($0) > 0 }), chance.happens(0.25) { backUpHub() }
        let stores: [Trouble] = [.storeRestored, .machineRestored]
        guard stores.contains(where: { mixture.strength($0) > 0 }), chance.happens(0.3) else { return }
        if let machine = chance.pick(machines.filter(\.isPresent)) { copy(machine) }
    }

    /// A schedule that looks for something in particular does not wait for the rest.
    private var possible: [Trouble] {
        schedule.focus == nil ? World.meddlings : World.meddlings.filter { mixture.strength($0) > 0 }
    }

    /// Troubles that begin at a moment; all others strike on their own.
    private static let meddlings: [Trouble] = [
        .cut, .halfOpen, .oneWay, .hubKilled, .hubPowerCut, .agentKilled, .agentPowerCut, .hubDiskFull, .agentDiskFull,
        .hubDiskFails, .agentDiskFails, .packageDamaged, .downloadDamaged, .hubClock, .agentClock, .hubRestored,
        .hubDatabaseRestored, .rowsLost, .storeRestored, .machineRestored, .machineReplaced, .twins, .storeMoved,
        .storeAdded,
        .storeRetired, .fullPublish, .storePublish, .canceled, .canceled, .rerun, .rerun, .retried, .held, .held,
    ]

    /// After it nobody publishes anything before all must have come to rest.
    private func lastBlow() {
        for machine in machines where machine.isPresent && chance.happens(0.5) {
            if chance.happens(mixture.strength(.storeRestored)) { restore(machine, withFiles: false) }
        }
    }

    private func edit() {
        do { try hq.write { $0.edit(&chance) } } catch { note("edit failed: \(error)") }
    }

    private func begin(_ trouble: Trouble) {
        guard let machine = chance.pick(machines.filter(\.isPresent)) else { return }
        note("-- \(trouble.rawValue) m\(machine.number)")
        switch trouble {
        case .cut, .halfOpen, .oneWay: cutLine(trouble, machine)
        case .hubKilled, .hubPowerCut:
            inject(trouble)
            killHub(trouble == .hubKilled ? .killed : .powerCut)
        case .agentKilled, .agentPowerCut:
            inject(trouble)
            kill(machine, trouble == .agentKilled ? .killed : .powerCut)
        case .hubDiskFull, .hubDiskFails, .agentDiskFull, .agentDiskFails: breakDisk(trouble, machine)
        case .packageDamaged: damagePackage()
        case .downloadDamaged: damageDownload(machine)
        case .hubClock, .agentClock: moveClock(trouble, machine)
        case .hubRestored, .hubDatabaseRestored, .rowsLost: restoreHub(trouble)
        case .storeRestored, .machineRestored: restore(machine, withFiles: trouble == .machineRestored)
        case .machineReplaced: replace(machine)
        case .twins: twin(machine)
        case .storeMoved: move(machine.store)
        case .storeAdded: addStore()
        case .storeRetired:
            inject(trouble)
            chance.happens(0.5) ? retire(machine.store) : giveCode(newest(machine.store) ?? machine)
        default: administer(trouble, machine)
        }
    }

    private func administer(_ trouble: Trouble, _ machine: Machine) {
        guard let hub else { return }
        let job = jobIDs[chance.number(0...1)]
        switch trouble {
        case .fullPublish: publish(job, isFull: true, stores: chance.happens(0.5) ? [machine.store] : nil)
        case .storePublish: publish(job, stores: [machine.store])
        case .canceled:
            guard let session = recentSession() else { return }
            cancel(session.id, stores: chance.happens(0.6) ? [machine.store] : nil)
        case .rerun:
            guard let session = recentSession() else { return }
            rerun(session, chance.happens(0.6) ? [machine.store] : nil, hub)
        case .retried:
            guard let session = recentSession() else { return }
            hub.retry(session.id, stores: nil) { _ in }
            wakeHub()
        case .held: approveSomething()
        default: return
        }
        inject(trouble)
    }

    /// As the administrator's command does it: not what has no packages, nor what nobody has approved; and without a
    /// name those stores that do not have it.
    private func rerun(_ session: SessionRecord, _ stores: [StoreID]?, _ hub: SteppedHub) {
        guard ![.createFailed, .noData, .started, .awaitingApproval].contains(session.status) else { return }
        let looked = try? hub.operations.read { db in
            (try HeldSession.find(session.id, in: db), try DeliveryRecord.all(of: session.id, in: db))
        }
        guard let (held, deliveries) = looked, held == nil || held?.approvedAt != nil else { return }
        let lacking = deliveries.filter { $0.status != .applied && $0.status != .noData }.map(\.store)
        note("rerun \(session.id) for \(stores ?? lacking)")
        hub.rerun(session.id, stores: stores ?? lacking) { _ in }
        wakeHub()
    }

    /// Approves what awaits it.
    func approveSomething() {
        guard let hub else { return }
        let waiting = try? hub.operations.read { db in
            try jobIDs.flatMap { try HeldSession.awaiting($0, in: db) }.map(\.id)
        }
        for session in waiting ?? [] {
            note("approve \(session)")
            checker.approved.insert(session)
            mark("approved")
            hub.approve(session) { _ in }
        }
        wakeHub()
    }

    private func move(_ store: StoreID) {
        do {
            try hq.write { $0.move(store, &chance) }
            inject(.storeMoved)
        } catch { note("move failed: \(error)") }
    }

    /// A store opens: first headquarters has it, then its machine gets a code.
    private func addStore() {
        guard hub != nil, stores.count < World.storesMax, let store = World.storeID(stores.count + 1),
            let machine = try? makeMachine(store)
        else { return }
        do {
            try hq.write { $0.add(store, &chance) }
            inject(.storeAdded)
            stores.append(store)
            machines.append(machine)
            giveCode(machine)
            start(machine)
        } catch { note("\(store) could not be added: \(error)") }
    }

    // MARK: lines

    private func cutLine(_ trouble: Trouble, _ machine: Machine) {
        guard let number = machine.line else { return }
        inject(trouble)
        let until = now + chance.milliseconds(500...30_000)
        switch trouble {
        case .cut:
            machine.isCut = true
            breakLine(number, isNoticed: true)
            agenda.add(.relief(.uncut(machine)), at: until)
        case .halfOpen: breakLine(number, isNoticed: false)
        default:
            if chance.happens(0.5) {
                lines[number]?.deafToHubUntil = until
            } else {
                lines[number]?.deafToAgentUntil = until
            }
        }
    }

    // MARK: disks and clocks

    private func breakDisk(_ trouble: Trouble, _ machine: Machine) {
        let isHub = trouble == .hubDiskFull || trouble == .hubDiskFails
        let disk = isHub ? hubDisk : machine.disk
        inject(trouble)
        switch trouble {
        case .hubDiskFull, .agentDiskFull:
            disk.limit(toBytes: disk.usedBytes + chance.milliseconds(0...40_000))
        default:
            let kinds: [DiskOperations] = [.write, .sync, .read, .changes]
            try? disk.fail(
                kinds[chance.number(0...3)], at: chance.number(1...30), forEver: chance.happens(0.3),
                with: chance.happens(0.3) ? .full : .ioError)
        }
        let at = now + chance.milliseconds(500...15_000)
        agenda.add(.relief(isHub ? .hubDisk : .machineDisk(machine)), at: at)
    }

    func relieve(_ relief: Relief) {
        switch relief {
        case .hubDisk: hubDisk.heal()
        case .machineDisk(let machine): machine.disk.heal()
        case .uncut(let machine): machine.isCut = false
        case .unplug(let machine): unplug(machine)
        }
    }

    private func damagePackage() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: hubHome.packages))?.sorted() ?? []
        guard let name = chance.pick(names.filter { $0.hasSuffix(".zst") }) else { return }
        flipByte(of: hubHome.packages + "/" + name)
        checker.damaged.insert(String(name.dropLast(4)))
        inject(.packageDamaged)
    }

    private func damageDownload(_ machine: Machine) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: machine.home.incoming))?.sorted() ?? []
        guard let name = chance.pick(names.filter { $0.hasSuffix(".part") }) else { return }
        flipByte(of: machine.home.incoming + "/" + name)
        inject(.downloadDamaged)
    }

    private func flipByte(of path: String) {
        guard let handle = FileHandle(forUpdatingAtPath: path), let data = try? handle.readToEnd(), !data.isEmpty
        else { return }
        let offset = chance.number(0...data.count - 1)
        try? handle.seek(toOffset: UInt64(offset))
        try? handle.write(contentsOf: Data([data[data.startIndex + offset] ^ UInt8(1 << chance.number(0...7))]))
        try? handle.close()
    }

    /// Wall clocks go wrong, also by years; a process that runs counts on steadily and sees it at its next start.
    private func moveClock(_ trouble: Trouble, _ machine: Machine) {
        inject(trouble)
        let size: Int64 = [3_600_000, 86_400_000, 3 * 365 * 86_400_000][chance.number(0...2)]
        let error = (chance.happens(0.5) ? size : -size) + chance.milliseconds(-1000...1000)
        if trouble == .hubClock { hubClockError = error } else { machine.clockError = error }
    }

    // MARK: histories

    private func restoreHub(_ trouble: Trouble) {
        guard trouble != .rowsLost else {
            inject(trouble)
            killHub(.killed)
            return hubDisk.remove(hubHome.rowsDatabase)
        }
        // A backup first, so that there is something to go back to.
        guard let backup = chance.pick(hubBackups) else { return backUpHub() }
        inject(trouble)
        killHub(.killed)
        hub = nil
        do {
            try hubDisk.install(backup.hub, at: hubHome.hubDatabase)
            if trouble == .hubRestored {
                try hubDisk.install(backup.rows, at: hubHome.rowsDatabase)
                try hq.restore(backup.hq, backup.model)
            }
        } catch { checker.violate("the hub could not be restored: \(error)") }
        note("hub restored: \(trouble.rawValue)")
        checker.promised = []
        checker.statuses = [:]
        checker.reached = [:]
        checker.ambiguous.formUnion(backup.sessions)
    }

    private func backUpHub() {
        guard let hub, hubBackups.count < 3 else { return }
        hq.close()
        let sessions = try? hub.operations.read { db in
            Set(try String.fetchAll(db, sql: "SELECT id FROM session").compactMap(SessionID.init))
        }
        let (image, model) = hq.backup()
        note("hub is backed up")
        mark("hub backed up")
        hubBackups.append(
            HubBackup(
                hub: hubDisk.image(of: hubHome.hubDatabase), rows: hubDisk.image(of: hubHome.rowsDatabase), hq: image,
                model: model, sessions: sessions ?? []))
    }

    private func copy(_ machine: Machine) {
        guard machine.copies.count < 3 else { return }
        machine.copies.append((machine.disk.image(of: machine.home.database), machine.incomingFiles()))
    }

    private func restore(_ machine: Machine, withFiles: Bool) {
        guard let copy = chance.pick(machine.copies) else { return copy(machine) }
        inject(withFiles ? .machineRestored : .storeRestored)
        machine.reported = [:]
        kill(machine, .killed)
        do { try machine.disk.install(copy.database, at: machine.home.database) } catch {
            checker.violate("a store could not be restored: \(error)")
        }
        if withFiles { machine.setIncomingFiles(copy.files) }
    }

    /// Another machine takes the place of the store's, with an empty disk and a key of its own.
    private func replace(_ machine: Machine) {
        guard machines.count < 9, hub != nil, let new = try? makeMachine(machine.store) else { return }
        inject(.machineReplaced)
        checker.reached = checker.reached.filter { $0.key.store != machine.store }
        machines.append(new)
        start(new)
        giveCode(new)
        // The old one goes on for a while.
        agenda.add(.relief(.unplug(machine)), at: now + chance.milliseconds(1...40_000))
    }

    /// Two machines with one identity: somebody has cloned the disk.
    private func twin(_ machine: Machine) {
        guard machines.count < 9, machine.agent != nil, newest(machine.store) === machine else { return }
        do {
            let twin = try Machine(
                number: machines.count, store: machine.store, key: machine.key,
                folder: folder.path + "/m\(machines.count)",
                disk: FaultDisk(seed: schedule.seed &+ UInt64(machines.count) &+ 2),
                image: machine.disk.image(of: machine.home.database))
            twin.setIncomingFiles(machine.incomingFiles())
            twin.copies = machine.copies
            machines.append(twin)
            inject(.twins)
            checker.twinned.insert(machine.store)
            checker.promised = checker.promised.filter { $0.store != machine.store }
            start(twin)
            agenda.add(
                .relief(.unplug(chance.happens(0.5) ? twin : machine)), at: now + chance.milliseconds(1...60_000))
        } catch { checker.violate("a machine could not be cloned: \(error)") }
    }

    private func unplug(_ machine: Machine) {
        // Somebody must stay.
        guard machine.isPresent,
            machines.contains(where: { $0 !== machine && $0.store == machine.store && $0.isPresent })
        else { return }
        note("m\(machine.number) is unplugged")
        kill(machine, .killed)
        machine.isPresent = false
    }

    /// The machine that is the store's: the one that came last.
    func newest(_ store: StoreID) -> Machine? { machines.last { $0.store == store && $0.isPresent } }

    func isRightful(_ machine: Machine) -> Bool {
        !checker.twinned.contains(machine.store) && newest(machine.store) === machine
            && rightfulKey(of: machine.store) == machine.key
    }

    /// The key that the hub knows for the store.
    func rightfulKey(of store: StoreID) -> String {
        guard let hub else { return "" }
        let key = try? hub.operations.read { try StoreRecord.find(store, in: $0)?.publicKey }
        return (key ?? nil).flatMap { try? publicKey($0) } ?? ""
    }
}
