import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel

extension Rows {
    /// Tells what a store has under a key, what is to come, and why.
    ///
    /// When HQ has changed since the job's last run, the job is run as far as the changes concern it, in a transaction
    /// that is then rolled back: so the answer says exactly what the next run would give. HQ's tables are read in the
    /// same snapshot.
    ///
    /// - Throws: ``WaybillJobs/JobFaults`` when the job's queries do not fit HQ's tables.
    public func why(_ question: RowQuestion) throws -> RowFindings {
        let job = question.job
        let isHistoryBroken = try Lineage(hqPath: hqPath).check(in: queue)
        let reads = try reads(of: job)
        let isStale = try isHistoryBroken || unchangedDerivation(of: job, reads) == nil
        var findings = RowFindings(derivedVersion: nil, heldVersion: nil, isStale: isStale, rows: [])
        try queue.writeWithoutTransaction { db in
            // Taken for writing, for a trial run writes; there is no other writer than this thread.
            try db.inTransaction(.immediate) {
                let last = try Row.fetchOne(db, sql: "SELECT * FROM job WHERE job = ?", arguments: [job.id.rawValue])
                let isSameShape = last?["shapes"] == RowsSchema.shapesText(job)
                if let last, isSameShape {
                    findings.derivedVersion = last["version"]
                    findings.heldVersion = try tellable(question.base, of: job.id, floor: last["floor"], in: db)
                }
                let reader = RowReader(question: question, db: db)
                var spans = isSameShape ? try reader.spans() : [:]
                var next: [[DatabaseValue]: RowSpan] = [:]
                if isStale {
                    let since = try isHistoryBroken ? nil : comparableVersion(job, reads, last, in: db)
                    findings.nextFault = try trialRun(job, reads, last: last, since: since, in: db)
                    next = findings.nextFault == nil ? try reader.spans().compactMapValues(\.current) : [:]
                } else {
                    next = spans.compactMapValues(\.current)
                }
                for key in next.keys where spans[key] == nil { spans[key] = [] }
                let found = reader.findings(spans, next, findings)
                Explainer(question: question, db: db).fill(&findings, found)
                try SourceChanges(db: db).note(in: &findings)
                return .rollback
            }
        }
        return findings
    }

    /// The version a store stands at, when its rows there are still kept.
    private func tellable(_ base: Base?, of job: JobID, floor: Int64, in db: Database) throws -> Int64? {
        guard let base, base.version >= floor else { return nil }
        // Primary key (job, token).
        let isKnown = try Bool.fetchOne(
            db, sql: "SELECT version = ? FROM derivation WHERE job = ? AND token = ?",
            arguments: [base.version, job.rawValue, base.token])
        return isKnown == true ? base.version : nil
    }

    /// The version from which a run can go on; nil when it has to work out everything.
    private func comparableVersion(
        _ job: Job, _ reads: JobReads, _ last: Row?, in db: Database
    ) throws -> Int64? {
        let epoch = Int64(try Lineage.value("epoch", in: db) ?? "1") ?? 1
        guard let last, last["shapes"] == RowsSchema.shapesText(job),
            last["queries"] == RowsSchema.queriesText(job, reads), last["epoch"] == epoch
        else { return nil }
        return try unchangedTo(job.id, since: last["version"], token: last["token"], in: db)
    }

    /// - Returns: why the job cannot be run over the tables as they are, or nil.
    private func trialRun(_ job: Job, _ reads: JobReads, last: Row?, since: Int64?, in db: Database) throws -> String? {
        if last?["shapes"] != RowsSchema.shapesText(job) { try forgetRows(of: job, in: db) }
        let version = max(try ChangeLog.head(in: db, schema: "hq"), last?["version"] ?? 0) + 1
        var fault: String?
        try db.inSavepoint {
            do {
                _ = try Derive(job: job, reads: reads, version: version, since: since, db: db).run()
                return .commit
            } catch let error as DerivationFault {
                fault = error.detail
                return .rollback
            }
        }
        return fault
    }
}

extension [RowSpan] {
    /// The one that holds now.
    fileprivate var current: RowSpan? { last { $0.to == RowsSchema.forever } }
}

