import Foundation
import GRDB
import Logging
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillSessions
import WaybillSocket
import WaybillWire

/// The wire thread's state, and one turn of its loop.
struct HubTurn: ~Copyable {
    let parts: HubParts
    let transport: any HubTransport
    var desks: [StoreID: DeskPlace] = [:]
    var files: PackageFiles
    var chunks = SoundChunks()
    var frames = ChunkFrames()
    var manifests = GrantedManifests()
    var keys: EnrolledKeys
    var enrolments = EnrolmentLimit()
    /// What the jobs say about order and windows.
    private var rules: [JobID: DeliveryRules]
    /// Of the hub's wall clock, asked once a second: it changes twice a year, and the answer is not cheap.
    private var utcOffsetMinutes = 0
    private var askedOffsetAt: Timestamp?
    /// Hellos that came faster than they are taken in.
    var admission = HelloAdmission<ReceivedMessage>()
    /// Orders of a turn that could not be written.
    var unkept: [HubOrder] = []
    private var rates = StoreRates()
    /// Stores whose record has changed and could not be read.
    private var unread: [StoreID] = []
    /// The last turn has only answered.
    private(set) var wasQuiet = false

    init(parts: HubParts, transport: any HubTransport, keys: EnrolledKeys) {
        self.parts = parts
        self.transport = transport
        self.keys = keys
        rules = parts.rules
        files = PackageFiles(home: parts.home)
    }

    var hasUnkeptOrders: Bool { !unkept.isEmpty || !unread.isEmpty }

    /// What a turn collects: first everything to be kept, then everything to be said.
    struct Batch {
        var saves = TurnWrites()
        var sends: [Outgoing] = []
        var replies: [@Sendable () -> Void] = []
        /// Jobs to run for stores that have lost what they had.
        var catchUps: [(JobID, StoreID)] = []
        var touched: Set<StoreID> = []
        /// Orders that could not be looked at: for the next turn.
        var postponed: [HubOrder] = []
        /// Desks of this turn as they were before it.
        var before: [StoreID: Desk] = [:]
        var unwritten = Unwritten()
        /// Hellos that have waited their turn are taken in now.
        var takesEveryHello = false
    }

    enum Outgoing {
        case letter(StoreID?, RoutingID, HubLetter)
        case grant(StoreID, RoutingID, session: SessionID, run: Int, attempt: Int, package: PackageID)
        case chunk(StoreID, RoutingID, package: PackageID, index: Int)
        case announcement(JobID, SessionID)
        case enrolReply(RoutingID, [UInt8])
        case task(PublisherTask)
    }

    mutating func run(takeOrders: () -> [HubOrder]) {
        var batch = Batch()
        var orders = unkept
        unkept = []
        do {
            try transport.wait(
                milliseconds: HubLimits.idleMilliseconds, gathering: wasQuiet ? HubLimits.gatherMilliseconds : 0)
            wasQuiet = false
            orders += takeOrders()
            askUTCOffset()
            endOldKeys(&batch)
            readAgain(&batch)
            // Before all else, for an enrolment is on disk at once: what the store's former machine says in the same turn
            // is no longer about this store, and must not be written over it.
            var enrolled = 0
            while enrolled < HubLimits.enrolmentsMax, let message = try transport.nextEnrolment() {
                enrolled += 1
                enrol(message, &batch)
            }
            for order in orders { obey(order, &batch) }
            takePutOffHellos(&batch)
            var taken = 0
            while taken < HubLimits.batchMax, let message = try transport.nextLetter() {
                taken += 1
                hear(message, &batch)
            }
        } catch {
            parts.logger.error("the hub's sockets failed: \(error)")
            return undo(batch, orders)
        }
        do { try keep(&batch) } catch {
            parts.pulse.couldNotWrite("\(error)", at: parts.clock.now())
            parts.logger.error("hub.db could not be written, agents will ask again: \(error)")
            // What can never be written is not tried for ever.
            let isHopeless = (error as? DatabaseError)?.resultCode == .SQLITE_CONSTRAINT
            return undo(batch, isHopeless ? [] : orders)
        }
        unkept = batch.postponed
        batch.passCrashPoints()
        for outgoing in batch.sends { say(outgoing) }
        for reply in batch.replies { reply() }
        parts.pulse.turned(at: parts.clock.now())
        wasQuiet = orders.isEmpty && batch.isQuiet
    }

