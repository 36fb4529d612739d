import WaybillModel
import WaybillTransfer
import WaybillWire

/// The store's half of the protocol, as a value.
///
/// `step` takes what happened and says what to do; it never waits, reads a clock, draws a random number or touches a
/// file, a socket or a database. Grants live here only: a process that starts anew has none and asks again, so nothing
/// is ever applied that the hub has not allowed in this life of both.
public struct AgentCore: Sendable {
    public let store: StoreID
    public let settings: AgentSettings
    /// What `store.db` holds: incarnation, watermarks, unacknowledged reports.
    public internal(set) var stored: StoredState
    /// When it is to be read anew, because it may hold more than we know; nil when we know.
    var readingDue: Timestamp?
    /// The download or apply under way.
    public internal(set) var task: Task?
    public internal(set) var isConnected = false

    var offers: [HubLetter.Offer] = []
    var hubRun: UInt64?
    /// The hub's time of the newest Welcome of that hub process.
    var welcomedAt: Timestamp?
    var helloDue: Timestamp?
    /// Before this, no announcement brings a hello forward.
    var newsDue: Timestamp?
    var helloSeconds: Int
    var heardAt: Timestamp?
    /// The hub has refused this store: nothing is sent before.
    var quietUntil: Timestamp?
    var reportsSentAt: Timestamp?
    var reportsSent: Set<ReportName> = []
    /// Cancels that were recorded and whose report is not acknowledged yet: not recorded twice.
    var cancelsRecorded: Set<RunName> = []
    /// Runs that this process has brought to an end and the hub has not acknowledged, newest last: an offer of one was
    /// on its way when it ended.
    var ended: [RunName] = []
    /// Runs that failed here: not to be tried before.
    var notBefore: [RunName: Timestamp] = [:]
    /// When old outcomes are looked for again; nil until the hub has been heard.
    var forgettingDue: Timestamp?
    var jitter: SplitMix
    var freeBytes: Int64 = 0
    var isDownloadWindowOpen = true
    var utcOffsetMinutes: Int?
    var proof = ProofWork()
    /// What the agent was at when it last came forward, and when.
    var movement = Movement()
    /// Nothing new is begun before: all stores were told of it at once.
    var startDue: Timestamp?
    var ring = KeyRing()

    public init(store: StoreID, settings: AgentSettings, stored: StoredState) {
        self.store = store
        self.settings = settings
        self.stored = stored
        helloSeconds = settings.helloSeconds
        jitter = SplitMix(seed: stored.incarnation.random)
    }

    /// One run of one session.
    public struct RunName: Hashable, Sendable {
        public var session: SessionID
        public var run: Int

        public init(_ session: SessionID, _ run: Int) {
            self.session = session
            self.run = run
        }
    }

    /// Work on one offer. At most one at a time: a store has one line and one disk.
    public struct Task: Sendable {
        public var offer: HubLetter.Offer
        public var phase: Phase
        public var manifest: Manifest?
        public var fetch: Fetch?
        /// Times in a row that asking has brought no piece of the package.
        var fruitless = 0

        public var name: RunName { RunName(offer.session, offer.run) }
    }

    public enum Phase: Hashable, Sendable {
        /// Asked for leave; since then.
        case requesting(Timestamp)
        /// Looking at what an earlier process has stored.
        case opening
        case fetching
        /// Verified chunk by chunk; now the whole, and what is inside.
        case unpacking
        case applying
    }

