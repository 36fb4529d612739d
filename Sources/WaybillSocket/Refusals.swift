/// A client that the gatekeeper did not let in.
public struct Refusal: Equatable, Sendable, CustomStringConvertible {
    public enum Reason: Equatable, Sendable {
        /// No policy names this domain: a mistake in our own set-up.
        case unknownDomain
        /// The client does not use CURVE.
        case notCurve
        /// Not 32 bytes, or a test key of the zmq_curve manual page.
        case badKey
        /// The key is not on the domain's list.
        case unknownKey
    }
    public var reason: Reason
    public var domain: String
    /// The client's IP address.
    public var address: String
    /// The client's public key in Z85, if it showed one.
    public var key: String?

    public var description: String {
        switch reason {
        case .unknownDomain: "refused \(address): no policy for the domain \"\(domain)\""
        case .notCurve: "refused \(address) at \"\(domain)\": it does not encrypt (CURVE)"
        case .badKey: "refused \(address) at \"\(domain)\": its key is malformed or publicly known"
        case .unknownKey: "refused \(address) at \"\(domain)\": unknown key \(key ?? "")"
        }
    }
}

/// What the gatekeeper tells its log: at most five refusals a second by name, and one count of the others.
public enum GatekeeperNotice: Equatable, Sendable, CustomStringConvertible {
    case refused(Refusal)
    /// So many more were refused since, too many to name.
    case alsoRefused(count: Int)

    public var description: String {
        switch self {
        case .refused(let refusal): refusal.description
        case .alsoRefused(let count): "refused \(count) more in the last second or so"
        }
    }
}

/// Lets the first refusals of each second through and counts the others: a stranger who knocks 1,000 times a second
/// must not fill the hub's disk with log lines.
struct RefusalLimiter {
    static let perSecond = 5

    private var windowEnd: ContinuousClock.Instant?
    private var reported = 0
    private(set) var suppressed = 0

    /// The summary of a second that is over, if something was suppressed in it.
    mutating func summary(at now: ContinuousClock.Instant) -> GatekeeperNotice? {
        guard let end = windowEnd, now >= end else { return nil }
        defer { (windowEnd, reported, suppressed) = (nil, 0, 0) }
        return suppressed > 0 ? .alsoRefused(count: suppressed) : nil
    }

    /// The notices that are due when `refusal` has just happened: none, itself, or a summary and itself.
    mutating func notices(for refusal: Refusal, at now: ContinuousClock.Instant) -> [GatekeeperNotice] {
        let summary = summary(at: now)
        if windowEnd == nil { windowEnd = now + .seconds(1) }
        guard reported < Self.perSecond else {
            suppressed += 1
            return []
        }
        reported += 1
        return [summary, .refused(refusal)].compactMap { $0 }
    }
}
