import Foundation
import GRDB
import Logging
import Synchronization
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions
import WaybillSocket
import WaybillWire

/// The hub's end of the lines to its stores, as whoever steps a hub provides it.
package protocol SteppedLines: AnyObject {
    /// - Returns: false when the connection is known to be gone.
    func send(_ frame: [UInt8], to routing: [UInt8]) -> Bool
    func announce(_ frame: [UInt8])
    func answerEnrolment(_ frame: [UInt8], to routing: [UInt8])
    func admit(key: String)
    func shutOut(key: String)
}

/// A hub without sockets, threads or a clock of its own: each of its steps happens when somebody asks for it.
///
/// It is made of the very parts of a running hub (the wire's turn, the desks, the publisher's builder, the databases);
/// only what drives them is missing. The deterministic simulation drives them; no production code does.
package final class SteppedHub {
    /// The world outside, which decides about time and chance.
    package struct Surroundings: Sendable {
        package var now: @Sendable () -> Timestamp
        package var random: @Sendable () -> UInt64
        package var utcOffsetMinutes: @Sendable () -> Int
        package var logger: Logger
        /// Messages that a turn takes in; nil for as many as in a running hub. After a turn with so many the next one is
        /// taken in before it is written.
        package var batchMax: Int?
        /// A thread writes such turns, as in a running hub. Otherwise they are written when they are waited for.
        package var hasWritingThread = false

        package init(
            now: @escaping @Sendable () -> Timestamp, random: @escaping @Sendable () -> UInt64,
            utcOffsetMinutes: @escaping @Sendable () -> Int, logger: Logger
        ) {
            self.now = now
            self.random = random
            self.utcOffsetMinutes = utcOffsetMinutes
            self.logger = logger
        }
    }

    package let home: HubHome
    package let operations: Operations
    private let surroundings: Surroundings
    private let transport: SteppedTransport
    private let inbox: OrderBox
    private let queue: PublisherQueue
    private let builder: SessionBuilder
    private var turn: HubTurn
    /// Told of each session that was derived, before anybody is offered it.
    package var onDerived: ((SessionRecord) -> Void)?

    /// Starts a hub on a home with its databases.
    package init(
        at home: HubHome, jobs: [Job], signingKey: SigningKey, helloSeconds: Int, hubRun: UInt64,
        surroundings: Surroundings, lines: any SteppedLines
    ) throws {
        self.home = home
        self.surroundings = surroundings
        operations = try Operations(path: home.hubDatabase)
        let catalogue = JobCatalogue(fixed: jobs, hqPath: home.hqDatabase, logger: surroundings.logger)
        var configuration = HubConfiguration()
        configuration.helloSeconds = helloSeconds
        configuration.offlineAfterSeconds = 3 * helloSeconds
        let clock = HubClock(reading: surroundings.now)
        queue = PublisherQueue()
        inbox = OrderBox()
        let keyring = HubKeyring(curve: try SteppedHub.curveKeys.get(), signing: signingKey, home: home)
        let parts = HubParts(
            home: home, configuration: configuration, keyring: keyring,
            operations: operations, clock: clock, hubRun: hubRun, publisher: queue, jobs: catalogue,
            rules: DeliveryRules.of(catalogue.known.jobs), logger: surroundings.logger,
            random: surroundings.random, utcOffsetMinutes: surroundings.utcOffsetMinutes)
        let publisher = Publisher(
            home: home, operations: operations, keyring: keyring, queue: queue, clock: clock, jobs: catalogue,
            logger: surroundings.logger)
        builder = try publisher.makeBuilder(random: surroundings.random) { [inbox] in inbox.add($0) }
        transport = SteppedTransport(lines)
        turn = HubTurn(
            parts: parts, transport: transport,
            writer: surroundings.hasWritingThread ? try WritingThread() : LateWriter(),
            batchMax: surroundings.batchMax ?? HubLimits.batchMax,
            keys: EnrolledKeys(try operations.read { try StoreRecord.all(in: $0) }))
    }

    /// Never used: no socket is opened.
    private static let curveKeys = Result { try CurveKeyPair.generate() }

    /// Ends the use of the databases; what the process knew is gone.
    package func close() {
        try? builder.rows.close()
        try? operations.pool.close()
    }

    // MARK: what arrives

    package func hear(_ frame: [UInt8], from routing: [UInt8], key: String) {
        transport.letters.append(ReceivedMessage.made(frame, routing, userID: key))
    }

    package func hearEnrolment(_ frame: [UInt8], from routing: [UInt8], key: String) {
        transport.enrolments.append(ReceivedMessage.made(frame, routing, userID: key))
    }

    // MARK: steps

    /// Whether a turn would find something to do.
    package var hasMail: Bool {
        !transport.letters.isEmpty || !transport.enrolments.isEmpty || !inbox.isEmpty || turn.isWriting
    }

    /// One turn of the wire thread.
    package func step() { turn.run { inbox.take() } }

    /// Orders that a turn could not write down wait for the next.
    package var hasUnkeptOrders: Bool { turn.hasUnkeptOrders }

    /// One task of the publisher; false when there is none.
    package func work() -> Bool {
        guard let task = queue.takeNow() ?? (builder.hasPutOff ? .rest : nil) else { return false }
        let before = inbox.count
        builder.run(task)
        for order in inbox.all.dropFirst(before) {
            if case .offer(let session, _, _, _) = order { onDerived?(session) }
        }
        return true
    }

    package var isPublisherIdle: Bool { queue.isEmpty && !builder.hasPutOff }

    // MARK: what administrators ask for

    /// Begins a session, as `publish` does.
    package func publish(_ job: JobID, isFull: Bool, stores: [StoreID]?) throws -> SessionID {
        let request = SessionRequest(isFull: isFull, stores: stores?.map(\.rawValue))
        let session = try operations.write { db in
            try SessionRecord.create(
                job: job, request: request, at: surroundings.now(), random: surroundings.random(), in: db)
        }
        queue.add(.build(session))
        return session
    }

    package func cancel(
        _ session: SessionID, stores: [StoreID]?, reply: @escaping @Sendable ([StoreID: CancelAnswer]) -> Void
    ) {
        inbox.add(.cancel(session, stores: stores, reason: "", reply: reply))
    }

    package func rerun(
        _ session: SessionID, stores: [StoreID]?, reply: @escaping @Sendable ([StoreID: String?]) -> Void
    ) {
        inbox.add(.rerun(session, stores: stores, reply: reply))
    }

    package func retry(
        _ session: SessionID, stores: [StoreID]?, reply: @escaping @Sendable ([StoreID: String?]) -> Void
    ) {
        inbox.add(.retry(session, stores: stores, reply: reply))
    }

    package func approve(_ session: SessionID, reply: @escaping @Sendable ([StoreID]?) -> Void) {
        inbox.add(.approve(session, reply: reply))
    }

    package func storeChanged(_ store: StoreID) { inbox.add(.storeChanged(store)) }

    /// Whether the next turn would let hellos come together.
    package var letsHellosGather: Bool { turn.wasQuiet }

    /// Forgets what it knows of a store, which is read anew from the database; for planted bugs.
    package func forgetDesk(of store: StoreID) { turn.desks[store] = nil }
}