    /// Takes one event and says what is to be done about it.
    public mutating func step(_ event: AgentEvent, now: Timestamp) -> [AgentEffect] {
        var effects: [AgentEffect] = []
        switch event {
        case .connected: connected(now: now)
        case .disconnected: disconnected()
        case .handshakeFailed(let isKeyUnknown): handshakeFailed(isKeyUnknown: isKeyUnknown, now: now)
        case .keys(let keys): keysChanged(keys, now: now, &effects)
        case .announced(let session, let spread):
            // What was offered, begun or applied already needs no asking.
            let isKnown =
                offers.contains { $0.session == session } || stored.watermarks.values.contains { $0.session == session }
            if !isKnown { askAfterNews(within: spread, now: now) }
        case .letter(let letter): receive(letter, now: now, &effects)
        case .stored(let state): written(state, now: now)
        case .opened(let package, let held): opened(package, held: held)
        case .chunkStored(let package, let index): chunkStored(package, index, now: now, &effects)
        case .chunkRejected(let package, let index): chunkRejected(package, index, now: now, &effects)
        case .unpacked(let package): unpacked(package, now: now, &effects)
        case .applied(let name, let result): applied(name, result, now: now, &effects)
        case .outcomesForgotten(let isAll): if !isAll { forgettingDue = now }
        case .failed(let package, let fault): failed(package, fault, now: now, &effects)
        case .examined(let digests): examined(digests, &effects)
        case .quarantineRead(let report, let state): quarantineRead(report, state, now: now, &effects)
        case .notDone(let effect): notDone(effect, now: now, &effects)
        case .tick(let surroundings):
            freeBytes = surroundings.freeBytes
            isDownloadWindowOpen = surroundings.isDownloadWindowOpen
            utcOffsetMinutes = surroundings.utcOffsetMinutes
            noteWork(idleMilliseconds: surroundings.workIdleMilliseconds, now: now)
        }
        readAgain(now: now, &effects)
        proceed(now: now, &effects)
        noteMovement(now: now)
        return effects
    }

    /// When `step` wants to be called again even if nothing happens: milliseconds from now.
    public static let tickMilliseconds = 500
}

/// What an agent is told in its configuration.
public struct AgentSettings: Hashable, Sendable {
    public var agentVersion: String
    /// Until the hub names its own.
    public var helloSeconds: Int
    /// 0 for no limit.
    public var bytesPerSecond: Int
    /// The first wait after a failed attempt; doubled for each further one.
    public var retryMilliseconds: Int64
    /// The key that signs the hub's packages.
    public var verifyingKey: VerifyingKey

    public init(
        agentVersion: String, helloSeconds: Int, bytesPerSecond: Int, retryMilliseconds: Int64,
        verifyingKey: VerifyingKey
    ) {
        self.agentVersion = agentVersion
        self.helloSeconds = helloSeconds
        self.bytesPerSecond = bytesPerSecond
        self.retryMilliseconds = retryMilliseconds
        self.verifyingKey = verifyingKey
    }
}

/// What the store's database holds, as far as the protocol needs it.
public struct StoredState: Hashable, Sendable {
    public var incarnation: Incarnation
    public var sequence: Int64
    public var watermarks: [JobID: Watermark]
    /// Oldest first, at most ``Limits/reportsMax``.
    public var outbox: [StoreReport]
    /// Names what is in quarantine; 0 for nothing.
    public var quarantineRevision: UInt64

    public init(
        incarnation: Incarnation, sequence: Int64, watermarks: [JobID: Watermark], outbox: [StoreReport],
        quarantineRevision: UInt64 = 0
    ) {
        self.incarnation = incarnation
        self.sequence = sequence
        self.watermarks = watermarks
        self.outbox = outbox
        self.quarantineRevision = quarantineRevision
    }
}

/// What the world around the agent looks like at a tick.
public struct Surroundings: Hashable, Sendable {
    public var freeBytes: Int64
    public var isDownloadWindowOpen: Bool
    /// How far the wall clock is ahead of UTC, now; it changes with daylight saving.
    public var utcOffsetMinutes: Int?
    /// Milliseconds since the worker last finished a slice of rows; nil when nobody knows.
    public var workIdleMilliseconds: Int64?

    public init(
        freeBytes: Int64, isDownloadWindowOpen: Bool, utcOffsetMinutes: Int? = nil, workIdleMilliseconds: Int64? = nil
    ) {
        self.freeBytes = freeBytes
        self.isDownloadWindowOpen = isDownloadWindowOpen
        self.utcOffsetMinutes = utcOffsetMinutes
        self.workIdleMilliseconds = workIdleMilliseconds
    }
}

