import Testing
import WaybillAgent
import WaybillModel
import WaybillWire

/// An agent as a test talks to it: a core, a hub's signature, a clock that the test moves.
struct AgentAtWork {
    static let store = StoreID("S1")!
    static let prices = JobID("prices")!
    static let chunkBytes = 100

    var core: AgentCore
    var now = Timestamp(milliseconds: 1_000_000)
    let signingKey: SigningKey
    /// What `store.db` would hold; the core is told with every change.
    var stored: StoredState

    init(
        watermark: Watermark? = nil, outbox: [StoreReport] = [], bytesPerSecond: Int = 0,
        retryMilliseconds: Int64 = 5000,
        random: UInt64 = 11
    ) {
        signingKey = SigningKey()
        var watermarks: [JobID: Watermark] = [:]
        watermarks[AgentAtWork.prices] = watermark
        stored = StoredState(
            incarnation: Incarnation(counter: 4, random: random), sequence: 3, watermarks: watermarks, outbox: outbox)
        let settings = AgentSettings(
            agentVersion: "1.0", helloSeconds: 30, bytesPerSecond: bytesPerSecond, retryMilliseconds: retryMilliseconds,
            verifyingKey: signingKey.verifyingKey)
        core = AgentCore(store: AgentAtWork.store, settings: settings, stored: stored)
    }

    // MARK: values

    static func session(_ number: Int64) -> SessionID { SessionID(number: number, random: UInt64(number) &* 7919) }

    static func mark(_ number: Int64) -> Watermark {
        Watermark(version: Version(epoch: 1, number: number * 10), session: session(number))
    }

    static func package(_ tag: UInt8) -> PackageID { PackageID([UInt8](repeating: tag, count: 32))! }

    static func offer(_ number: Int64, run: Int = 1, attempt: Int = 1) -> HubLetter.Offer {
        HubLetter.Offer(session: session(number), run: run, job: prices, bytes: 300, attempt: attempt)
    }

    static func manifest(
        _ number: Int64, over bases: [Watermark] = [], tag: UInt8? = nil, chunks: Int = 3, job: JobID = prices
    ) -> Manifest {
        let shape = TableShape(name: "price", columns: [ColumnShape("id", .integer)], key: ["id"])
        return Manifest(
            job: job, session: session(number), version: mark(number).version, kind: bases.isEmpty ? .full : .delta,
            bases: bases, tables: [PackageTable(shape: shape, rows: 1, removed: 0)],
            created: Timestamp(milliseconds: 1),
            id: package(tag ?? UInt8(number)), bytes: Int64(chunks * chunkBytes), chunkBytes: chunkBytes,
            chunkHashes: (0..<chunks).map { package(UInt8(100 + $0)) }, rawSHA256: package(200), rawBytes: 1000)
    }

    func report(_ number: Int64, _ outcome: StoreOutcome, id: Int64) -> StoreReport {
        StoreReport(
            id: id, incarnation: stored.incarnation, sequence: id, session: AgentAtWork.session(number),
            job: AgentAtWork.prices, run: 1, attempt: 1, outcome: outcome, at: now)
    }

    // MARK: what happens

    @discardableResult
    mutating func step(_ event: AgentEvent) -> [AgentEffect] { core.step(event, now: now) }

    @discardableResult
    mutating func tick(after milliseconds: Int64 = 0, windowOpen: Bool = true) -> [AgentEffect] {
        now = now + milliseconds
        return step(.tick(Surroundings(freeBytes: 1 << 30, isDownloadWindowOpen: windowOpen)))
    }

    @discardableResult
    mutating func welcome(
        _ offers: [HubLetter.Offer] = [], cancels: [HubLetter.CancelOrder] = [], hubRun: UInt64 = 7,
        helloSeconds: Int = 30, at hubTime: Timestamp? = nil, held: [HubLetter.Held] = []
    ) -> [AgentEffect] {
        step(
            .letter(
                .welcome(
                    HubLetter.Welcome(
                        hubRun: hubRun, hubTime: hubTime ?? now, offers: offers, cancels: cancels,
                        helloSeconds: helloSeconds, held: held))))
    }

    @discardableResult
    mutating func grant(
        _ manifest: Manifest, of session: Int64? = nil, run: Int = 1, attempt: Int = 1, signature: [UInt8]? = nil
    ) throws -> [AgentEffect] {
        let bytes = try manifest.encoded()
        let signature = try signature ?? signingKey.sign(manifest: bytes)
        return step(
            .letter(
                .grant(
                    HubLetter.Grant(
                        session: session.map(AgentAtWork.session) ?? manifest.session, run: run, attempt: attempt,
                        manifest: bytes, signature: signature))))
    }

