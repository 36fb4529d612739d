import WaybillModel

/// Which keys there are, and who is on the way to new ones.
public struct KeyStatus: Codable, Hashable, Sendable {
    public struct Hub: Codable, Hashable, Sendable {
        /// CURVE, in Z85.
        public var curveKey: String
        /// Ed25519, in base64.
        public var signingKey: String
        /// When the hub took these keys in place of others.
        @Nullable public var switchedAt: UTCTime?
        /// Active stores that have said nothing since.
        public var silentStores: [StoreID]

        public init(curveKey: String, signingKey: String, switchedAt: UTCTime?, silentStores: [StoreID]) {
            self.curveKey = curveKey
            self.signingKey = signingKey
            self.switchedAt = switchedAt
            self.silentStores = silentStores
        }
    }

    /// The keys that the hub has announced.
    public struct Next: Codable, Hashable, Sendable {
        public var curveKey: String
        public var signingKey: String
        @Nullable public var announcedAt: UTCTime?
        /// Active stores that do not have them on their disk yet.
        public var unawareStores: [StoreID]

        public init(curveKey: String, signingKey: String, announcedAt: UTCTime?, unawareStores: [StoreID]) {
            self.curveKey = curveKey
            self.signingKey = signingKey
            self.announcedAt = announcedAt
            self.unawareStores = unawareStores
        }
    }

    /// An active store's own keys.
    public struct Store: Codable, Hashable, Sendable {
        public var store: StoreID
        @Nullable public var key: String?
        @Nullable public var since: UTCTime?
        /// A new key is good, and has not been used yet.
        @Nullable public var nextSince: UTCTime?
        /// The old key is still good until then.
        @Nullable public var oldKeyUntil: UTCTime?
        @Nullable public var renewalAskedAt: UTCTime?

        public init(
            store: StoreID, key: String?, since: UTCTime?, nextSince: UTCTime?, oldKeyUntil: UTCTime?,
            renewalAskedAt: UTCTime?
        ) {
            self.store = store
            self.key = key
            self.since = since
            self.nextSince = nextSince
            self.oldKeyUntil = oldKeyUntil
            self.renewalAskedAt = renewalAskedAt
        }
    }

    public var hub: Hub
    @Nullable public var next: Next?
    public var stores: [Store]

    public init(hub: Hub, next: Next?, stores: [Store]) {
        self.hub = hub
        self.next = next
        self.stores = stores
    }
}

/// Take the announced keys in place of the present ones.
public struct KeySwitchRequest: Codable, Hashable, Sendable {
    /// Also if stores do not know them, which must then enrol anew.
    public var anyway: Bool

    public init(anyway: Bool = false) { self.anyway = anyway }

    private enum CodingKeys: String, CodingKey, CaseIterable { case anyway }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        anyway = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(Bool.self, forKey: .anyway) ?? false
    }
}

/// What the switch has left behind.
public struct KeySwitchReply: Codable, Hashable, Sendable {
    /// Stores that did not know the keys: they must enrol anew.
    public var unawareStores: [StoreID]
    /// Stores whose unused code is void: it carries the old keys.
    public var voidCodes: [StoreID]

    public init(unawareStores: [StoreID], voidCodes: [StoreID]) {
        self.unawareStores = unawareStores
        self.voidCodes = voidCodes
    }
}

/// Have stores replace their keys.
public struct StoreKeyRequest: Codable, Hashable, Sendable {
    /// None: every active store.
    public var stores: [StoreID]
    /// The old key ends with the first use of the new one.
    public var now: Bool

    public init(stores: [StoreID] = [], now: Bool = false) {
        self.stores = stores
        self.now = now
    }

    private enum CodingKeys: String, CodingKey, CaseIterable { case stores, now }

    public init(from decoder: any Decoder) throws {
        try refuseUnknownKeys(decoder, CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        stores = try container.decodeIfPresent([StoreID].self, forKey: .stores) ?? []
        now = try container.decodeIfPresent(Bool.self, forKey: .now) ?? false
    }
}

public struct StoreKeyReply: Codable, Hashable, Sendable {
    public struct Store: Codable, Hashable, Sendable {
        public var store: StoreID
        public var accepted: Bool
        /// What happens next, or why nothing does.
        public var message: String

        public init(store: StoreID, accepted: Bool, message: String) {
            self.store = store
            self.accepted = accepted
            self.message = message
        }
    }

    public var stores: [Store]

    public init(stores: [Store]) { self.stores = stores }
}

extension HubStatus {
    /// Keys that are being replaced.
    public struct Keys: Codable, Hashable, Sendable {
        /// The hub's next keys are announced to the stores.
        public var nextAnnounced: Bool
        /// Active stores that do not know them yet.
        public var unawareStores: Int
        /// Stores that are to make a new key and have not done so.
        public var renewalsAsked: Int
        /// Stores whose old key is still good beside the new one.
        public var oldKeysValid: Int

        public init(
            nextAnnounced: Bool = false, unawareStores: Int = 0, renewalsAsked: Int = 0, oldKeysValid: Int = 0
        ) {
            self.nextAnnounced = nextAnnounced
            self.unawareStores = unawareStores
            self.renewalsAsked = renewalsAsked
            self.oldKeysValid = oldKeysValid
        }
    }
}
