import WaybillModel

/// The hub at a glance.
public struct HubStatus: Codable, Hashable, Sendable {
    public struct Hub: Codable, Hashable, Sendable {
        public var version: String
        public var startedAt: UTCTime
        public var home: String

        public init(version: String, startedAt: UTCTime, home: String) {
            self.version = version
            self.startedAt = startedAt
            self.home = home
        }
    }

    public struct Stores: Codable, Hashable, Sendable {
        public var active: Int
        /// Of the active ones.
        public var online: Int
        public var offline: Int
        /// Active stores that lack something which has been published.
        public var behind: Int
        public var pending: Int
        public var retired: Int
        /// Stores that could not take some rows, and how many rows.
        public var quarantined: Int
        public var quarantinedRows: Int

        public init(
            active: Int, online: Int, offline: Int, behind: Int, pending: Int, retired: Int, quarantined: Int = 0,
            quarantinedRows: Int = 0
        ) {
            self.active = active
            self.online = online
            self.offline = offline
            self.behind = behind
            self.pending = pending
            self.retired = retired
            self.quarantined = quarantined
            self.quarantinedRows = quarantinedRows
        }
    }

    public struct Sessions: Codable, Hashable, Sendable {
        /// Sessions with a delivery that is not final.
        public var running: Int
        /// Stores with a failed or suspended delivery.
        public var failedStores: Int
        /// Sessions that exceed a limit of their job and wait for somebody to approve or cancel them.
        public var awaitingApproval: Int
        /// Deliveries that have not come forward for longer than is usual.
        public var stalledDeliveries: Int

        public init(running: Int, failedStores: Int, awaitingApproval: Int = 0, stalledDeliveries: Int = 0) {
            self.running = running
            self.failedStores = failedStores
            self.awaitingApproval = awaitingApproval
            self.stalledDeliveries = stalledDeliveries
        }
    }

    public struct Jobs: Codable, Hashable, Sendable {
        /// Those that can be used.
        public var usable: Int
        /// On hold: they do not start by themselves.
        public var onHold: Int
        /// Jobs that do not fit HQ's tables, and files in the folder of jobs that cannot be used.
        public var unusable: Int

        public init(usable: Int, onHold: Int, unusable: Int) {
            self.usable = usable
            self.onHold = onHold
            self.unusable = unusable
        }
    }

    public struct Disk: Codable, Hashable, Sendable {
        /// `hq.db`, with its write-ahead log.
        public var hqBytes: Int64
        /// What the hub keeps to know which rows stores have.
        public var rowsBytes: Int64
        /// `hub.db`, with its write-ahead log.
        public var hubBytes: Int64
        public var packagesBytes: Int64
        /// Free on the disk of the hub's home.
        public var freeBytes: Int64
        /// Of `hqBytes`: the change log, about.
        public var changesRows: Int64 = 0
        public var changesBytes: Int64 = 0
        /// Of `rowsBytes`: rows of the past, kept for stores that are behind, about.
        public var historyRows: Int64 = 0
        public var historyBytes: Int64 = 0
        /// Imports on their way: uploaded files, and rows in staging.
        public var stagingBytes: Int64 = 0
        /// Inside the three databases: freed, and filled again before they grow.
        public var reusableBytes: Int64 = 0

        public init(hqBytes: Int64, rowsBytes: Int64, hubBytes: Int64, packagesBytes: Int64, freeBytes: Int64) {
            self.hqBytes = hqBytes
            self.rowsBytes = rowsBytes
            self.hubBytes = hubBytes
            self.packagesBytes = packagesBytes
            self.freeBytes = freeBytes
        }
    }

    /// The store for which rows of the past are kept longest.
    public struct Slowest: Codable, Hashable, Sendable {
        public var store: StoreID
        public var job: JobID
        /// nil when that was noticed only now.
        @Nullable public var behindSince: UTCTime?
        /// From then on it gets everything when it is back.
        @Nullable public var fullLoadAfter: UTCTime?

        public init(store: StoreID, job: JobID, behindSince: UTCTime?, fullLoadAfter: UTCTime?) {
            self.store = store
            self.job = job
            self.behindSince = behindSince
            self.fullLoadAfter = fullLoadAfter
        }
    }

    public struct Problem: Codable, Hashable, Sendable {
        public var at: UTCTime
        @Nullable public var store: StoreID?
        @Nullable public var session: SessionID?
        public var message: String

        public init(at: UTCTime, store: StoreID?, session: SessionID?, message: String) {
            self.at = at
            self.store = store
            self.session = session
            self.message = message
        }
    }

    /// A job of which a store has other rows than HQ says.
    public struct Divergence: Codable, Hashable, Sendable {
        public var store: StoreID
        public var job: JobID
        public var at: UTCTime
        /// Rows that were counted.
        public var rows: Int64

        public init(store: StoreID, job: JobID, at: UTCTime, rows: Int64) {
            self.store = store
            self.job = job
            self.at = at
            self.rows = rows
        }
    }

    public var hub: Hub
    public var stores: Stores
    public var sessions: Sessions
    public var jobs: Jobs
    public var disk: Disk
    public var keys = Keys()
    @Nullable public var slowest: Slowest?
    /// Stores that were found to have other rows than HQ says, when they were last verified.
    public var diverged: [Divergence] = []
    /// The newest ones, newest first.
    public var errors: [Problem]
    /// nil while the hub takes in what stores say.
    @Nullable public var notFolding: NotFolding?

    public init(
        hub: Hub, stores: Stores, sessions: Sessions, jobs: Jobs, disk: Disk, slowest: Slowest? = nil,
        errors: [Problem], notFolding: NotFolding? = nil
    ) {
        self.hub = hub
        self.stores = stores
        self.sessions = sessions
        self.jobs = jobs
        self.disk = disk
        self.slowest = slowest
        self.errors = errors
        self.notFolding = notFolding
    }
}
