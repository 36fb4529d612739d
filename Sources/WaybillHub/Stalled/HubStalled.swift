import GRDB
import WaybillAdmin
import WaybillModel
import WaybillSessions

/// A delivery, by the names of its session and its store.
struct StalledKey: Hashable {
    var session: SessionID
    var store: StoreID

    init(session: SessionID, store: StoreID) {
        self.session = session
        self.store = store
    }

    init(_ delivery: Delivery) { self.init(session: delivery.session, store: delivery.store) }
}

/// Deliveries that have not come forward for longer than is usual, judged when somebody asks.
extension HubBackend {
    /// That this hub does not take in what stores say; nil while it does.
    func notFolding(_ now: Timestamp) -> HubStatus.NotFolding? {
        let patience = min(WirePulse.patience, Int64(configuration.stalledAfterSeconds) * 1000)
        // A turn is never shorter than its look around.
        return wire.parts.pulse.fault(now: now, patience: max(patience, 2 * Int64(HubLimits.idleMilliseconds))).map {
            HubStatus.NotFolding(since: UTCTime($0.since), message: $0.message)
        }
    }

    /// - Parameter session: only of this one.
    func stalled(
        _ contacts: [StoreID: HubOrder.Contact], of session: SessionID? = nil, now: Timestamp, in db: Database
    ) throws -> [StalledKey: StalledDetail] {
        let notFoldingSince = notFolding(now)?.since.timestamp
        var found: [StalledKey: StalledDetail] = [:]
        // The age of what is looked at: most deliveries are not worth a look into the history.
        let floor = max(
            Int64(configuration.stalledAfterSeconds) * 1000, 2 * Int64(configuration.helloSeconds) * 1000)
        for (store, contact) in contacts {
            for (id, entry) in contact.stages where session == nil || session == id {
                guard
                    notFoldingSince != nil || now - (entry.unreportedSince ?? entry.since) > floor
                        || now - entry.since > floor
                else { continue }
                let expected = try StageHistoryRecord.expected(entry, of: store, floor: floor, in: db)
                let stalled = Stalled.judge(
                    entry, expected: expected, isOnline: contact.isOnline(at: now, configuration),
                    notFoldingSince: notFoldingSince, now: now)
                if let stalled {
                    found[StalledKey(session: id, store: store)] = detail(
                        stalled, store, lastHeard: contact.lastHeard, now: now)
                }
            }
        }
        try addUnheard(&found, contacts, of: session, floor: floor, now: now, in: db)
        return found
    }

    /// Deliveries under way at stores of which nothing was heard since this hub started: no desk watches them.
    private func addUnheard(
        _ found: inout [StalledKey: StalledDetail], _ contacts: [StoreID: HubOrder.Contact], of session: SessionID?,
        floor: Int64, now: Timestamp, in db: Database
    ) throws {
        guard now - startedAt > floor else { return }
        // Index delivery_open; store by its key.
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT delivery.session_id, delivery.store_id, delivery.status, delivery.cancel_asked_at, store.last_seen,
                    ifnull(package.bytes, 0) AS bytes, ifnull(package.rows, 0) AS rows
                FROM delivery
                JOIN store ON store.store_id = delivery.store_id
                LEFT JOIN package ON package.id = delivery.package
                WHERE delivery.is_open AND delivery.is_granted AND store.state = 'active'
                    AND delivery.status IN ('Requested', 'Downloaded')
                    AND (:session IS NULL OR delivery.session_id = :session)
                """,
            arguments: ["session": session?.rawValue])
        for row in rows {
            guard let id = SessionID(row["session_id"]), let store = StoreID(row["store_id"]), contacts[store] == nil
            else { continue }
            let isDownload = row["status"] == DeliveryStatus.requested.rawValue
            let entry = StageWatch.Entry(
                stage: isDownload ? .download : .apply, since: startedAt, bytes: row["bytes"], rows: row["rows"])
            let expected = try StageHistoryRecord.expected(entry, of: store, floor: floor, in: db)
            let seen = (row["last_seen"] as Int64?).map(Timestamp.init(milliseconds:))
            let stalled = Stalled.judge(
                entry, expected: expected, isOnline: false, notFoldingSince: nil, now: now)
            if let stalled {
                found[StalledKey(session: id, store: store)] = detail(stalled, store, lastHeard: seen, now: now)
            }
        }
    }

    private func detail(
        _ stalled: Stalled, _ store: StoreID, lastHeard: Timestamp?, now: Timestamp
    ) -> StalledDetail {
        let message = stalled.sentence(
            store: store, lastHeard: lastHeard, time: { StalledDetail.clock($0, near: now) },
            span: StalledDetail.span(milliseconds:))
        return StalledDetail(
            stage: stalled.stage.rawValue, since: UTCTime(stalled.since), expectedBy: UTCTime(stalled.expectedBy),
            cause: stalled.cause.rawValue, message: message)
    }
}

extension HubOrder.Contact {
    /// Judged now: what the wire thread said may be old.
    fileprivate func isOnline(at now: Timestamp, _ configuration: HubConfiguration) -> Bool {
        guard isOnline, let lastHeard else { return false }
        return now - lastHeard < Int64(configuration.offlineAfterSeconds) * 1000
    }
}

extension SessionQuery {
    /// Only sessions with a stalled delivery, when that is asked for.
    func restricted(_ stalled: [StalledKey: StalledDetail]?) -> SessionQuery {
        guard let stalled else { return self }
        var query = self
        query.only = Set(stalled.keys.map(\.session.number)).sorted()
        return query
    }
}
