import Crypto
import Foundation
import GRDB
import Logging
import WaybillAdmin
import WaybillCapture
import WaybillDatabase
import WaybillImport
import WaybillJobs
import WaybillModel
import WaybillSchedule
import WaybillSessions
import WaybillSocket
import WaybillWire

/// What administrators ask for, done by the hub's threads and databases.
struct HubBackend: AdminBackend {
    let home: HubHome
    let configuration: HubConfiguration
    let operations: Operations
    let staging: StagingDatabase
    let wire: HubLoop
    let publisher: Publisher
    let runner: JobRunner
    let retention: RetentionThread
    let verifier: Verifier
    let catalogue: JobCatalogue
    let keyring: HubKeyring
    let clock: HubClock
    let startedAt: Timestamp
    let hearsay = Hearsay()

    // MARK: status

    func status() async throws -> HubStatus {
        let contacts = await contacts()
        let now = clock.now()
        let (home, operations, policy) = (home, operations, configuration.retention)
        let jobList = try await jobSet().jobs
        let held = await heldJobs()
        let unusable = catalogue.unusable
        let misfits = unusable - catalogue.known.badFiles.count
        let usage = try await onOwnThread { try HubUsage.measure(home, operations, jobList, policy) }
        let notFolding = notFolding(now)
        return try await operations.reading { db in
            let stalled = try stalled(contacts, now: now, in: db)
            let stores = try StoreCounts.all(in: db)
            // Only an active store counts as connected, see Desk.
            let online = contacts.values.count(where: \.isOnline)
            let failures = try SessionList.failures(limit: 20, in: db)
            let quarantined = try QuarantineRecord.totals(in: db)
            var status = HubStatus(
                hub: HubStatus.Hub(version: WaybillVersion.text, startedAt: UTCTime(startedAt), home: home.path),
                stores: HubStatus.Stores(
                    active: stores.active, online: online, offline: max(0, stores.active - online),
                    behind: stores.behind, pending: stores.pending, retired: stores.retired,
                    quarantined: quarantined.count, quarantinedRows: quarantined.values.reduce(0, +)),
                sessions: HubStatus.Sessions(
                    running: try SessionList.runningCount(in: db), failedStores: Set(failures.map(\.store)).count,
                    awaitingApproval: try HeldSession.awaitingCount(in: db), stalledDeliveries: stalled.count),
                jobs: HubStatus.Jobs(usable: jobList.count - misfits, onHold: held, unusable: unusable),
                disk: usage.disk, slowest: usage.slowest,
                errors: failures.map { failure in
                    let at = failure.told.downloadedAt ?? failure.told.requestedAt ?? now
                    return HubStatus.Problem(
                        at: UTCTime(at), store: failure.store, session: failure.session, message: failure.message)
                }, notFolding: notFolding)
            status.diverged = try VerificationRecord.diverged(in: db).map(HubStatus.Divergence.init)
            status.keys = try keyCounts(stores, in: db)
            return status
        }
    }

    func contacts() async -> [StoreID: HubOrder.Contact] {
        await hearContacts()
    }

    // MARK: stores

    func stores() async throws -> [StoreSummary] {
        let contacts = await contacts()
        return try await operations.reading { db in
            let behind = try SessionList.behind(in: db)
            let codes = try Enrolment.unusedCodes(in: db)
            return try StoreRecord.all(in: db).map { record in
                var line = try summary(record, contacts[record.id], behind[record.id] ?? [], in: db)
                line.codeExpiresAt = codes[record.id].map(UTCTime.init)
                return line
            }
        }
    }

