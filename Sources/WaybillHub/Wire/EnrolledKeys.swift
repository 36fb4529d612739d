import WaybillModel
import WaybillSessions
import WaybillSocket

/// Whose key is whose. The gatekeeper lets keys in; this says, for every single message, which store it speaks for.
///
/// Connections outlive the right to them: a key that was replaced or retired may still have one. So a message's user
/// id is the key itself, not a store's name, and is looked up here each time. A store that replaces its key has several
/// for a while.
struct EnrolledKeys {
    private var stores: [String: Entry] = [:]
    private var keys: [StoreID: Set<String>] = [:]
    /// Keys that were taken away since the hub started, for a clear line in the log.
    private var former: [String: StoreID] = [:]
    private var ends: [String: Timestamp] = [:]
    /// When the next of the old keys ends.
    private(set) var nextEnd: Timestamp?
    /// When a store was last told of for speaking with its old key.
    private var warned: [StoreID: Timestamp] = [:]

    /// What a message's user id stands for.
    enum Holder: Equatable {
        case store(StoreID)
        /// The store has another key by now, or is retired.
        case former(StoreID)
        case nobody
    }

    /// What a key is to its store.
    enum Standing: Equatable {
        case present
        /// Good, and not used yet.
        case next
        /// Its successor has been in use since then.
        case old(since: Timestamp)
    }

    private struct Entry {
        var store: StoreID
        var standing: Standing
    }

    init(_ records: [StoreRecord]) {
        for record in records { update(record) }
    }

    func holder(of userID: String) -> Holder {
        if let entry = stores[userID] { return .store(entry.store) }
        if let store = former[userID] { return .former(store) }
        return .nobody
    }

    func standing(of userID: String) -> Standing? { stores[userID]?.standing }

    /// Takes a store's record as it is now.
    /// - Returns: the keys that are no longer good.
    @discardableResult
    mutating func update(_ record: StoreRecord) -> [CurvePublicKey] {
        let good = EnrolledKeys.good(record)
        let names = Set(good.map(\.key.z85))
        var gone: [CurvePublicKey] = []
        for text in keys[record.id, default: []].subtracting(names) {
            stores[text] = nil
            ends[text] = nil
            former[text] = record.id
            if let key = try? CurvePublicKey(z85: text) { gone.append(key) }
        }
        for (key, standing, end) in good {
            stores[key.z85] = Entry(store: record.id, standing: standing)
            ends[key.z85] = end
            former[key.z85] = nil
        }
        keys[record.id] = names.isEmpty ? nil : names
        nextEnd = ends.values.min()
        return gone
    }

    /// Whether it is time to say, once more, that a store still speaks with its old key. A letter of the old connection
    /// may be overtaken by the new one's; that is over in a moment.
    mutating func shouldWarn(of store: StoreID, since: Timestamp, now: Timestamp) -> Bool {
        guard now - since >= EnrolledKeys.crossingMilliseconds else { return false }
        if let last = warned[store], now - last < EnrolledKeys.warningInterval { return false }
        warned[store] = now
        return true
    }

    private static let crossingMilliseconds: Int64 = 60_000
    private static let warningInterval: Int64 = 10 * 60_000

    private static func good(_ record: StoreRecord) -> [(key: CurvePublicKey, standing: Standing, end: Timestamp?)] {
        guard record.state == .active else { return [] }
        let present = record.publicKey.flatMap { try? CurvePublicKey(bytes: $0) }
        let spare = record.spareKeys.compactMap { spare in
            (try? CurvePublicKey(bytes: spare.publicKey)).map { key in
                (key: key, standing: spare.state == .next ? Standing.next : .old(since: spare.since), end: spare.endsAt)
            }
        }
        return spare + (present.map { [(key: $0, standing: .present, end: nil)] } ?? [])
    }

    /// What the gatekeeper lets in: the keys, each under its own name.
    static func allowList(_ records: [StoreRecord]) -> [CurvePublicKey: String] {
        var keys: [CurvePublicKey: String] = [:]
        for record in records {
            for good in good(record) { keys[good.key] = good.key.z85 }
        }
        return keys
    }
}