    private mutating func askUTCOffset() {
        let now = parts.clock.now()
        if let last = askedOffsetAt, now >= last, now - last < 1000 { return }
        askedOffsetAt = now
        utcOffsetMinutes = parts.utcOffsetMinutes()
    }

    /// Writes all that the turn wants kept, durably, in one transaction.
    private func keep(_ batch: inout Batch) throws {
        probeAfterFailure(&batch)
        guard !batch.saves.isEmpty || !batch.catchUps.isEmpty else { return }
        let begun = try parts.operations.write { db in
            try batch.saves.write(in: db)
            return try batch.catchUps.map { job, store in
                try SessionRecord.create(
                    job: job, request: SessionRequest(isFull: false, stores: [store.rawValue]), at: parts.clock.now(),
                    random: parts.random(), in: db)
            }
        }
        parts.pulse.wrote()
        for (session, (job, store)) in zip(begun, batch.catchUps) {
            parts.logger.info("session \(session) of job \(job) brings store \(store) back to where it was")
            batch.sends.append(.task(.build(session)))
        }
    }

    /// Nothing of the turn has happened: agents ask again by themselves, orders are obeyed in the next turn.
    private mutating func undo(_ batch: Batch, _ orders: [HubOrder]) {
        for store in batch.touched { desks[store] = batch.before[store].map(DeskPlace.init) }
        unkept = orders
        sayChunks(of: batch)
    }

    // MARK: desks

    mutating func withDesk(
        of store: StoreID, _ batch: inout Batch, _ body: (inout Desk) throws -> [DeskEffect]
    ) rethrows {
        try withDesk(of: store, &batch) { desk, _ in try body(&desk) }
    }

    /// The store's desk, loaded from `hub.db` at its first event; nothing happens when there is no such store.
    /// - Parameter body: is lent what the turn has not written yet; keeping it would mean copying it for each message.
    mutating func withDesk(
        of store: StoreID, _ batch: inout Batch, _ body: (inout Desk, Unwritten) throws -> [DeskEffect]
    ) rethrows {
        guard let place = place(of: store) else { return }
        if batch.touched.insert(store).inserted { batch.before[store] = place.desk }
        place.desk.settings.rules = rules
        place.desk.settings.keyNews = parts.keyring.news
        place.desk.hubUTCOffsetMinutes = utcOffsetMinutes
        place.desk.settings.startSpreadMilliseconds = (desks.count - 1) * HubLimits.spreadMillisecondsPerStore
        let effects = try body(&place.desk, batch.unwritten)
        batch.saves.learn(place.desk.stages.takeSamples(), of: store)
        for effect in effects { take(effect, of: store, &batch) }
    }

    private mutating func place(of store: StoreID) -> DeskPlace? {
        if let known = desks[store] { return known }
        guard let desk = load(store) else { return nil }
        let place = DeskPlace(desk)
        desks[store] = place
        return place
    }

    private func load(_ store: StoreID) -> Desk? {
        do {
            return try parts.operations.read { db in
                guard let record = try StoreRecord.find(store, in: db) else { return nil }
                var desk = Desk(
                    record: record, positions: try StoreRecord.positions(of: store, in: db),
                    open: try DeliveryRecord.open(of: store, in: db), settings: parts.deskSettings)
                desk.quarantine = try DeskQuarantine(of: store, in: db)
                return desk
            }
        } catch {
            parts.logger.error("store \(store) could not be loaded from hub.db: \(error)")
            return nil
        }
    }

