/// Everything that happens to a hub and its stores beside the routine. Each seed has its own mixture.
public enum Trouble: String, CaseIterable, Sendable {
    // The lines.
    case lost, repeated, reordered, delayed
    case cut
    case halfOpen = "half-open"
    case oneWay = "one-way"
    case deafToAnnouncements = "announcements-lost"
    // Processes and machines.
    case hubKilled = "hub-killed"
    case hubPowerCut = "hub-power-cut"
    case agentKilled = "agent-killed"
    case agentPowerCut = "agent-power-cut"
    // Disks.
    case hubDiskFull = "hub-disk-full"
    case agentDiskFull = "agent-disk-full"
    case hubDiskFails = "hub-disk-fails"
    case agentDiskFails = "agent-disk-fails"
    case packageDamaged = "package-damaged"
    case downloadDamaged = "download-damaged"
    // Clocks.
    case hubClock = "hub-clock"
    case agentClock = "agent-clock"
    // Histories.
    case hubRestored = "hub-restored"
    case hubDatabaseRestored = "hub-db-restored"
    case rowsLost = "rows-db-lost"
    case storeRestored = "store-db-restored"
    case machineRestored = "machine-restored"
    case machineReplaced = "machine-replaced"
    case twins
    // What people do.
    case storeAdded = "store-added"
    case storeMoved = "store-moved"
    case storeRetired = "store-retired"
    case fullPublish = "full-publish"
    case storePublish = "store-publish"
    case canceled, rerun, retried
    case held

    public static let named = Dictionary(
        allCases.map { ($0.rawValue, $0) }, uniquingKeysWith: { first, _ in first })
}

/// The mixture of one seed: how likely each trouble is. 0: it does not happen.
struct Mixture: Sendable {
    private var strengths: [Trouble: Double] = [:]

    init(seed: UInt64, without: Set<Trouble>, focus: [Trouble: Double]?) {
        if let focus {
            strengths = focus.filter { !without.contains($0.key) }
            return
        }
        var chance = Chance(seed: seed, stream: "mixture")
        // Some seeds have little of everything, some much of little: both find what the other does not.
        let density = [0.15, 0.35, 0.6, 0.85][chance.number(0...3)]
        for trouble in Trouble.allCases {
            let isOn = chance.happens(density)
            let strength = Double(chance.number(1...10)) / 10
            if isOn, !without.contains(trouble) { strengths[trouble] = strength }
        }
    }

    func strength(_ trouble: Trouble) -> Double { strengths[trouble] ?? 0 }
    var active: [Trouble] { Trouble.allCases.filter { strengths[$0] != nil } }
}
