import Foundation
import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// One state of a job's rows: everything that HQ's tables said at a version.
public struct Derivation: Sendable, Equatable {
    public var job: JobID
    public var version: Version
    /// Random; names this derivation in this history and no other.
    public var token: Int64
    /// Whether this call found any difference to the derivation before.
    public var hasChanges: Bool
    /// The token of the derivation before, when this one has the very same rows for the same stores: who lacked nothing
    /// then lacks nothing now. nil when anything differs, or when the two cannot be compared.
    public var sameRowsAs: Int64?
    /// Rows that the job's queries gave in this call: what it cost. 0 when nothing had to be worked out.
    public var rowsWorkedOut: Int

    public init(
        job: JobID, version: Version, token: Int64, hasChanges: Bool, sameRowsAs: Int64? = nil, rowsWorkedOut: Int = 0
    ) {
        self.job = job
        self.version = version
        self.token = token
        self.hasChanges = hasChanges
        self.sameRowsAs = sameRowsAs
        self.rowsWorkedOut = rowsWorkedOut
    }
}

/// Bounds of `rows.db`.
enum RowsLimits {
    /// Pages of 4 KiB in SQLite's log from which a commit brings them into the file itself, although a session waits: 512
    /// MiB of disk. A table of a million rows that is new makes 70.
    static let logPagesMax = 131_072
}

/// A job whose queries HQ's tables do not satisfy, in words for the person who wrote either.
public struct DerivationFault: Error, CustomStringConvertible {
    public let job: JobID
    public let detail: String

    public init(job: JobID, detail: String) {
        self.job = job
        self.detail = detail
    }

    public var description: String { "job \(job): \(detail)" }
}

/// `rows.db`: derives what stores must hold and tells differences between versions.
///
/// Belongs to one thread: the publisher's. HQ's database is attached read-only, so deriving never keeps an ERP
/// from writing; the change log's head is read in the same snapshot as the tables, so it is exact.
public final class Rows {
    let queue: DatabaseQueue
    let hqPath: String
    private let random: () -> UInt64
    /// By job: what its queries read, as long as neither they nor HQ's schema change.
    private var analyses: [JobID: Analysis] = [:]

    private struct Analysis {
        var definition: String
        var schema: Int64
        var reads: JobReads
    }

    /// - Parameter newest: the newest version that any session of this hub is of; nil: there is none. Matters only when
    ///   `rows.db` is new, or from an old backup, although the hub is not: what follows is of a later epoch then.
    public init(path: String, hqPath: String, newest: Version?, random: @escaping () -> UInt64) throws {
        queue = try OpenDatabase.queue(at: path, label: "rows")
        self.hqPath = hqPath
        self.random = random
        try tellingOfMachine(path) {
            let isFromBackup = try queue.writeWithoutTransaction { db in
                try Rows.install(in: db, hqPath, aboveEpoch: newest?.epoch ?? 0)
                return try newest.map { try Rows.isBehind($0, db) } ?? false
            }
            if isFromBackup { try Lineage(hqPath: hqPath).startEpoch(in: queue) }
        }
    }

    /// Whether HQ's own numbers have not come as far as a session that was made of them: `rows.db` and `hq.db` are then
    /// both from a backup, fit each other, and would give those numbers to other rows.
    private static func isBehind(_ newest: Version, _ db: Database) throws -> Bool {
        guard try Lineage.value("epoch", in: db) == String(newest.epoch),
            try db.tableExists("_waybill_change", in: "hq")
        else { return false }
        return try ChangeLog.head(in: db, schema: "hq") < newest.number
    }

    private static func install(in db: Database, _ hqPath: String, aboveEpoch: Int64) throws {
        // A second copy of the rows for every purge would be the price of overwriting freed pages.
        try db.execute(sql: "PRAGMA secure_delete = OFF")
        try db.execute(sql: "PRAGMA wal_autocheckpoint = \(RowsLimits.logPagesMax)")
        try db.execute(sql: "ATTACH DATABASE ? AS hq", arguments: [Rows.readOnlyURI(hqPath)])
        try RowsSchema.dropFormerTables(in: db)
        try RowsSchema.install(in: db)
        try db.execute(
            sql: """
                INSERT INTO meta (name, value) VALUES ('epoch', :epoch)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE CAST(meta.value AS INTEGER) < :epoch - 1
                """,
            arguments: ["epoch": String(aboveEpoch + 1)])
    }