    private mutating func take(_ effect: DeskEffect, of store: StoreID, _ batch: inout Batch) {
        switch effect {
        case .saveDelivery(let delivery):
            // The file may have been damaged after its chunks were looked at: they are looked at again.
            if delivery.status == .downloadFailed, let package = delivery.package { forgetChunks(of: package.id) }
            batch.unwritten.note(delivery)
            batch.saves.save(delivery, over: batch.before[store]?.deliveries[delivery.session])
        case .saveContact(let record): batch.saves.saveContact(record)
        case .savePositions(let positions): batch.saves.savePositions(positions, of: store)
        case .savePosition(let job, let position): batch.saves.savePosition(position, at: job, of: store)
        case .send(let routing, let letter): batch.sends.append(.letter(store, RoutingID(routing), letter))
        case .sendGrant(let routing, let session, let run, let attempt, let package):
            batch.sends.append(
                .grant(
                    store, RoutingID(routing), session: session, run: run, attempt: attempt, package: package))
        case .sendChunk(let routing, let package, let index):
            batch.sends.append(.chunk(store, RoutingID(routing), package: package, index: index))
        case .prepare(let session, let base, let isRepair):
            batch.sends.append(.task(.prepare(session, store, base: base, isRepair: isRepair)))
        // A store may stand at a job that this hub, restored or made anew, does not have.
        case .catchUp(let job) where parts.jobs.known.job(job) != nil: batch.catchUps.append((job, store))
        case .catchUp: break
        case .keyNotice(let routing, let notice): hear(notice, of: store, from: RoutingID(routing), &batch)
        case .log(let text, let isProblem): parts.logger.log(level: isProblem ? .warning : .info, "\(text)")
        case .saveQuarantine, .saveQuarantineOrder, .forgetQuarantine:
            if let save = HubTurn.save(effect, of: store, at: parts.clock.now()) { batch.saves.append(save) }
        case .proof(let digests): batch.replies.append { [parts] in parts.proofs.post(.digests(store, digests)) }
        // Taken by whoever gave the order.
        case .answerCancel, .answerRerun, .answerRetry, .answerExamine, .answerQuarantineOrder: break
        }
    }

    // MARK: what agents say

    mutating func hear(_ message: ReceivedMessage, _ batch: inout Batch) {
        guard let routing = message.routingID else { return }
        let store: StoreID
        switch keys.holder(of: message.userID ?? "") {
        case .store(let holder):
            store = holder
            noteKey(message.userID ?? "", of: store, &batch)
        case .former(let former):
            parts.logger.warning("a key that store \(former) no longer has was used, and refused")
            let reason = "this key of store \(former) is no longer enrolled"
            return batch.sends.append(.letter(nil, routing, .refused(reason: reason)))
        case .nobody:
            // The gatekeeper lets nobody in without a name; whatever this is, it gets no answer.
            return parts.logger.warning("a message without a store's identity was dropped")
        }
        let letter: AgentLetter
        do {
            guard message.frames.count == 1, let frame = message.frames.first, !message.isTruncated else {
                throw LetterFault("a message must be one frame")
            }
            letter = try AgentLetter(decoding: frame)
        } catch let fault as LetterFault where fault.isOfNewerKind {
            parts.logger.debug("store \(store) sent something that was ignored: \(fault)")
            return
        } catch {
            parts.logger.warning("store \(store) sent something that was refused: \(error)")
            batch.sends.append(.letter(store, routing, .refused(reason: "\(error)")))
            return
        }
        let now = parts.clock.now()
        if putOff(letter, message, of: store, now: now, &batch) { return }
        let operations = parts.operations
        let logger = parts.logger
        // Moved out and back, not copied: it knows all stores.
        var rates = StoreRates()
        swap(&rates, &self.rates)
        defer { swap(&rates, &self.rates) }
        withDesk(of: store, &batch) { desk, unwritten in
            var known: [Delivery] = []
            for session in letter.sessions(beside: desk.positions) where desk.deliveries[session] == nil {
                if let delivery = unwritten.delivery(session, store) {
                    known.append(delivery)
                    continue
                }
                do {
                    let found = try operations.read { try DeliveryRecord.find(session, store, in: $0) }
                    known += found.map { [$0] } ?? []
                } catch {
                    // Better no answer than one that takes a known session for an unknown one.
                    logger.error("hub.db could not be read: \(error)")
                    return []
                }
            }
            let admission = rates.admits(
                letter, of: store, beside: desk.positions,
                isKnown: { session in
                    desk.deliveries[session] != nil || known.contains { $0.session == session }
                }, now: now)
            if let complaint = admission.complaint { logger.warning("\(complaint)") }
            guard admission.isAdmitted else { return [] }
            return desk.step(.letter(letter, routing: routing.bytes, known: known), now: now)
        }
    }

