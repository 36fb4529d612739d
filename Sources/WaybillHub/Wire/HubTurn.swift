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
    /// Writes turns that have more to come behind them.
    private let writer: any TurnWriter
    /// Messages that a turn takes in.
    private let batchMax: Int
    var desks: [StoreID: DeskPlace] = [:]
    var files: PackageFiles
    var chunks = SoundChunks()
    var frames = ChunkFrames()
    var manifests = GrantedManifests()
    var keys: EnrolledKeys
    var enrolments = EnrolmentLimit()
    /// What the jobs say about order and windows.
    var rules: [JobID: DeliveryRules]
    /// Of the hub's wall clock, asked once a second: it changes twice a year, and the answer is not cheap.
    private(set) var utcOffsetMinutes = 0
    private var askedOffsetAt: Timestamp?
    /// Hellos that came faster than they are taken in.
    var admission = HelloAdmission<ReceivedMessage>()
    /// Orders of a turn that could not be written.
    var unkept: [HubOrder] = []
    /// Stores whose record has changed and could not be read.
    var unread: [StoreID] = []
    /// The last turn has only answered.
    private(set) var wasQuiet = false
    private var number: UInt64 = 0
    /// What every store is to know of the hub's keys, asked once a turn.
    private(set) var keyNews = KeyNews()
    var turnBefore: TurnBefore?

    init(
        parts: HubParts, transport: any HubTransport, writer: any TurnWriter, batchMax: Int = HubLimits.batchMax,
        keys: EnrolledKeys
    ) {
        self.parts = parts
        self.transport = transport
        self.writer = writer
        self.batchMax = batchMax
        self.keys = keys
        rules = parts.rules
        files = PackageFiles(home: parts.home)
    }

    var hasUnkeptOrders: Bool { !unkept.isEmpty || !unread.isEmpty }

    /// A turn is being written, and waits to be said by the next.
    var isWriting: Bool { turnBefore != nil }

    /// `hub.db` with all that was decided before this turn: what is looked up there must not be from before it. What the
    /// turn itself has decided is in ``Batch/unwritten``.
    var operations: Operations {
        mutating get {
            waitForWriter()
            return parts.operations
        }
    }

    /// What a turn collects: first everything to be kept, then everything to be said.
    struct Batch {
        /// Of the turn.
        let number: UInt64
        var orders: [HubOrder] = []
        var saves = TurnWrites()
        var wasWritten = false
        var sends: [Outgoing] = []
        var replies: [@Sendable () -> Void] = []
        /// Jobs to run for stores that have lost what they had.
        var catchUps: [(JobID, StoreID)] = []
        /// Orders that could not be looked at: for the next turn.
        var postponed: [HubOrder] = []
        /// Desks of this turn as they were before it.
        var before: [(place: DeskPlace, desk: Desk)] = []
        var unwritten = Unwritten()
        /// Hellos that have waited their turn are taken in now.
        var takesEveryHello = false
        /// As many messages were taken in as a turn takes: there are likely to be more.
        var isFull = false
    }

    /// The turn before this one, while it is being written and until it is said.
    struct TurnBefore {
        var batch: Batch
        /// nil until it has been waited for.
        var outcome: Result<[SessionID], any Error>?
    }

    enum Outgoing {
        case letter(StoreID?, RoutingID, HubLetter)
        case grant(StoreID, RoutingID, session: SessionID, run: Int, attempt: Int, package: PackageID)
        case chunk(StoreID, RoutingID, package: PackageID, index: Int)
        case announcement(JobID, SessionID)
        case enrolReply(RoutingID, [UInt8])
        case task(PublisherTask)
    }

    /// One turn: takes in what has come, writes it down, and says what follows from it. When so much has come that more is
    /// to be expected, it is written while the next turn takes that in, and said by that one.
    mutating func run(takeOrders: () -> [HubOrder]) {
        number += 1
        var batch = Batch(number: number, orders: unkept)
        unkept = []
        do {
            try transport.wait(
                milliseconds: isWriting ? 0 : HubLimits.idleMilliseconds,
                gathering: wasQuiet ? HubLimits.gatherMilliseconds : 0)
            wasQuiet = false
            batch.orders += takeOrders()
            try takeIn(&batch)
        } catch {
            parts.logger.error("the hub's sockets failed: \(error)")
            if isTurnBeforeKept(elseUndoing: batch) { undo(batch, batch.orders) }
            return endTurnBefore()
        }
        probeAfterFailure(&batch)
        guard isTurnBeforeKept(elseUndoing: batch) else { return endTurnBefore() }
        guard batch.isFull, let writing = batch.takeWriting(parts) else {
            endTurnBefore()
            return end(batch, batch.takeWriting(parts)?() ?? .success([]))
        }
        writer.begin(writing)
        endTurnBefore()
        turnBefore = TurnBefore(batch: batch)
    }

    /// Waits for what is being written, and says it: before the thread ends.
    mutating func finish() {
        waitForWriter()
        endTurnBefore()
    }

    private mutating func takeIn(_ batch: inout Batch) throws {
        askUTCOffset()
        keyNews = parts.keyring.news
        endOldKeys(&batch)
        readAgain(&batch)
        // Before all else, for an enrolment is on disk at once: what the store's former machine says in the same turn
        // is no longer about this store, and must not be written over it.
        var enrolled = 0
        while enrolled < HubLimits.enrolmentsMax, let message = try transport.nextEnrolment() {
            enrolled += 1
            enrol(message, &batch)
        }
        for order in batch.orders { obey(order, &batch) }
        takePutOffHellos(&batch)
        var taken = 0
        while taken < batchMax, let message = try transport.nextLetter() {
            taken += 1
            hear(message, &batch)
        }
        batch.isFull = taken == batchMax
    }

    private mutating func askUTCOffset() {
        let now = parts.clock.now()
        if let last = askedOffsetAt, now >= last, now - last < 1000 { return }
        askedOffsetAt = now
        utcOffsetMinutes = parts.utcOffsetMinutes()
    }

    // MARK: what becomes of a turn

    private mutating func waitForWriter() {
        guard turnBefore != nil, turnBefore?.outcome == nil else { return }
        turnBefore?.outcome = writer.finish()
    }

    /// Whether the turn before has been written, if there is one. Otherwise this one has not happened either, for it
    /// rests on that.
    private mutating func isTurnBeforeKept(elseUndoing batch: Batch) -> Bool {
        waitForWriter()
        guard case .failure = turnBefore?.outcome else { return true }
        undo(batch, batch.orders)
        return false
    }

    /// It must have been waited for.
    private mutating func endTurnBefore() {
        guard let turn = turnBefore, let outcome = turn.outcome else { return }
        turnBefore = nil
        end(turn.batch, outcome)
    }

    private mutating func end(_ batch: Batch, _ outcome: Result<[SessionID], any Error>) {
        switch outcome {
        case .success(let begun): say(batch, begun)
        case .failure(let error): couldNotWrite(batch, error)
        }
    }

    /// Says what follows from a turn that is on disk.
    /// - Parameter begun: sessions of the turn's catch-ups, in their order.
    private mutating func say(_ batch: Batch, _ begun: [SessionID]) {
        for (session, (job, store)) in zip(begun, batch.catchUps) {
            parts.logger.info("session \(session) of job \(job) brings store \(store) back to where it was")
        }
        unkept += batch.postponed
        batch.passCrashPoints()
        for outgoing in batch.sends { say(outgoing) }
        for session in begun { say(.task(.build(session))) }
        for reply in batch.replies { reply() }
        parts.pulse.turned(at: parts.clock.now())
        wasQuiet = batch.orders.isEmpty && batch.isQuiet
    }

    private mutating func couldNotWrite(_ batch: Batch, _ error: any Error) {
        parts.pulse.couldNotWrite("\(error)", at: parts.clock.now())
        parts.logger.error("hub.db could not be written, agents will ask again: \(error)")
        // What can never be written is not tried for ever.
        let isHopeless = (error as? DatabaseError)?.resultCode == .SQLITE_CONSTRAINT
        undo(batch, isHopeless ? [] : batch.orders)
    }

    /// Nothing of the turn has happened: agents ask again by themselves, orders are obeyed in the next turn.
    private mutating func undo(_ batch: Batch, _ orders: [HubOrder]) {
        for (place, desk) in batch.before { place.desk = desk }
        unkept = orders + unkept
        sayChunks(of: batch)
    }
}

