import Foundation
import GRDB
import Synchronization
import WaybillAdmin
import WaybillDatabase
import WaybillModel
import WaybillSchedule
import WaybillSessions
import WaybillSocket

/// Sessions as administrators see and command them.
extension HubBackend {
    func sessions(_ filter: SessionFilter) async throws -> [SessionSummary] {
        let query = SessionQuery(
            job: filter.job?.rawValue, status: filter.status, since: filter.since?.timestamp,
            includesNoData: filter.includesNoData, limit: filter.limit)
        let contacts = await contacts()
        let now = clock.now()
        return try await operations.reading { db in
            let stalled = try stalled(contacts, now: now, in: db)
            let live = LiveCounts(contacts, stalled)
            return try SessionList.lines(query.restricted(filter.isStalled ? stalled : nil), in: db).map {
                try summary($0, live, in: db)
            }
        }
    }

    func session(_ reference: SessionReference) async throws -> SessionDetail {
        let contacts = await contacts()
        let now = clock.now()
        return try await operations.reading { db in
            let session = try find(reference, in: db)
            let stalled = try stalled(contacts, of: session.id, now: now, in: db)
            let deliveries = try DeliveryRecord.all(of: session.id, in: db).map { delivery in
                var detail = detail(delivery, contacts[delivery.store])
                detail.stalled = stalled[StalledKey(delivery)]
                return detail
            }
            return SessionDetail(
                summary: try summary(session, contacts, stalled, in: db), deliveries: deliveries,
                approval: try approval(session, in: db))
        }
    }

    func sessionSummary(_ reference: SessionReference) async throws -> SessionSummary {
        let contacts = await contacts()
        let now = clock.now()
        return try await operations.reading { db in
            let session = try find(reference, in: db)
            let stalled = try stalled(contacts, of: session.id, now: now, in: db)
            return try summary(session, contacts, stalled, in: db)
        }
    }

    func find(_ reference: SessionReference, in db: Database) throws -> SessionRecord {
        let found =
            switch reference {
            case .id(let id): try SessionRecord.named(id, in: db)
            case .number(let number): try SessionRecord.find(number: number, in: db)
            }
        guard let found else { throw AdminError.notFound("there is no session \(reference)") }
        return found
    }

    private func summary(
        _ session: SessionRecord, _ contacts: [StoreID: HubOrder.Contact], _ stalled: [StalledKey: StalledDetail],
        in db: Database
    ) throws -> SessionSummary {
        let live = LiveCounts(contacts, stalled)
        guard let line = try SessionList.lines(of: [session], in: db).first else {
            throw AdminError.notFound("there is no session \(session.id)")
        }
        return try summary(line, live, in: db)
    }

    private func summary(_ line: SessionLine, _ live: LiveCounts, in db: Database) throws -> SessionSummary {
        let (session, tally) = (line.session, line.tally)
        var (rows, bytes) = (tally.rows, tally.bytes)
        if session.status == .awaitingApproval {
            let held = try HeldSession.volume(session.id, in: db)
            (rows, bytes) = (rows + held.rows, bytes + held.bytes)
        }
        let underWay = live.bytesUnderWay[session.id] ?? 0
        let kind = line.kinds.count > 1 ? .mixed : line.kinds.first.flatMap { SessionKind(rawValue: $0.rawValue) }
        return SessionSummary(
            id: session.id, job: session.job, status: RollUp.status(session.status, tally.deliveries), kind: kind,
            version: session.status == .started ? nil : session.version, createdAt: UTCTime(session.createdAt),
            rows: rows, bytes: bytes, bytesDone: min(bytes, tally.bytesDone + underWay),
            deliveries: Dictionary(
                tally.deliveries.map { ($0.key.rawValue, $0.value) }, uniquingKeysWith: { a, _ in a }),
            message: session.message.isEmpty ? nil : session.message, waitsFor: session.waitsFor,
            exceptions: tally.exceptions, stalled: live.stalled[session.id] ?? 0)
    }

    private func detail(_ delivery: Delivery, _ contact: HubOrder.Contact?) -> DeliveryDetail {
        let told = delivery.told
        let bytes = delivery.package?.bytes ?? 0
        var done: Int64 = [.downloaded, .applied, .applyFailed].contains(delivery.status) ? bytes : 0
        if let progress = contact?.progress, progress.session == delivery.session { done = progress.bytesDone }
        return DeliveryDetail(
            store: delivery.store, status: delivery.status, kind: delivery.package?.kind,
            rows: delivery.status == .noData ? 0 : delivery.package?.rows ?? 0,
            bytes: delivery.status == .noData ? 0 : bytes,
            bytesDone: min(done, bytes), requestedAt: told.requestedAt.map(UTCTime.init),
            downloadedAt: told.downloadedAt.map(UTCTime.init), appliedAt: told.appliedAt.map(UTCTime.init),
            attempts: told.attempts, longestLockMs: told.appliedAt == nil ? nil : told.longestLockMilliseconds,
            message: delivery.message.isEmpty ? nil : delivery.message, run: delivery.run,
            cancelRequested: delivery.awaitsCancelAnswer, waitsForWindow: delivery.waitsForWindow,
            exceptions: told.exceptions)
    }

    // MARK: commands

