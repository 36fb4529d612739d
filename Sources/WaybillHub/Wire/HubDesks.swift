import Logging
import WaybillModel
import WaybillSessions
import WaybillSocket
import WaybillWire

/// The desks of a turn.
extension HubTurn {
    /// The store's desk; nothing happens when there is no such store.
    mutating func withDesk(
        of store: StoreID, _ batch: inout Batch, _ body: (inout Desk) throws -> [DeskEffect]
    ) rethrows {
        guard let place = place(of: store) else { return }
        try withDesk(at: place, of: store, &batch, body)
    }

    mutating func withDesk(
        at place: DeskPlace, of store: StoreID, _ batch: inout Batch, _ body: (inout Desk) throws -> [DeskEffect]
    ) rethrows {
        batch.touch(place)
        place.desk.settings.rules = rules
        place.desk.settings.keyNews = keyNews
        place.desk.hubUTCOffsetMinutes = utcOffsetMinutes
        place.desk.settings.startSpreadMilliseconds = (desks.count - 1) * HubLimits.spreadMillisecondsPerStore
        let effects = try body(&place.desk)
        batch.saves.learn(place.desk.stages.takeSamples(), of: store)
        for effect in effects { take(effect, at: place, of: store, &batch) }
    }

    /// The store's desk, loaded from `hub.db` at its first event; nil when there is no such store.
    mutating func place(of store: StoreID) -> DeskPlace? {
        if let known = desks[store] { return known }
        guard let desk = load(store) else { return nil }
        let place = DeskPlace(desk)
        desks[store] = place
        return place
    }

    private mutating func load(_ store: StoreID) -> Desk? {
        let settings = parts.deskSettings
        do {
            return try operations.read { db in
                guard let record = try StoreRecord.find(store, in: db) else { return nil }
                var desk = Desk(
                    record: record, positions: try StoreRecord.positions(of: store, in: db),
                    open: try DeliveryRecord.open(of: store, in: db), settings: settings)
                desk.quarantine = try DeskQuarantine(of: store, in: db)
                return desk
            }
        } catch {
            parts.logger.error("store \(store) could not be loaded from hub.db: \(error)")
            return nil
        }
    }

    private mutating func take(_ effect: DeskEffect, at place: DeskPlace, of store: StoreID, _ batch: inout Batch) {
        switch effect {
        case .saveDelivery(let delivery):
            // The file may have been damaged after its chunks were looked at: they are looked at again.
            if delivery.status == .downloadFailed, let package = delivery.package { forgetChunks(of: package.id) }
            batch.unwritten.note(delivery)
            batch.saves.save(delivery, over: batch.stored(delivery.session, at: place))
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
}

/// Where a desk lies in memory: a desk is large, and would else be moved out of the dictionary and back for each letter.
final class DeskPlace {
    var desk: Desk
    var allowance = StoreAllowance()
    /// The newest turn that had to do with it, and where its batch has the desk as it was before.
    private(set) var turn: UInt64 = 0
    private(set) var index = 0

    init(_ desk: Desk) { self.desk = desk }

    func belong(to turn: UInt64, at index: Int) { (self.turn, self.index) = (turn, index) }
}
