import WaybillModel
import WaybillSessions
import WaybillWire

/// What the hub knows of one store and does for it: the hub's half of the protocol, as a value.
///
/// `step` decides and changes the desk; it never waits, reads a clock, draws a random number or touches a file.
/// Whoever drives it loads it from `hub.db`, runs the effects (all saves of a batch in one durable transaction, then
/// what is to be sent) and throws it away when the saving fails. Stores share nothing here, so one of them cannot
/// hold up another.
public struct Desk: Sendable {
    public internal(set) var record: StoreRecord
    /// What the store last said it has applied, by job.
    public internal(set) var positions: [JobID: Watermark]
    /// Deliveries the hub still has to do with, and those that the event at hand is about.
    public internal(set) var deliveries: [SessionID: Delivery]
    /// Where to answer; nil when nothing was heard since the hub started, or the line is known to be gone.
    public internal(set) var peer: Peer?
    public internal(set) var progress: AgentLetter.Progress?
    /// Free bytes on the store's disk, as it said last; nil before it has.
    public internal(set) var freeBytes: Int64?

    /// Since when its deliveries are where they are.
    var stages = StageWatch()

    /// How far the store's wall clock is ahead of UTC, as it said last; nil before it has.
    public internal(set) var utcOffsetMinutes: Int?
    /// The same of the hub's own, now: it changes with daylight saving. Set by whoever drives the desk.
    public var hubUTCOffsetMinutes = 0
    public var settings: DeskSettings
    /// What is known of the store's quarantine.
    public var quarantine = DeskQuarantine()
    /// Packages the store may fetch since this hub started.
    var granted: Set<PackageID> = []
    /// Deliveries for which a fitting package has been asked for, and from where it shall lead.
    var preparing: [SessionID: Start] = [:]
    /// The same of packages that have been made.
    var made: [SessionID: Start] = [:]
    /// Deliveries whose package could not be made; asked for again at each hello.
    var unprepared: Set<SessionID> = []
    /// Lives that were turned away lately, and when last.
    var regressions: [(life: Incarnation, at: Timestamp)] = []
    var contactSavedAt: Timestamp?
    /// Up to which of the store's steps its newest hello tells where it stands; -1 before one was heard.
    var helloSequence: Int64 = -1

    /// Where a store stood; nil for nowhere.
    struct Start: Hashable, Sendable {
        var position: Watermark?
    }

    public struct Peer: Hashable, Sendable {
        /// ROUTER's name for the connection; drawn by the socket, never by the client.
        public var routing: [UInt8]
        public var lastHeard: Timestamp

        public init(routing: [UInt8], lastHeard: Timestamp) {
            self.routing = routing
            self.lastHeard = lastHeard
        }
    }

    public init(
        record: StoreRecord, positions: [JobID: Watermark], open deliveries: [Delivery], settings: DeskSettings
    ) {
        self.record = record
        self.positions = positions
        self.deliveries = Dictionary(deliveries.map { ($0.session, $0) }, uniquingKeysWith: { a, _ in a })
        self.settings = settings
    }

    /// Takes one event and says what is to be done about it.
    public mutating func step(_ event: DeskEvent, now: Timestamp) -> [DeskEffect] {
        var effects: [DeskEffect] = []
        let wasOnline = isOnline(at: now)
        switch event {
        case .letter(let letter, let routing, let known):
            for delivery in known where deliveries[delivery.session] == nil { deliveries[delivery.session] = delivery }
            receive(letter, from: routing, now: now, &effects)
        case .offered(let delivery): offer(delivery, now: now, &effects)
        case .prepared(let session, let outcome): prepared(session, outcome, now: now, &effects)
        case .cancel(let delivery, let reason): cancel(delivery, reason: reason, now: now, &effects)
        case .rerun(let delivery): rerun(delivery, now: now, &effects)
        case .retry(let delivery): retry(delivery, now: now, &effects)
        case .examine(let question): examine(question, now: now, &effects)
        case .packageLost(let package): packageLost(package, now: now, &effects)
        case .unreachable(let routing):
            if peer?.routing == routing { peer = nil }
        case .recordChanged(let record): recordChanged(record, &effects)
        case .quarantineOrder(let order): self.order(order, &effects)
        }
        watchStages(event, wasOnline: wasOnline, now: now)
        if deliveries.values.contains(where: { !$0.isOpen }) { deliveries = deliveries.filter { $0.value.isOpen } }
        if !unprepared.isEmpty { unprepared = unprepared.filter { deliveries[$0] != nil } }
        return effects
    }

