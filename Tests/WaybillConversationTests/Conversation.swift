import Foundation
import GRDB
import WaybillAgent
import WaybillHub
import WaybillJobs
import WaybillModel
import WaybillWire

@testable import WaybillSessions

/// One run of a store: what can be applied, called off, once.
struct Call: Hashable, CustomStringConvertible {
    var store: StoreID
    var session: SessionID
    var run: Int

    init(_ store: StoreID, _ session: SessionID, _ run: Int) {
        self.store = store
        self.session = session
        self.run = run
    }
    var description: String { "\(store), session \(session), run \(run)" }
}

/// A hub and its stores in one thread, over a network and with a clock that a seed decides.
///
/// First everything goes wrong that can; then nothing more does, and all must come right with no one's help.
final class Conversation {
    static let helloSeconds = 4
    static let signingKey = SigningKey()
    static let agentSettings = AgentSettings(
        agentVersion: "1.0", helloSeconds: helloSeconds, bytesPerSecond: 0, retryMilliseconds: 1000,
        verifyingKey: signingKey.verifyingKey)

    enum Happening {
        case toHub(AgentLetter, line: Int)
        case toAgent(StoreID, line: Int, HubLetter)
        case announced(StoreID, Int, SessionID)
        case tick(StoreID, life: Int)
        case connects(StoreID, life: Int)
        case disconnects(StoreID, life: Int)
        case works(StoreID, life: Int)
        case answers(StoreID, life: Int, AgentEvent)
        case agentStarts(StoreID)
        case hubTurn(run: UInt64)
        case publisher(run: UInt64)
        case published(run: UInt64, HubOrder?)
        case hubStarts
        case meddling
        case mended(StoreID)
    }

    let jobs: [JobID]
    var chance: Chance
    /// For what came later: stories of old seeds stay as they were, as far as it does not matter to them.
    var secondChance: Chance
    /// Order and windows of the jobs.
    let rules: [JobID: DeliveryRules]
    var now: Int64 = 1_000_000
    var agenda = Agenda<Happening>()
    var headquarters: Headquarters
    var database = HubDatabase()
    /// Older copies of it.
    var databaseCopies: [HubDatabase] = []
    var hub: HubProcess?
    var agents: [StoreID: Agent] = [:]
    var linesMade = 0
    var packagesMade = 0
    /// The rows of a job after a package, whoever still knows of it.
    var rowsOf: [PackageID: Int] = [:]
    /// Things go wrong.
    var isRough = true
    /// The hub was restored: it may have forgotten what it was told.
    var isForgetful = false
    /// Runs of which somebody was told that they will never be applied.
    var promised: Set<Call> = []
    var appliedEver: Set<Call> = []
    /// What must not have happened.
    var faults: [String] = []
    private(set) var story: [String] = []
    private let isTold: Bool

    init(seed: UInt64, isTold: Bool = false, hasRules: Bool = true) throws {
        chance = Chance(seed: seed)
        secondChance = Chance(seed: seed &+ 1 << 32)
        self.isTold = isTold
        jobs = ["prices", "assortments"].prefix(Int(chance.number(1...2))).compactMap(JobID.init)
        rules = hasRules ? Conversation.rules(of: jobs, &secondChance) : [:]
        headquarters = Headquarters(jobs: jobs)
        for number in 1...Int(chance.number(2...3)) {
            guard let store = StoreID("S\(number)") else { continue }
            database.stores[store] = try Conversation.record(store)
            let agent = Agent(store: store)
            agents[store] = agent
            start(agent)
        }
        startHub()
        agenda.add(.meddling, at: now + 1000)
    }

    /// Sometimes the first job follows the second; sometimes it has a window, which opens near the end of the rough time.
    private static func rules(of jobs: [JobID], _ chance: inout Chance) -> [JobID: DeliveryRules] {
        var rules = DeliveryRules()
        if jobs.count > 1, chance.happens(0.4) { rules.follows = Set(jobs.dropFirst()) }
        if chance.happens(0.3) {
            // Stories begin at 00:16:40 by UTC; the clocks of hub and stores are up to 2 minutes ahead.
            let window = DayWindow(from: .init(hour: 0, minute: 18), to: .init(hour: 0, minute: 0))
            rules.window = DeliveryWindow(window: window, clock: chance.happens(0.5) ? .hub : .store)
        }
        return jobs.first.map { [$0: rules] } ?? [:]
    }

