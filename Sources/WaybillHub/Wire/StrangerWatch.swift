import Logging
import WaybillSocket

/// Asks now and then, as the hub did before it served, whether a key that nobody knows is refused. CURVE fails open when
/// something about the gatekeeper is wrong, and a hub runs for months.
final class StrangerWatch: Sendable {
    typealias Answer = (endpoint: String, outcome: StrangerTest.Outcome)

    /// What all answers of one round mean.
    enum Verdict: Equatable {
        case well
        /// Nothing is proved: the hub was too busy, or had just changed its key.
        case unproven(String)
        /// The hub must not serve any longer.
        case open(String)
    }

    static let interval = Duration.seconds(3600)
    /// Rounds without proof before it is said.
    static let roundsMax = 3
    private static let roundPause = Duration.seconds(5)

    private let every: Duration
    private let ask: @Sendable () throws -> [Answer]
    private let onOpen: @Sendable (String) -> Void
    private let logger: Logger
    private let thread = PausingThread()

    /// - Parameter onOpen: a stranger got in; does not return in a hub.
    init(
        every: Duration = interval, logger: Logger, ask: @escaping @Sendable () throws -> [Answer],
        onOpen: @escaping @Sendable (String) -> Void
    ) {
        self.every = every
        self.ask = ask
        self.onOpen = onOpen
        self.logger = logger
    }

    static func judge(_ answers: [Answer]) -> Verdict {
        if let open = answers.first(where: { $0.outcome == .gotIn }) {
            return .open("a stranger's key was let in at \(open.endpoint); this hub must not serve")
        }
        // 400 is the gatekeeper's own refusal; no other shows that it is at work.
        if let other = answers.first(where: { $0.outcome != .refused(status: 400) }) {
            return .unproven("a stranger's key got no clear refusal at \(other.endpoint) (\(other.outcome))")
        }
        return .well
    }

    func start() throws {
        try thread.start("hub-strangers", every: every) { [self] in round() }
    }

    func stop() { thread.stop() }

    private func round() {
        var problem = ""
        for number in 1...StrangerWatch.roundsMax {
            if number > 1, thread.isStopped(within: StrangerWatch.roundPause) { return }
            do {
                switch StrangerWatch.judge(try ask()) {
                case .well: return logger.debug("a stranger's key was refused at both endpoints, as it should be")
                case .open(let what):
                    logger.critical("\(what)")
                    return onOpen(what)
                case .unproven(let what): problem = what
                }
            } catch {
                problem = "the test with a stranger's key could not be made: \(error)"
            }
        }
        logger.error("\(problem); it is tried again within the hour")
    }
}
