import Foundation
import GRDB
import Logging
import Synchronization
import WaybillModel
import WaybillPackage
import WaybillSessions
import WaybillSocket
import WaybillWire

/// Bounds of the hub's wire thread.
enum HubLimits {
    /// Messages taken in before what they change is written in one transaction: enough to pay for the commit, few
    /// enough that nobody waits long for an answer.
    static let batchMax = 512
    /// Enrolments that a turn takes in: each is a transaction, and letters wait for them.
    static let enrolmentsMax = 16
    /// Milliseconds of quiet after which the loop looks around anyway.
    static let idleMilliseconds = 1000
    /// Messages queued towards one store before further ones are dropped (the store asks again): twice its credit.
    static let sendQueueMax = 40
    /// Milliseconds for which the loop lets hellos gather after a turn that had nothing to do but to answer some: waking
    /// up for each would cost more than the answer.
    static let gatherMilliseconds = 10
    /// Milliseconds over which announced stores spread their hellos, for each store that is known.
    static let spreadMillisecondsPerStore = 1
    /// Package files kept open.
    static let openPackagesMax = 256
    /// How long the ports may take to come free after the hub itself has closed them.
    static let reopenPatience = Duration.seconds(10)
}

/// The one thread that talks to agents: ZeroMQ sockets, desks, and all writing of deliveries.
///
/// One turn: take in what has arrived, let the desks decide, write everything they want kept in one durable
/// transaction, then send. Nothing is sent that depends on an unwritten state; when the writing fails, the desks are
/// as they were before and the agents ask again. While much arrives, a second thread writes one turn as this one takes
/// in the next.
public final class HubLoop: Sendable {
    private let inbox = Mutex<[HubOrder]>([])
    private let isStopping = Atomic(false)
    private let wakeUp: WakeUp
    private let thread = Mutex<LoopThread?>(nil)
    let parts: HubParts
    let network: HubNetwork

    init(parts: HubParts, network: HubNetwork) throws {
        self.parts = parts
        self.network = network
        wakeUp = try WakeUp()
    }

    /// Binds the three endpoints and starts the thread. Returns when stores can connect.
    /// - Throws: ``SocketError`` (a port in use), ``HomeFault`` when a stranger gets in.
    func start() throws {
        let slot = Handover(try SocketTransport(parts: parts, network: network, wakeUp: wakeUp))
        let keys = EnrolledKeys(try parts.operations.read { try StoreRecord.all(in: $0) })
        let writer = try WritingThread()
        let loop = try LoopThread("hub-wire") { [self] in
            guard let transport = slot.take() else { return }
            var turn = HubTurn(parts: parts, transport: transport, writer: writer, keys: keys)
            defer { putBack(turn.unkept) }
            while !isStopping.load(ordering: .acquiring) {
                turn.run {
                    self.inbox.withLock { orders in
                        defer { orders = [] }
                        return orders
                    }
                }
            }
            turn.finish()
        }
        thread.withLock { $0 = loop }
        try refuseToServeStrangers()
    }

    /// CURVE fails open when something about the gatekeeper is wrong, and nothing else would show it.
    private func refuseToServeStrangers() throws {
        parts.logger.info("asking at both endpoints with keys that nobody knows; each must be refused")
        for (endpoint, kind) in [
            (parts.configuration.listen, SocketKind.router), (parts.configuration.announce, .publisher),
        ] {
            let outcome = try StrangerTest.run(
                endpoint: endpoint, server: kind, serverKey: parts.keyring.curve.publicKey, context: network.context)
            guard case .refused = outcome else {
                throw HomeFault("a stranger's key was not refused at \(endpoint) (\(outcome)); this hub will not serve")
            }
        }
    }

    /// Hands an order to the thread. Never waits.
    func post(_ order: HubOrder) {
        inbox.withLock { $0.append(order) }
        wakeUp.signal()
    }

    /// Orders that could not be written are obeyed by the thread that comes next, if one does.
    private func putBack(_ orders: [HubOrder]) { inbox.withLock { $0 = orders + $0 } }

    /// Closes the endpoints, has something changed that nobody may be served by halves of, and opens them again. Desks
    /// are loaded anew, as after a start.
    /// - Throws: ``NotReopened`` when the endpoints stay closed; else what `change` threw, and they are open.
    func reopen<Value>(after change: () throws -> Value) throws -> Value {
        stop()
        isStopping.store(false, ordering: .releasing)
        let outcome = Result { try change() }
        do { try openAgain() } catch { throw NotReopened(cause: error) }
        return try outcome.get()
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        wakeUp.signal()
        thread.withLock { $0.take() }?.join()
    }
}

