import Foundation
import GRDB
import WaybillAdmin
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions

/// Why a store has a row, or has not: `rows.db` and `hq.db` through the publisher's thread, `hub.db` beside it.
extension HubBackend {
    func why(_ request: WhyRequest) async throws -> WhyReply {
        let set = try await jobSet()
        guard let (job, subjob) = filling(request.table, in: set) else { throw unknownTable(request.table, in: set) }
        let key: RowKey
        do { key = try RowKey(request.key, of: subjob.table) } catch { throw AdminError.invalid("\(error)") }
        let standing = try await operations.reading { try whyStanding(request.store, job.id, in: $0) }
        let now = clock.now()
        let question = RowQuestion(
            job: job.at(now), subjob: job.at(now).subjobs.first { $0.table.name == request.table } ?? subjob,
            store: request.store, key: key, base: standing.base,
            today: String(UTCTime(now).description.prefix(10)))
        let findings: RowFindings
        do {
            findings = try await publisher.look { try $0.why(question) }
        } catch let faults as JobFaults {
            throw AdminError.conflict("job \(job.id) cannot be run: \(faults.faults.first?.description ?? "")")
        }
        return try await operations.reading { db in
            try WhyAnswer(
                question: question, findings: findings, standing: standing,
                quarantine: try QuarantineRecord.find(request.store, in: db).entries,
                deliveries: RowDeliveries(store: request.store, job: job.id, db: db)
            ).reply()
        }
    }

    private func filling(_ table: String, in set: JobSet) -> (Job, Subjob)? {
        for job in set.jobs {
            if let subjob = job.subjobs.first(where: { $0.table.name == table }) { return (job, subjob) }
        }
        return nil
    }

    private func unknownTable(_ table: String, in set: JobSet) -> AdminError {
        let tables = set.jobs.flatMap(\.subjobs).map(\.table.name).joined(separator: ", ")
        let bad = set.badFiles.isEmpty ? "" : "; some job files cannot be used, see: waybill job list"
        return .notFound("no job fills a store table '\(table)'; there are: \(tables)\(bad)")
    }

    private func whyStanding(_ store: StoreID, _ job: JobID, in db: Database) throws -> WhyStanding {
        guard let record = try StoreRecord.find(store, in: db) else {
            throw AdminError.notFound("there is no store \(store); add it with: waybill store add \(store)")
        }
        let watermark = try StoreRecord.positions(of: store, in: db)[job]
        let session = try watermark.flatMap { try SessionRecord.find($0.session, in: db) }
        return WhyStanding(
            state: record.state, watermark: watermark,
            base: session.map { Base(version: $0.version.number, token: $0.token) }, message: record.message)
    }
}

/// Puts an answer together.
struct WhyAnswer {
    let question: RowQuestion
    let findings: RowFindings
    let standing: WhyStanding
    /// What the store has said last, of all jobs and tables.
    let quarantine: [QuarantineEntry]
    let deliveries: RowDeliveries

    private var table: TableShape { question.subjob.table }
    private var words: WhyWords {
        let triggers = question.job.triggers
        return WhyWords(
            store: question.store, job: question.job.id, table: table.name, standing: standing,
            hasTrigger: triggers.online != nil || !triggers.schedules.isEmpty)
    }
    private var asked: [String] {
        table.key.compactMap { column in question.key.values[column].map { "\(column) \($0.plainText)" } }
    }

    func reply() throws -> WhyReply {
        let built = try deliveries.built()
        let rows = try findings.rows.map { try row($0, built) }
        var answer = words.nothing(asked, findings.reasons)
        if rows.count == 1, !findings.hasMore { answer = rows[0].answer }
        if rows.count > 1 { answer = words.several(rows.map(\.state), asked: asked, hasMore: findings.hasMore) }
        return WhyReply(
            answer: answer, store: question.store, job: question.job.id, table: table.name,
            columns: table.columns.map(\.name), keyColumns: table.key, atSession: standing.watermark?.session,
            atVersion: standing.watermark?.version.number, lastRunVersion: findings.derivedVersion,
            changedSince: findings.isStale, fault: findings.nextFault, rows: rows, more: findings.hasMore,
            reasons: findings.reasons.map { WhyReason($0, built) })
    }

