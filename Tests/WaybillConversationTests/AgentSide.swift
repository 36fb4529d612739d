import WaybillAgent
import WaybillModel
import WaybillWire

/// One store: its disk, which outlives the agent's process, and the process.
final class Agent {
    let store: StoreID
    // The disk.
    var database = ModelStore()
    /// Chunks of packages that are stored.
    var files: [PackageID: Set<Int>] = [:]
    /// Older copies of the database.
    var copies: [ModelStore] = []
    // The process; `life` counts them.
    var life = 0
    var core: AgentCore?
    var pieces: [Piece] = []
    var isStopRequested = false
    // The line to the hub.
    var line: Int?
    var isCut = false

    enum Piece {
        case open(Manifest)
        case unpack(Manifest)
        case apply(Manifest, run: Int, attempt: Int)
        /// The second half of an apply, for the life that was given leave.
        case commit(Manifest, run: Int, attempt: Int, life: Incarnation)
        case discard(PackageID)
    }

    init(store: StoreID) { self.store = store }
}

extension Conversation {
    func start(_ agent: Agent) {
        guard agent.core == nil else { return }
        agent.life += 1
        agent.database.begin(random: chance.next())
        agent.core = AgentCore(store: agent.store, settings: Conversation.agentSettings, stored: agent.database.state)
        note("\(agent.store) starts, incarnation \(agent.database.incarnation.counter)")
        connect(agent)
        agenda.add(.tick(agent.store, life: agent.life), at: now + 500)
    }

    func kill(_ agent: Agent) {
        guard agent.core != nil else { return }
        note("\(agent.store) dies")
        agent.core = nil
        agent.line = nil
        agent.pieces = []
        agenda.add(.agentStarts(agent.store), at: now + chance.number(50...4000))
    }

    func connect(_ agent: Agent) {
        agenda.add(.connects(agent.store, life: agent.life), at: now + chance.number(5...300))
    }

    /// The line is gone; whether the agent is told is another matter.
    func breakLine(of agent: Agent, noticed: Bool) {
        guard agent.line != nil else { return }
        agent.line = nil
        if noticed {
            agenda.add(.disconnects(agent.store, life: agent.life), at: now + chance.number(1...200))
            connect(agent)
        }
    }

    func handle(_ agent: Agent, _ event: AgentEvent) {
        var events = [event]
        let life = agent.life
        while !events.isEmpty {
            guard let effects = agent.core?.step(events.removeFirst(), now: Timestamp(milliseconds: now)) else {
                return
            }
            for effect in effects {
                if mischief(0.001) { kill(agent) }
                guard agent.core != nil, agent.life == life else { return }
                if let answer = run(effect, agent) { events.append(answer) }
            }
        }
    }

    private func run(_ effect: AgentEffect, _ agent: Agent) -> AgentEvent? {
        let time = Timestamp(milliseconds: now)
        switch effect {
        case .send(let letter):
            if let line = agent.line { carry { .toHub(letter, line: line) } }
        case .reconnect:
            note("\(agent.store) connects anew")
            agent.line = nil
            connect(agent)
            handle(agent, .disconnected)
        case .keys: break  // keys are no part of this network
        case .open(let manifest): add(.open(manifest), agent)
        case .storeChunk(let package, let index, _):
            guard agent.core?.task?.manifest?.id == package else { return nil }
            if mischief(0.02) { return .chunkRejected(package, index: index) }
            agent.files[package, default: []].insert(index)
            return .chunkStored(package, index: index)
        case .unpack(let manifest): add(.unpack(manifest), agent)
        case .apply(let manifest, let run, let attempt):
            agent.isStopRequested = false
            add(.apply(manifest, run: run, attempt: attempt), agent)
        case .stopApplying: agent.isStopRequested = true
        case .discard(let package): add(.discard(package), agent)
        case .record(let session, let job, let run, let attempt, let outcome, let message, let isTransient):
            agent.database.report(
                AgentCore.RunName(session, run), job: job, attempt: attempt, outcome, at: time, message: message,
                isTransient: isTransient)
            return .stored(agent.database.state)
        case .recordCancel(let order):
            agent.database.cancel(order, at: time)
            return .stored(agent.database.state)
        case .acknowledge(let names):
            agent.database.acknowledge(names)
            return .stored(agent.database.state)
        case .readStored: return .stored(agent.database.state)
        case .forgetOutcomes: return .outcomesForgotten(isAll: true)
        case .raiseIncarnation(let counter):
            agent.database.begin(above: counter, random: chance.next())
            return .stored(agent.database.state)
        // Nobody asks in this conversation.
        case .examine: break
        case .quarantine: return .quarantineRead(QuarantineReport(), agent.database.state)
        case .log(let text, _): note("  \(agent.store): \(text)")
        }
        return nil
    }

