import WaybillModel
import WaybillSessions
import WaybillSocket

/// Whose key is whose. The gatekeeper lets keys in; this says, for every single message, which store it speaks for.
///
/// Connections outlive the right to them: a key that was replaced or retired may still have one. So a message's user
/// id is the key itself, not a store's name, and is looked up here each time.
struct EnrolledKeys {
    private var stores: [String: StoreID] = [:]
    /// Keys that were taken away since the hub started, for a clear line in the log.
    private var former: [String: StoreID] = [:]

    /// What a message's user id stands for.
    enum Holder: Equatable {
        case store(StoreID)
        /// The store has another key by now, or is retired.
        case former(StoreID)
        case nobody
    }

    init(_ records: [StoreRecord]) {
        for record in records { update(record) }
    }

    func holder(of userID: String) -> Holder {
        if let store = stores[userID] { return .store(store) }
        if let store = former[userID] { return .former(store) }
        return .nobody
    }

    /// Takes a store's record as it is now.
    /// - Returns: the keys that are no longer good.
    @discardableResult
    mutating func update(_ record: StoreRecord) -> [CurvePublicKey] {
        let key = record.state == .active ? record.publicKey.flatMap { try? CurvePublicKey(bytes: $0) } : nil
        var gone: [CurvePublicKey] = []
        for (text, store) in stores where store == record.id && text != key?.z85 {
            stores[text] = nil
            former[text] = record.id
            if let key = try? CurvePublicKey(z85: text) { gone.append(key) }
        }
        if let key {
            stores[key.z85] = record.id
            former[key.z85] = nil
        }
        return gone
    }

    /// What the gatekeeper lets in: the keys, each under its own name.
    static func allowList(_ records: [StoreRecord]) -> [CurvePublicKey: String] {
        var keys: [CurvePublicKey: String] = [:]
        for record in records where record.state == .active {
            if let key = record.publicKey.flatMap({ try? CurvePublicKey(bytes: $0) }) { keys[key] = key.z85 }
        }
        return keys
    }
}
