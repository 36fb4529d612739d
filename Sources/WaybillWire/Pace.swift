import WaybillModel

extension HubLetter {
    /// How agents spread what all of them would else do at once.
    public struct Pace: Hashable, Sendable {
        /// Nothing else in the Welcome counts: say Hello again after so many milliseconds. 0: the Welcome counts.
        public var retryAfterMilliseconds: Int64
        /// Begin what is new at a moment drawn from so many milliseconds.
        public var startSpreadMilliseconds: Int64

        /// A shorter spread is not worth a wait.
        public static let spreadMin = 500
        /// A longer wait is not obeyed: the hub may be wrong, and nobody would notice.
        public static let millisecondsMax: Int64 = 10 * 60 * 1000

        public init(retryAfterMilliseconds: Int64 = 0, startSpreadMilliseconds: Int64 = 0) {
            self.retryAfterMilliseconds = retryAfterMilliseconds
            self.startSpreadMilliseconds = startSpreadMilliseconds
        }
    }
}

extension AgentActivity {
    /// nil for an agent that does not tell, or tells what only a newer hub knows.
    init?(_ wire: WireHello) {
        guard let phase = Phase.allCases.first(where: { WirePhase($0) == wire.phase }) else { return nil }
        self.init(phase: phase, idleMilliseconds: Int64(min(wire.idleMs, AgentActivity.idleMax)))
    }
}

extension WirePhase {
    init(_ phase: AgentActivity.Phase) {
        self =
            switch phase {
            case .idle: .idle
            case .waiting: .waiting
            case .requesting: .requesting
            case .downloading: .downloading
            case .unpacking: .unpacking
            case .applying: .applying
            case .reporting: .reporting
            }
    }
}

extension HubLetter.Pace {
    init(_ wire: WirePace) {
        self.init(
            retryAfterMilliseconds: min(Int64(wire.retryAfterMs), HubLetter.Pace.millisecondsMax),
            startSpreadMilliseconds: min(Int64(wire.startSpreadMs), HubLetter.Pace.millisecondsMax))
    }
}

extension WirePace {
    init(_ pace: HubLetter.Pace) {
        self.init()
        retryAfterMs = UInt32(clamping: pace.retryAfterMilliseconds)
        startSpreadMs = UInt32(clamping: pace.startSpreadMilliseconds)
    }
}
