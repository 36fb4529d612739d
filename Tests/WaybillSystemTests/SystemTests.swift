import Foundation
import Testing

/// Everything here starts real processes. One test at a time: what is measured is one hub and its agents, not the
/// crowd.
@Suite(.serialized) enum SystemTests {}

/// A sentence about what went wrong, where no `#expect` can say it.
struct Trouble: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// By how much every deadline is longer than it says: `WAYBILL_PATIENCE`, for programs that were built to be watched
/// (deploy/sanitize) and are several times slower.
private let patience = ProcessInfo.processInfo.environment["WAYBILL_PATIENCE"].flatMap(Double.init) ?? 1

/// Asks again and again until the answer is yes. There is a deadline because real processes are at work.
func eventually(
    _ what: String, within seconds: Double = 30, _ isTrue: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds * patience)
    while true {
        if try await isTrue() { return }
        guard ContinuousClock.now < deadline else { throw Trouble("not within \(seconds * patience) s: \(what)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}
