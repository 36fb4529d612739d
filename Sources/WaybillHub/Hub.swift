import Foundation
import Logging
import ServiceLifecycle
import WaybillCapture
import WaybillDatabase
import WaybillImport
import WaybillJobs
import WaybillModel
import WaybillSchedule
import WaybillSessions
import WaybillSocket
import WaybillWire

/// A running hub: everything it is made of, in the order of the street.
public final class Hub: Service {
    private let lock: HomeLock
    private let home: HubHome
    private let parts: HubParts
    private let network: HubNetwork
    private let wire: HubLoop
    private let publisher: Publisher
    private let retention: RetentionThread
    private let strangers: StrangerWatch
    private let memory = MemoryReturn()
    private let runner: JobRunner
    private let verifier: Verifier
    private let admin: AdminServer
    private let logger: Logger

    /// Opens the home, takes its lock, and makes the parts. Nothing listens yet.
    /// - Throws: one plain sentence for whatever is wrong with the home.
    public init(home: HubHome, logger: Logger) throws {
        self.home = home
        self.logger = logger
        lock = try HomeLock(home: home.path, role: "waybill-hub")
        let configuration = try HubConfiguration(reading: home.configuration)
        let keyring = try HubKeyring(home: home)
        try home.makeDatabasesPrivate()
        let operations = try Operations(path: home.hubDatabase)
        let hq = try OpenDatabase.queue(at: home.hqDatabase, label: "hq")
        try hq.write { db in try HQSchema.install(in: db) }
        try hq.close()

        let startedAt = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
        _ = try operations.write { try HubKeyDates.take(keyring, at: startedAt, in: $0) }
        let clock = HubClock(startedAt: startedAt)
        let staging = try StagingDatabase(path: home.stagingDatabase) { clock.now() }
        try staging.recover(hq: home.hqDatabase)
        let context = try ZMQContext()
        let isServing = Flag()
        let clerk = AuditClerk(operations: operations, logger: logger) { clock.now() }
        let gatekeeper = try Gatekeeper(
            context: context,
            policies: [
                HubSockets.agentsDomain: .allowList(
                    EnrolledKeys.allowList(try operations.read { try StoreRecord.all(in: $0) })),
                HubSockets.enrolmentDomain: .anyKey,
            ]
        ) { [isServing] notice in
            // Before the hub serves, the only stranger is its own test, which is refused as it should be.
            let former = Hub.formerHolder(of: notice, operations)
            logger.log(level: isServing.isSet ? .warning : .debug, "\(notice)\(former)")
            if isServing.isSet, case .refused(let refusal) = notice { clerk.noteRefusedKey(refusal, former) }
        }
        let queue = PublisherQueue()
        try home.writeRetailJobs()
        let jobs = try JobCatalogue(folder: home.jobs, hqPath: home.hqDatabase, logger: logger)
        parts = HubParts(
            home: home, configuration: configuration, keyring: keyring, operations: operations, clock: clock,
            hubRun: UInt64.random(in: .min ... .max), publisher: queue, jobs: jobs,
            rules: DeliveryRules.of(jobs.known.jobs), logger: logger, clerk: clerk)
        network = HubNetwork(context: context, gatekeeper: gatekeeper)
        wire = try HubLoop(parts: parts, network: network)
        jobs.observe { [wire] set in wire.post(.rules(DeliveryRules.of(set.jobs))) }
        publisher = Publisher(
            home: home, operations: operations, keyring: keyring, queue: queue, clock: clock,
            jobs: jobs, logger: logger)
        retention = RetentionThread(logger: logger, now: { clock.now() }) { [operations] request, isStopping in
            let begun = clock.now()
            let run = RetentionRun(
                home: home, operations: operations, jobs: jobs.current.jobs, policy: configuration.retention,
                rows: PublisherRows(queue: queue, isStopping: isStopping),
                hooks: RetentionHook.all(staging) + RetentionHook.audit(operations, configuration),
                pause: { usleep(UInt32($0) * 1000) },
                isStopping: isStopping)
            var reply = run.run(request, at: begun)
            reply.tookMs = clock.now() - begun
            return reply
        }
        runner = JobRunner(
            home: home, operations: operations, queue: queue,
            settings: JobClockSettings(isAutomatic: configuration.automaticRuns, zone: .current),
            catalogue: jobs, logger: logger)
        jobs.observe { [runner] set in runner.post(.catalogue(set.jobs)) }
        verifier = Verifier(
            parts: VerifyTurn.Parts(
                home: home, operations: operations, jobs: jobs, queue: queue, inbox: parts.proofs, clock: clock,
                isAutomatic: configuration.automaticVerification, logger: logger,
                post: { [wire] order in wire.post(order) }))
        strangers = StrangerWatch(logger: logger, ask: { [wire] in try wire.askAsStranger() }) { what in
            ServiceManager.tell("STATUS=\(what)")
            // At once: every moment more is one in which anybody may speak as a store. Nothing needs an orderly end.
            exit(EXIT_FAILURE)
        }
        let backend = HubBackend(
            home: home, configuration: configuration, operations: operations, staging: staging, wire: wire,
            publisher: publisher, runner: runner, retention: retention, verifier: verifier, catalogue: jobs,
            keyring: keyring, clock: clock, startedAt: startedAt)
        let endpoint = configuration.listen
        let listener = try configuration.adminListener(tokens: home.adminTokens)
        admin = AdminServer(
            home: home.path, backend: backend, clerk: clerk, listener: listener, logger: logger,
            now: { clock.now() }
        ) {
            isServing.set()
            clerk.tellHead()
            logger.info("the hub on \(home.path) is ready; agents connect to \(endpoint)")
            ServiceManager.tell("READY=1\nSTATUS=serving agents on \(endpoint)")
        }
    }

    /// Whose key a refused one was, for the log: "unknown" helps nobody who retired a store an hour ago.
    private static func formerHolder(of notice: GatekeeperNotice, _ operations: Operations) -> String {
        guard case .refused(let refusal) = notice, let key = try? refusal.key.map(CurvePublicKey.init(z85:)),
            let holder = try? operations.read({ try Enrolment.holder(of: key.bytes, in: $0) })
        else { return "" }
        return "; it is an old key of store \(holder), which is retired or has enrolled anew"
    }

    /// Serves until the service group shuts down.
    public func run() async throws {
        let wire = wire
        let (publisher, runner, retention, verifier) = (publisher, runner, retention, verifier)
        let (strangers, memory) = (strangers, memory)
        try await onOwnThread {
            try publisher.start(wire: wire)
            try wire.start()
            // After the publisher, which takes up what an earlier hub had begun: nothing is built twice.
            try runner.start()
            try retention.start()
            try verifier.start()
            try strangers.start()
            try memory.start()
        }
        do {
            try await admin.run()
            await stop()
        } catch {
            await stop()
            throw error
        }
    }

    private func stop() async {
        ServiceManager.tell("STOPPING=1")
        let (wire, publisher, runner, network, retention) = (wire, publisher, runner, network, retention)
        let (verifier, strangers, memory) = (verifier, strangers, memory)
        do {
            try await onOwnThread {
                memory.stop()
                strangers.stop()
                verifier.stop()
                retention.stop()
                runner.stop()
                publisher.stop()
                wire.stop()
                network.gatekeeper.stop()
            }
        } catch {
            logger.error("the hub could not stop its threads: \(error)")
        }
        logger.info("the hub on \(home.path) has stopped")
    }
}
