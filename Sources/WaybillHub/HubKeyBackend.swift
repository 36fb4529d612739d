import Foundation
import GRDB
import WaybillAdmin
import WaybillModel
import WaybillSessions
import WaybillSocket

/// Replacing keys: the hub's own, and those of stores.
extension HubBackend {
    func keyStatus() async throws -> KeyStatus {
        let contacts = await contacts()
        let (present, news) = (keyring.publicKeys, keyring.news)
        return try await operations.reading { db in
            let active = try StoreRecord.all(in: db).filter { $0.state == .active }
            let switchedAt = try HubKeyDates.find(.switched, in: db)
            let next = try news.next.map { next in
                KeyStatus.Next(
                    curveKey: try CurvePublicKey(bytes: next.curve).z85,
                    signingKey: Data(next.signing).base64EncodedString(),
                    announcedAt: try HubKeyDates.find(.announced, in: db).map(UTCTime.init),
                    unawareStores: unaware(active, of: next.curve + next.signing))
            }
            return KeyStatus(
                hub: KeyStatus.Hub(
                    curveKey: try CurvePublicKey(bytes: present.curve).z85,
                    signingKey: Data(present.signing).base64EncodedString(),
                    switchedAt: switchedAt.map(UTCTime.init),
                    silentStores: switchedAt.map { silent(active, contacts, since: $0) } ?? []),
                next: next,
                stores: active.map(KeyStatus.Store.init))
        }
    }

    private func unaware(_ stores: [StoreRecord], of keys: [UInt8]) -> [StoreID] {
        stores.filter { $0.knownHubKeys != keys }.map(\.id)
    }

    /// Stores that have said nothing since the hub has its present keys: they may not know them.
    private func silent(
        _ stores: [StoreRecord], _ contacts: [StoreID: HubOrder.Contact], since: Timestamp
    ) -> [StoreID] {
        stores.filter { store in
            let seen = [store.lastSeen, store.keySince, contacts[store.id]?.lastHeard].compactMap { $0 }.max()
            return seen.map { $0 < since } ?? true
        }.map(\.id)
    }

    func announceKeys() async throws -> KeyStatus {
        let (keyring, operations, now) = (keyring, operations, clock.now())
        try await onOwnThread {
            guard try keyring.announce() else { return }
            try operations.write { try HubKeyDates.note(.announced, at: now, in: $0) }
        }
        return try await keyStatus()
    }

    func switchKeys(_ request: KeySwitchRequest) async throws -> KeySwitchReply {
        guard let next = try await keyStatus().next else {
            throw AdminError.conflict("no next keys are announced; announce them with: waybill key rotate")
        }
        let missing = next.unawareStores
        guard missing.isEmpty || request.anyway else {
            let names = missing.prefix(5).map(\.rawValue).joined(separator: ", ") + (missing.count > 5 ? ", …" : "")
            throw AdminError.conflict(
                "\(missing.count) stores do not know the next keys yet (\(names)) and would have to enrol anew; "
                    + "see waybill key status, or say --anyway")
        }
        let (keyring, operations, wire, now) = (keyring, operations, wire, clock.now())
        let voided = try await onOwnThread {
            do {
                // While nobody is connected: whoever reached the hub by its old keys would refuse what bears the new
                // signature, and tell it as a failed download.
                let voided = try wire.reopen {
                    try keyring.switchOver()
                    return try operations.write { try HubKeyDates.take(keyring, at: now, in: $0) }
                }
                wire.parts.logger.notice("the hub has its next keys; \(missing.count) stores did not know them")
                return voided
            } catch let fault as NotReopened {
                // Started again, the hub serves with the keys there are then.
                wire.parts.logger.critical("the endpoints could not be opened again: \(fault.cause)")
                exit(EXIT_FAILURE)
            }
        }
        AuditTicket.current?.note(
            "\(missing.count) stores did not know the keys; unused codes that are void now: \(voided.count)")
        return KeySwitchReply(unawareStores: missing, voidCodes: voided)
    }

    func renewStoreKeys(_ request: StoreKeyRequest) async throws -> StoreKeyReply {
        let (now, ticket) = (clock.now(), AuditTicket.current)
        let stores = try await operations.writing { db in
            let records = try StoreRecord.all(in: db)
            for store in request.stores where !records.contains(where: { $0.id == store }) {
                throw AdminError.notFound("there is no store \(store); see: waybill store list")
            }
            let wanted = Set(request.stores)
            let chosen = records.filter { wanted.isEmpty ? $0.state == .active : wanted.contains($0.id) }
            let answers = try chosen.map { record in
                let isAsked = try StoreKeys.askRenewal(of: record.id, atOnce: request.now, at: now, in: db)
                return StoreKeyReply.Store(
                    store: record.id, accepted: isAsked,
                    message: isAsked
                        ? "makes a new key when it is heard next" : "is \(record.state.rawValue): it has no key")
            }
            try ticket?.record(in: db)
            return answers
        }
        for store in stores where store.accepted { wire.post(.storeChanged(store.store)) }
        return StoreKeyReply(stores: stores)
    }

    /// What of it belongs into the hub's state at a glance.
    func keyCounts(_ stores: StoreCounts, in db: Database) throws -> HubStatus.Keys {
        let next = keyring.news.next
        return HubStatus.Keys(
            nextAnnounced: next != nil,
            unawareStores: try next.map { try StoreCounts.unaware(of: $0.curve + $0.signing, in: db) } ?? 0,
            renewalsAsked: stores.renewalsAsked, oldKeysValid: stores.oldKeysValid)
    }
}

extension KeyStatus.Store {
    init(_ record: StoreRecord) {
        func first(_ state: SpareKey.State) -> SpareKey? { record.spareKeys.last { $0.state == state } }
        self.init(
            store: record.id,
            key: record.publicKey.flatMap { try? CurvePublicKey(bytes: $0) }?.z85,
            since: record.keySince.map(UTCTime.init), nextSince: first(.next).map { UTCTime($0.since) },
            oldKeyUntil: first(.former)?.endsAt.map(UTCTime.init),
            renewalAskedAt: record.renewalAskedAt.map(UTCTime.init))
    }
}

extension HubKeyDates {
    /// Notes which keys the hub has. When they are others than those noted before, unused codes are void, for they
    /// carry the old ones. Done at each start as well: a switch may have been cut short before it came to this.
    /// - Returns: stores whose code is void.
    static func take(_ keyring: HubKeyring, at now: Timestamp, in db: Database) throws -> [StoreID] {
        let present = keyring.publicKeys
        let name = Data(present.curve + present.signing).base64EncodedString()
        let noted = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE name = 'hub-keys'")
        guard noted != name else { return [] }
        try db.execute(
            sql: "INSERT OR REPLACE INTO meta (name, value) VALUES ('hub-keys', ?)", arguments: [name])
        guard noted != nil else { return [] }
        try note(.switched, at: now, in: db)
        return try Enrolment.voidUnusedCodes(in: db)
    }
}
