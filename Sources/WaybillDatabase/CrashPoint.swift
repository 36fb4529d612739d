import Foundation
import Synchronization

/// A named place in the code at which a test can have the process die as by `kill -9`.
///
/// `WAYBILL_CRASH_AT=name:k` kills it at the k-th passing of the point. Without that variable a point is one
/// comparison with nil. It is how "may die at any instruction" is tested where it matters: between two durable steps.
public enum CrashPoint: String, CaseIterable, Sendable {
    // Hub, in the order of the street.
    case derived
    case filled
    case sealed
    case offered
    case granted
    case chunkSent = "chunk-sent"
    case folded
    /// After each slice of forgetting, before files are removed.
    case purging
    /// An import: its rows are staged, HQ's transaction comes next.
    case importStaged = "import-staged"
    /// An import: HQ has its rows, the staging database does not know it yet.
    case importWritten = "import-written"
    /// The hub's next keys are on disk, and told to nobody.
    case hubKeysMade = "hub-keys-made"
    /// The hub has decided to take its next keys, and has moved none of the files; then one of the two.
    case hubKeysSwitching = "hub-keys-switching"
    case hubKeysHalfSwitched = "hub-keys-half-switched"
    /// A store's new key is good, and the store does not know it yet.
    case storeKeyKept = "store-key-kept"
    /// A store's new key has been used, and its old one is on its way out.
    case storeKeyUsed = "store-key-used"
    // Agent.
    case chunkStored = "chunk-stored"
    case unpacked
    case sliceWritten = "slice-written"
    case beforeCommit = "before-commit"
    case applied
    case acknowledged
    /// A new key is on disk, and the hub knows nothing of it.
    case keyMade = "key-made"
    /// The new key works: the old one has its other name, the new one not yet.
    case keyHalfAdopted = "key-half-adopted"
    case keyAdopted = "key-adopted"
    /// The hub's next keys are on disk, and the hub does not know it.
    case hubKeysKept = "hub-keys-kept"
    case hubKeysAdopted = "hub-keys-adopted"

    private static let wanted: (point: CrashPoint, pass: Int)? = {
        guard let text = ProcessInfo.processInfo.environment["WAYBILL_CRASH_AT"] else { return nil }
        let parts = text.split(separator: ":")
        guard parts.count == 2, let point = CrashPoint(rawValue: String(parts[0])), let pass = Int(parts[1]) else {
            return nil
        }
        return (point, pass)
    }()

    private static let passes = Atomic(0)

    /// Told of every passing by whoever runs our code in steps; nil in every real process.
    package static let observer = ThreadBound<@Sendable (CrashPoint) -> Void>()

    /// Marks that the process is here.
    public func pass() {
        CrashPoint.observer.value?(self)
        guard let wanted = CrashPoint.wanted, wanted.point == self else { return }
        if CrashPoint.passes.add(1, ordering: .relaxed).newValue == wanted.pass { kill(getpid(), SIGKILL) }
    }
}
