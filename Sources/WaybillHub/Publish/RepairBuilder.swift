import Foundation
import WaybillJobs
import WaybillModel
import WaybillPackage
import WaybillPlan
import WaybillSessions
import WaybillWire

extension SessionBuilder {
    /// Builds a session that repairs what a verification found: at the version at which the store stands, with just the
    /// ranges that differ there.
    /// - Returns: false for a session that is none.
    func buildRepair(_ session: inout SessionRecord, _ job: Job) throws -> Bool {
        guard let verification = session.request.verification, !session.request.isFull else { return false }
        guard let record = try operations.read({ try VerificationRecord.find(verification, in: $0) }),
            let mark = record.watermark,
            let standing = try operations.read({ try SessionRecord.find(mark.session, in: $0) })
        else { throw HomeFault("verification \(verification), which this would repair, is no longer kept") }
        session.version = standing.version
        session.token = standing.token
        session.message = "repair at store \(record.store): \(record.differencesText) (verification \(record.id))"
        let target = AuditTarget(
            job: job, store: record.store, base: Base(version: standing.version.number, token: standing.token))
        guard let sealed = try sealRepair(record, target, base: mark, session: session) else {
            throw HomeFault("the rows that store \(record.store) must have are no longer kept; publish job \(job.id)")
        }
        session.rows = sealed.package.rows
        session.bytes = sealed.package.bytes
        session.kind = .delta
        session.status = .available
        let delivery = Delivery(
            session: session.id, store: record.store, job: job.id, version: session.version, package: sealed.package,
            tryCount: job.tryCount)
        let (logger, text) = (logger, "session \(session.id): \(session.message), \(session.rows) rows")
        post(.offer(session, [sealed], [delivery]) { logger.info("\(text)") })
        return true
    }

    private func sealRepair(
        _ record: VerificationRecord, _ target: AuditTarget, base: Watermark, session: SessionRecord
    ) throws -> SealedRecord? {
        let raw = home.packages + "/\(session.id)-\(random()).raw"
        defer { unlink(raw) }
        let ranges = try StoredRanges.decode(record.ranges)
        let filled = try rows.fillRanges(ranges, target, path: raw, uniqueness: Int32(random() >> 33) | 1) {
            shape, schema, db in try PackageTables.create(shape, schema: schema, in: db)
        }
        guard let filled else { return nil }
        let tables = zip(target.job.subjobs, filled).map { subjob, filled in
            PackageTable(
                shape: filled.shape, rows: filled.rows, removed: 0, keepsRows: subjob.removal == .keep,
                formerNames: subjob.formerNames, ranges: ranges[subjob.table.name] ?? [])
        }
        let contents = PackageContents(
            job: target.job.id, session: session.id, version: session.version, kind: .delta, bases: [base],
            tables: tables, created: clock.now(),
            lockBudgetMilliseconds: target.job.subjobs.compactMap(\.lockBudgetMilliseconds).min())
        let sealed = try PackageSealer.seal(
            rawPath: raw, folder: home.packages, contents: contents, signingKey: keyring.signing)
        let package = PackageRef(
            id: sealed.id, kind: .delta, bases: [base], rows: filled.reduce(0) { $0 + $1.rows },
            bytes: sealed.manifest.bytes)
        return SealedRecord(
            session: session.id, package: package, manifest: sealed.manifestBytes, signature: sealed.signature)
    }
}

extension VerificationRecord {
    /// `1 row changed, 2 missing`.
    var differencesText: String {
        let counts = [(changed, "changed"), (missing, "missing"), (extra, "that HQ does not have")].filter { $0.0 > 0 }
        guard !counts.isEmpty else { return isPartial ? "many rows differ" : "nothing differs" }
        let parts = counts.enumerated().map { index, part in
            index == 0 ? "\(part.0) \(part.0 == 1 ? "row" : "rows") \(part.1)" : "\(part.0) \(part.1)"
        }
        return (isPartial ? "at least " : "") + parts.joined(separator: ", ")
    }
}
