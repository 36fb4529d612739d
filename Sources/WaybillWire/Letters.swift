import SwiftProtobuf
import WaybillModel

/// A message that the other side must not have sent: what was wrong with it, in words.
public struct LetterFault: Error, Hashable, CustomStringConvertible {
    public let description: String
    /// The message may be one that a newer program of the same protocol sends: not to be answered, nor held against it.
    public let isOfNewerKind: Bool
    public init(_ description: String, isOfNewerKind: Bool = false) {
        self.description = description
        self.isOfNewerKind = isOfNewerKind
    }
}

/// The version of the protocol that this program speaks.
public let protocolVersion: UInt32 = 1

/// What an agent says, checked.
public struct AgentLetter: Hashable, Sendable {
    public var store: StoreID
    public var incarnation: Incarnation
    public var body: Body
    /// Reports beside those of the body that mean nothing here, such as an outcome of a newer agent. Acknowledged like
    /// all others, because repeating them would not help.
    public var strangeReports: [StrangeReport] = []

    /// A report that can be named but not understood.
    public struct StrangeReport: Hashable, Sendable {
        public var name: ReportName
        public var fault: LetterFault

        public init(name: ReportName, fault: LetterFault) {
            self.name = name
            self.fault = fault
        }
    }

    public enum Body: Hashable, Sendable {
        case hello(Hello)
        case request(session: SessionID, run: Int, attempt: Int)
        case chunkRequest(package: PackageID, index: Int)
        case reports([StoreReport])
        case digests(Digests)
        /// What is in quarantine here: asked for, or after an order.
        case quarantine(QuarantineReport)
        case keys(KeyNotice)
    }

    /// Who I am and where I stand.
    public struct Hello: Hashable, Sendable {
        public var agentVersion: String
        public var sequence: Int64
        public var watermarks: [JobID: Watermark]
        public var freeBytes: Int64
        public var progress: Progress?
        /// Minutes that the store's wall clock is ahead of UTC; nil when the agent does not tell.
        public var utcOffsetMinutes: Int?
        /// Names the content of the store's quarantine, 0 for an empty one; nil when the agent knows of none.
        public var quarantineRevision: UInt64?
        /// What the agent is at; nil when it does not tell.
        public var activity: AgentActivity?

        public init(
            agentVersion: String, sequence: Int64, watermarks: [JobID: Watermark], freeBytes: Int64,
            progress: Progress?,
            utcOffsetMinutes: Int? = nil, quarantineRevision: UInt64? = nil, activity: AgentActivity? = nil
        ) {
            self.agentVersion = agentVersion
            self.sequence = sequence
            self.watermarks = watermarks
            self.freeBytes = freeBytes
            self.progress = progress
            self.utcOffsetMinutes = utcOffsetMinutes
            self.quarantineRevision = quarantineRevision
            self.activity = activity
        }
    }

    /// A download under way, in compressed bytes.
    public struct Progress: Hashable, Sendable {
        public var session: SessionID
        public var bytesDone: Int64
        public var bytesTotal: Int64

        public init(session: SessionID, bytesDone: Int64, bytesTotal: Int64) {
            self.session = session
            self.bytesDone = bytesDone
            self.bytesTotal = bytesTotal
        }
    }

    public init(store: StoreID, incarnation: Incarnation, body: Body) {
        self.store = store
        self.incarnation = incarnation
        self.body = body
    }
}

/// What a hub says, checked.
public enum HubLetter: Hashable, Sendable {
    case welcome(Welcome)
    case grant(Grant)
    case notGranted(session: SessionID, run: Int, reason: String)
    case chunk(package: PackageID, index: Int, data: [UInt8])
    case noChunk(package: PackageID, index: Int, reason: String)
    case acknowledgement([ReportName])
    case cancel(CancelOrder)
    case refused(reason: String)
    case regressed(counter: Int64)
    case examine(Examine)
    /// Tell what is in quarantine, after doing something about it; nil: only tell.
    case quarantineOrder(QuarantineOrder?)
    case keyAnswer(KeyAnswer)

    /// What there is for a store.
    public struct Welcome: Hashable, Sendable {
        public var hubRun: UInt64
        public var hubTime: Timestamp
        public var offers: [Offer]
        public var cancels: [CancelOrder]
        public var helloSeconds: Int
        /// Deliveries that wait for their window: what is stored of them is worth keeping.
        public var held: [Held]
        /// How the agent shall spread what it does; nil for no wish.
        public var pace: Pace?
        /// nil when there is nothing to say about keys.
        public var keys: KeyNews?

        public init(
            hubRun: UInt64, hubTime: Timestamp, offers: [Offer], cancels: [CancelOrder], helloSeconds: Int,
            held: [Held] = [], pace: Pace? = nil
        ) {
            self.hubRun = hubRun
            self.hubTime = hubTime
            self.offers = offers
            self.cancels = cancels
            self.helloSeconds = helloSeconds
            self.held = held
            self.pace = pace
        }
    }

    /// A session the store may ask for.
    public struct Offer: Hashable, Sendable {
        public var session: SessionID
        public var run: Int
        public var job: JobID
        /// Compressed size.
        public var bytes: Int64
        /// The number of the attempt to make: 1, or one more than the last one that failed.
        public var attempt: Int
        /// Jobs that are to be applied before this one, when they are on offer too.
        public var follows: [JobID]

        public init(
            session: SessionID, run: Int, job: JobID, bytes: Int64, attempt: Int, follows: [JobID] = []
        ) {
            self.session = session
            self.run = run
            self.job = job
            self.bytes = bytes
            self.attempt = attempt
            self.follows = follows
        }
    }

    /// A run of a session that the store may not have now, but later.
    public struct Held: Hashable, Sendable {
        public var session: SessionID
        public var run: Int
        public var job: JobID

        public init(session: SessionID, run: Int, job: JobID) {
            self.session = session
            self.run = run
            self.job = job
        }
    }

    /// Leave to download and apply.
    public struct Grant: Hashable, Sendable {
        public var session: SessionID
        public var run: Int
        public var attempt: Int
        public var manifest: [UInt8]
        public var signature: [UInt8]

        public init(session: SessionID, run: Int, attempt: Int, manifest: [UInt8], signature: [UInt8]) {
            self.session = session
            self.run = run
            self.attempt = attempt
            self.manifest = manifest
            self.signature = signature
        }
    }

    /// A run of a session that the store shall promise never to apply.
    public struct CancelOrder: Hashable, Sendable {
        public var session: SessionID
        public var job: JobID
        public var run: Int

        public init(session: SessionID, job: JobID, run: Int) {
            self.session = session
            self.job = job
            self.run = run
        }
    }
}