extension HubTurn.Batch {
    /// Remembers a desk as it was before the turn.
    mutating func touch(_ place: DeskPlace) {
        guard place.turn != number else { return }
        place.belong(to: number, at: before.count)
        before.append((place, place.desk))
    }

    /// The delivery as `hub.db` has it before the turn, if the store's desk had it at hand.
    func stored(_ session: SessionID, at place: DeskPlace) -> Delivery? {
        place.turn == number ? before[place.index].desk.deliveries[session] : nil
    }

    /// What writes all that the turn wants kept, durably, in one transaction: taken out of the batch, for another thread.
    /// nil when there is nothing to be written.
    mutating func takeWriting(_ parts: HubParts) -> TurnWriting? {
        guard !saves.isEmpty || !catchUps.isEmpty else { return nil }
        wasWritten = true
        let taken = Handover(saves)
        saves = TurnWrites()
        return { [catchUps] in
            Result {
                let begun = try parts.operations.write { db in
                    try taken.take()?.write(in: db)
                    return try catchUps.map { job, store in
                        try SessionRecord.create(
                            job: job, request: SessionRequest(isFull: false, stores: [store.rawValue]),
                            at: parts.clock.now(), random: parts.random(), in: db)
                    }
                }
                parts.pulse.wrote()
                return begun
            }
        }
    }

    /// Nothing was written, begun or handed out: stores said Hello, and were answered.
    fileprivate var isQuiet: Bool {
        !wasWritten && replies.isEmpty && catchUps.isEmpty
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
