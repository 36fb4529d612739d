import Foundation
import WaybillAgent
import WaybillModel
import WaybillSessions
import WaybillWire

@testable import WaybillHub

/// Thousands of agents and a hub, on a network that loses nothing and only takes its time.
final class Storm {
    static let chunks = 3

    enum Happening {
        case starts(Int)
        case connects(Int)
        case tick(Int)
        case toHub(Int, AgentLetter, line: Int)
        case toAgent(Int, HubLetter, line: Int)
        case answers(Int, AgentEvent)
        case turn
    }

    struct Store {
        let id: StoreID
        var database = ModelStore()
        var core: AgentCore?
        var line = 0
    }

    var now: Int64 = 1_000_000
    var offerAtStart = true
    private var agenda = Agenda<Happening>()
    private var chance: Chance
    private var stores: [Store] = []
    // The hub.
    private var desks: [Int: Desk] = [:]
    private var records: [StoreRecord] = []
    private var positions: [[JobID: Watermark]]
    private var deliveries: [Delivery?]
    private var admission = HelloAdmission<Int>()
    private var hellos: [Int: (AgentLetter, line: Int)] = [:]
    private var settings: DeskSettings
    private let package: HubDatabase.Package
    private let manifest: Manifest
    private let job: JobID
    // What is counted.
    private(set) var calamityAt: Int64 = 0
    private(set) var welcomedAt: [Int: Int64] = [:]
    /// Hellos taken in, by second.
    private(set) var hellosBySecond: [Int64: Int] = [:]
    private(set) var grantsBySecond: [Int64: Int] = [:]
    private(set) var chunksSent: [Int: Int] = [:]
    private(set) var applied: Set<Int> = []
    private(set) var waitingMax = 0

    var rate: Int64 { admission.rate }

    init(stores count: Int, seed: UInt64) throws {
        chance = Chance(seed: seed)
        settings = DeskSettings(hubRun: 1, helloSeconds: 30, offlineAfterMilliseconds: 90_000)
        settings.startSpreadMilliseconds = count
        guard let job = JobID("prices"), let id = PackageID([UInt8](repeating: 7, count: 32)) else { throw Missing() }
        self.job = job
        let session = SessionID(number: 1, random: 1)
        manifest = Manifest(
            job: job, session: session, version: Version(epoch: 1, number: 5), kind: .full, bases: [],
            tables: [
                PackageTable(
                    shape: TableShape(name: "t", columns: [ColumnShape("id", .integer)], key: ["id"]), rows: 1,
                    removed: 0)
            ],
            created: Timestamp(milliseconds: 0), id: id, bytes: Int64(Storm.chunks * 100), chunkBytes: 100,
            chunkHashes: (0..<Storm.chunks).map { _ in id }, rawSHA256: id, rawBytes: 1)
        let bytes = try manifest.encoded()
        package = HubDatabase.Package(
            ref: PackageRef(id: id, kind: .full, bases: [], rows: 1, bytes: manifest.bytes), signedBytes: bytes,
            signature: try Conversation.signingKey.sign(manifest: bytes))
        positions = Array(repeating: [:], count: count)
        deliveries = Array(repeating: nil, count: count)
        for number in 0..<count {
            guard let id = StoreID("S\(number)"), let record = try Conversation.record(id) else { throw Missing() }
            stores.append(Store(id: id))
            records.append(record)
        }
        agenda.add(.turn, at: now)
    }

    struct Missing: Error {}

    private func delivery(_ number: Int) -> Delivery {
        Delivery(
            session: manifest.session, store: stores[number].id, job: job, version: manifest.version,
            package: package.ref)
    }

    // MARK: what happens to the chain

    /// Everybody starts, as after a power cut.
    func startAll(within milliseconds: Int64) {
        calamityAt = now
        for number in stores.indices {
            if offerAtStart { deliveries[number] = delivery(number) }
            agenda.add(.starts(number), at: now + chance.number(0...milliseconds))
        }
    }

    func offerToAll() {
        for number in stores.indices {
            withDesk(number) { $0.step(.offered(self.delivery(number)), now: self.time) }
        }
    }

    /// What was in the hub's memory is gone; the lines break, and are made anew.
    func restartHub(reconnectingWithin milliseconds: Int64) throws {
        calamityAt = now
        welcomedAt = [:]
        hellosBySecond = [:]
        waitingMax = 0
        desks = [:]
        hellos = [:]
        admission = HelloAdmission<Int>()
        settings.hubRun += 1
        for number in stores.indices {
            stores[number].line += 1
            handle(number, .disconnected)
            agenda.add(.connects(number), at: now + chance.number(0...milliseconds))
        }
    }

    // MARK: time

    private var time: Timestamp { Timestamp(milliseconds: now) }

    func run(milliseconds: Int64) {
        let end = now + milliseconds
        while let (at, happening) = agenda.next() {
            guard at <= end else {
                agenda.add(happening, at: at)
                break
            }
            now = at
            happen(happening)
        }
        now = end
    }

