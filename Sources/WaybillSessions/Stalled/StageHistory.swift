import WaybillModel

/// Bounds of what counts as stalled, each with its reason.
public enum StallLimits {
    /// A delivery is not stalled before it has taken this many times what is usual: lines and disks have bad days.
    public static let slack = 3.0
    /// Of what was seen, the share that is usual.
    public static let usualShare = 0.95
    /// Fewer durations than this say nothing: those of all stores are taken instead, and then the defaults below.
    public static let samplesMin = 5
    /// A store whose download took longer than this per MiB had a broken line, not a slow one.
    public static let downloadBytesMin: Int64 = 256 * 1024
    /// Smaller applies say how long a commit takes, not how long rows do.
    public static let applyRowsMin: Int64 = 2_000
    /// Milliseconds for a download of nothing; its bytes come on top.
    static let base: Int64 = 60_000
    /// Bytes a second of a line of which nothing is known: a modem's share.
    static let unknownBytesPerSecond: Int64 = 16 * 1024
    /// Rows a second of a store of which nothing is known.
    static let unknownRowsPerSecond: Int64 = 500
    /// The longest pause of an agent before it tries again by itself, and its jitter: 15 min and a quarter.
    static let retryPause: Int64 = 20 * 60 * 1000

    /// Milliseconds after which somebody shall look in any case, however long it used to take.
    static func ceiling(_ stage: DeliveryStage) -> Int64 {
        switch stage {
        case .request, .cancel, .report: 15 * 60 * 1000
        case .download, .apply: 60 * 60 * 1000
        }
    }
}

/// Durations of one stage, as counts in classes that grow by the square root of two: small, robust against a single
/// odd one, and forgetful, so that a line that was changed is soon known as it is now.
public struct StageHistory: Hashable, Sendable {
    /// Up to 2^24 of a unit.
    public static let classes = 48
    /// Then all counts are halved: what was seen longest ago counts least.
    static let countMax = 128

    private var counts: [UInt8]

    public init() { counts = [UInt8](repeating: 0, count: StageHistory.classes) }

    /// nil unless they are counts that an equal value gave as `bytes`.
    public init?(bytes: [UInt8]) {
        guard bytes.count == StageHistory.classes else { return nil }
        counts = bytes
    }

    public var bytes: [UInt8] { counts }
    public var count: Int { counts.reduce(0) { $0 + Int($1) } }

    /// What the stage took for each of its units (see ``unit(_:)``); samples too small to say anything are left out.
    public mutating func add(_ sample: StageSample) {
        guard let cost = StageHistory.cost(sample) else { return }
        if count >= StageHistory.countMax { counts = counts.map { $0 / 2 } }
        counts[StageHistory.index(cost)] += 1
    }

    /// The cost that `StallLimits.usualShare` of the samples did not exceed; nil with too few of them.
    public var usual: Double? {
        guard count >= StallLimits.samplesMin else { return nil }
        let wanted = Double(count) * StallLimits.usualShare
        var seen = 0.0
        for (index, count) in counts.enumerated() {
            seen += Double(count)
            if seen >= wanted { return StageHistory.top(index) }
        }
        return StageHistory.top(StageHistory.classes - 1)
    }

    // MARK: units

    /// Whether anything is learnt from a sample.
    static func isTelling(_ sample: StageSample) -> Bool { cost(sample) != nil }

    /// Milliseconds, or milliseconds for each MiB or each 1,000 rows.
    private static func cost(_ sample: StageSample) -> Double? {
        let milliseconds = Double(max(0, sample.milliseconds))
        switch sample.stage {
        case .request, .cancel: return milliseconds
        case .download:
            guard sample.bytes >= StallLimits.downloadBytesMin else { return nil }
            return milliseconds / (Double(sample.bytes) / 1_048_576)
        case .apply:
            guard sample.rows >= StallLimits.applyRowsMin else { return nil }
            return milliseconds / (Double(sample.rows) / 1000)
        case .report: return nil
        }
    }

    /// The largest power of √2 that is not above the cost, without floating-point logarithms: the same everywhere.
    private static func index(_ cost: Double) -> Int {
        var index = 0
        while index < classes - 1, top(index) < cost { index += 1 }
        return index
    }

    private static func top(_ index: Int) -> Double {
        let whole = Double(Int64(1) << Int64(index / 2))
        return index.isMultiple(of: 2) ? whole : whole * 1.414_213_562_373_095_1
    }

    // MARK: what to expect

    /// Milliseconds within which the delivery should come forward, from what is known of the store, else of all stores.
    /// - Parameter floor: nobody is told before; longer than a few hellos.
    public static func expected(
        _ entry: StageWatch.Entry, store: StageHistory?, all: StageHistory?, floor: Int64
    ) -> Int64 {
        let usual = store?.usual ?? all?.usual
        let known: Double?
        switch entry.stage {
        case .request, .cancel, .report: known = usual
        case .download: known = usual.map { $0 * Double(entry.bytes) / 1_048_576 }
        case .apply: known = usual.map { $0 * Double(entry.rows) / 1000 }
        }
        var milliseconds: Int64
        if let known {
            milliseconds = Int64(min(known * StallLimits.slack, Double(StallLimits.ceiling(entry.stage))))
        } else {
            milliseconds = unknown(entry)
        }
        if entry.stage == .request, entry.isRetry { milliseconds = max(milliseconds, StallLimits.retryPause) }
        let ceiling = max(StallLimits.ceiling(entry.stage), entry.isRetry ? StallLimits.retryPause : 0)
        return max(floor, min(milliseconds, ceiling))
    }

    private static func unknown(_ entry: StageWatch.Entry) -> Int64 {
        switch entry.stage {
        case .request, .cancel, .report: StallLimits.base
        case .download: StallLimits.base + entry.bytes * 1000 / StallLimits.unknownBytesPerSecond
        case .apply: StallLimits.base + entry.rows * 1000 / StallLimits.unknownRowsPerSecond
        }
    }
}
