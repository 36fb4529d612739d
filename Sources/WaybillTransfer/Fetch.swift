import WaybillModel

/// Bounds of fetching, each with its reason.
public enum FetchLimits {
    /// Chunks under way at the start: a thin line must not be filled before it has shown what it carries.
    public static let creditStart = 2
    /// Chunks under way at most: at 128 KiB each, 2 MiB fill a line of 100 Mbit/s at 160 ms.
    public static let creditMax = 16
    /// Milliseconds before a chunk is asked for again, at least; then four times what chunks took lately.
    public static let patienceMin: Int64 = 5_000
    /// The same at most: a line of 64 kbit/s needs 16 s for a chunk and must not be asked twice for each.
    public static let patienceMax: Int64 = 120_000
    /// Wrong chunks in a row after which the download counts as failed.
    public static let rejectionsMax = 3
}

/// The receiving side of one package: which chunks are wanted, which are under way, how many may be.
///
/// A value: says what to ask for, is told what came. Credit grows while chunks arrive and is halved when one does not,
/// so that a thin line carries a chunk or two at a time and status messages are never far behind.
public struct Fetch: Sendable {
    public let package: PackageID
    public let chunkCount: Int
    public let chunkBytes: Int
    public let totalBytes: Int64

    /// Chunks that are stored and verified.
    private var held: [Bool]
    private var heldCount = 0
    /// Chunks asked for: when, and whether more than once.
    private var underWay: [Int: (askedAt: Timestamp, isRepeat: Bool)] = [:]
    private var nextUnasked = 0
    private var credit = FetchLimits.creditStart
    private var smoothedTrip: Int64 = 0
    private var rejections = 0
    private var allowance: Allowance

    /// - Parameter held: chunks that an earlier process stored, by index; missing entries count as not held.
    /// - Parameter bytesPerSecond: 0 for no limit.
    public init(
        package: PackageID, totalBytes: Int64, chunkBytes: Int, chunkCount: Int, held: [Bool], bytesPerSecond: Int
    ) {
        self.package = package
        self.totalBytes = totalBytes
        self.chunkBytes = chunkBytes
        self.chunkCount = chunkCount
        self.held = (0..<chunkCount).map { $0 < held.count && held[$0] }
        heldCount = self.held.count { $0 }
        allowance = Allowance(bytesPerSecond: bytesPerSecond)
    }

    public var isComplete: Bool { heldCount == chunkCount }
    /// Too many wrong chunks in a row: something between here and the hub changes them.
    public var isHopeless: Bool { rejections >= FetchLimits.rejectionsMax }
    /// Compressed bytes stored, for progress.
    public var bytesDone: Int64 { min(totalBytes, Int64(heldCount) * Int64(chunkBytes)) }
    /// Whether a chunk is wanted now: it is one of the package and not held.
    public func wants(_ index: Int) -> Bool { index < chunkCount && !held[index] }

    /// The chunks to ask for now: those that are overdue, then new ones as far as credit and allowance go.
    public mutating func due(now: Timestamp) -> [Int] {
        var asked: [Int] = []
        let overdue = underWay.filter { now - $0.value.askedAt >= patience }.map(\.key).sorted()
        if !overdue.isEmpty { credit = max(1, credit / 2) }
        for index in overdue.prefix(credit) {
            underWay[index] = (now, true)
            asked.append(index)
        }
        // Overdue ones beyond the credit go back to those not asked for.
        for index in overdue.dropFirst(credit) {
            underWay[index] = nil
            nextUnasked = min(nextUnasked, index)
        }
        while underWay.count < credit, let index = nextWanted(), allowance.take(chunkBytes, now: now) {
            underWay[index] = (now, false)
            asked.append(index)
            nextUnasked = index + 1
        }
        return asked
    }

    private func nextWanted() -> Int? {
        var index = nextUnasked
        while index < chunkCount {
            if !held[index], underWay[index] == nil { return index }
            index += 1
        }
        return nil
    }

    private var patience: Int64 {
        min(max(4 * smoothedTrip, FetchLimits.patienceMin), FetchLimits.patienceMax)
    }

    /// A chunk arrived, was verified and is stored.
    public mutating func stored(_ index: Int, now: Timestamp) {
        guard wants(index) else { return }
        held[index] = true
        heldCount += 1
        rejections = 0
        guard let request = underWay.removeValue(forKey: index) else { return }
        if !request.isRepeat {
            // A repeated request does not tell which of the two was answered.
            let trip = now - request.askedAt
            smoothedTrip = smoothedTrip == 0 ? trip : (7 * smoothedTrip + trip) / 8
        }
        credit = min(credit + 1, FetchLimits.creditMax)
    }

    /// A chunk arrived whose hash is not the manifest's; it is asked for again.
    public mutating func rejected(_ index: Int) {
        rejections += 1
        underWay[index] = nil
        nextUnasked = min(nextUnasked, index)
    }

    /// The connection is new: whatever was under way will not come.
    public mutating func lineChanged() {
        for index in underWay.keys { nextUnasked = min(nextUnasked, index) }
        underWay = [:]
        credit = FetchLimits.creditStart
    }
}

/// A limit on bytes per second: what may be asked for now, with a second's worth saved up at most.
struct Allowance: Sendable {
    let bytesPerSecond: Int
    private var available: Int64 = 0
    private var refilledAt: Timestamp?

    init(bytesPerSecond: Int) { self.bytesPerSecond = bytesPerSecond }

    /// Whether `bytes` may be asked for; if so they are spent. A chunk larger than a second's worth is let through
    /// once the debt of the last one is paid.
    mutating func take(_ bytes: Int, now: Timestamp) -> Bool {
        guard bytesPerSecond > 0 else { return true }
        if let refilledAt {
            let earned = (now - refilledAt) * Int64(bytesPerSecond) / 1000
            guard available + earned > 0 else { return false }
            available = min(available + earned, Int64(bytesPerSecond))
        } else {
            available = Int64(bytesPerSecond)
        }
        refilledAt = now
        available -= Int64(bytes)
        return true
    }
}
