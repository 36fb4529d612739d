import Synchronization
import WaybillModel

/// When the worker last finished a slice of rows; written by its thread, read by the wire thread.
final class WorkPulse: Sendable {
    private let beatAt = Atomic<Int64>(0)

    /// Notes the moment and gives back what it was given: it is asked between two slices.
    func beat(_ now: Timestamp, _ answer: Bool) -> Bool {
        beatAt.store(now.milliseconds, ordering: .releasing)
        return answer
    }

    /// nil before the first beat.
    func idleMilliseconds(_ now: Timestamp) -> Int64? {
        let at = beatAt.load(ordering: .acquiring)
        return at == 0 ? nil : now.milliseconds - at
    }
}
