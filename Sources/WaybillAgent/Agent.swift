import Foundation
import Logging
import ServiceLifecycle
import WaybillApply
import WaybillDatabase
import WaybillModel
import WaybillSocket
import WaybillWire

/// A running agent: the wire thread, the worker thread, and the store's database between them.
public final class Agent: Service {
    private let lock: HomeLock
    private let parts: AgentParts
    private let ledger: StoreDatabase
    private let mailbox: Mailbox
    private let worker: Worker
    private let loop: AgentLoop

    /// Opens the home and begins a new incarnation. Nothing connects yet.
    /// - Throws: one plain sentence for whatever is wrong with the home.
    public init(home: AgentHome, logger: Logger) throws {
        lock = try HomeLock(home: home.path, role: "waybill-agent")
        let enrolment = try home.loadEnrolment()
        let configuration = try AgentConfiguration(reading: home.configuration)
        guard let store = StoreID(enrolment.store), let signing = Data(base64Encoded: enrolment.hub_signing_key) else {
            throw AgentHomeFault("\(home.path)/enrolment.json is damaged; enrol again with a new code")
        }
        try DurableFile.createFolder(home.incoming, mode: 0o750)
        ledger = try StoreDatabase(path: home.database, store: store)
        try ledger.startIncarnation(random: UInt64.random(in: .min ... .max))
        let settings = AgentSettings(
            agentVersion: WaybillVersion.text, helloSeconds: 30, bytesPerSecond: configuration.bytesPerSecond,
            retryMilliseconds: 2_000, verifyingKey: try VerifyingKey(rawBytes: Array(signing)))
        parts = AgentParts(
            home: home, store: store, enrolment: enrolment, configuration: configuration, settings: settings,
            clock: AgentClock(startedAt: Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))),
            logger: logger)
        let network = AgentNetwork(keyring: try AgentKeyring(home: home), context: try ZMQContext())
        mailbox = try Mailbox()
        worker = Worker(parts: parts) { [mailbox] in mailbox.post($0) }
        loop = AgentLoop(parts: parts, network: network, mailbox: mailbox)
    }

    /// Works until the service group shuts down. An apply under way ends at its next chance; nothing is half done.
    public func run() async throws {
        let (loop, worker, ledger, parts) = (loop, worker, ledger, parts)
        try await onOwnThread {
            let neighbours = Neighbours(path: parts.home.database)
            let applier = try Applier(
                path: parts.home.database, lockBudgetMilliseconds: parts.configuration.lockBudgetMilliseconds,
                company: Company(others: neighbours.arePresent, ours: { ledger.isWriting }))
            try worker.start(applier: applier, ledger: ledger)
            try loop.start(ledger: ledger, worker: worker)
        }
        parts.logger.info("the agent of store \(parts.store) is running; hub \(parts.enrolment.agents_endpoint)")
        ServiceManager.tell("READY=1\nSTATUS=store \(parts.store), hub \(parts.enrolment.agents_endpoint)")
        try? await gracefulShutdown()
        ServiceManager.tell("STOPPING=1")
        try await onOwnThread {
            worker.stop()
            loop.stop()
        }
        parts.logger.info("the agent of store \(parts.store) has stopped")
    }
}