    // MARK: orders

    private mutating func obey(_ order: HubOrder, _ batch: inout Batch) {
        let now = parts.clock.now()
        switch order {
        case .offer(let session, let sealed, let deliveries, let reply):
            // Lost, it would leave the session `Started` for as long as the hub runs.
            guard offer(session, sealed, deliveries, now: now, &batch) else { return batch.postponed.append(order) }
            batch.replies.append(reply)
        case .createFailed(let session, let reason):
            batch.saves.append { try SessionRecord.fail(session, reason, in: $0) }
        case .prepared(let session, let store, let outcome, let sealed):
            if let sealed { batch.saves.append { try sealed.save(in: $0) } }
            withDesk(of: store, &batch) { $0.step(.prepared(session, outcome), now: now) }
        case .approve(let session, let reply): approve(session, now: now, &batch, reply)
        case .cancel(let session, let stores, let reason, let reply):
            var answers = cancelHeld(session, stores, reason: reason, now: now, &batch)
            for delivery in deliveries(of: session, stores, batch.unwritten) where answers[delivery.store] == nil {
                withDesk(of: delivery.store, &batch) { desk in
                    let effects = desk.step(.cancel(delivery, reason: reason), now: now)
                    for case .answerCancel(let answer) in effects { answers[delivery.store] = answer }
                    return effects
                }
            }
            if stores == nil {
                batch.unwritten.note(session, isCanceled: true)
                batch.saves.append { db in
                    guard var record = try SessionRecord.find(session, in: db) else { return }
                    record.status = .canceled
                    record.message = reason
                    try record.save(in: db)
                }
            }
            batch.replies.append { [answers] in reply(answers) }
        case .rerun(let session, let stores, let reply):
            var refusals: [StoreID: String?] = [:]
            for delivery in deliveries(of: session, stores, batch.unwritten) {
                withDesk(of: delivery.store, &batch) { desk in
                    let effects = desk.step(.rerun(delivery), now: now)
                    for case .answerRerun(let refusal) in effects { refusals[delivery.store] = refusal }
                    return effects
                }
            }
            if refusals.values.contains(where: { $0 == nil }) {
                batch.unwritten.note(session, isCanceled: false)
                batch.saves.append { db in
                    guard var record = try SessionRecord.find(session, in: db), record.status == .canceled else {
                        return
                    }
                    record.status = .available
                    record.message = ""
                    try record.save(in: db)
                }
            }
            batch.replies.append { [refusals] in reply(refusals) }
        case .retry(let session, let stores, let reply):
            var refusals: [StoreID: String?] = [:]
            for delivery in deliveries(of: session, stores, batch.unwritten) {
                withDesk(of: delivery.store, &batch) { desk in
                    let effects = desk.step(.retry(delivery), now: now)
                    for case .answerRetry(let refusal) in effects { refusals[delivery.store] = refusal }
                    return effects
                }
            }
            batch.replies.append { [refusals] in reply(refusals) }
        case .examine(let store, let question, let reply): examine(store, question, now: now, &batch, reply)
        case .quarantine(let orders, let reply): self.order(orders, now: now, &batch, reply)
        case .packageLost(let package, let store):
            withDesk(of: store, &batch) { $0.step(.packageLost(package), now: now) }
        case .rules(let rules): self.rules = rules
        case .audited(let record, let order):
            batch.saves.append(record)
            obey(order, &batch)
        case .storeChanged(let store): storeChanged(store, now: now, &batch)
        case .contacts(let reply):
            var contacts: [StoreID: HubOrder.Contact] = [:]
            for (store, place) in desks {
                let desk = place.desk
                contacts[store] = HubOrder.Contact(
                    isOnline: desk.isOnline(at: now), lastHeard: desk.peer?.lastHeard, progress: desk.progress,
                    freeBytes: desk.freeBytes, stages: desk.stages.entries)
            }
            batch.replies.append { [contacts] in reply(contacts) }
        }
    }

