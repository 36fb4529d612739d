import Foundation
import GRDB
import Logging
import Synchronization
import WaybillAdmin
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillSchedule
import WaybillSessions
import WaybillSocket

/// The thread that runs jobs: it tells the ``JobClock`` what happens, writes down what that decides, and hands
/// sessions to the publisher.
final class JobRunner: Sendable {
    /// Milliseconds between two looks at the clock, HQ's commits and sessions that are being made.
    static let tickMilliseconds = 100
    /// The same while a session is being made: most take a few milliseconds, and another run may wait for it.
    static let busyTickMilliseconds = 20

    private let inbox = Inbox<JobOrder>()
    private let thread = Mutex<LoopThread?>(nil)
    private let parts: JobTurn.Parts

    init(
        home: HubHome, operations: Operations, queue: PublisherQueue, settings: JobClockSettings,
        catalogue: JobCatalogue, logger: Logger
    ) {
        parts = JobTurn.Parts(
            hqPath: home.hqDatabase, operations: operations, queue: queue, settings: settings,
            jobs: catalogue.known.jobs, lookAtJobFiles: { _ = catalogue.current }, logger: logger)
    }

    /// Takes up what a hub before had begun, and starts the thread.
    func start() throws {
        let slot = Handover(try JobTurn(parts: parts))
        let inbox = inbox
        let loop = try LoopThread("hub-jobs") {
            guard var turn = slot.take() else { return }
            var pause = JobRunner.tickMilliseconds
            while let orders = inbox.next(milliseconds: pause) {
                turn.run(orders)
                pause = turn.isBusy ? JobRunner.busyTickMilliseconds : JobRunner.tickMilliseconds
            }
            for order in inbox.leave() { order.refuse(AdminError.conflict("the hub is stopping")) }
        }
        thread.withLock { $0 = loop }
    }

    func stop() {
        inbox.stop()
        thread.withLock { $0 }?.join()
    }

    /// Hands an order to the thread. Never waits.
    func post(_ order: JobOrder) {
        if !inbox.add(order) { order.refuse(AdminError.conflict("the hub is stopping")) }
    }
}

/// What others ask of the runner's thread. Replies are called on it and must return at once.
enum JobOrder: Sendable {
    typealias Reply<Value> = @Sendable (Result<Value, any Error>) -> Void

    /// A session for each job, at once.
    case publish([JobID], RunScope, isUrgent: Bool = false, reply: Reply<[Published]>)
    /// A run, when it is the job's turn.
    case run(JobID, RunScope, reply: Reply<JobRun>)
    case hold(JobID, reason: String, reply: Reply<JobStanding>)
    case resume(JobID, reply: Reply<JobStanding>)
    case standings(reply: Reply<[JobID: JobStanding]>)
    /// The jobs there are, from now on.
    case catalogue([Job])

    struct Published: Sendable {
        var job: JobID
        var session: SessionID
        /// Why the job is on hold, which does not keep the session.
        var hold: String?
    }

    func refuse(_ error: any Error) {
        switch self {
        case .publish(_, _, _, let reply): reply(.failure(error))
        case .run(_, _, let reply): reply(.failure(error))
        case .hold(_, _, let reply), .resume(_, let reply): reply(.failure(error))
        case .standings(let reply): reply(.failure(error))
        case .catalogue: break
        }
    }
}
