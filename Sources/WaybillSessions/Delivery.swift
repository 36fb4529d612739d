import WaybillModel

/// The package that a delivery hands out.
public struct PackageRef: Hashable, Sendable {
    public var id: PackageID
    public var kind: PackageKind
    /// What a delta may be applied over; empty for a full package.
    public var bases: [Watermark]
    public var rows: Int64
    /// Compressed size.
    public var bytes: Int64

    public init(id: PackageID, kind: PackageKind, bases: [Watermark], rows: Int64, bytes: Int64) {
        self.id = id
        self.kind = kind
        self.bases = bases
        self.rows = rows
        self.bytes = bytes
    }

    /// Whether a store that stands at `watermark` may apply the package.
    public func fits(_ watermark: Watermark?) -> Bool {
        switch kind {
        case .full: true
        case .delta: watermark.map(bases.contains) ?? false
        }
    }
}

/// One store's part of one session, as the hub keeps it.
///
/// Two kinds of facts meet here. Those of the hub are decided in one place (offered, cancel asked for, superseded).
/// Those of the store arrive as reports, late, repeated and in any order; ``fold(_:)`` joins them.
public struct Delivery: Hashable, Sendable {
    public var session: SessionID
    public var store: StoreID
    public var job: JobID
    /// Where the store stands after applying it.
    public var version: Version
    /// nil while no package fits the store: none was made yet, or the store has moved on meanwhile.
    public var package: PackageRef?
    /// The hub has found that the store needs nothing of the session.
    public var isNoData: Bool
    /// 1, and one more for each rerun. Reports of other runs are ignored.
    public var run: Int
    /// What the store has said about this run.
    public var told = Told()
    /// The hub has let the store have it: from now on only the store can say that it was not applied.
    public var isGranted = false
    public var cancelAskedAt: Timestamp?
    public var cancelReason = ""
    /// Called off before the store ever had leave to apply it.
    public var isRevokedByHub = false
    public var supersededBy: SessionID?
    /// The hub's own words, shown when the store has none.
    public var note = ""
    /// Attempts that may fail for reasons which waiting does not heal, before the delivery is suspended; 0 for no limit.
    /// The job's, when the delivery was made.
    public var tryCount: Int
    /// Attempts up to this one no longer count: somebody has asked for a retry.
    public var forgivenAttempts = 0
    /// Somebody wants it there now, whatever the job's window says.
    public var ignoresWindow = false

    public init(
        session: SessionID, store: StoreID, job: JobID, version: Version, package: PackageRef?, isNoData: Bool = false,
        run: Int = 1, tryCount: Int = Limits.tryCount
    ) {
        self.session = session
        self.store = store
        self.job = job
        self.version = version
        self.package = package
        self.isNoData = isNoData
        self.run = run
        self.tryCount = tryCount
    }

    /// What the reports of one run add up to. A join-semilattice: every field is a maximum or a minimum, or belongs to
    /// the report with the greatest ``Standing``.
    public struct Told: Hashable, Sendable {
        public var standing: Standing?
        public var message = ""
        public var isTransient = false
        public var requestedAt: Timestamp?
        public var downloadedAt: Timestamp?
        public var appliedAt: Timestamp?
        public var canceledAt: Timestamp?
        public var attempts = 0
        /// Attempts that failed for a reason which waiting does not heal: the earliest that count, as many as the try
        /// count.
        public var lastingFailures: [Int] = []
        public var rowsChanged: Int64 = 0
        public var longestLockMilliseconds: Int64 = 0
        /// Rows that the store has put into quarantine.
        public var exceptions = 0

        public init() {}
    }

    /// How far a report says the store is: final outcomes above all, then by attempt, then by stage.
    ///
    /// `applied` stands above `canceled`: a store never says both, and if a copy of its database did, then a price
    /// that may be in the till must not be shown as called off. Standings are equal only when neither is less, so that
    /// the greatest is one, whatever the order of arrival.
    public struct Standing: Hashable, Sendable, Comparable {
        public let outcome: StoreOutcome
        /// 0 with `canceled`: the promise is about the run.
        public let attempt: Int

