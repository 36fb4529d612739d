import WaybillModel
import WaybillWire

/// Spreading what all stores would else do in the same second.
extension AgentCore {
    /// Milliseconds over which agents that lost the same hub say Hello when they have it back. The hub takes in what it
    /// can and puts off the rest; this keeps the rest small.
    static let reconnectSpread: Int64 = 2_000

    /// A process that has just started is one of many only after a power cut, and somebody may be looking at it: it
    /// speaks at once. One that has been welcomed before has lost the line together with all others.
    mutating func helloDelay() -> Int64 {
        welcomedAt == nil ? 0 : jitter.next(below: AgentCore.reconnectSpread)
    }

    /// The hub has too many hellos at hand: whatever was known stays as it is, and Hello is said again later.
    mutating func isPutOff(by welcome: HubLetter.Welcome, now: Timestamp) -> Bool {
        guard let wait = welcome.pace?.retryAfterMilliseconds, wait > 0 else { return false }
        helloDue = now + (wait + jitter.next(below: wait / 2 + 1))
        return true
    }

    /// All stores hear of a session in the same moment; each begins at one of its own. What has begun goes on, and an
    /// offer that is known keeps its moment.
    mutating func spreadStart(of welcome: HubLetter.Welcome, now: Timestamp) {
        guard let spread = welcome.pace?.startSpreadMilliseconds, spread > 0, task == nil,
            startDue.map({ $0 <= now }) ?? true
        else { return }
        let known = Set(offers.map { RunName($0.session, $0.run) })
        guard welcome.offers.contains(where: { !known.contains(RunName($0.session, $0.run)) }) else { return }
        startDue = now + jitter.next(below: spread)
    }
}
