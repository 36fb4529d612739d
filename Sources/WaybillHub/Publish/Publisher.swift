import Foundation
import GRDB
import Logging
import WaybillAdmin
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPackage
import WaybillPlan
import WaybillSessions
import WaybillSocket
import WaybillWire

/// Bounds of the publisher's thread.
enum PublisherLimits {
    /// Without a task for so long, what was put off is done: by then stores with a good line have fetched what was built
    /// last, and do not share disk and processor with it.
    static let restSeconds = 5.0
}

/// Capture to package: the thread that derives, plans and builds, one session after the other.
///
/// It reads `hub.db` and owns `rows.db`. What it makes it hands to the wire thread, which writes deliveries down.
final class Publisher: Sendable {
    let home: HubHome
    let operations: Operations
    private let keyring: HubKeyring
    let queue: PublisherQueue
    private let clock: HubClock
    let logger: Logger
    private let jobs: JobCatalogue
    private let thread = Guarded()

    /// Set once at the start and read once at the stop, by the same service.
    private final class Guarded: @unchecked Sendable { var loop: LoopThread? }

    init(
        home: HubHome, operations: Operations, keyring: HubKeyring, queue: PublisherQueue, clock: HubClock,
        jobs: JobCatalogue, logger: Logger
    ) {
        self.home = home
        self.operations = operations
        self.keyring = keyring
        self.queue = queue
        self.clock = clock
        self.jobs = jobs
        self.logger = logger
    }

    /// Does what ``makeBuilder(random:post:)`` says and starts the thread.
    func start(wire: HubLoop) throws {
        let slot = Handover(try makeBuilder { wire.post($0) })
        let queue = queue
        thread.loop = try LoopThread("hub-publisher") {
            guard let builder = slot.take() else { return }
            while let task = queue.next(restAfter: builder.hasPutOff ? PublisherLimits.restSeconds : nil) {
                builder.run(task)
            }
        }
    }

    /// Sweeps what a killed hub left, and takes up sessions it had begun.
    func makeBuilder(
        random: @escaping @Sendable () -> UInt64 = { .random(in: .min ... .max) },
        post: @escaping @Sendable (HubOrder) -> Void
    ) throws -> SessionBuilder {
        try sweepPackages()
        try forgetLostPackages()
        let newest = try operations.read { try SessionRecord.newestVersion(in: $0) }
        let rows = try Rows(path: home.rowsDatabase, hqPath: home.hqDatabase, newest: newest, random: random)
        let builder = SessionBuilder(
            rows: rows, home: home, operations: operations, keyring: keyring, jobs: jobs, clock: clock,
            post: post, queue: queue, logger: logger, random: random)
        let unfinished = try operations.write { db in
            try SessionRecord.takeUpUnfinished(random: random, in: db)
        }
        for session in unfinished {
            logger.info("session \(session.id) was being built when the hub stopped; it is built now")
            queue.add(.build(session.id))
        }
        return builder
    }

    func stop() {
        queue.stop()
        thread.loop?.join()
    }

    /// Queues a dry run; the reply is called on the publisher's thread.
    func plan(_ request: PlanRequest, reply: @escaping @Sendable (PlanReply) -> Void) {
        queue.add(.plan(request, reply: reply))
    }

    /// Deletes files in the packages folder that no session names: a build was cut short, or a purge.
    private func sweepPackages() throws {
        let known = try operations.read { try Retention.packagesKept(in: $0) }
        for name in try FileManager.default.contentsOfDirectory(atPath: home.packages) {
            let stem = name.hasSuffix(".zst") ? String(name.dropLast(4)) : ""
            if !known.contains(stem) { try FileManager.default.removeItem(atPath: home.packages + "/" + name) }
        }
    }
}