    func store(_ store: StoreID) async throws -> StoreDetail {
        let contacts = await contacts()
        return try await operations.reading { db in
            guard let record = try StoreRecord.find(store, in: db) else { throw unknownStore(store) }
            let behind = try SessionList.behind(in: db)[store] ?? []
            let deliveries = try SessionList.newest(of: store, limit: 20, in: db).map { delivery, session in
                StoreDelivery(
                    session: session.id, job: session.job, createdAt: UTCTime(session.createdAt),
                    status: delivery.status, kind: delivery.package?.kind, rows: delivery.package?.rows ?? 0,
                    bytes: delivery.package?.bytes ?? 0, appliedAt: delivery.told.appliedAt.map(UTCTime.init),
                    message: delivery.message.isEmpty ? nil : delivery.message)
            }
            var line = try summary(record, contacts[store], behind, in: db)
            line.codeExpiresAt = try Enrolment.unusedCodes(in: db)[store].map(UTCTime.init)
            return StoreDetail(summary: line, deliveries: deliveries)
        }
    }

    private func summary(
        _ record: StoreRecord, _ contact: HubOrder.Contact?, _ behind: Set<JobID>, in db: Database
    ) throws -> StoreSummary {
        let positions = try StoreRecord.positions(of: record.id, in: db)
        let seen = [record.lastSeen, contact?.lastHeard].compactMap { $0 }.max()
        var summary = StoreSummary(
            store: record.id, state: WaybillAdmin.StoreState(rawValue: record.state.rawValue) ?? .pending,
            online: contact?.isOnline ?? false, lastSeen: seen.map(UTCTime.init),
            agentVersion: record.agentVersion.isEmpty ? nil : record.agentVersion,
            watermarks: positions,
            behind: behind.sorted(), freeBytes: contact?.freeBytes,
            message: record.message.isEmpty ? nil : record.message,
            quarantined: try QuarantineRecord.total(of: record.id, in: db))
        summary.take(try VerificationRecord.standings(of: record.id, in: db))
        return summary
    }

    private func unknownStore(_ store: StoreID) -> AdminError {
        .notFound("there is no store \(store); add it with: waybill store add \(store)")
    }

    func addStore(_ request: StoreAddRequest) async throws -> StoreAdded {
        let store = request.store
        guard configuration.isAdvertisedReachable else {
            throw AdminError.conflict(
                "no store can connect to \(configuration.enrol); name this machine as 'advertise' in hub.yaml and start the hub again"
            )
        }
        let hqPath = home.hqDatabase
        let isKnown = try await onOwnThread {
            let queue = try OpenDatabase.queue(at: hqPath, label: "hq", isReadOnly: true)
            defer { try? queue.close() }
            return try queue.read { db in
                try Bool.fetchOne(
                    db, sql: "SELECT EXISTS (SELECT 1 FROM store WHERE store_id = ?)", arguments: [store.rawValue])
                    ?? false
            }
        }
        guard isKnown else {
            throw AdminError.notFound("HQ's table store has no store '\(store)'; import it first")
        }
        let secret = (0..<EnrolmentCode.secretBytes).map { _ in UInt8.random(in: .min ... .max) }
        let now = clock.now()
        let validFor = request.validForSeconds ?? Int64(configuration.enrolmentCodeHours) * 3600
        let expiresAt = now + validFor * 1000
        let ticket = AuditTicket.current
        try await operations.writing { db in
            try Enrolment.add(
                store, secretHash: Array(SHA256.hash(data: secret)), at: now, expiresAt: expiresAt, in: db)
            try ticket?.record(in: db)
        }
        wire.post(.storeChanged(store))
        let code = EnrolmentCode(
            store: store, secret: secret, enrolmentEndpoint: configuration.advertised(configuration.enrol),
            hubCurveKey: keyring.publicKeys.curve, hubSigningKey: keyring.publicKeys.signing)
        return StoreAdded(store: store, code: try code.encoded(), expiresAt: UTCTime(expiresAt))
    }

    func retireStore(_ store: StoreID) async throws -> StoreSummary {
        let now = clock.now()
        let ticket = AuditTicket.current
        try await operations.writing { db in
            guard try StoreRecord.find(store, in: db) != nil else { throw unknownStore(store) }
            try Enrolment.retire(store, at: now, in: db)
            try ticket?.record(in: db)
        }
        wire.post(.storeChanged(store))
        return try await self.store(store).summary
    }
}
