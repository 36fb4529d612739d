import WaybillModel

/// A delivery that has not come forward for longer than is usual: in which stage, since when, and whose turn it is.
///
/// A state for people to look at. Nothing is triggered by it, and it goes as soon as the delivery moves.
public struct Stalled: Hashable, Sendable {
    public enum Cause: String, Sendable, CaseIterable {
        /// The store is not heard of.
        case agentSilent = "agent_silent"
        /// The store is heard of, but does not come forward.
        case notProgressing = "agent_not_progressing"
        /// The store may have said it; this hub does not take in what stores say.
        case hubNotFolding = "hub_not_folding"
    }

    public var stage: DeliveryStage
    public var since: Timestamp
    public var expectedBy: Timestamp
    public var cause: Cause

    public init(stage: DeliveryStage, since: Timestamp, expectedBy: Timestamp, cause: Cause) {
        self.stage = stage
        self.since = since
        self.expectedBy = expectedBy
        self.cause = cause
    }

    /// Judges a delivery at a moment; nil while it is within its time, or has a reason to wait.
    /// - Parameters:
    ///   - expected: milliseconds within which it should come forward.
    ///   - notFoldingSince: when the hub last took in what stores said, if it does not any more.
    public static func judge(
        _ entry: StageWatch.Entry, expected: Int64, isOnline: Bool, notFoldingSince: Timestamp?, now: Timestamp
    ) -> Stalled? {
        // A store that is away and has not begun is away, nothing more.
        if entry.stage == .request, !isOnline, notFoldingSince == nil { return nil }
        if let notFoldingSince, entry.stage != .request {
            return Stalled(
                stage: .report, since: notFoldingSince, expectedBy: min(now, notFoldingSince + expected),
                cause: .hubNotFolding)
        }
        if let unreported = entry.unreportedSince, isOnline, now - unreported > expected {
            return Stalled(
                stage: .report, since: unreported, expectedBy: unreported + expected, cause: .hubNotFolding)
        }
        guard now - entry.since > expected else { return nil }
        return Stalled(
            stage: entry.stage, since: entry.since, expectedBy: entry.since + expected,
            cause: isOnline ? .notProgressing : .agentSilent)
    }

    /// One sentence for the person who looks.
    /// - Parameters:
    ///   - lastHeard: when the store was last heard of.
    ///   - time: how a moment is written.
    ///   - span: how so many milliseconds are.
    public func sentence(
        store: StoreID, lastHeard: Timestamp?, time: (Timestamp) -> String, span: (Int64) -> String
    ) -> String {
        switch cause {
        case .agentSilent:
            guard let lastHeard else { return "store \(store) has not been heard since this hub started" }
            return "store \(store) has not been heard since \(time(lastHeard))"
        case .hubNotFolding:
            return "this hub has not taken in what store \(store) says since \(time(since))"
        case .notProgressing:
            let what =
                switch stage {
                case .request: "alive, but has not asked for it"
                case .download: "alive, but its download has not moved"
                case .apply: "alive, but its apply has not moved"
                case .cancel: "alive, but has not answered the cancel"
                case .report: "alive, but has not reported"
                }
            return "\(what) since \(time(since)); \(span(expectedBy - since)) would be usual"
        }
    }
}
