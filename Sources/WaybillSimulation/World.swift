import Foundation
import GRDB
import Logging
import WaybillAgent
import WaybillApply
import WaybillDatabase
import WaybillFaultDisk
import WaybillHub
import WaybillJobs
import WaybillModel
import WaybillSessions
import WaybillWire

/// One headquarters, its stores and the lines between them, in one thread with a clock of its own.
///
/// What runs in it is the product: the hub's turns, desks and publisher, the agents' cores, workers and appliers, over
/// real SQLite databases on simulated disks, with letters that are really encoded and packages that are real files.
///
/// Sendable although it is not: a world belongs to the one thread that runs it, and the closures that it hands to the
/// hub and to agents are called on that thread alone.
final class World: @unchecked Sendable {
    let schedule: Schedule
    let mixture: Mixture
    var chance: Chance
    /// Draws of the product itself: names, incarnations.
    var productChance: Chance
    var now: Int64 = 0
    var agenda = Agenda<Event>()
    let folder: SimulationFolder
    var stores: [StoreID]
    let jobs: [Job]
    var jobIDs: [JobID] { jobs.map(\.id) }
    let signingKey: SigningKey
    /// Messages that a turn of the hub takes in; nil for as many as a real one. With few, turns are written while the next
    /// ones are taken in.
    let hubBatchMax: Int?

    // Headquarters.
    let hq: Headquarters
    let hubDisk: FaultDisk
    let hubHome: HubHome
    var hub: SteppedHub?
    var hubLife = 0
    var hubClockError: Int64 = 0
    var hubProcessError: Int64 = 0
    var isTurnDue = false
    var isHubWorkDue = false
    var admitted: Set<String> = []
    var shutOutAt: [String: Int64] = [:]
    var hubBackups: [HubBackup] = []

    // Stores and lines.
    var machines: [Machine] = []
    var lines: [Int: Line] = [:]
    var lineCount = 0

    // The course of things.
    var isRough = true
    var stepsLeft: Int
    var phase = Phase.rough
    var phaseDeadline: Int64 = .max
    /// Who is executing product code at present, so that crash points know whom to kill.
    var running: Running?
    var checker = Checker()
    var injected: [String: Int] = [:]
    var marks: [String: Int] = [:]
    var traceHash: UInt64 = 0xcbf2_9ce4_8422_2325
    var eventCount = 0
    var trace: [String] = []
    var isDone = false
    let sabotage: Sabotage?
    let logger: Logger
    let logLines: TraceLines?

    enum Phase { case rough, settling, final }
    enum Running { case hub, machine(Machine) }

    struct Line {
        var machine: Machine
        var life: Int
        var isOpen = true
        /// Until then nothing gets through in this direction, and nobody notices.
        var deafToHubUntil: Int64 = 0
        var deafToAgentUntil: Int64 = 0
        var lastToHub: Int64 = 0
        var lastToAgent: Int64 = 0
    }

    struct HubBackup {
        var hub: DiskImage
        var rows: DiskImage
        var hq: DiskImage
        var model: LittleChain
        var sessions: Set<SessionID>
    }

    enum Event {
        case hubStart
        case hubTurn(life: Int)
        case hubWork(life: Int)
        case agentStart(Machine)
        case agentStep(Machine, life: Int)
        case agentTick(Machine, life: Int)
        case agentWork(Machine, life: Int)
        case connect(Machine, life: Int)
        case lineLost(Machine, life: Int)
        case toHub(Int, [UInt8])
        case toAgent(Int, [UInt8])
        case announced(Machine, life: Int, [UInt8])
        case enrol(Machine)
        case enrolled(Machine, [UInt8])
        case meddle
        case relief(Relief)
        case look
    }

    /// The end of a trouble that lasts.
    enum Relief {
        case hubDisk
        case machineDisk(Machine)
        case uncut(Machine)
        case unplug(Machine)
    }

    static let helloSeconds = 6
    /// Moments of meddling in the longest schedule.
    static let stepsMax = 16
    static let start: Int64 = 1_790_000_000_000