    static func readOnlyURI(_ path: String) -> String {
        let allowed = CharacterSet.urlPathAllowed.subtracting(CharacterSet(charactersIn: "?#%"))
        let escaped = path.addingPercentEncoding(withAllowedCharacters: allowed) ?? path
        return "file:\(escaped)?mode=ro"
    }

    /// What a job's queries read, and that HQ notes the changes of those tables.
    ///
    /// - Throws: ``WaybillJobs/JobFaults`` when the queries do not fit HQ's tables.
    func reads(of job: Job) throws -> JobReads {
        let captured = job.inputs + (job.triggers.online?.tables ?? [])
        let definition = "\(RowsSchema.queriesText(job))\n;\n\(RowsSchema.shapesText(job))\n;\n\(captured)"
        let schema = try queue.read { try Int64.fetchOne($0, sql: "PRAGMA hq.schema_version") ?? 0 }
        if let known = analyses[job.id], known.definition == definition, known.schema == schema { return known.reads }
        let reads = try Rows.capture(job, hqPath: hqPath)
        let now = try queue.read { try Int64.fetchOne($0, sql: "PRAGMA hq.schema_version") ?? 0 }
        analyses[job.id] = Analysis(definition: definition, schema: now, reads: reads)
        return reads
    }

    /// Ends the use of the file.
    public func close() throws { try queue.close() }

    /// Brings the job's rows to the newest committed version of HQ's tables.
    ///
    /// Reads the change log first: when none of the job's inputs has changed since the last derivation, nothing
    /// else is read and that derivation is returned. Otherwise the job's queries run into staging tables, and only
    /// real differences become new row versions. One transaction: a crash leaves the derivation before.
    public func derive(_ job: Job) throws -> Derivation {
        try tellingOfMachine(queue.path) { try deriveRows(of: job) }
    }

    private func deriveRows(of job: Job) throws -> Derivation {
        let lineage = Lineage(hqPath: hqPath)
        let isHistoryBroken = try lineage.check(in: queue)
        if isHistoryBroken { try lineage.startEpoch(in: queue) }
        let reads = try reads(of: job)
        if let current = try unchangedDerivation(of: job, reads) { return current }

        let shapes = RowsSchema.shapesText(job)
        let queries = RowsSchema.queriesText(job, reads)
        let token = Int64(truncatingIfNeeded: random())
        try raiseHeadAboveLastDerivation(of: job)
        let derivation = try queue.writeWithoutTransaction { db in
            var result: Derivation?
            try db.inTransaction(.immediate) {
                let epoch = Int64(try Lineage.value("epoch", in: db) ?? "1") ?? 1
                let version = try ChangeLog.head(in: db, schema: "hq")
                let before = try Row.fetchOne(db, sql: "SELECT * FROM job WHERE job = ?", arguments: [job.id.rawValue])
                var floor: Int64 = before?["floor"] ?? version
                if before?["shapes"] != shapes {
                    // Rows of another shape cannot be compared: stores get the new tables whole.
                    try forgetRows(of: job, in: db)
                    try forgetFormerOwners(of: job, in: db)
                    floor = version
                }
                let isComparable =
                    before?["shapes"] == shapes && before?["queries"] == queries && before?["epoch"] == epoch
                var since: Int64?
                if isComparable, let before {
                    since = try unchangedTo(job.id, since: before["version"], token: before["token"], in: db)
                }
                let done = try Derive(job: job, reads: reads, version: version, since: since, db: db).run()
                try db.execute(
                    sql: """
                        INSERT INTO job (job, epoch, version, token, shapes, queries, floor) VALUES (?, ?, ?, ?, ?, ?, ?)
                        ON CONFLICT (job) DO UPDATE SET epoch = excluded.epoch, version = excluded.version,
                            token = excluded.token, shapes = excluded.shapes, queries = excluded.queries,
                            floor = excluded.floor
                        """,
                    arguments: [job.id.rawValue, epoch, version, token, shapes, queries, floor])
                try db.execute(
                    sql: "INSERT INTO derivation (job, token, epoch, version) VALUES (?, ?, ?, ?)",
                    arguments: [job.id.rawValue, token, epoch, version])
                try Lineage.set("lineage", String(token), in: db)
                let isSame = !done.hasChanges && before?["shapes"] == shapes && before?["epoch"] == epoch
                result = Derivation(
                    job: job.id, version: Version(epoch: epoch, number: version), token: token,
                    hasChanges: done.hasChanges, sameRowsAs: isSame ? before?["token"] : nil,
                    rowsWorkedOut: done.rowsWorkedOut)
                return .commit
            }
            return result
        }
        CrashPoint.derived.pass()
        // After the commit: a crash between the two looks like a restored hq.db, which costs one more derivation.
        // An ERP that holds the lock of hq.db for longer than we wait has the same effect, and must not fail the session.
        do { try lineage.renew(String(token)) } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY
        {}
        guard let derivation else { throw DerivationFault(job: job.id, detail: "was not derived") }
        return derivation
    }