    /// The store was heard recently enough to count as connected.
    public func isOnline(at now: Timestamp) -> Bool {
        guard let peer, record.state == .active else { return false }
        return now - peer.lastHeard < settings.offlineAfterMilliseconds
    }
}

/// What a desk needs to know of the hub.
public struct DeskSettings: Sendable {
    /// Drawn at each start of the hub; tells agents that earlier grants are void.
    public var hubRun: UInt64
    public var helloSeconds: Int
    /// Silence after which a store counts as offline.
    public var offlineAfterMilliseconds: Int64
    /// Order and windows, by job; none for a job that has neither.
    public var rules: [JobID: DeliveryRules]
    /// Milliseconds over which the stores spread the beginning of what is new; 0 for at once.
    public var startSpreadMilliseconds = 0
    /// What every store is to know about the hub's keys.
    public var keyNews = KeyNews()

    public init(
        hubRun: UInt64, helloSeconds: Int, offlineAfterMilliseconds: Int64, rules: [JobID: DeliveryRules] = [:]
    ) {
        self.hubRun = hubRun
        self.helloSeconds = helloSeconds
        self.offlineAfterMilliseconds = offlineAfterMilliseconds
        self.rules = rules
    }

    /// Contact times are written at most this often; the newest is in memory.
    static let contactSaveMilliseconds: Int64 = 5 * 60 * 1000
    /// That many changes of hands within the window mean two machines with one identity.
    static let twinRegressions = 3
    static let twinWindowMilliseconds: Int64 = 10 * 60 * 1000
}

public enum DeskEvent: Sendable {
    /// A letter from a connection whose key is this store's. `known`: deliveries that it names, as far as there are.
    case letter(AgentLetter, routing: [UInt8], known: [Delivery])
    /// A session has something for the store (or, `isNoData`, nothing).
    case offered(Delivery)
    /// The publisher's answer to `.prepare`.
    case prepared(SessionID, Preparation)
    case cancel(Delivery, reason: String)
    case rerun(Delivery)
    /// Try a suspended delivery again.
    case retry(Delivery)
    /// Ask the store what its tables hold.
    case examine(HubLetter.Examine)
    /// The hub cannot read a package that it has made.
    case packageLost(PackageID)
    /// A message could not be delivered: the connection is gone.
    case unreachable(routing: [UInt8])
    /// Enrolled, retired or added anew.
    case recordChanged(StoreRecord)
    /// Something shall be done about rows in quarantine.
    case quarantineOrder(QuarantineOrder)
}

/// What came of making a package for one store.
public enum Preparation: Sendable, Hashable {
    case package(PackageRef)
    /// The store has all of it already, or is further on.
    case covered(String)
    case failed(String)
}

public enum DeskEffect: Sendable, Hashable {
    // Durable, all of a batch in one transaction, before anything is sent.
    case saveDelivery(Delivery)
    case saveContact(StoreRecord)
    case savePositions([JobID: Watermark])
    /// Of one job, the others are as they were.
    case savePosition(JobID, Watermark)
    case saveQuarantine(QuarantineReport)
    case saveQuarantineOrder(QuarantineOrder)
    case forgetQuarantine
    /// The store has fallen behind what it had: begin a session of the job for it. Durable together with the position
    /// that shows it, for nobody will notice it a second time.
    case catchUp(JobID)
    /// The store says something about keys; taken by whoever keeps them.
    case keyNotice([UInt8], KeyNotice)
    // Afterwards.
    case send([UInt8], HubLetter)
    /// The manifest of the package lies in `hub.db`.
    case sendGrant([UInt8], session: SessionID, run: Int, attempt: Int, package: PackageID)
    case sendChunk([UInt8], package: PackageID, index: Int)
    /// Make a package that leads this store from where it stands to the session.
    case prepare(SessionID, base: Watermark?, isRepair: Bool)
    case answerCancel(CancelAnswer)
    /// nil: accepted; else why not.
    case answerRerun(refusal: String?)
    /// The same for a retry.
    case answerRetry(refusal: String?)
    /// What the store says its tables hold, for whoever asked.
    case proof(AgentLetter.Digests)
    /// Whether the question has gone out: not to a store that is away.
    case answerExamine(isSent: Bool)
    /// The same for an order about rows in quarantine.
    case answerQuarantineOrder(refusal: String?)
    /// For the hub's log; `isProblem` above routine.
    case log(String, isProblem: Bool)
}
