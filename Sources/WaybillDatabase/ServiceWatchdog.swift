import Foundation

/// The watchdog of systemd, where the unit has a `WatchdogSec`: silence for that long, and the service is started anew.
public struct ServiceWatchdog: Sendable {
    /// How often to tell that all is well: a third of what systemd waits. So long that it is never due without one.
    public let intervalMilliseconds: Int64
    private let isWanted: Bool

    public init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        let isForUs = environment["WATCHDOG_PID"].map { $0 == String(getpid()) } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap(Int64.init) ?? 0
        isWanted = isForUs && microseconds > 0
        intervalMilliseconds = isWanted ? max(1, microseconds / 3000) : 3_600_000
    }

    /// To be called by the thread that is watched, and by no other.
    public func tell() {
        if isWanted { ServiceManager.tell("WATCHDOG=1") }
    }
}