/// Why something could not be done here, for the session list.
public struct AgentFault: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Stage: Hashable, Sendable { case download, apply }
    public var stage: Stage
    public var message: String
    /// Waiting can help.
    public var isTransient: Bool
    /// Not a failure but a misunderstanding (another base, a cancel that came first): ask the hub again.
    public var isStale: Bool

    public init(stage: Stage, message: String, isTransient: Bool = false, isStale: Bool = false) {
        self.stage = stage
        self.message = message
        self.isTransient = isTransient
        self.isStale = isStale
    }
    public var description: String { message }
}

public enum AgentEvent: Sendable {
    case connected
    case disconnected
    /// The hub did not let us in: it does not know our key, or it is not the hub that we know, or the line broke.
    case handshakeFailed(isKeyUnknown: Bool)
    /// What keys the store's disk holds now.
    case keys(AgentKeys)
    /// A session may have something for this store; ask within so many milliseconds.
    case announced(SessionID, spreadMilliseconds: Int64)
    case letter(HubLetter)
    /// `store.db` was written, or read anew; this is what it holds now.
    case stored(StoredState)
    case opened(PackageID, held: [Bool])
    case chunkStored(PackageID, index: Int)
    case chunkRejected(PackageID, index: Int)
    case unpacked(PackageID)
    case applied(AgentCore.RunName, StoredState)
    case failed(PackageID, AgentFault)
    /// The store's database could not be written, so an effect that was to be kept was not.
    indirect case notDone(AgentEffect)
    /// A slice of old outcomes was forgotten; or all there were.
    case outcomesForgotten(isAll: Bool)
    /// The answer to the question that is being worked on.
    case examined(AgentLetter.Digests)
    /// What is in quarantine, because somebody asked or after an order.
    case quarantineRead(QuarantineReport, StoredState)
    case tick(Surroundings)
}

public enum AgentEffect: Sendable {
    case send(AgentLetter)
    /// Close the connection and make a new one, with the keys of ``AgentCore/keyChoice``.
    case reconnect
    /// Change the keys on disk; answered by `.keys`.
    case keys(KeyEffect)
    /// Find or make the partial file; answered by `.opened` or `.failed`.
    case open(Manifest)
    /// Verify and store a chunk; answered by `.chunkStored`, `.chunkRejected` or `.failed`.
    case storeChunk(PackageID, index: Int, data: [UInt8])
    /// Verify the whole file and unpack it; answered by `.unpacked` or `.failed`.
    case unpack(Manifest)
    /// Answered by `.applied` or `.failed`.
    case apply(Manifest, run: Int, attempt: Int)
    /// Stop an apply under way at the next chance; it answers as it would.
    case stopApplying
    /// Forget a package's files.
    case discard(PackageID)
    /// Write a report into the outbox; answered by `.stored`.
    case record(
        session: SessionID, job: JobID, run: Int, attempt: Int, StoreOutcome, message: String, isTransient: Bool)
    /// Promise never to apply the run, or say that it was; answered by `.stored`.
    case recordCancel(HubLetter.CancelOrder)
    /// Forget acknowledged reports; answered by `.stored`.
    case acknowledge([ReportName])
    /// Forget a slice of outcomes that nobody can ask about any more; answered by `.outcomesForgotten`. `oldest`: the
    /// number of the oldest session that the hub has open here.
    case forgetOutcomes(oldest: Int64?)
    /// Read what `store.db` holds; answered by `.stored`.
    case readStored
    /// Begin an incarnation above the counter; answered by `.stored`.
    case raiseIncarnation(above: Int64)
    /// Read what the store's tables hold; answered by `.examined`.
    case examine(HubLetter.Examine)
    /// Carry out an order, if there is one, and read what is in quarantine; answered by `.quarantineRead`.
    case quarantine(QuarantineOrder?)
    case log(String, isProblem: Bool)
}

// Spreads waits, decides nothing else.
extension SplitMix {
    /// A number in 0..<bound.
    mutating func next(below bound: Int64) -> Int64 {
        let number = next()
        return bound <= 0 ? 0 : Int64(number % UInt64(bound))
    }
}
