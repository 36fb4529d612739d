import Foundation
import GRDB
import Logging
import Synchronization
import WaybillApply
import WaybillDatabase
import WaybillModel
import WaybillSocket
import WaybillWire

/// The agent's end of the line to its hub, as whoever steps an agent provides it.
package protocol SteppedLine: AnyObject {
    /// Lost when the line is down, as with the real one.
    func send(_ letter: AgentLetter)
    /// The agent has closed its connection and makes a new one.
    func reconnect()
}

/// An agent without sockets, threads or a clock of its own: each of its steps happens when somebody asks for it.
///
/// It is made of the very parts of a running agent (core, turn, worker, the store's database); only what drives them is
/// missing. The deterministic simulation drives them; no production code does.
package final class SteppedAgent {
    /// The world outside, which decides about time and chance.
    package struct Surroundings: Sendable {
        package var now: @Sendable () -> Timestamp
        package var random: @Sendable () -> UInt64
        package var utcOffsetMinutes: @Sendable () -> Int
        /// Called while an apply holds no lock.
        package var betweenSteps: @Sendable () -> Void
        package var logger: Logger

        package init(
            now: @escaping @Sendable () -> Timestamp, random: @escaping @Sendable () -> UInt64,
            utcOffsetMinutes: @escaping @Sendable () -> Int, betweenSteps: @escaping @Sendable () -> Void,
            logger: Logger
        ) {
            self.now = now
            self.random = random
            self.utcOffsetMinutes = utcOffsetMinutes
            self.betweenSteps = betweenSteps
            self.logger = logger
        }
    }

    package let ledger: StoreDatabase
    private let parts: AgentParts
    private let worker: Worker
    private let applier: Applier
    private let line: SteppedHubLine
    private let turn: AgentTurn
    private let events: EventBox

    /// Starts an agent on a home with its database.
    package init(
        at home: AgentHome, store: StoreID, verifyingKey: VerifyingKey, helloSeconds: Int, retryMilliseconds: Int64,
        isNewLife: Bool = true, surroundings: Surroundings, line given: any SteppedLine
    ) throws {
        ledger = try StoreDatabase(path: home.database, store: store)
        if isNewLife { try ledger.startIncarnation(random: surroundings.random()) }
        let settings = AgentSettings(
            agentVersion: WaybillVersion.text, helloSeconds: helloSeconds, bytesPerSecond: 0,
            retryMilliseconds: retryMilliseconds, verifyingKey: verifyingKey)
        let utcOffset = surroundings.utcOffsetMinutes
        let enrolment = StoredEnrolment(
            store: store.rawValue, agents_endpoint: "", announcements_endpoint: "", hub_curve_key: "",
            hub_signing_key: "")
        var parts = AgentParts(
            home: home, store: store, enrolment: enrolment, configuration: AgentConfiguration(), settings: settings,
            clock: AgentClock(reading: surroundings.now), logger: surroundings.logger, random: surroundings.random,
            localTime: { LocalTime(minuteOfDay: 720, utcOffsetMinutes: utcOffset()) }, pause: { _ in },
            betweenSteps: surroundings.betweenSteps)
        parts.showsConnection = false
        self.parts = parts
        let events = EventBox()
        self.events = events
        worker = Worker(parts: parts) { events.add($0) }
        applier = try Applier(path: home.database)
        let line = SteppedHubLine(given)
        self.line = line
        turn = try AgentTurn(parts: parts, ledger: ledger, worker: worker) {
            if line.isOpen { given.reconnect() }
            line.isOpen = true
            return line
        }
    }

    /// Ends the use of the database; what the process knew is gone.
    package func close() {
        try? ledger.close()
        try? applier.close()
    }

    // MARK: what arrives

    package func hear(_ frame: [UInt8]) { line.letters.append(frame) }
    package func hearAnnouncement(_ frame: [UInt8]) { line.announcements.append(frame) }
    package func connected() { line.events.append(.handshakeSucceeded(endpoint: "")) }
    package func disconnected() { line.events.append(.disconnected(endpoint: "")) }
    package func refused() { line.events.append(.handshakeRefused(endpoint: "", status: 400)) }

    // MARK: steps

    /// One turn of the wire thread: everything that has arrived, and what time makes due.
    package func step() { turn.run { events.take() } }

    /// Whether the worker has something to do.
    package var hasWork: Bool { worker.hasPieces }

    /// What the worker does next.
    package var nextPiece: WorkPiece? {
        switch worker.nextPiece {
        case .open(let manifest): .open(manifest)
        case .unpackAhead(let manifest, _): .unpackAhead(manifest)
        case .unpack(let manifest): .unpack(manifest)
        case .apply(let manifest, let run, _): .apply(manifest, run: run)
        case .discard(let package): .discard(package)
        case .examine: .examine
        case .quarantine: .quarantine
        case nil: nil
        }
    }

    package enum WorkPiece: Sendable {
        case open(Manifest)
        case unpackAhead(Manifest)
        case unpack(Manifest)
        case apply(Manifest, run: Int)
        case discard(PackageID)
        case examine
        case quarantine
    }

    /// One piece of long work, from beginning to end; its answer is heard in the next turn.
    package func work() {
        if let piece = worker.takeNow() { worker.run(piece, applier, ledger) }
    }

    /// The file that a package is unpacked to.
    package func rawPath(_ package: PackageID) -> String { parts.home.incoming + "/" + package.hex + ".db" }

    package var taskPhase: AgentCore.Phase? { turn.core.task?.phase }
}

/// Events in the order in which they came; the closures that add to it must be sendable.
private final class EventBox: Sendable {
    private let events = Mutex<[AgentEvent]>([])

    func add(_ event: AgentEvent) { events.withLock { $0.append(event) } }

    func take() -> [AgentEvent] {
        events.withLock { events in
            defer { events = [] }
            return events
        }
    }
}

/// The line that ``SteppedAgent`` gives its turns: what was heard waits in lists.
private final class SteppedHubLine: AgentLine {
    var letters: [[UInt8]] = []
    var announcements: [[UInt8]] = []
    var events: [ConnectionEvent] = []
    var isOpen = false
    private unowned let line: any SteppedLine

    init(_ line: any SteppedLine) { self.line = line }

    func wait(milliseconds: Int) {}
    func send(_ letter: AgentLetter) { line.send(letter) }
    func nextLetter() -> [UInt8]? { letters.isEmpty ? nil : letters.removeFirst() }
    func nextAnnouncement() -> [UInt8]? { announcements.isEmpty ? nil : announcements.removeFirst() }
    func nextMonitorEvent() -> ConnectionEvent? { events.isEmpty ? nil : events.removeFirst() }
}