/// What the wire thread works with; made once at the start.
struct HubParts: Sendable {
    var home: HubHome
    var configuration: HubConfiguration
    var keyring: HubKeyring
    var operations: Operations
    var clock: HubClock
    var hubRun: UInt64
    var publisher: PublisherQueue
    /// The jobs there are.
    var jobs: JobCatalogue
    /// What they say about order and windows, at the start.
    var rules: [JobID: DeliveryRules]
    /// Whether the wire thread gets on, for those who ask while it does not.
    var pulse = WirePulse()
    var logger: Logger
    /// Where names of sessions get their random part from.
    var random: @Sendable () -> UInt64 = { .random(in: .min ... .max) }
    /// How far the wall clock is ahead of UTC, now: it changes with daylight saving.
    var utcOffsetMinutes: @Sendable () -> Int = { TimeZone.autoupdatingCurrent.secondsFromGMT() / 60 }
    /// Who was turned away is written down here.
    var clerk: AuditClerk?
    /// Where answers about stores' tables go.
    var proofs = ProofInbox()

    var deskSettings: DeskSettings {
        DeskSettings(
            hubRun: hubRun, helloSeconds: configuration.helloSeconds,
            offlineAfterMilliseconds: Int64(configuration.offlineAfterSeconds) * 1000)
    }
}

/// The wall clock as it was at the start, plus steady time since: for people, and never jumping.
public struct HubClock: Sendable {
    private let read: @Sendable () -> Timestamp

    public init(startedAt: Timestamp) {
        let reference = ContinuousClock.now
        read = {
            let (seconds, attoseconds) = reference.duration(to: .now).components
            return startedAt + (seconds * 1000 + attoseconds / 1_000_000_000_000_000)
        }
    }

    /// A clock that somebody else keeps.
    public init(reading read: @escaping @Sendable () -> Timestamp) { self.read = read }

    public func now() -> Timestamp { read() }
}

/// What others ask of the wire thread. Replies are called on it and must return at once.
enum HubOrder: Sendable {
    /// A session is ready: its header, its packages, and a delivery for each store.
    case offer(SessionRecord, [SealedRecord], [Delivery], reply: @Sendable () -> Void)
    /// A session could not be built, and why.
    case createFailed(SessionID, String)
    case prepared(SessionID, StoreID, Preparation, SealedRecord?)
    /// A session that awaits approval shall be offered. Replies with the stores it is offered to; nil when it does not
    /// await approval any more.
    case approve(SessionID, reply: @Sendable ([StoreID]?) -> Void)
    case cancel(SessionID, stores: [StoreID]?, reason: String, reply: @Sendable ([StoreID: CancelAnswer]) -> Void)
    case rerun(SessionID, stores: [StoreID]?, reply: @Sendable ([StoreID: String?]) -> Void)
    case retry(SessionID, stores: [StoreID]?, reply: @Sendable ([StoreID: String?]) -> Void)
    /// Ask a store what its tables hold. Replies whether the question has gone out; the answer goes to the proofs.
    case examine(StoreID, HubLetter.Examine, reply: @Sendable (Bool) -> Void)
    /// Rows in quarantine: one order for each store. Replies with why not, by store.
    case quarantine([StoreID: QuarantineOrder], reply: @Sendable ([StoreID: String?]) -> Void)
    /// The hub cannot read a package that was granted to the store.
    case packageLost(PackageID, StoreID)
    /// Jobs were read anew: their order and windows from now on.
    case rules([JobID: DeliveryRules])
    /// The store's record in `hub.db` has changed.
    case storeChanged(StoreID)
    case contacts(reply: @Sendable ([StoreID: Contact]) -> Void)

    /// An administrator's order, and its row of the audit log, to be written in the same transaction.
    indirect case audited(@Sendable (Database) throws -> Void, HubOrder)

    /// What only the wire thread knows of a store.
    struct Contact: Sendable {
        var isOnline: Bool
        var lastHeard: Timestamp?
        var progress: AgentLetter.Progress?
        var freeBytes: Int64?
        /// Since when its deliveries are where they are.
        var stages: [SessionID: StageWatch.Entry] = [:]
    }
}

/// A sealed package and its signed description, to be written with the session.
struct SealedRecord: Sendable {
    var session: SessionID
    var package: PackageRef
    var manifest: [UInt8]
    var signature: [UInt8]
}