    /// Makes what the next derivation of the job looks rows up by, where the last one has left it out: while the stores
    /// fetch is time enough. Left undone, the next derivation does it.
    public func prepareNext(_ job: Job) throws {
        try tellingOfMachine(queue.path) {
            try queue.writeWithoutTransaction { db in
                let views = try job.subjobs.filter { try db.tableExists(RowsSchema.rowsName($0.table), in: "main") }
                    .map { NowView(subjob: $0, db: db) }
                    .filter { try $0.lacksSliceIndex() }
                guard !views.isEmpty else { return }
                try db.inTransaction(.immediate) {
                    for view in views { try view.createSliceIndex() }
                    return .commit
                }
            }
        }
    }

    /// Brings what was written last from SQLite's log into the file. To be called when nobody waits: a commit does it
    /// only when the log has become long (``RowsLimits/logPagesMax``).
    public func checkpoint() throws {
        // Whoever reads meanwhile keeps the rest for the next time.
        try tellingOfMachine(queue.path) { try queue.writeWithoutTransaction { _ = try $0.checkpoint(.passive) } }
    }

    /// The derivation at hand when neither HQ's inputs nor the job's definition have changed since.
    func unchangedDerivation(of job: Job, _ reads: JobReads) throws -> Derivation? {
        try queue.read { db in
            guard let row = try Row.fetchOne(db, sql: "SELECT * FROM job WHERE job = ?", arguments: [job.id.rawValue])
            else { return nil }
            let epoch = Int64(try Lineage.value("epoch", in: db) ?? "1") ?? 1
            let version: Int64 = row["version"]
            guard row["epoch"] == epoch, row["shapes"] == RowsSchema.shapesText(job),
                row["queries"] == RowsSchema.queriesText(job, reads)
            else { return nil }
            let seen = try unchangedTo(job.id, since: version, token: row["token"], in: db)
            // A log that was shortened beyond what has been looked at says nothing: the rows are compared instead.
            guard let changed = try Changes.tables(job, since: seen, in: db) else { return nil }
            guard changed.isDisjoint(with: reads.inputs.union(job.inputs)) else { return nil }
            return Derivation(
                job: job.id, version: Version(epoch: epoch, number: version), token: row["token"], hasChanges: false)
        }
    }

    /// A derivation that differs from the one before must have a higher version, also when no HQ row has changed
    /// (the definition has): row versions are told apart by it.
    private func raiseHeadAboveLastDerivation(of job: Job) throws {
        let (last, head) = try queue.read { db in
            (
                try Int64.fetchOne(db, sql: "SELECT version FROM job WHERE job = ?", arguments: [job.id.rawValue]),
                try ChangeLog.head(in: db, schema: "hq")
            )
        }
        guard let last, last >= head else { return }
        try Lineage.writingHQ(hqPath) { db in _ = try ChangeLog.mark(atLeast: last, in: db) }
    }

    /// A table may pass from one job to another, be it that the job has got another name. What the job before knew of
    /// its rows is no longer so, here and at the stores: when it comes back, it starts anew.
    private func forgetFormerOwners(of job: Job, in db: Database) throws {
        let tables = Set(job.subjobs.map { $0.table.name.lowercased() })
        for row in try Row.fetchAll(db, sql: "SELECT job, shapes FROM job WHERE job <> ?", arguments: [job.id.rawValue])
        {
            let shapes: String = row["shapes"]
            let owned = shapes.split(separator: "\n").compactMap { $0.split(separator: "(").first?.lowercased() }
            guard !tables.isDisjoint(with: owned) else { continue }
            let former: String = row["job"]
            for table in ["job", "derivation", "member"] {
                try db.execute(sql: "DELETE FROM \(table) WHERE job = ?", arguments: [former])
            }
        }
    }

    func forgetRows(of job: Job, in db: Database) throws {
        for subjob in job.subjobs {
            try RowsSchema.dropRowsTables(subjob.table, in: db)
            try db.execute(sql: "DELETE FROM scope_change WHERE table_name = ?", arguments: [subjob.table.name])
        }
        try db.execute(sql: "DELETE FROM member WHERE job = ?", arguments: [job.id.rawValue])
    }
}