    /// What a wall clock is ahead of UTC: set forth and back while things go wrong, and right afterwards.
    func utcOffset() -> Int { isRough ? Int(secondChance.number(0...2)) : 0 }

    static func record(_ store: StoreID) throws -> StoreRecord? {
        StoreRecord(
            Row([
                "store_id": store.rawValue, "state": "active", "public_key": Data([1]), "machine": "",
                "agent_version": "", "counter": 0, "random": 0, "sequence": 0, "last_seen": nil, "message": "",
            ]))
    }

    /// Never by a dictionary's order, which no seed decides.
    var agentsInOrder: [Agent] { agents.values.sorted { $0.store < $1.store } }

    func note(_ line: @autoclosure () -> String) {
        if isTold { story.append("\(now - 1_000_000) \(line())") }
    }

    /// Whether this goes wrong, in `share` of all cases while things do.
    func mischief(_ share: Double) -> Bool { isRough && chance.happens(share) }

    /// Over the network: late, lost, twice, out of order.
    func carry(_ make: () -> Happening) {
        if mischief(0.03) { return }
        let isSlow = mischief(0.05)
        agenda.add(make(), at: now + chance.number(1...(isSlow ? 6000 : 80)))
        if mischief(0.03) { agenda.add(make(), at: now + chance.number(1...3000)) }
    }

    // MARK: time

    /// Runs for so many milliseconds, or until `isOver`, which is asked now and then.
    /// - Returns: whether it is over.
    func run(milliseconds: Int64, until isOver: () -> Bool = { false }) -> Bool {
        let end = now + milliseconds
        var askedAt = now
        while let (at, happening) = agenda.next() {
            if at > end {
                agenda.add(happening, at: at)
                now = end
                return isOver()
            }
            now = at
            happen(happening)
            if now - askedAt >= 1000 {
                askedAt = now
                if isOver() { return true }
            }
        }
        return isOver()
    }

    private func happen(_ happening: Happening) {
        switch happening {
        case .toHub(let letter, let line):
            guard hub != nil else { return }
            hub?.inbox.append((letter, line))
            wakeHub()
        case .toAgent(let store, let line, let letter):
            guard let agent = agents[store], agent.line == line, !agent.isCut else { return }
            handle(agent, .letter(letter))
        case .announced(let store, let life, let session):
            alive(store, life).map { handle($0, .announced(session, spreadMilliseconds: 200)) }
        case .tick(let store, let life):
            guard let agent = alive(store, life) else { return }
            handle(
                agent,
                .tick(Surroundings(freeBytes: 1 << 30, isDownloadWindowOpen: true, utcOffsetMinutes: utcOffset())))
            agenda.add(.tick(store, life: life), at: now + 500)
        case .connects(let store, let life): connected(store, life)
        case .disconnects(let store, let life):
            guard let agent = alive(store, life), agent.line == nil else { return }
            handle(agent, .disconnected)
        case .works(let store, let life): alive(store, life).map(work)
        case .answers(let store, let life, let event): alive(store, life).map { handle($0, event) }
        case .agentStarts(let store): agents[store].map(start)
        case .hubTurn(let run): if hub?.settings.hubRun == run { turn() }
        case .publisher(let run): if hub?.settings.hubRun == run { publishNext() }
        case .published(let run, let answer): if hub?.settings.hubRun == run { published(answer) }
        case .hubStarts: startHub()
        case .meddling: meddle()
        case .mended(let store): agents[store]?.isCut = false
        }
    }

    private func alive(_ store: StoreID, _ life: Int) -> Agent? {
        guard let agent = agents[store], agent.life == life, agent.core != nil else { return nil }
        return agent
    }

    private func connected(_ store: StoreID, _ life: Int) {
        guard let agent = alive(store, life), agent.line == nil else { return }
        guard hub != nil, !agent.isCut else { return connect(agent) }
        linesMade += 1
        agent.line = linesMade
        handle(agent, .connected)
    }
}
