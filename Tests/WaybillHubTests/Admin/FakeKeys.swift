import WaybillAdmin
import WaybillHub
import WaybillModel

/// Keys of a hub that has announced its next ones to one of two stores.
extension FakeBackend {
    nonisolated static var keys: KeyStatus {
        let stores = ["S1", "S2"].compactMap(StoreID.init)
        return KeyStatus(
            hub: .init(curveKey: "here", signingKey: "AAAA", switchedAt: time, silentStores: Array(stores.prefix(1))),
            next: .init(
                curveKey: "there", signingKey: "BBBB", announcedAt: time, unawareStores: Array(stores.suffix(1))),
            stores: stores.map {
                .init(store: $0, key: "k", since: time, nextSince: nil, oldKeyUntil: time, renewalAskedAt: nil)
            })
    }

    func keyStatus() async throws -> KeyStatus { FakeBackend.keys }
    func announceKeys() async throws -> KeyStatus { FakeBackend.keys }

    func switchKeys(_ request: KeySwitchRequest) async throws -> KeySwitchReply {
        let unaware = FakeBackend.keys.next?.unawareStores ?? []
        guard request.anyway else { throw AdminError.conflict("1 stores do not know the next keys yet (S2)") }
        return KeySwitchReply(unawareStores: unaware, voidCodes: unaware)
    }

    func renewStoreKeys(_ request: StoreKeyRequest) async throws -> StoreKeyReply {
        StoreKeyReply(
            stores: request.stores.map { .init(store: $0, accepted: $0.rawValue != "S2", message: "makes a new key") })
    }
}