    func publish(_ request: PublishRequest) async throws -> PublishReply {
        let set = try await jobSet()
        let jobs = request.jobs.isEmpty ? set.jobs.map(\.id) : request.jobs
        try await checkNames(jobs: jobs, stores: request.stores, in: set)
        // Built in the order in which stores shall apply them, and answered in the order asked for.
        let rules = DeliveryRules.of(set.jobs)
        let inOrder = jobs.enumerated().sorted {
            (rules.rank(of: $0.element), $0.offset) < (rules.rank(of: $1.element), $1.offset)
        }
        let scope = RunScope(isFull: request.full, stores: request.stores.isEmpty ? nil : Set(request.stores))
        let isUrgent = request.now
        let published = try await ordered {
            .publish(inOrder.map(\.element), scope, isUrgent: isUrgent, reply: $0)
        }
        AuditTicket.current?.note("sessions " + published.map(\.session.rawValue).joined(separator: ", "))
        return PublishReply(
            sessions: zip(inOrder.map(\.offset), published).sorted { $0.0 < $1.0 }.map { _, session in
                PublishReply.Session(
                    id: session.session, job: session.job, status: SessionStatus.started.rawValue,
                    message: session.hold.map {
                        "job \(session.job) is on hold, which does not keep this session: \($0)"
                    })
            })
    }

    func cancel(_ reference: SessionReference, _ request: CancelRequest) async throws -> CancelReply {
        let (session, known) = try await operations.reading { db in
            let session = try find(reference, in: db)
            let held = try HeldSession.deliveries(of: session, in: db).map(\.store)
            return (session, try DeliveryRecord.all(of: session.id, in: db).map(\.store) + held)
        }
        for store in request.stores where !known.contains(store) {
            throw AdminError.notFound("session \(session.id) has no delivery for store \(store)")
        }
        let stores = request.stores.isEmpty ? nil : request.stores
        let reason = request.reason ?? ""
        let answers = await withCheckedContinuation { continuation in
            wire.post(
                AuditTicket.audited(
                    .cancel(session.id, stores: stores, reason: reason) { continuation.resume(returning: $0) }))
        }
        return CancelReply(
            session: session.id,
            stores: answers.sorted { $0.key < $1.key }.map { CancelReply.Store($0.key, $0.value) })
    }

    func rerun(_ reference: SessionReference, _ request: RerunRequest) async throws -> RerunReply {
        let (session, deliveries) = try await operations.reading { db in
            let session = try find(reference, in: db)
            try refuseRerunOfHeld(session, in: db)
            return (session, try DeliveryRecord.all(of: session.id, in: db))
        }
        for store in request.stores where !deliveries.contains(where: { $0.store == store }) {
            throw AdminError.notFound("session \(session.id) has no delivery for store \(store)")
        }
        guard session.status != .createFailed, session.status != .noData, session.status != .started else {
            throw AdminError.conflict(
                "session \(session.id) is \(session.status.rawValue) and has no packages; publish the job instead")
        }
        // Without names: those that were not applied. What a store has, it keeps, unless it is named.
        let chosen =
            request.stores.isEmpty
            ? deliveries.filter { $0.status != .applied && $0.status != .noData }.map(\.store) : request.stores
        let refusals = await withCheckedContinuation { continuation in
            wire.post(AuditTicket.audited(.rerun(session.id, stores: chosen) { continuation.resume(returning: $0) }))
        }
        return RerunReply(
            session: session.id,
            stores: refusals.sorted { $0.key < $1.key }.map { store, refusal in
                RerunReply.Store(
                    store: store, accepted: refusal == nil, message: refusal ?? "offered again as a new run")
            })
    }

    func purge(_ request: PurgeRequest) async throws -> PurgeReply {
        let before = clock.now() + -request.olderThanSeconds * 1000
        var reply = PurgeReply(sessions: 0, packages: 0, bytesFreed: 0)
        while true {
            let slice = try await operations.writing { db in
                try Retention.purgeSlice(before: before, limit: RetentionLimits.deliverySlice, in: db)
            }
            let home = home
            reply.sessions += slice.sessions
            reply.packages += slice.packages.count
            reply.bytesFreed += try await onOwnThread { try PackageFolder.remove(slice.packages, from: home) }
            guard !slice.isLast else { return reply }
            try await Task.sleep(for: .milliseconds(RetentionLimits.pauseMilliseconds))
        }
    }
}

/// What is known of sessions beside `hub.db`, counted once for all lines of a list.
private struct LiveCounts {
    /// Bytes that stores have of packages which they are still fetching.
    var bytesUnderWay: [SessionID: Int64] = [:]
    var stalled: [SessionID: Int] = [:]

    init(_ contacts: [StoreID: HubOrder.Contact], _ stalled: [StalledKey: StalledDetail]) {
        for progress in contacts.values.compactMap(\.progress) {
            bytesUnderWay[progress.session, default: 0] += progress.bytesDone
        }
        for key in stalled.keys { self.stalled[key.session, default: 0] += 1 }
    }
}

extension CancelReply.Store {
    init(_ store: StoreID, _ answer: CancelAnswer) {
        switch answer {
        case .revoked: self.init(store: store, answer: .revoked, message: "revoked, never applied")
        case .tooLate(let at):
            self.init(store: store, answer: .tooLate, at: at.map(UTCTime.init), message: "too late, already applied")
        case .waiting:
            self.init(store: store, answer: .pending, message: "asked; it answers when it is next connected")
        case .nothing(let status):
            self.init(store: store, answer: .alreadyFinal, message: "it was \(status.rawValue)")
        }
    }
}

/// Set once, from another thread.
final class Flag: Sendable {
    private let flag = Atomic(false)
    var isSet: Bool { flag.load(ordering: .acquiring) }
    func set() { flag.store(true, ordering: .releasing) }
}
