import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillJobs

extension Rows {
    /// Finds what a job reads, and has HQ note the changes of those tables from now on. A table that an ERP has dropped
    /// and made anew counts as changed, all of it.
    ///
    /// - Parameter busyMilliseconds: how long to wait for a program that writes to HQ's database.
    /// - Throws: ``WaybillJobs/JobFaults`` when the queries do not fit HQ's tables.
    public static func capture(
        _ job: Job, hqPath: String, busyMilliseconds: Int = OpenDatabase.busyMilliseconds
    ) throws -> JobReads {
        let reads = try JobAnalysis.reads(of: job, hqPath: hqPath)
        let queue = try OpenDatabase.queue(at: hqPath, label: "hq-capture", busyMilliseconds: busyMilliseconds)
        defer { try? queue.close() }
        let tables = reads.captured.union(job.inputs).intersection(reads.shapes.keys)
        func missing(_ db: Database) throws -> [String] {
            try tables.filter { try !HQSchema.isCaptured($0, in: db) }.sorted()
        }
        guard try !queue.read(missing).isEmpty else { return reads }
        try queue.writeWithoutTransaction { db in
            try db.inTransaction(.immediate) {
                for table in try missing(db) {
                    try HQSchema.capture(table, key: reads.shapes[table]?.key ?? [], in: db)
                }
                return .commit
            }
        }
        return reads
    }
}