    private func row(_ finding: RowFinding, _ built: [BuiltSession]) throws -> WhyRow {
        let isNextKnown = findings.nextFault == nil
        let entry = entry(of: finding.key)
        let state = WhyState(
            finding, entry, isHeldKnown: standing.watermark == nil || findings.heldVersion != nil,
            isNextKnown: isNextKnown,
            removal: question.subjob.removal)
        let facts = try WhyFacts(finding, deliveries, state: state, quarantine: entry)
        let next = isNextKnown ? finding.next : finding.derived?.values
        let span = finding.held ?? finding.derived
        var scopeColumn: String?
        if case .column(let column, _) = question.subjob.stores { scopeColumn = column }
        return WhyRow(
            state: state, answer: words.answer(state, facts), key: finding.key.map(RowValue.init),
            // The values of an older row that the store has gone back to are known to the store alone.
            values: entry == nil ? finding.held?.values.map(RowValue.init) : nil,
            coming: entry == nil && next == finding.held?.values ? nil : next?.map(RowValue.init),
            scope: scopeColumn == nil ? nil : span?.scope, scopeColumn: span == nil ? nil : scopeColumn,
            sinceVersion: span?.from, broughtBy: facts.broughtBy.map(WhyDelivery.init),
            pending: facts.pending.map(WhyDelivery.init), removedBy: facts.removedBy.map(WhyDelivery.init),
            quarantine: entry.map(WhyQuarantine.init), reasons: finding.reasons.map { WhyReason($0, built) })
    }
}

extension WhyAnswer {
    private func entry(of key: [DatabaseValue]) -> QuarantineEntry? {
        let row = QuarantinedKey(table: table.name, key: key)
        return quarantine.first { $0.job == question.job.id && QuarantinedKey($0) == row }
    }
}

extension WhyQuarantine {
    fileprivate init(_ entry: QuarantineEntry) {
        self.init(
            kind: entry.kind.rawValue, detail: entry.detail, consequence: entry.consequence, session: entry.session,
            since: UTCTime(entry.since))
    }
}

typealias BuiltSession = (version: Int64, session: SessionID, createdAt: Timestamp)

extension WhyReason {
    fileprivate init(_ reason: RowReason, _ built: [BuiltSession]) {
        let first = reason.changedVersion.flatMap { version in built.first { $0.version >= version } }
        self.init(
            reason: reason.reason, source: reason.source, table: reason.table, key: reason.key.map(RowValue.init),
            changedVersion: reason.changedVersion, changedBeforeSession: first?.session,
            changedBefore: first.map { UTCTime($0.createdAt) })
    }
}

extension WhyDelivery {
    fileprivate init(_ found: RowDelivery) {
        let told = found.delivery?.told
        let message = found.delivery?.message ?? found.sessionMessage
        self.init(
            session: found.session, status: found.delivery?.status.rawValue ?? found.sessionStatus,
            run: found.delivery.map { Int64($0.run) }, createdAt: UTCTime(found.createdAt),
            requestedAt: told?.requestedAt.map(UTCTime.init), downloadedAt: told?.downloadedAt.map(UTCTime.init),
            appliedAt: told?.appliedAt.map(UTCTime.init), message: message.isEmpty ? nil : message,
            exact: found.isExact)
    }
}

extension RowValue {
    fileprivate init(_ value: DatabaseValue) {
        switch value.storage {
        case .null: self = .null
        case .int64(let number): self = .integer(number)
        case .double(let number): self = .real(number)
        case .string(let text): self = .text(text)
        case .blob: self = .text(value.plainText)
        }
    }
}
