import WaybillAdmin
import WaybillModel

/// When somebody who waits for sessions has waited long enough, and with what result.
public struct Waiting: Hashable, Sendable {
    /// A store that does not have what a session brings, and will not get it by waiting.
    public struct Missing: Hashable, Sendable {
        public var session: SessionID
        public var job: JobID
        public var store: StoreID
        public var reason: String
    }

    public enum Verdict: Hashable, Sendable {
        case goOn
        /// Nothing is left to wait for. `failed` are sessions whose packages could not be made.
        case over(missing: [Missing], failed: [SessionID])
    }

    /// Whether a store that is offline, or whose window is closed, ends the waiting. A `watch` waits for it to come back.
    public var givesUpOffline: Bool

    public init(givesUpOffline: Bool) {
        self.givesUpOffline = givesUpOffline
    }

    /// - Parameter online: stores that the hub hears of; nil while that does not count, because agents that have just
    ///   lost their line deserve a moment to come back.
    public func verdict(_ sessions: [SessionDetail], online: Set<StoreID>?) -> Verdict {
        var missing: [Missing] = []
        var failed: [SessionID] = []
        for session in sessions {
            switch session.summary.status {
            case SessionStatus.started.rawValue: return .goOn
            case SessionStatus.createFailed.rawValue:
                failed.append(session.summary.id)
                continue
            default: break
            }
            for delivery in session.deliveries where !delivery.status.isFinal {
                guard let reason = reasonToGiveUp(delivery, online: online) else { return .goOn }
                missing.append(
                    Missing(
                        session: session.summary.id, job: session.summary.job, store: delivery.store, reason: reason))
            }
        }
        return .over(missing: missing, failed: failed)
    }

    /// All deliveries that are not final, with why, at the moment when time is up.
    public static func unfinished(_ sessions: [SessionDetail]) -> [Missing] {
        sessions.flatMap { session in
            session.deliveries.filter { !$0.status.isFinal }.map {
                Missing(
                    session: session.summary.id, job: session.summary.job, store: $0.store,
                    reason: "still \($0.status.rawValue)" + ($0.message.map { ": \($0)" } ?? ""))
            }
        }
    }

    private func reasonToGiveUp(_ delivery: DeliveryDetail, online: Set<StoreID>?) -> String? {
        if delivery.status == .suspended {
            return "suspended after \(Humane.count(delivery.attempts, "attempt"))"
                + (delivery.message.map { ": \($0)" } ?? "")
        }
        if givesUpOffline, let online, !online.contains(delivery.store) {
            return "offline, will get it when it is back"
        }
        if givesUpOffline, delivery.waitsForWindow { return delivery.message ?? "waits for its window" }
        return nil
    }

    /// `store S042 lacks prices (session 42-9f3c1b2e55aa): offline, will get it when it is back`
    ///
    /// At most as many as somebody reads; `session show` has them all.
    public static func lines(_ missing: [Missing]) -> [String] {
        let lines = missing.prefix(linesMax).map {
            TerminalText.plain("store \($0.store) lacks \($0.job) (session \($0.session)): \($0.reason)")
        }
        let rest = missing.count - lines.count
        return rest > 0 ? lines + ["… and \(Humane.count(rest)) more; see waybill session show ID"] : lines
    }

    private static let linesMax = 20
}

/// A speed over the last seconds, from counts that were seen at moments.
public struct RateMeter: Hashable, Sendable {
    private static let windowMilliseconds: Int64 = 3000
    private var samples: [Sample] = []

    private struct Sample: Hashable, Sendable {
        var at: Timestamp
        var bytes: Int64
    }

    public init() {}

    public mutating func add(_ bytes: Int64, at now: Timestamp) {
        samples.append(Sample(at: now, bytes: bytes))
        samples.removeAll { now - $0.at > RateMeter.windowMilliseconds }
    }

    /// Bytes per second; 0 until there are two samples.
    public var bytesPerSecond: Double {
        guard let first = samples.first, let last = samples.last, last.at > first.at else { return 0 }
        return Double(max(0, last.bytes - first.bytes)) * 1000 / Double(last.at - first.at)
    }
}
