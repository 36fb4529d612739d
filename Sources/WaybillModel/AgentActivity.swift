/// What a store does, as its agent tells in its hellos.
public struct AgentActivity: Hashable, Sendable {
    public enum Phase: Hashable, Sendable, CaseIterable {
        /// Nothing is to be done.
        case idle
        /// The store's own window for downloads is closed.
        case waiting
        case requesting
        case downloading
        case unpacking
        case applying
        /// Nothing is under way, but reports are not acknowledged.
        case reporting
    }
    public var phase: Phase
    /// Milliseconds since the phase last came forward, by the agent's own steady clock.
    public var idleMilliseconds: Int64

    /// More than a year is as good as never, and must not end in an overflow.
    public static let idleMax: UInt64 = 400 * 24 * 3600 * 1000

    public init(phase: Phase, idleMilliseconds: Int64) {
        self.phase = phase
        self.idleMilliseconds = idleMilliseconds
    }
}
