import Foundation
import WaybillAdmin
import WaybillModel
import WaybillPlan

/// Work for the publisher's thread.
enum PublisherTask: Sendable {
    /// Build a session that is written down as `Started`.
    case build(SessionID)
    /// Make a package that leads one store from where it stands to a session.
    case prepare(SessionID, StoreID, base: Watermark?, isRepair: Bool)
    /// Work of others that needs `rows.db`, short enough for a session to wait for it.
    case use(@Sendable (Rows) -> Void)
    /// Say what publishing would do. The reply is called on the publisher's thread.
    case plan(PlanRequest, reply: @Sendable (PlanReply) -> Void)
    /// Look something up that somebody waits for; nil when the hub stops before.
    case look(@Sendable (Rows?) -> Void)
    /// Nothing has been asked for a while: time for what others should not wait for.
    case rest

    var isLook: Bool { if case .look = self { true } else { false } }

    /// Whether it may write into `rows.db`, and leave something for a rest.
    var writesRows: Bool {
        switch self {
        case .build, .prepare, .use: true
        case .plan, .look, .rest: false
        }
    }

    /// Tells whoever waits for it that it will not be done.
    func abandon() {
        switch self {
        case .look(let body): body(nil)
        case .plan(let request, let reply):
            reply(PlanReply(jobs: request.jobs.map { JobPlan(job: $0, error: "the hub is stopping") }))
        case .build, .prepare, .use, .rest: break
        }
    }
}

/// Tasks waiting for the publisher: many threads add, one takes and may wait.
final class PublisherQueue: Sendable {
    private let state = Guarded()

    /// NSCondition guards the fields: they are touched between lock and unlock only, which is why this may be shared.
    private final class Guarded: @unchecked Sendable {
        let condition = NSCondition()
        var tasks: [PublisherTask] = []
        var isStopping = false
        var isWaiting = false
    }

    /// A look stands before all that is built: it changes nothing, and a person waits for it.
    func add(_ task: PublisherTask) {
        state.condition.lock()
        if state.isStopping {
            state.condition.unlock()
            return task.abandon()
        }
        defer { state.condition.unlock() }
        let place = task.isLook ? state.tasks.firstIndex { !$0.isLook } : nil
        state.tasks.insert(task, at: place ?? state.tasks.count)
        state.condition.signal()
    }

    /// The next task, waiting for one; nil once the hub stops.
    /// - Parameter restAfter: seconds without a task after which it is ``PublisherTask/rest``; nil for never.
    func next(restAfter: Double? = nil) -> PublisherTask? {
        state.condition.lock()
        defer { state.condition.unlock() }
        state.isWaiting = true
        defer { state.isWaiting = false }
        let restsAt = restAfter.map { Date(timeIntervalSinceNow: $0) }
        while state.tasks.isEmpty, !state.isStopping {
            guard let restsAt else {
                state.condition.wait()
                continue
            }
            if !state.condition.wait(until: restsAt), state.tasks.isEmpty, !state.isStopping { return .rest }
        }
        return state.isStopping ? nil : state.tasks.removeFirst()
    }

    /// The next task, if there is one now: for a caller that is no thread of its own.
    func takeNow() -> PublisherTask? {
        state.condition.lock()
        defer { state.condition.unlock() }
        return state.tasks.isEmpty || state.isStopping ? nil : state.tasks.removeFirst()
    }

    var isEmpty: Bool {
        state.condition.lock()
        defer { state.condition.unlock() }
        return state.tasks.isEmpty
    }

    /// Whether the publisher has nothing to do.
    var isIdle: Bool {
        state.condition.lock()
        defer { state.condition.unlock() }
        return state.tasks.isEmpty && state.isWaiting
    }

    func stop() {
        state.condition.lock()
        let left = state.tasks
        state.tasks = []
        state.isStopping = true
        state.condition.broadcast()
        state.condition.unlock()
        for task in left { task.abandon() }
    }
}