    init(_ schedule: Schedule) throws {
        self.schedule = schedule
        mixture = Mixture(seed: schedule.seed, without: schedule.without, focus: schedule.focus)
        chance = Chance(seed: schedule.seed, stream: "world")
        productChance = Chance(seed: schedule.seed, stream: "product")
        sabotage = schedule.sabotage
        folder = try SimulationFolder()
        let count = min(schedule.stores ?? 9, chance.number(2...4))
        stores = (1...count).compactMap(World.storeID)
        // The retail job costs more than all the rest, and its plan is tested elsewhere: some seeds have it.
        let isRetail = schedule.seed % 8 == 0 && schedule.focus == nil
        let style = LittleChain.Style(
            labelsFollow: chance.happens(0.5), labelsAreWhole: chance.happens(0.3),
            limits: mixture.strength(.held) > 0, tryCount: [0, 2, 3, 3][chance.number(0...3)], isRetail: isRetail)
        jobs = LittleChain.definitions(style)
        // Planted bugs meddle with what a turn has written, as soon as it is over.
        var turns = Chance(seed: schedule.seed, stream: "turns")
        hubBatchMax = schedule.sabotage == nil ? [nil, nil, 1, 2, 5][turns.number(0...4)] : nil
        signingKey = try SigningKey(rawBytes: (0..<32).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) })
        hubHome = HubHome(at: folder.path + "/hub")
        try DurableFile.createFolder(hubHome.path)
        try DurableFile.createFolder(hubHome.packages)
        hubDisk = FaultDisk(seed: schedule.seed)
        hq = try Headquarters(
            path: hubHome.hqDatabase, disk: FaultDisk(seed: schedule.seed &+ 1),
            image: Templates.headquarters(isRetail: isRetail),
            model: LittleChain(retail: isRetail ? RetailRange() : nil))
        for path in [hubHome.hubDatabase, hubHome.rowsDatabase] { try hubDisk.claim(path) }
        try hubDisk.install(Templates.hub(), at: hubHome.hubDatabase)
        hubDisk.remove(hubHome.rowsDatabase)
        stepsLeft = min(schedule.steps ?? .max, chance.number(5...World.stepsMax))
        let lines = schedule.keepsTrace ? TraceLines() : nil
        logLines = lines
        logger = Logger(label: "simulation") { _ -> any LogHandler in
            if let lines { TraceLog(lines) } else { SwiftLogNoOpLogHandler() }
        }
        for store in stores { try machines.append(makeMachine(store)) }
    }

    /// Stores that there may be in the end.
    static let storesMax = 5
    static func storeID(_ number: Int) -> StoreID? { StoreID("S\(number)") }

    func makeMachine(_ store: StoreID) throws -> Machine {
        let number = machines.count
        let key = try publicKey((0..<32).map { _ in UInt8(truncatingIfNeeded: chance.next()) })
        return try Machine(
            number: number, store: store, key: key, folder: folder.path + "/m\(number)",
            disk: FaultDisk(seed: schedule.seed &+ UInt64(number) &+ 2), image: Templates.store(store))
    }

    // MARK: the loop

    func run() {
        CrashPoint.observer.withValue({ [unowned self] in passed($0) }) {
            let still = ContinuousClock.now
            LockTimer.clock.withValue({ still }) { DurableFile.freeBytesEverywhere.withValue(1 << 40) { live() } }
        }
        closeAll()
    }

    private func live() {
        begin()
        while !isDone, checker.violation == nil, let (at, event) = agenda.next() {
            now = max(now, at)
            eventCount += 1
            handle(event)
            if eventCount > 200_000 { checker.violate("the schedule does not come to an end") }
        }
    }

    private func begin() {
        do {
            try hq.write { model in
                var statements = model.begin(&chance)
                for store in stores { statements += model.add(store, &chance) }
                for _ in 0..<3 { statements += model.edit(&chance) }
                return statements
            }
        } catch { checker.violate("the world could not be made: \(error)") }
        startHub()
        for machine in machines { giveCode(machine) }
        for machine in machines { agenda.add(.agentStart(machine), at: now + chance.milliseconds(1...200)) }
        agenda.add(.meddle, at: 1000)
        agenda.add(.look, at: 2000)
    }

    private func handle(_ event: Event) {
        switch event {
        case .hubStart:
            mix(1, 0)
            startHub()
        case .hubTurn(let life):
            mix(2, life)
            if life == hubLife { hubTurn() }
        case .hubWork(let life):
            mix(3, life)
            if life == hubLife { hubWork() }
        case .agentStart(let machine):
            mix(4, machine.number)
            start(machine)
        case .agentStep(let machine, let life):
            mix(5, machine.number)
            if machine.life == life { step(machine) }
        case .agentTick(let machine, let life): if machine.life == life { tick(machine) }
        case .agentWork(let machine, let life):
            mix(6, machine.number)
            if machine.life == life { work(machine) }
        case .connect(let machine, let life): if machine.life == life { connect(machine) }
        case .lineLost(let machine, let life):
            if machine.life == life, let agent = machine.agent {
                tellLoss(machine, agent)
                stepSoon(machine)
            }
        case .toHub(let line, let frame): arriveAtHub(line, frame)
        case .toAgent(let line, let frame): arriveAtAgent(line, frame)
        case .announced(let machine, let life, let frame):
            if machine.life == life, let agent = machine.agent {
                agent.hearAnnouncement(frame)
                stepSoon(machine)
            }
        case .enrol(let machine): enrol(machine)
        case .enrolled(let machine, let frame): enrolled(machine, frame)
        case .meddle: meddle()
        case .relief(let relief): relieve(relief)
        case .look: look()
        }
    }

    // MARK: bookkeeping

    func note(_ text: @autoclosure () -> String) {
        guard let logLines else { return }
        for line in logLines.take() { trace.append("\(now)     \(line)") }
        trace.append("\(now) \(text())")
    }

    func inject(_ trouble: Trouble) { injected[trouble.rawValue, default: 0] += 1 }
    func mark(_ name: String) { marks[name, default: 0] += 1 }

    /// Whether a trouble strikes here; its probability is the strength of this seed times `rate`.
    func strikes(_ trouble: Trouble, _ rate: Double) -> Bool {
        guard isRough else { return false }
        let strength = mixture.strength(trouble)
        return strength > 0 && chance.happens(strength * rate)
    }

    func mix(_ kind: Int, _ value: Int) {
        traceHash = (traceHash ^ UInt64(truncatingIfNeeded: kind &* 31 &+ value)) &* 0x100_0000_01b3
        traceHash = (traceHash ^ UInt64(bitPattern: now)) &* 0x100_0000_01b3
    }

    func mix(_ frame: [UInt8]) {
        var hash = traceHash ^ UInt64(frame.count)
        for byte in stride(from: 0, to: frame.count, by: max(1, frame.count / 64)) {
            hash = (hash ^ UInt64(frame[byte])) &* 0x100_0000_01b3
        }
        traceHash = hash
    }

    private func closeAll() {
        hub?.close()
        hub = nil
        for machine in machines {
            machine.agent?.close()
            machine.agent = nil
        }
        hq.close()
        agenda = Agenda()
        lines = [:]
    }

    /// The code passes a point at which a process may die.
    private func passed(_ point: CrashPoint) {
        switch running {
        case .hub:
            guard strikes(.hubKilled, 0.03) else { return }
            note("hub dies at \(point.rawValue)")
            inject(.hubKilled)
            mark("hub died at \(point.rawValue)")
            hubDisk.crash(.killed)
        case .machine(let machine):
            guard strikes(.agentKilled, 0.05) else { return }
            note("m\(machine.number) dies at \(point.rawValue)")
            inject(.agentKilled)
            mark("agent died at \(point.rawValue)")
            machine.disk.crash(.killed)
        case nil: break
        }
    }
}
