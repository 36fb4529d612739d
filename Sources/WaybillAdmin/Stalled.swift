import WaybillModel

/// Why a delivery counts as stalled: it has not come forward for longer than is usual.
public struct StalledDetail: Codable, Hashable, Sendable {
    /// `request`, `download`, `apply`, `cancel` or `report`.
    public var stage: String
    /// When it last came forward.
    public var since: UTCTime
    /// When it should have, from what is usual.
    public var expectedBy: UTCTime
    /// `agent_silent`, `agent_not_progressing` or `hub_not_folding`.
    public var cause: String
    /// The same in one plain sentence.
    public var message: String

    public init(stage: String, since: UTCTime, expectedBy: UTCTime, cause: String, message: String) {
        self.stage = stage
        self.since = since
        self.expectedBy = expectedBy
        self.cause = cause
        self.message = message
    }

    /// `12:03 UTC`; with the day when it is another one than that of `reference`.
    public static func clock(_ time: Timestamp, near reference: Timestamp) -> String {
        let text = UTCTime(time).description
        let isSameDay = text.prefix(10) == UTCTime(reference).description.prefix(10)
        return (isSameDay ? "" : text.prefix(10) + " ") + text.dropFirst(11).prefix(5) + " UTC"
    }

    /// `40 s`, `2 min`, `3 h`
    public static func span(milliseconds: Int64) -> String {
        let seconds = max(0, milliseconds) / 1000
        switch seconds {
        case ..<90: return "\(seconds) s"
        case ..<5400: return "\((seconds + 30) / 60) min"
        default: return "\((seconds + 1800) / 3600) h"
        }
    }
}

extension HubStatus {
    /// The hub does not take in what stores say.
    public struct NotFolding: Codable, Hashable, Sendable {
        public var since: UTCTime
        /// One plain sentence.
        public var message: String

        public init(since: UTCTime, message: String) {
            self.since = since
            self.message = message
        }
    }
}