    private func happen(_ happening: Happening) {
        switch happening {
        case .starts(let number):
            stores[number].database.begin(random: chance.next())
            stores[number].core = AgentCore(
                store: stores[number].id,
                settings: AgentSettings(
                    agentVersion: "1.0", helloSeconds: 30, bytesPerSecond: 0, retryMilliseconds: 1000,
                    verifyingKey: Conversation.signingKey.verifyingKey),
                stored: stores[number].database.state)
            stores[number].line += 1
            handle(number, .connected)
            agenda.add(.tick(number), at: now + chance.number(1...1000))
        case .connects(let number): handle(number, .connected)
        case .tick(let number):
            handle(number, .tick(Surroundings(freeBytes: 1 << 30, isDownloadWindowOpen: true)))
            agenda.add(.tick(number), at: now + 1000)
        case .toHub(let number, let letter, let line):
            if case .hello = letter.body { receive(number, letter, line) } else { hear(number, letter, line) }
        case .toAgent(let number, let letter, let line):
            guard stores[number].line == line else { return }
            if case .welcome(let welcome) = letter, welcome.pace?.retryAfterMilliseconds ?? 0 == 0 {
                welcomedAt[number] = welcomedAt[number] ?? now
            }
            handle(number, .letter(letter))
        case .answers(let number, let event): handle(number, event)
        case .turn:
            for number in admission.due(now: time) {
                guard let (letter, line) = hellos.removeValue(forKey: number) else { continue }
                hear(number, letter, line)
            }
            agenda.add(.turn, at: now + 50)
        }
    }

    // MARK: the hub

    private func receive(_ number: Int, _ letter: AgentLetter, _ line: Int) {
        guard stores[number].line == line else { return }
        switch admission.admit(number, of: stores[number].id, isKeepable: true, now: time) {
        case .takeNow: hear(number, letter, line)
        case .later: hellos[number] = (letter, line)
        case .askAgain(let wait):
            let welcome = HubLetter.Welcome(
                hubRun: settings.hubRun, hubTime: time, offers: [], cancels: [], helloSeconds: 30,
                pace: HubLetter.Pace(retryAfterMilliseconds: wait))
            send(number, .welcome(welcome), line)
        }
        waitingMax = max(waitingMax, admission.waitingCount)
    }

    private func hear(_ number: Int, _ letter: AgentLetter, _ line: Int) {
        if case .hello = letter.body { hellosBySecond[now / 1000, default: 0] += 1 }
        withDesk(number) { desk in
            let known = [self.deliveries[number]].compactMap { $0 }.filter { desk.deliveries[$0.session] == nil }
            return desk.step(.letter(letter, routing: self.routing(line), known: known), now: self.time)
        }
    }

    private func withDesk(_ number: Int, _ body: (inout Desk) -> [DeskEffect]) {
        var desk =
            desks.removeValue(forKey: number)
            ?? Desk(
                record: records[number], positions: positions[number],
                open: [deliveries[number]].compactMap { $0 }.filter(\.isOpen), settings: settings)
        let effects = body(&desk)
        desks[number] = desk
        let line = stores[number].line
        for effect in effects {
            switch effect {
            case .saveDelivery(let delivery): deliveries[number] = delivery
            case .saveContact(let record): records[number] = record
            case .savePositions(let marks): positions[number] = marks
            case .savePosition(let job, let mark): positions[number][job] = mark
            case .send(_, let letter): send(number, letter, line)
            case .sendGrant(_, let session, let run, let attempt, _):
                grantsBySecond[now / 1000, default: 0] += 1
                send(
                    number,
                    .grant(
                        HubLetter.Grant(
                            session: session, run: run, attempt: attempt, manifest: package.signedBytes,
                            signature: package.signature)), line)
            case .sendChunk(_, let package, let index):
                chunksSent[number, default: 0] += 1
                send(number, .chunk(package: package, index: index, data: []), line)
            default: break
            }
        }
    }

    private func routing(_ line: Int) -> [UInt8] { [0, 0, 0, UInt8(line >> 8 & 255), UInt8(line & 255)] }

    private func send(_ number: Int, _ letter: HubLetter, _ line: Int) {
        agenda.add(.toAgent(number, letter, line: line), at: now + chance.number(5...80))
    }

    // MARK: the stores

    private func handle(_ number: Int, _ event: AgentEvent) {
        var events = [event]
        while !events.isEmpty {
            guard let effects = stores[number].core?.step(events.removeFirst(), now: time) else { return }
            for effect in effects { if let answer = run(effect, number) { events.append(answer) } }
        }
    }

    private func run(_ effect: AgentEffect, _ number: Int) -> AgentEvent? {
        switch effect {
        case .send(let letter):
            agenda.add(.toHub(number, letter, line: stores[number].line), at: now + chance.number(5...80))
        case .open(let manifest):
            later(number, .opened(manifest.id, held: []))
        case .storeChunk(let package, let index, _): return .chunkStored(package, index: index)
        case .unpack(let manifest): later(number, .unpacked(manifest.id))
        case .apply(let manifest, let run, let attempt):
            stores[number].database.apply(manifest, rows: 1, run: run, attempt: attempt, at: time)
            applied.insert(number)
            later(
                number, .applied(AgentCore.RunName(manifest.session, run), stores[number].database.state))
        case .record(let session, let job, let run, let attempt, let outcome, let message, let isTransient):
            stores[number].database.report(
                AgentCore.RunName(session, run), job: job, attempt: attempt, outcome, at: time, message: message,
                isTransient: isTransient)
            return .stored(stores[number].database.state)
        case .acknowledge(let names):
            stores[number].database.acknowledge(names)
            return .stored(stores[number].database.state)
        case .readStored: return .stored(stores[number].database.state)
        case .forgetOutcomes: return .outcomesForgotten(isAll: true)
        case .raiseIncarnation(let counter):
            stores[number].database.begin(above: counter, random: chance.next())
            return .stored(stores[number].database.state)
        case .recordCancel, .reconnect, .stopApplying, .discard, .examine, .quarantine, .keys, .log: break
        }
        return nil
    }

    private func later(_ number: Int, _ event: AgentEvent) {
        agenda.add(.answers(number, event), at: now + chance.number(5...200))
    }
}
