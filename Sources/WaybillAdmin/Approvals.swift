import WaybillModel

/// Why a session was held back, and whether somebody has let it go.
public struct ApprovalDetail: Codable, Hashable, Sendable {
    /// One sentence: which store would lose or get what, and the limit of the job.
    public var reason: String
    public var heldAt: UTCTime
    /// nil while nobody has approved it, and for good when it was canceled or overtaken by a newer session.
    @Nullable public var approvedAt: UTCTime?
    /// Stores that will be offered the session once it is approved; none when it does not wait any more.
    public var stores: [StoreID]

    public init(reason: String, heldAt: UTCTime, approvedAt: UTCTime?, stores: [StoreID]) {
        self.reason = reason
        self.heldAt = heldAt
        self.approvedAt = approvedAt
        self.stores = stores
    }
}

/// A session that awaited approval has been approved.
public struct ApproveReply: Codable, Hashable, Sendable {
    public var session: SessionID
    /// Stores that it is offered to now. Those that were retired meanwhile are not among them.
    public var stores: [StoreID]

    public init(session: SessionID, stores: [StoreID]) {
        self.session = session
        self.stores = stores
    }
}
