import Foundation
import Logging
import Synchronization
import WaybillApply
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillSocket
import WaybillWire

/// The thread that talks to the hub: one DEALER, one SUB, the core, and the store's small transactions.
///
/// Long work (hashing, unpacking, applying) is the worker's; it reports back through the mailbox.
final class AgentLoop: Sendable {
    let parts: AgentParts
    private let network: AgentNetwork
    private let mailbox: Mailbox
    private let isStopping = Atomic(false)
    private let thread = Mutex<LoopThread?>(nil)

    init(parts: AgentParts, network: AgentNetwork, mailbox: Mailbox) {
        self.parts = parts
        self.network = network
        self.mailbox = mailbox
    }

    func start(ledger: StoreDatabase, worker: Worker) throws {
        let (parts, network, wakeUp) = (parts, network, mailbox.wakeUp)
        let turn = try AgentTurn(parts: parts, ledger: ledger, worker: worker, keyring: network.keyring) {
            try HubLine(parts: parts, network: network, wakeUp: wakeUp)
        }
        let slot = Handover(turn)
        let loop = try LoopThread("agent-wire") { [self] in
            guard let turn = slot.take() else { return }
            while !isStopping.load(ordering: .acquiring) { turn.run { self.mailbox.take() } }
            turn.close()
        }
        thread.withLock { $0 = loop }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        mailbox.wakeUp.signal()
        thread.withLock { $0.take() }?.join()
    }
}

/// What an agent's threads share; made once at the start.
struct AgentParts: Sendable {
    var home: AgentHome
    var store: StoreID
    var enrolment: StoredEnrolment
    var configuration: AgentConfiguration
    var settings: AgentSettings
    var clock: AgentClock
    var logger: Logger
    /// Where incarnations get their random part from.
    var random: @Sendable () -> UInt64 = { .random(in: .min ... .max) }
    /// What the wall clock of the store shows.
    var localTime: @Sendable () -> LocalTime = { .now }
    /// Lets so many milliseconds pass, so that tills get their turn.
    var pause: @Sendable (Int) -> Void = { usleep(UInt32($0) * 1000) }
    /// Called while an apply holds no lock: where others may be faster than it.
    var betweenSteps: @Sendable () -> Void = {}
    /// Whether `connection.json` tells people how the connection is.
    var showsConnection = true
}

/// What a wall clock on the spot shows.
struct LocalTime: Sendable {
    var minuteOfDay: Int
    var utcOffsetMinutes: Int

    static var now: LocalTime {
        let now = Calendar.current.dateComponents([.hour, .minute], from: Date())
        return LocalTime(
            minuteOfDay: (now.hour ?? 0) * 60 + (now.minute ?? 0),
            utcOffsetMinutes: TimeZone.autoupdatingCurrent.secondsFromGMT() / 60)
    }
}

/// What the agent's sockets are made of.
struct AgentNetwork: Sendable {
    var keyring: AgentKeyring
    var context: ZMQContext
}

/// The wall clock as it was at the start, plus steady time since: for people and for waiting, and never jumping.
struct AgentClock: Sendable {
    private let read: @Sendable () -> Timestamp

    init(startedAt: Timestamp) {
        let reference = ContinuousClock.now
        read = {
            let (seconds, attoseconds) = reference.duration(to: .now).components
            return startedAt + (seconds * 1000 + attoseconds / 1_000_000_000_000_000)
        }
    }

    /// A clock that somebody else keeps.
    init(reading read: @escaping @Sendable () -> Timestamp) { self.read = read }

    func now() -> Timestamp { read() }
}

/// Events that the worker hands to the wire thread.
final class Mailbox: Sendable {
    private let events = Mutex<[AgentEvent]>([])
    let wakeUp: WakeUp

    init() throws { wakeUp = try WakeUp() }

    func post(_ event: AgentEvent) {
        events.withLock { $0.append(event) }
        wakeUp.signal()
    }

    func take() -> [AgentEvent] {
        events.withLock { events in
            defer { events = [] }
            return events
        }
    }
}
