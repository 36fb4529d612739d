import Synchronization
import WaybillDatabase
import WaybillModel

/// Whether the wire thread takes in what stores say. Written by it; read by whoever is asked while it hangs.
final class WirePulse: Sendable {
    private struct State {
        /// When it last finished a turn; nil before the first.
        var turnedAt: Timestamp?
        var unwritableSince: Timestamp?
        var problem = ""
        var toldAt: Timestamp?
    }
    private let state = Mutex(State())
    private let watchdog = ServiceWatchdog()

    /// A turn with thousands of stores in it takes a second or two; it looks around every second when nothing happens.
    static let patience: Int64 = 15_000

    func turned(at now: Timestamp) {
        let isDue = state.withLock { state in
            state.turnedAt = now
            guard state.toldAt.map({ now - $0 >= watchdog.intervalMilliseconds }) ?? true else { return false }
            state.toldAt = now
            return true
        }
        if isDue { watchdog.tell() }
    }

    func couldNotWrite(_ problem: String, at now: Timestamp) {
        state.withLock { state in
            // The thread gets on; what it lives on does not.
            state.turnedAt = now
            state.unwritableSince = state.unwritableSince ?? now
            state.problem = problem
        }
    }

    func wrote() {
        state.withLock { $0.unwritableSince = nil }
    }

    var isUnwritable: Bool { state.withLock { $0.unwritableSince != nil } }

    /// That stores are not taken in: since when and why; nil while they are.
    struct Fault: Hashable, Sendable {
        var since: Timestamp
        var message: String
        /// The thread does not come round; what it is asked for is not answered.
        var isHang = false
    }

    /// - Parameter patience: milliseconds for a turn.
    func fault(now: Timestamp, patience: Int64 = WirePulse.patience) -> Fault? {
        state.withLock { state in
            if let turnedAt = state.turnedAt, now - turnedAt > patience {
                return Fault(
                    since: state.unwritableSince ?? turnedAt,
                    message:
                        "the hub's thread for stores has not come round; its log may say why, and a restart is safe",
                    isHang: true)
            }
            return state.unwritableSince.map {
                Fault(since: $0, message: "hub.db cannot be written: \(state.problem)")
            }
        }
    }
}