    @discardableResult
    mutating func cancel(_ number: Int64, run: Int = 1) -> [AgentEffect] {
        step(
            .letter(
                .cancel(HubLetter.CancelOrder(session: AgentAtWork.session(number), job: AgentAtWork.prices, run: run)))
        )
    }

    @discardableResult
    mutating func store(_ package: PackageID, _ index: Int) -> [AgentEffect] {
        step(.chunkStored(package, index: index))
    }

    // MARK: up to a phase

    /// Connected and greeted, with one session on offer and asked for.
    mutating func reachRequesting(_ offer: HubLetter.Offer = AgentAtWork.offer(1)) {
        step(.connected)
        welcome([offer])
    }

    mutating func reachOpening(_ manifest: Manifest = AgentAtWork.manifest(1)) throws {
        reachRequesting(AgentAtWork.offer(manifest.session.number))
        try grant(manifest)
    }

    mutating func reachFetching(_ manifest: Manifest = AgentAtWork.manifest(1), held: [Bool] = []) throws {
        try reachOpening(manifest)
        step(.opened(manifest.id, held: held))
    }

    mutating func reachUnpacking(_ manifest: Manifest = AgentAtWork.manifest(1)) throws {
        try reachFetching(manifest)
        for index in 0..<manifest.chunkHashes.count { store(manifest.id, index) }
    }

    mutating func reachApplying(_ manifest: Manifest = AgentAtWork.manifest(1)) throws {
        try reachUnpacking(manifest)
        step(.unpacked(manifest.id))
    }
}

/// A phase a task can be in, by name.
enum Stage: CaseIterable {
    case requesting, opening, fetching, unpacking, applying

    func reach(_ work: inout AgentAtWork) throws {
        switch self {
        case .requesting: work.reachRequesting()
        case .opening: try work.reachOpening()
        case .fetching: try work.reachFetching()
        case .unpacking: try work.reachUnpacking()
        case .applying: try work.reachApplying()
        }
    }
}

extension AgentCore {
    var stage: Stage? {
        switch task?.phase {
        case nil: nil
        case .requesting: .requesting
        case .opening: .opening
        case .fetching: .fetching
        case .unpacking: .unpacking
        case .applying: .applying
        }
    }
}

extension [AgentEffect] {
    private var bodies: [AgentLetter.Body] {
        compactMap { if case .send(let letter) = $0 { letter.body } else { nil } }
    }

    var hellos: [AgentLetter.Hello] { bodies.compactMap { if case .hello(let hello) = $0 { hello } else { nil } } }
    var requests: [SessionID] {
        bodies.compactMap { if case .request(let session, _, _) = $0 { session } else { nil } }
    }
    var attempts: [Int] { bodies.compactMap { if case .request(_, _, let attempt) = $0 { attempt } else { nil } } }
    var chunkRequests: [Int] { bodies.compactMap { if case .chunkRequest(_, let index) = $0 { index } else { nil } } }
    var reports: [[Int64]] {
        bodies.compactMap { if case .reports(let reports) = $0 { reports.map(\.id) } else { nil } }
    }
    var opened: [PackageID] { compactMap { if case .open(let manifest) = $0 { manifest.id } else { nil } } }
    var storedChunks: [Int] { compactMap { if case .storeChunk(_, let index, _) = $0 { index } else { nil } } }
    var unpacked: [PackageID] { compactMap { if case .unpack(let manifest) = $0 { manifest.id } else { nil } } }
    var applied: [PackageID] { compactMap { if case .apply(let manifest, _, _) = $0 { manifest.id } else { nil } } }
    var discarded: [PackageID] { compactMap { if case .discard(let package) = $0 { package } else { nil } } }
    var promised: [SessionID] { compactMap { if case .recordCancel(let order) = $0 { order.session } else { nil } } }
    var raised: [Int64] { compactMap { if case .raiseIncarnation(let counter) = $0 { counter } else { nil } } }
    var acknowledged: [Int64] {
        compactMap { if case .acknowledge(let names) = $0 { names.map(\.id) } else { nil } }.flatMap { $0 }
    }
    var outcomes: [StoreOutcome] {
        compactMap { if case .record(_, _, _, _, let outcome, _, _) = $0 { outcome } else { nil } }
    }
    var readsStored: Bool { contains { if case .readStored = $0 { true } else { false } } }
    var isReconnecting: Bool { contains { if case .reconnect = $0 { true } else { false } } }
    var stopsApplying: Bool { contains { if case .stopApplying = $0 { true } else { false } } }
}
