import WaybillModel

/// Try suspended deliveries of a session again.
public struct RetryRequest: Codable, Hashable, Sendable {
    /// None: every store whose delivery is suspended.
    public var stores: [StoreID]

    public init(stores: [StoreID] = []) {
        self.stores = stores
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case stores
    }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        stores = try container.decodeIfPresent([StoreID].self, forKey: .stores) ?? []
    }
}

/// What a retry has come to, store by store.
public struct RetryReply: Codable, Hashable, Sendable {
    public struct Store: Codable, Hashable, Sendable {
        public var store: StoreID
        public var accepted: Bool
        /// Why not; or what happens next.
        public var message: String

        public init(store: StoreID, accepted: Bool, message: String = "") {
            self.store = store
            self.accepted = accepted
            self.message = message
        }
    }

    public var session: SessionID
    public var stores: [Store]

    public init(session: SessionID, stores: [Store]) {
        self.session = session
        self.stores = stores
    }
}