    /// - Returns: false when `hub.db` could not be read.
    private mutating func offer(
        _ session: SessionRecord, _ sealed: [SealedRecord], _ deliveries: [Delivery], now: Timestamp,
        _ batch: inout Batch
    ) -> Bool {
        // Called off while it was being built: its deliveries are not made at all.
        do {
            let now = try parts.operations.read { try SessionRecord.find(session.id, in: $0)?.status }
            guard now != .canceled, !batch.unwritten.isCanceled(session.id) else { return true }
        } catch {
            parts.logger.error("session \(session.id) could not be looked up in hub.db: \(error)")
            return false
        }
        for record in sealed { batch.saves.append { try record.save(in: $0) } }
        if offerRepair(session, deliveries, now: now, &batch) { return true }
        batch.saves.append { try HeldSession.supersede(by: session, deliveries, in: $0) }
        if session.status == .awaitingApproval {
            batch.saves.append { try HeldSession.hold(session, deliveries, at: now, in: $0) }
            return true
        }
        batch.saves.append { try session.save(in: $0) }
        for delivery in deliveries {
            withDesk(of: delivery.store, &batch) { $0.step(.offered(delivery), now: now) }
        }
        if session.status == .available { batch.sends.append(.announcement(session.job, session.id)) }
        return true
    }

    private func deliveries(of session: SessionID, _ stores: [StoreID]?, _ unwritten: Unwritten) -> [Delivery] {
        do {
            let stored = try parts.operations.read { try DeliveryRecord.all(of: session, in: $0) }
            return unwritten.deliveries(of: session, over: stored).filter { stores?.contains($0.store) ?? true }
        } catch {
            parts.logger.error("hub.db could not be read: \(error)")
            return []
        }
    }

    /// Takes a store's record anew: before an enrolment is answered, for the agent may connect the moment it has it.
    mutating func storeChanged(_ store: StoreID, now: Timestamp, _ batch: inout Batch) {
        let found: StoreRecord?
        do { found = try parts.operations.read { try StoreRecord.find(store, in: $0) } } catch {
            // Forgotten, it would keep a store that has just enrolled out, and one that was retired in.
            if !unread.contains(store) { unread.append(store) }
            return parts.logger.error("store \(store) could not be loaded from hub.db: \(error)")
        }
        guard let record = found else { return }
        for key in keys.update(record) { transport.shutOut(key) }
        for (key, name) in EnrolledKeys.allowList([record]) {
            transport.admit(key, as: name)
        }
        withDesk(of: store, &batch) { $0.step(.recordChanged(record), now: now) }
    }

    private mutating func readAgain(_ batch: inout Batch) {
        let stores = unread
        unread = []
        for store in stores { storeChanged(store, now: parts.clock.now(), &batch) }
    }
}

/// Where a desk lies in memory: a desk is large, and would else be moved out of the dictionary and back for each letter.
final class DeskPlace {
    var desk: Desk
    init(_ desk: Desk) { self.desk = desk }
}

extension HubTurn.Batch {
    /// Nothing was written, begun or handed out: stores said Hello, and were answered.
    fileprivate var isQuiet: Bool {
        saves.isEmpty && replies.isEmpty && catchUps.isEmpty
            && sends.allSatisfy { if case .letter(_, _, .welcome) = $0 { true } else { false } }
    }

    /// What is now on disk and not yet said.
    fileprivate func passCrashPoints() {
        for outgoing in sends {
            switch outgoing {
            case .announcement: CrashPoint.offered.pass()
            case .grant: CrashPoint.granted.pass()
            case .letter(_, _, .acknowledgement): CrashPoint.folded.pass()
            default: break
            }
        }
    }
}

extension SealedRecord {
    func save(in db: Database) throws {
        try PackageRecord.save(package, session: session, manifest: manifest, signature: signature, in: db)
    }
}

extension AgentLetter {
    /// Sessions that the letter names and a decision may need; `positions` is what is known of the store already.
    func sessions(beside positions: [JobID: Watermark]) -> [SessionID] {
        switch body {
        case .hello(let hello): hello.watermarks.filter { positions[$0.key] != $0.value }.map(\.value.session)
        case .chunkRequest, .quarantine, .keys: []
        case .request(let session, _, _): [session]
        case .reports(let reports): Array(Set(reports.map(\.session)))
        case .digests: []
        }
    }
}
