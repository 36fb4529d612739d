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

    func add(_ task: PublisherTask) {
        state.condition.lock()
        defer { state.condition.unlock() }
        state.tasks.append(task)
        state.condition.signal()
    }

    /// The next task, waiting for one; nil once the hub stops.
    func next() -> PublisherTask? {
        state.condition.lock()
        defer { state.condition.unlock() }
        state.isWaiting = true
        defer { state.isWaiting = false }
        while state.tasks.isEmpty, !state.isStopping { state.condition.wait() }
        return state.isStopping ? nil : state.tasks.removeFirst()
    }

    /// Whether the publisher has nothing to do.
    var isIdle: Bool {
        state.condition.lock()
        defer { state.condition.unlock() }
        return state.tasks.isEmpty && state.isWaiting
    }

    func stop() {
        state.condition.lock()
        defer { state.condition.unlock() }
        state.isStopping = true
        state.condition.broadcast()
    }
}