        public init(outcome: StoreOutcome, attempt: Int) {
            self.outcome = outcome
            self.attempt = outcome == .canceled ? 0 : attempt
        }

        private var rank: (Int, Int, Int) {
            switch outcome {
            case .applied: (2, attempt, 0)
            case .canceled: (1, attempt, 0)
            case .requested: (0, attempt, 0)
            case .downloaded: (0, attempt, 1)
            case .downloadFailed: (0, attempt, 2)
            case .applyFailed: (0, attempt, 3)
            }
        }

        public static func < (a: Standing, b: Standing) -> Bool { a.rank < b.rank }
    }

    /// Joins one report into what is known. Commutative, associative and idempotent; never moves backwards.
    public mutating func fold(_ report: StoreReport) {
        // Without leave for it a store has nothing to say about what it does not need.
        guard report.run == run, !isNoData || isGranted else { return }
        told.join(report)
        if report.isLastingFailure, report.attempt > forgivenAttempts { noteLastingFailure(of: report.attempt) }
    }

    private mutating func noteLastingFailure(of attempt: Int) {
        guard tryCount > 0, !told.lastingFailures.contains(attempt) else { return }
        told.lastingFailures = Array((told.lastingFailures + [attempt]).sorted().prefix(tryCount))
    }
}

extension Delivery.Told {
    mutating func join(_ report: StoreReport) {
        let standing = Delivery.Standing(outcome: report.outcome, attempt: report.attempt)
        let isNewer = self.standing.map { $0 < standing } ?? true
        // Two reports of equal standing differ only when a database was copied: then the greater text wins, and of
        // equal texts the failure that may heal, so that the order of arrival still does not matter.
        let isGreater = (report.message, report.isTransient ? 1 : 0) > (message, isTransient ? 1 : 0)
        if isNewer || (self.standing == standing && isGreater) {
            self.standing = standing
            message = report.message
            isTransient = report.isTransient
        }
        if report.outcome != .canceled { attempts = max(attempts, report.attempt) }
        switch report.outcome {
        case .requested: requestedAt = earlier(requestedAt, report.at)
        case .downloaded: downloadedAt = earlier(downloadedAt, report.at)
        case .applied:
            appliedAt = earlier(appliedAt, report.at)
            rowsChanged = max(rowsChanged, report.rowsChanged)
            longestLockMilliseconds = max(longestLockMilliseconds, report.longestLockMilliseconds)
            exceptions = max(exceptions, report.exceptions)
        case .canceled: canceledAt = earlier(canceledAt, report.at)
        case .downloadFailed, .applyFailed: break
        }
    }

    private func earlier(_ a: Timestamp?, _ b: Timestamp) -> Timestamp { a.map { min($0, b) } ?? b }
}

extension Delivery {
    /// What the session list shows.
    public var status: DeliveryStatus {
        switch told.standing?.outcome {
        // Found needless after the store had leave for it, and applied all the same: the store's word is the truth.
        case .applied: return .applied
        case _ where isNoData: return .noData
        case .canceled: return .canceled
        default: break
        }
        if isRevokedByHub { return .canceled }
        if supersededBy != nil { return .superseded }
        switch told.standing?.outcome {
        case .downloadFailed, .applyFailed:
            if isTryCountUsedUp { return .suspended }
            return told.standing?.outcome == .downloadFailed ? .downloadFailed : .applyFailed
        case .downloaded: return .downloaded
        case .requested: return .requested
        default: return isGranted ? .requested : .available
        }
    }

    private var isTryCountUsedUp: Bool { tryCount > 0 && told.lastingFailures.count >= tryCount }