/// Orders in the order in which they came; the closures that add to it must be sendable.
private final class OrderBox: Sendable {
    private let orders = Mutex<[HubOrder]>([])

    var isEmpty: Bool { orders.withLock(\.isEmpty) }
    var count: Int { orders.withLock(\.count) }
    var all: [HubOrder] { orders.withLock { $0 } }
    func add(_ order: HubOrder) { orders.withLock { $0.append(order) } }

    func take() -> [HubOrder] {
        orders.withLock { orders in
            defer { orders = [] }
            return orders
        }
    }
}

/// The line that ``SteppedHub`` gives its turns: what was heard waits in lists.
private final class SteppedTransport: HubTransport {
    var letters: [ReceivedMessage] = []
    var enrolments: [ReceivedMessage] = []
    private unowned let lines: any SteppedLines

    init(_ lines: any SteppedLines) { self.lines = lines }

    func wait(milliseconds: Int, gathering: Int) {}
    func nextLetter() -> ReceivedMessage? { letters.isEmpty ? nil : letters.removeFirst() }
    func nextEnrolment() -> ReceivedMessage? { enrolments.isEmpty ? nil : enrolments.removeFirst() }

    func send(_ frame: [UInt8], to routing: RoutingID) -> SendResult {
        lines.send(frame, to: routing.bytes) ? .sent : .unreachable
    }

    func send(_ frame: SharedFrame, to routing: RoutingID) -> SendResult { send(frame.copied, to: routing) }

    func announce(_ frame: [UInt8]) { lines.announce(frame) }
    func answerEnrolment(_ frame: [UInt8], to routing: RoutingID) { lines.answerEnrolment(frame, to: routing.bytes) }
    func admit(_ key: CurvePublicKey, as name: String) { lines.admit(key: key.z85) }
    func shutOut(_ key: CurvePublicKey) { lines.shutOut(key: key.z85) }
}

extension ReceivedMessage {
    fileprivate static func made(_ frame: [UInt8], _ routing: [UInt8], userID: String) -> ReceivedMessage {
        ReceivedMessage(routingID: RoutingID(routing), frames: [frame], isTruncated: false, userID: userID)
    }
}
