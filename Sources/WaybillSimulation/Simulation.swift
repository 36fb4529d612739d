import WaybillFaultDisk

/// One schedule: a seed, and what shrinking has left of it.
public struct Schedule: Sendable {
    public var seed: UInt64
    public var without: Set<Trouble>
    /// Moments at which somebody or something meddles, at most; nil for as many as the seed says.
    public var steps: Int?
    /// Stores at most.
    public var stores: Int?
    /// Nothing but these, as strongly as this; nil for the mixture of the seed.
    public var focus: [Trouble: Double]?
    public var sabotage: Sabotage?
    /// Whether what happens is written down line by line.
    public var keepsTrace: Bool

    public init(
        seed: UInt64, without: Set<Trouble> = [], steps: Int? = nil, stores: Int? = nil, sabotage: Sabotage? = nil,
        focus: [Trouble: Double]? = nil, keepsTrace: Bool = false
    ) {
        self.seed = seed
        self.without = without
        self.steps = steps
        self.stores = stores
        self.sabotage = sabotage
        self.focus = focus ?? sabotage?.focus
        self.keepsTrace = keepsTrace
    }

    /// What to type to see it again.
    public var replayCommand: String {
        var words = ["waybill-sim", "--replay", String(seed)]
        if !without.isEmpty { words += ["--without", without.map(\.rawValue).sorted().joined(separator: ",")] }
        if let steps { words += ["--steps", String(steps)] }
        if let stores { words += ["--stores", String(stores)] }
        if let sabotage { words += ["--plant", sabotage.rawValue] }
        return words.joined(separator: " ")
    }
}

/// What came of a schedule.
public struct Verdict: Sendable {
    public var schedule: Schedule
    /// One sentence; nil when everything was as it must be.
    public var violation: String?
    /// How often each trouble was really injected.
    public var injected: [String: Int]
    /// What was passed through on the way.
    public var marks: [String: Int]
    public var virtualMilliseconds: Int64
    public var events: Int
    /// Sessions applied.
    public var applied: Int
    /// Equal for equal courses.
    public var traceHash: UInt64
    public var trace: [String]
}

public enum Simulation {
    /// Runs one schedule to its end.
    /// - Throws: when the world cannot be made: no room for its files.
    public static func run(_ schedule: Schedule) throws -> Verdict {
        try FaultDisk.install()
        let world = try World(schedule)
        world.run()
        return Verdict(
            schedule: schedule, violation: world.checker.violation, injected: world.injected, marks: world.marks,
            virtualMilliseconds: world.now, events: world.eventCount, applied: world.checker.appliedCount,
            traceHash: world.traceHash, trace: world.trace)
    }
}
