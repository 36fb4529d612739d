import WaybillModel
import WaybillWire

/// How much one store may say. A store that says more is heard as if its line were bad: letters are lost, and a
/// well-behaved agent says again by its own timers what still matters.
struct StoreAllowance {
    /// Units that a store has at most, and gets each second. A chunk request costs one: 1,250 MB/s of the smallest
    /// chunks. All else may need `hub.db`, and costs a hundred: an agent says so much in an hour, not in a second.
    static let unitsMax = 20_000.0
    static let unitsPerSecond = 10_000.0
    static let letterUnits = 100.0
    /// Times that a store may have lost what it had, or stand in another history: each makes a session for it. A store
    /// that is restored again and again is a person at work; a thousand times is a store that wants HQ's disk.
    static let fallsMax = 20.0
    static let fallsPerSecond = 1.0 / 60
    /// New keys that a store may offer: each is a row for good, and a line in the audit log.
    static let keysMax = 20.0
    static let keysPerSecond = 1.0 / 60
    /// Milliseconds between two lines in the log about one store.
    static let logMilliseconds: Int64 = 60_000

    private var units = Bucket(unitsMax, unitsPerSecond)
    private var falls = Bucket(fallsMax, fallsPerSecond)
    private var keys = Bucket(keysMax, keysPerSecond)
    private var ignored = 0
    private var loggedAt: Timestamp?

    /// Whether a letter may be looked at. `complaint` is a line for the log when it is due.
    /// - Parameters:
    ///   - positions: where the store stood before.
    ///   - isKnown: whether a session has a delivery for the store.
    mutating func admits(
        _ letter: AgentLetter, of store: StoreID, beside positions: [JobID: Watermark],
        isKnown: (SessionID) -> Bool = { _ in true }, now: Timestamp
    ) -> (isAdmitted: Bool, complaint: String?) {
        if units.take(letter.isChunkRequest ? 1 : StoreAllowance.letterUnits, at: now) {
            let isTooMuch =
                letter.tellsOfAFall(from: positions, isKnown) && !falls.take(1, at: now)
                || letter.offersAKey && !keys.take(1, at: now)
            guard isTooMuch else { return (true, nil) }
        }
        ignored += 1
        if let at = loggedAt, (0..<StoreAllowance.logMilliseconds).contains(now - at) { return (false, nil) }
        loggedAt = now
        defer { ignored = 0 }
        return (false, "store \(store) says more than a store has to say; ignored messages: \(ignored)")
    }
}

/// Units that come back with time, up to a number.
struct Bucket {
    private let unitsMax: Double
    private let perSecond: Double
    private var units: Double
    private var countedAt: Timestamp?

    init(_ unitsMax: Double, _ perSecond: Double) {
        self.unitsMax = unitsMax
        self.perSecond = perSecond
        units = unitsMax
    }

    var isFull: Bool { units >= unitsMax }

    mutating func take(_ count: Double, at now: Timestamp) -> Bool {
        if let before = countedAt, now > before {
            units = min(unitsMax, units + Double(now - before) / 1000 * perSecond)
        }
        countedAt = now
        guard units >= count else { return false }
        units -= count
        return true
    }
}

extension AgentLetter {
    fileprivate var isChunkRequest: Bool {
        if case .chunkRequest = body { return true }
        return false
    }

    fileprivate var offersAKey: Bool {
        guard case .keys(let notice) = body else { return false }
        return notice.newKey != nil
    }

    /// A hello by which the store has less than it had, or something of another history: what a hub must answer with a
    /// session. A later session that the hub knows is progress.
    fileprivate func tellsOfAFall(from positions: [JobID: Watermark], _ isKnown: (SessionID) -> Bool) -> Bool {
        guard case .hello(let hello) = body else { return false }
        for (job, before) in positions {
            guard let after = hello.watermarks[job], after.version >= before.version else { return true }
        }
        return hello.watermarks.contains { job, mark in positions[job] != mark && !isKnown(mark.session) }
    }
}
