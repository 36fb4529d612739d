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
    private let mailbox: Mailbox
    private let isStopping = Atomic(false)
    private let thread = Mutex<LoopThread?>(nil)

    init(parts: AgentParts, mailbox: Mailbox) {
        self.parts = parts
        self.mailbox = mailbox
    }

    func start(ledger: StoreDatabase, worker: Worker) throws {
        let slot = Handover(try AgentTurn(parts: parts, ledger: ledger, worker: worker))
        let loop = try LoopThread("agent-wire") { [self] in
            guard let turn = slot.take() else { return }
            while !isStopping.load(ordering: .acquiring) { turn.run(mailbox) }
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
    var keys: CurveKeyPair
    var hubKey: CurvePublicKey
    var context: ZMQContext
    var clock: AgentClock
    var logger: Logger
}

/// The wall clock as it was at the start, plus steady time since: for people and for waiting, and never jumping.
struct AgentClock: Sendable {
    private let startedAt: Timestamp
    private let reference = ContinuousClock.now

    init(startedAt: Timestamp) { self.startedAt = startedAt }

    func now() -> Timestamp {
        let (seconds, attoseconds) = reference.duration(to: .now).components
        return startedAt + (seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
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
