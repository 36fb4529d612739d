import Foundation
import Logging
import WaybillAdmin
import WaybillModel
import WaybillSocket

/// When the hub forgets by itself. Pure.
struct RetentionSchedule: Hashable, Sendable {
    /// After the start, agents come back first.
    static let startMilliseconds: Int64 = 10_000
    static let intervalMilliseconds: Int64 = 3_600_000

    /// When the next run is due.
    private(set) var due: Timestamp

    init(startedAt: Timestamp) { due = startedAt + RetentionSchedule.startMilliseconds }

    mutating func ran(at now: Timestamp) { due = now + RetentionSchedule.intervalMilliseconds }
}

/// The quiet thread that forgets: at the start, every hour, and when an administrator asks.
final class RetentionThread: Sendable {
    typealias Reply = @Sendable (RetentionReply) -> Void

    private let run: @Sendable (RetentionRequest, _ isStopping: @escaping @Sendable () -> Bool) -> RetentionReply
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let state: Guarded

    /// NSCondition guards the fields: they are touched between lock and unlock only, which is why this may be shared.
    private final class Guarded: @unchecked Sendable {
        let condition = NSCondition()
        var orders: [(RetentionRequest, Reply)] = []
        var isStopping = false
        var schedule: RetentionSchedule
        var loop: LoopThread?

        init(schedule: RetentionSchedule) { self.schedule = schedule }

        func locked<T>(_ body: (Guarded) -> T) -> T {
            condition.lock()
            defer { condition.unlock() }
            return body(self)
        }
    }

    /// - Parameter run: one run; asks `isStopping` between its slices.
    init(
        logger: Logger, now: @escaping @Sendable () -> Timestamp,
        run: @escaping @Sendable (RetentionRequest, _ isStopping: @escaping @Sendable () -> Bool) -> RetentionReply
    ) {
        self.logger = logger
        self.now = now
        self.run = run
        state = Guarded(schedule: RetentionSchedule(startedAt: now()))
    }

    func start() throws {
        let loop = try LoopThread("hub-retention") { [self] in
            while let (request, reply) = next() {
                let answer = run(request) { self.state.locked(\.isStopping) }
                tell(answer)
                reply?(answer)
            }
        }
        state.locked { $0.loop = loop }
    }

    /// Has a run made as soon as the one under way is over. Never waits; `reply` is called on this thread.
    func post(_ request: RetentionRequest, reply: @escaping Reply) {
        let isTaken = state.locked { state in
            if !state.isStopping { state.orders.append((request, reply)) }
            state.condition.signal()
            return !state.isStopping
        }
        if !isTaken { refuse(request, reply) }
    }

    func stop() {
        let (loop, orders) = state.locked { state in
            defer { state.orders = [] }
            state.isStopping = true
            state.condition.broadcast()
            return (state.loop, state.orders)
        }
        loop?.join()
        for (request, reply) in orders { refuse(request, reply) }
    }

    private func refuse(_ request: RetentionRequest, _ reply: Reply) {
        reply(RetentionReply(dryRun: request.dryRun, problems: ["\(RetentionInterrupted())"]))
    }

    /// Waits for an order or the hour; nil once the hub stops.
    private func next() -> (RetentionRequest, Reply?)? {
        state.condition.lock()
        defer { state.condition.unlock() }
        while !state.isStopping {
            if !state.orders.isEmpty { return state.orders.removeFirst() }
            let wait = state.schedule.due - now()
            if wait <= 0 {
                state.schedule.ran(at: now())
                return (RetentionRequest(), nil)
            }
            // A clock that is set meanwhile is noticed within a minute.
            _ = state.condition.wait(until: Date(timeIntervalSinceNow: min(60, Double(wait) / 1000)))
        }
        return nil
    }

    private func tell(_ reply: RetentionReply) {
        for problem in reply.problems { logger.warning("retention: \(problem)") }
        for load in reply.fullLoads where !reply.dryRun {
            logger.warning(
                "store \(load.store) has been away for too long: it gets all of job \(load.job) when it is back")
        }
        let gone = reply.kinds.filter { $0.rows > 0 }.map { "\($0.kind) \($0.rows)" }
        guard !gone.isEmpty, !reply.dryRun else { return }
        logger.info("forgotten after its time: \(gone.joined(separator: ", ")), in \(reply.tookMs) ms")
    }
}