/// Reads the versions of a question's rows.
private struct RowReader {
    let question: RowQuestion
    let db: Database

    /// Versions of rows that are read for one answer: twenty keys with a hundred versions each.
    private static let versionsMax = 2000

    private var shape: TableShape { question.subjob.table }

    /// By key: the spans in which the store was to have a row of the question.
    func spans() throws -> [[DatabaseValue]: [RowSpan]] {
        let name = shape.name
        guard try db.tableExists(RowsSchema.rowsName(shape)) else { return [:] }
        // Primary key prefix (job, store_id, table_name).
        let seen = try Row.fetchAll(
            db,
            sql: "SELECT scope, _born, _died FROM member WHERE job = ? AND store_id = ? AND table_name = ?",
            arguments: [question.job.id.rawValue, question.store.rawValue, name]
        ).map { RowSpan.Version(scope: $0["scope"], born: $0["_born"], died: $0["_died"]) }
        let given = shape.key.filter { question.key.values[$0] != nil }
        let condition = given.map { "AND \(quoted($0)) = ?" }.joined(separator: " ")
        let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
        let keyPlaces = shape.key.compactMap { key in shape.columns.firstIndex { $0.name == key } }
        var versions: [[DatabaseValue]: [RowSpan.Version]] = [:]
        var left = RowReader.versionsMax
        for scope in Set(seen.map(\.scope)).sorted() where left > 0 {
            // Primary keys (_scope, key) and (_scope, _died, key): as far as the first columns of the key are given, one
            // range for what stands, and one for each version at which anything in the scope has ended.
            let arguments = [scope.databaseValue] + given.compactMap { question.key.values[$0] }
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT _born, \(RowsSchema.forever) AS _died, \(columns) FROM \(RowsSchema.rowsTable(shape))
                    WHERE _scope = ? \(condition)
                    UNION ALL
                    SELECT _born, _died, \(columns)
                    FROM (SELECT version AS _waybill_ended FROM scope_change WHERE table_name = ? AND scope = ?)
                    CROSS JOIN \(RowsSchema.endedTable(shape)) ON _died = _waybill_ended
                    WHERE _scope = ? \(condition)
                    LIMIT \(left)
                    """,
                arguments: StatementArguments(arguments + [name.databaseValue, scope.databaseValue] + arguments))
            left -= rows.count
            for row in rows {
                let values = Array(row.databaseValues.dropFirst(2))
                versions[keyPlaces.map { values[$0] }, default: []].append(
                    RowSpan.Version(scope: scope, born: row["_born"], died: row["_died"], values: values))
            }
        }
        return versions.mapValues { RowSpan.spans(rows: $0, seen: seen) }
    }

    /// Puts together what is known of each key; rows that are there or come, else rows that were there.
    func findings(
        _ spans: [[DatabaseValue]: [RowSpan]], _ next: [[DatabaseValue]: RowSpan], _ known: RowFindings
    ) -> [RowFinding] {
        var findings: [RowFinding] = []
        for (key, spans) in spans.sorted(by: { RowReader.inOrder($0.key, $1.key) }) {
            var finding = RowFinding(key: key, next: next[key]?.values)
            if let version = known.derivedVersion { finding.derived = spans.last { $0.holds(at: version) } }
            if let version = known.heldVersion {
                finding.held = spans.last { $0.holds(at: version) }
                if question.subjob.removal == .keep, finding.held == nil {
                    finding.held = spans.last { $0.from <= version }
                }
            }
            let last = known.heldVersion ?? known.derivedVersion ?? 0
            finding.before = finding.held == nil ? spans.last { $0.to <= last } : nil
            findings.append(finding)
        }
        let present = findings.filter { $0.held != nil || $0.derived != nil || $0.next != nil }
        return present.isEmpty ? findings.filter { $0.before != nil } : present
    }

    private static func inOrder(_ a: [DatabaseValue], _ b: [DatabaseValue]) -> Bool {
        for (a, b) in zip(a, b) where a != b {
            if let a = Int64.fromDatabaseValue(a), let b = Int64.fromDatabaseValue(b) { return a < b }
            return a.description < b.description
        }
        return false
    }
}