    /// One sentence for the person who looks: the store's own, or the hub's.
    public var message: String {
        switch status {
        case .applied where cancelAskedAt != nil: return "cancelled too late: already applied"
        case .applied where isNoData: return told.message
        case .noData: return note
        case .canceled:
            return cancelReason.isEmpty ? "revoked, never applied" : "revoked, never applied: \(cancelReason)"
        case .superseded: return supersededBy.map { "session \($0) brings all of it" } ?? note
        case .suspended:
            return "\(told.message) (when the cause is gone: waybill session retry \(session.number) --store \(store))"
        default:
            if cancelAskedAt != nil { return "cancel asked for; waiting for the store's answer" }
            return told.message.isEmpty ? note : told.message
        }
    }

    /// The store may ask for it and have it.
    public var isOnOffer: Bool { cancelAskedAt == nil && status.mayBeOnOffer }

    /// How a note begins that tells of a closed window.
    public static let windowNote = "waits for its window"

    /// The job's window was closed when the hub looked last, and nothing happens before it opens.
    public var waitsForWindow: Bool { isOnOffer && note.hasPrefix(Delivery.windowNote) }

    /// The number of the attempt that the store shall make next, or is making.
    public var nextAttempt: Int {
        switch told.standing?.outcome {
        case .downloadFailed, .applyFailed: told.attempts + 1
        default: max(1, told.attempts)
        }
    }

    /// Only the store can tell how the cancel ended.
    public var awaitsCancelAnswer: Bool {
        guard cancelAskedAt != nil, isGranted, !isRevokedByHub else { return false }
        switch told.standing?.outcome {
        case .applied, .canceled: return false
        default: return true
        }
    }

    /// The hub still has to do with it: it is not final, or an answer is open, or a store that had leave to apply it
    /// may still say so.
    public var isOpen: Bool { !status.isFinal || awaitsCancelAnswer }
}

/// The true answer to a cancel, for one store.
public enum CancelAnswer: Hashable, Sendable {
    /// Never applied, and never will be.
    case revoked
    /// Applied at this time, by the store's clock.
    case tooLate(Timestamp?)
    /// The store had leave to apply it and has not answered yet.
    case waiting
    /// There was nothing to call off.
    case nothing(DeliveryStatus)
}

extension Delivery {
    /// Calls the delivery off and says what is known at once.
    public mutating func cancel(reason: String, at now: Timestamp) -> CancelAnswer {
        switch status {
        case .applied: return .tooLate(told.appliedAt)
        case .noData: return .nothing(.noData)
        case .canceled: return .revoked
        default: break
        }
        if cancelAskedAt == nil {
            cancelAskedAt = now
            cancelReason = reason
        }
        if !isGranted { isRevokedByHub = true }
        return cancelAnswer
    }

    /// What has become of a cancel so far.
    public var cancelAnswer: CancelAnswer {
        switch status {
        case .applied: .tooLate(told.appliedAt)
        case .canceled: .revoked
        case .noData: .nothing(.noData)
        default: awaitsCancelAnswer ? .waiting : .nothing(status)
        }
    }

    /// Starts the delivery over as a new run; what the store said about earlier runs no longer counts.
    public mutating func rerun(package: PackageRef?) {
        run += 1
        told = Told()
        isGranted = false
        cancelAskedAt = nil
        cancelReason = ""
        isRevokedByHub = false
        supersededBy = nil
        note = ""
        forgivenAttempts = 0
        isNoData = false
        self.package = package
    }
}

extension Delivery {
    /// Gives a suspended delivery its tries anew. The run goes on: attempts count further, and what the store has
    /// fetched it keeps.
    public mutating func retry() {
        forgivenAttempts = told.attempts
        told.lastingFailures = []
    }
}

extension StoreReport {
    fileprivate var isLastingFailure: Bool {
        (outcome == .downloadFailed || outcome == .applyFailed) && !isTransient
    }
}
