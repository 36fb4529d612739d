import WaybillModel
import WaybillSessions
import WaybillWire

@testable import WaybillHub

/// The hub: turns of its wire thread, as `HubTurn` makes them over real sockets and a real database.
extension Conversation {
    /// What a turn collects: first everything to be kept, then everything to be said.
    struct Batch {
        var saves: [(inout HubDatabase) -> Void] = []
        var begins: [(inout HubDatabase) -> SessionID] = []
        var sends: [Outgoing] = []
        var touched: Set<StoreID> = []
        var unwritten = Unwritten()
        var revoked: [Call] = []
    }

    enum Outgoing {
        case letter(StoreID, line: [UInt8], HubLetter)
        case grant(StoreID, line: [UInt8], session: SessionID, run: Int, attempt: Int, PackageID)
        case chunk(StoreID, line: [UInt8], PackageID, Int)
        case announcement(SessionID)
        case task(PublisherTask)
    }

    func startHub() {
        guard hub == nil else { return }
        var process = HubProcess(
            settings: DeskSettings(
                hubRun: chance.next(), helloSeconds: Conversation.helloSeconds, offlineAfterMilliseconds: 15_000,
                rules: rules))
        process.tasks = database.takeUpUnfinished(&chance).map(PublisherTask.build)
        hub = process
        note("hub starts")
        wakePublisher()
    }

    func killHub() {
        guard hub != nil else { return }
        note("hub dies")
        hub = nil
        for agent in agentsInOrder { breakLine(of: agent, noticed: true) }
        agenda.add(.hubStarts, at: now + chance.number(50...4000))
    }

    func post(_ order: HubOrder) {
        hub?.orders.append(order)
        wakeHub()
    }

    func wakeHub() {
        guard hub != nil, hub?.isTurnDue == false else { return }
        hub?.isTurnDue = true
        agenda.add(.hubTurn(run: hub?.settings.hubRun ?? 0), at: now + chance.number(1...60))
    }

    func turn() {
        guard var process = hub else { return }
        process.isTurnDue = false
        let orders = process.orders
        let letters = process.inbox
        process.orders = []
        process.inbox = []
        hub = process
        var batch = Batch()
        for order in orders { obey(order, &batch) }
        for (letter, line) in letters { hear(letter, line: line, &batch) }
        if mischief(0.01) { return killHub() }
        if !batch.saves.isEmpty, mischief(0.01) {
            note("hub.db cannot be written")
            for store in batch.touched { hub?.desks[store] = nil }
            hub?.orders.insert(contentsOf: orders, at: 0)
            return wakeHub()
        }
        for save in batch.saves { save(&database) }
        for begin in batch.begins { batch.sends.append(.task(.build(begin(&database)))) }
        if mischief(0.01) { return killHub() }
        for outgoing in batch.sends {
            if mischief(0.002) { return killHub() }
            say(outgoing)
        }
        for call in batch.revoked { promised.insert(call) }
    }

    private func withDesk(of store: StoreID, _ batch: inout Batch, _ body: (inout Desk) -> [DeskEffect]) {
        guard let record = database.stores[store] else { return }
        var desk =
            hub?.desks[store]
            ?? Desk(
                record: record, positions: database.positions[store] ?? [:], open: database.open(of: store),
                settings: hub?.settings ?? DeskSettings(hubRun: 0, helloSeconds: 1, offlineAfterMilliseconds: 1))
        desk.hubUTCOffsetMinutes = utcOffset()
        let effects = body(&desk)
        hub?.desks[store] = desk
        batch.touched.insert(store)
        for effect in effects { take(effect, of: store, &batch) }
    }

    private func take(_ effect: DeskEffect, of store: StoreID, _ batch: inout Batch) {
        switch effect {
        case .saveDelivery(let delivery):
            batch.unwritten.note(delivery)
            batch.saves.append { $0.deliveries[delivery.session, default: [:]][store] = delivery }
        case .saveContact(let record): batch.saves.append { $0.stores[store] = record }
        case .savePositions(let positions): batch.saves.append { $0.positions[store] = positions }
        case .savePosition(let job, let mark): batch.saves.append { $0.positions[store, default: [:]][job] = mark }
        case .send(let line, let letter): batch.sends.append(.letter(store, line: line, letter))
        case .sendGrant(let line, let session, let run, let attempt, let package):
            batch.sends.append(.grant(store, line: line, session: session, run: run, attempt: attempt, package))
        case .sendChunk(let line, let package, let index):
            batch.sends.append(.chunk(store, line: line, package, index))
        case .prepare(let session, let base, let isRepair):
            batch.sends.append(.task(.prepare(session, store, base: base, isRepair: isRepair)))
        case .catchUp(let job):
            let random = chance.next()
            batch.begins.append { $0.create(job: job, isFull: false, stores: [store], random: random) }
        case .log(let text, _): note("  hub: \(text)")
        // Nothing is ever in quarantine here.
        case .saveQuarantine, .saveQuarantineOrder, .forgetQuarantine, .answerQuarantineOrder: break
        case .answerCancel, .answerRerun, .answerRetry, .proof, .answerExamine: break
        case .keyNotice: break  // keys are no part of this network
        }
    }

