import Foundation
import GRDB
import WaybillAdmin
import WaybillModel
import WaybillSessions

/// Verifications as administrators command and see them.
extension HubBackend {
    func verify(_ request: VerifyRequest) async throws -> VerifyReply {
        let set = try await jobSet()
        try await checkNames(jobs: request.jobs, stores: request.stores, in: set)
        let jobs = request.jobs.isEmpty ? set.jobs.map(\.id) : request.jobs
        let now = clock.now()
        let reply = try await operations.writing { db in
            let records = try StoreRecord.all(in: db)
            let stores = request.stores.isEmpty ? records.filter { $0.state == .active }.map(\.id) : request.stores
            if let store = stores.first(where: { id in records.first { $0.id == id }?.state != .active }) {
                throw AdminError.conflict("store \(store) is not enrolled, so nobody can say what it has")
            }
            var begun: [VerificationSummary] = []
            for store in stores {
                for job in jobs {
                    let record = try VerificationRecord.ask(
                        store, job, cause: .asked, repairs: request.repair, at: now, in: db)
                    if let record { begun.append(try VerificationSummary(record, in: db)) }
                }
            }
            return VerifyReply(verifications: begun)
        }
        verifier.wake()
        return reply
    }

    func verifications(_ filter: VerificationFilter) async throws -> [VerificationSummary] {
        try await operations.reading { db in
            try VerificationRecord.list(
                stores: filter.stores, jobs: filter.jobs, since: filter.since, limit: filter.limit, in: db
            ).map { try VerificationSummary($0, in: db) }
        }
    }
}

extension VerificationSummary {
    init(_ record: VerificationRecord, in db: Database) throws {
        let findings = try? AdminJSON.decode([VerificationFinding].self, from: Data(record.findings.utf8))
        self.init(
            id: record.id, store: record.store, job: record.job, outcome: record.outcome?.rawValue ?? "running",
            repairing: try record.isRepairing(in: db), cause: record.cause.rawValue,
            begunAt: UTCTime(record.begunAt), endedAt: record.endedAt.map(UTCTime.init),
            version: record.watermark?.version.number, session: record.watermark?.session, changed: record.changed,
            missing: record.missing, extra: record.extra, partial: record.isPartial,
            repairSession: record.repairSession, message: record.message.isEmpty ? nil : record.message,
            goodBefore: try record.goodBefore(in: db).map(UTCTime.init), findings: findings ?? [])
    }
}

extension HubStatus.Divergence {
    init(_ record: VerificationRecord) {
        self.init(
            store: record.store, job: record.job, at: UTCTime(record.endedAt ?? record.begunAt),
            rows: record.changed + record.missing + record.extra)
    }
}

extension StoreSummary {
    /// Adds what verifications say about the store.
    mutating func take(_ standings: [JobID: (newest: VerificationRecord, good: VerificationRecord?)]) {
        for (job, standing) in standings {
            if let good = standing.good, let mark = good.watermark, let at = good.endedAt {
                verifiedThrough[job.rawValue] = VerifiedValue(
                    version: mark.version.number, session: mark.session, at: UTCTime(at))
            }
            if standing.newest.outcome == .diverged { diverged.append(job) }
        }
        diverged.sort()
    }
}
