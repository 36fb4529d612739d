/// One store's part of a session, as the session list shows it (DESIGN.md, section 1).
public enum DeliveryStatus: String, Sendable, CaseIterable {
    case available = "Available"
    case requested = "Requested"
    case downloaded = "Downloaded"
    case applied = "Applied"
    case noData = "NoData"
    case downloadFailed = "DownloadFailed"
    case applyFailed = "ApplyFailed"
    case canceled = "Canceled"
    case superseded = "Superseded"
    case suspended = "Suspended"

    /// Nothing more will happen to the delivery unless somebody retries it.
    public var isFinal: Bool {
        switch self {
        case .applied, .noData, .canceled, .superseded: true
        case .available, .requested, .downloaded, .downloadFailed, .applyFailed, .suspended: false
        }
    }

    /// The store does not have what the session brings, and somebody may have to look.
    public var isFailure: Bool {
        self == .downloadFailed || self == .applyFailed || self == .suspended
    }
}

/// The header of a download session: facts about its packages, not about stores.
public enum SessionStatus: String, Sendable, CaseIterable {
    case started = "Started"
    /// Its packages are made, but they change more than the job's limits allow; no store is offered any of them.
    case awaitingApproval = "AwaitingApproval"
    case available = "Available"
    case noData = "NoData"
    case createFailed = "CreateFailed"
    case canceled = "Canceled"
}

/// Whether a package holds what changed between two versions, or all of one version.
public enum PackageKind: String, Sendable, CaseIterable {
    case delta
    case full
}