    // MARK: the worker

    private func add(_ piece: Agent.Piece, _ agent: Agent) {
        agent.pieces.append(piece)
        if agent.pieces.count == 1 { workLater(agent) }
    }

    private func workLater(_ agent: Agent) {
        agenda.add(.works(agent.store, life: agent.life), at: now + chance.number(1...400))
    }

    /// Ends the piece at hand. Its answer reaches the wire thread later, and may then be out of date.
    func work(_ agent: Agent) {
        guard !agent.pieces.isEmpty else { return }
        var answer: AgentEvent?
        switch agent.pieces.removeFirst() {
        case .open(let manifest):
            agent.files = agent.files.filter { $0.key == manifest.id }
            let held = agent.files[manifest.id, default: []]
            answer = .opened(manifest.id, held: manifest.chunkHashes.indices.map(held.contains))
            if mischief(0.03) { answer = fault(manifest, .download) }
        case .unpack(let manifest):
            let isWhole = agent.files[manifest.id]?.count == manifest.chunkHashes.count
            answer = isWhole && !mischief(0.03) ? .unpacked(manifest.id) : fault(manifest, .download)
        case .apply(let manifest, let run, let attempt): answer = beginApply(manifest, run, attempt, agent)
        case .commit(let manifest, let run, let attempt, let life):
            if mischief(0.02) { return kill(agent) }
            answer = commit(manifest, run, attempt, life, agent)
            if mischief(0.02) { return kill(agent) }
        case .discard(let package): agent.files[package] = nil
        }
        if let answer {
            agenda.add(.answers(agent.store, life: agent.life, answer), at: now + chance.number(0...50))
        }
        if !agent.pieces.isEmpty { workLater(agent) }
    }

    private func fault(_ manifest: Manifest, _ stage: AgentFault.Stage) -> AgentEvent {
        .failed(manifest.id, AgentFault(stage: stage, message: "a test", isTransient: chance.happens(0.7)))
    }

    private func beginApply(_ manifest: Manifest, _ run: Int, _ attempt: Int, _ agent: Agent) -> AgentEvent? {
        let life = agent.database.incarnation
        switch agent.database.leave(manifest, run: run, life: life) {
        case .apply:
            if mischief(0.06) { return fault(manifest, .apply) }
            agent.pieces.insert(.commit(manifest, run: run, attempt: attempt, life: life), at: 0)
            return nil
        case .isApplied(let mark): return applied(again: mark, manifest, run, attempt, agent)
        case .isPromised(let at):
            agent.database.report(
                AgentCore.RunName(manifest.session, run), job: manifest.job, attempt: attempt, .canceled, at: at)
            agenda.add(.answers(agent.store, life: agent.life, .stored(agent.database.state)), at: now)
            return stale(manifest, "called off")
        case .refused(let why): return stale(manifest, why)
        }
    }

    private func commit(
        _ manifest: Manifest, _ run: Int, _ attempt: Int, _ life: Incarnation, _ agent: Agent
    ) -> AgentEvent {
        if agent.isStopRequested { return stale(manifest, "called off") }
        switch agent.database.leave(manifest, run: run, life: life) {
        case .apply: break
        case .isApplied(let mark): return applied(again: mark, manifest, run, attempt, agent)
        case .isPromised: return stale(manifest, "called off")
        case .refused(let why): return stale(manifest, why)
        }
        inspect(manifest, run, agent)
        guard let rows = rowsOf[manifest.id] else { return stale(manifest, "no such package") }
        agent.database.apply(manifest, rows: rows, run: run, attempt: attempt, at: Timestamp(milliseconds: now))
        appliedEver.insert(Call(agent.store, manifest.session, run))
        note("\(agent.store) applies \(manifest.session) run \(run), \(manifest.kind), version \(manifest.version)")
        return .applied(AgentCore.RunName(manifest.session, run), agent.database.state)
    }

    private func applied(
        again mark: Watermark, _ manifest: Manifest, _ run: Int, _ attempt: Int, _ agent: Agent
    ) -> AgentEvent {
        agent.database.reportAgain(
            manifest, run: run, attempt: attempt, watermark: mark, at: Timestamp(milliseconds: now))
        return .applied(AgentCore.RunName(manifest.session, run), agent.database.state)
    }

    private func stale(_ manifest: Manifest, _ why: String) -> AgentEvent {
        .failed(manifest.id, AgentFault(stage: .apply, message: why, isStale: true))
    }
}
