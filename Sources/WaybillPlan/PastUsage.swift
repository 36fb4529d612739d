import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel

/// What the past costs, and who needs it. For reading only, on any connection to `rows.db`.
public enum PastUsage {
    /// Rows that only stores of the past need, and about how many bytes they take.
    public static func extent(of jobs: [Job], in db: Database) throws -> (rows: Int64, bytes: Int64) {
        var extent: (rows: Int64, bytes: Int64) = (0, 0)
        for shape in jobs.flatMap(\.subjobs).map(\.table) {
            // Primary key prefix (table_name). The rows themselves may be millions.
            let rows =
                try Int64.fetchOne(
                    db, sql: "SELECT sum(ended) FROM scope_change WHERE table_name = ?", arguments: [shape.name]) ?? 0
            guard rows > 0 else { continue }
            extent.rows += rows
            extent.bytes += try rows * rowBytes(shape, in: db)
        }
        return extent
    }

    /// Bytes of a row of the past, judged by some rows.
    private static func rowBytes(_ shape: TableShape, in db: Database) throws -> Int64 {
        func length(_ columns: [String]) -> String {
            columns.map { "coalesce(length(CAST(\(quoted($0)) AS BLOB)), 0)" }.joined(separator: " + ")
        }
        let mean = try Double.fetchOne(
            db,
            sql: """
                SELECT avg(\(length(["_scope"] + shape.columns.map(\.name))))
                FROM (SELECT * FROM \(RowsSchema.endedTable(shape)) LIMIT 200)
                """)
        // Versions, headers and pages that are not full.
        return Int64(((mean ?? 0) * 1.25).rounded()) + 20
    }

    /// A store that lacks something for longer than any other, so that the past is kept for it.
    public struct Slowest: Hashable, Sendable {
        public var store: StoreID
        public var job: JobID
        /// When it was first noticed that the job had moved on; nil when that was not yet.
        public var behindSince: Timestamp?
    }

    /// Of the stores that need rows of the past, the one that has needed them for longest; nil when none does.
    public static func slowest(_ holds: [HistoryHold], in db: Database) throws -> Slowest? {
        var jobs: [JobID: (current: Int64, floor: Int64)] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT job, version, floor FROM job") {
            if let job = JobID(row["job"]) { jobs[job] = (row["version"], row["floor"]) }
        }
        // Thousands of stores stand at a few versions: the first store of each will do.
        var first: [Standing: StoreID] = [:]
        for hold in holds.sorted(by: { $0.store < $1.store }) {
            guard let job = jobs[hold.job], hold.base.version >= job.floor, hold.base.version < job.current else {
                continue
            }
            let standing = Standing(job: hold.job, base: hold.base)
            if first[standing] == nil { first[standing] = hold.store }
        }
        var found: [Slowest] = []
        for (standing, store) in first where try isKnown(standing, in: db) {
            // Primary key prefix (name): the few marks of one job.
            let since = try Int64.fetchOne(
                db, sql: "SELECT min(at) FROM past_mark WHERE name = ? AND version > ?",
                arguments: [standing.job.rawValue, standing.base.version])
            found.append(
                Slowest(store: store, job: standing.job, behindSince: since.map(Timestamp.init(milliseconds:))))
        }
        return found.min { order($0) < order($1) }
    }

    private struct Standing: Hashable {
        var job: JobID
        var base: Base
    }

    /// Longest behind first; who was noticed only now, last.
    private static func order(_ slowest: Slowest) -> (Int64, JobID, StoreID) {
        (slowest.behindSince?.milliseconds ?? .max, slowest.job, slowest.store)
    }

    private static func isKnown(_ standing: Standing, in db: Database) throws -> Bool {
        // Primary key (job, token).
        try Bool.fetchOne(
            db, sql: "SELECT version = ? FROM derivation WHERE job = ? AND token = ?",
            arguments: [standing.base.version, standing.job.rawValue, standing.base.token]) ?? false
    }
}

extension Rows {
    /// Mean bytes of a row of the past.
    public func pastRowBytes(_ jobs: [Job]) throws -> Int64 {
        let extent = try queue.read { try PastUsage.extent(of: jobs, in: $0) }
        return extent.rows == 0 ? 0 : extent.bytes / extent.rows
    }
}