    private func hear(_ letter: AgentLetter, line: Int, _ batch: inout Batch) {
        let store = letter.store
        var sessions: [SessionID] = []
        switch letter.body {
        case .hello(let hello): sessions = hello.watermarks.values.map(\.session)
        case .chunkRequest, .digests, .quarantine, .keys: break
        case .request(let session, _, _): sessions = [session]
        case .reports(let reports): sessions = reports.map(\.session)
        }
        let time = Timestamp(milliseconds: now)
        let unwritten = batch.unwritten
        withDesk(of: store, &batch) { desk in
            let known = sessions.filter { desk.deliveries[$0] == nil }
                .compactMap { unwritten.delivery($0, store) ?? database.deliveries[$0]?[store] }
            return desk.step(.letter(letter, routing: routing(line), known: known), now: time)
        }
    }

    // MARK: orders

    private func obey(_ order: HubOrder, _ batch: inout Batch) {
        let time = Timestamp(milliseconds: now)
        switch order {
        case .offer(let session, let packages, let deliveries):
            guard database.sessions[session.id]?.status != .canceled, !batch.unwritten.isCanceled(session.id) else {
                return
            }
            batch.saves.append { database in
                database.sessions[session.id] = session
                for package in packages { database.packages[package.ref.id] = package }
            }
            for delivery in deliveries {
                withDesk(of: delivery.store, &batch) { $0.step(.offered(delivery), now: time) }
            }
            if session.status == .available { batch.sends.append(.announcement(session.id)) }
        case .prepared(let session, let store, let outcome, let package):
            if let package { batch.saves.append { $0.packages[package.ref.id] = package } }
            withDesk(of: store, &batch) { $0.step(.prepared(session, outcome), now: time) }
        case .cancel(let session, let stores):
            for delivery in deliveries(of: session, stores, batch.unwritten) {
                var effects: [DeskEffect] = []
                withDesk(of: delivery.store, &batch) { desk in
                    effects = desk.step(.cancel(delivery, reason: "a test"), now: time)
                    return effects
                }
                guard effects.contains(.answerCancel(.revoked)) else { continue }
                for case .saveDelivery(let saved) in effects {
                    batch.revoked.append(Call(saved.store, session, saved.run))
                }
            }
            if stores == nil {
                batch.unwritten.note(session, isCanceled: true)
                batch.saves.append { $0.sessions[session]?.status = .canceled }
            }
        case .rerun(let session, let stores):
            for delivery in deliveries(of: session, stores, batch.unwritten) {
                withDesk(of: delivery.store, &batch) { $0.step(.rerun(delivery), now: time) }
            }
        case .retry(let session):
            for delivery in deliveries(of: session, nil, batch.unwritten) {
                withDesk(of: delivery.store, &batch) { $0.step(.retry(delivery), now: time) }
            }
        }
    }

    /// Deliveries of the session at some stores, as they will be.
    private func deliveries(of session: SessionID, _ stores: [StoreID]?, _ unwritten: Unwritten) -> [Delivery] {
        let stored = (database.deliveries[session] ?? [:]).values.sorted { $0.store < $1.store }
        return unwritten.deliveries(of: session, over: stored).filter { stores?.contains($0.store) ?? true }
    }

    // MARK: sending

    private func say(_ outgoing: Outgoing) {
        switch outgoing {
        case .letter(let store, let line, let letter): send(letter, to: store, line: line)
        case .grant(let store, let line, let session, let run, let attempt, let id):
            guard let package = database.packages[id] else {
                return send(.notGranted(session: session, run: run, reason: "no longer kept"), to: store, line: line)
            }
            note("\(store) is granted \(session) run \(run)")
            let grant = HubLetter.Grant(
                session: session, run: run, attempt: attempt, manifest: package.signedBytes,
                signature: package.signature)
            send(.grant(grant), to: store, line: line)
        case .chunk(let store, let line, let package, let index):
            send(.chunk(package: package, index: index, data: [UInt8(index)]), to: store, line: line)
        case .announcement(let session):
            for agent in agentsInOrder where agent.line != nil && !mischief(0.2) {
                agenda.add(.announced(agent.store, agent.life, session), at: now + chance.number(1...50))
            }
        case .task(let task):
            hub?.tasks.append(task)
            wakePublisher()
        }
    }

    private func send(_ letter: HubLetter, to store: StoreID, line: [UInt8]) {
        guard let agent = agents[store] else { return }
        guard let open = agent.line, routing(open) == line else {
            _ = hub?.desks[store]?.step(.unreachable(routing: line), now: Timestamp(milliseconds: now))
            return
        }
        carry { .toAgent(store, line: open, letter) }
    }

    func routing(_ line: Int) -> [UInt8] { [0, UInt8(line >> 16 & 255), UInt8(line >> 8 & 255), UInt8(line & 255), 1] }
}
