import Foundation
import GRDB
import WaybillAdmin
import WaybillCapture
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions

/// What the files of a hub's home take, and for whom the past is kept. Reads only; blocks.
struct HubUsage {
    var disk: HubStatus.Disk
    var slowest: HubStatus.Slowest?

    static func measure(_ home: HubHome, _ operations: Operations, _ jobs: [Job], _ policy: RetentionPolicy) throws
        -> HubUsage
    {
        var disk = HubStatus.Disk(
            hqBytes: databaseBytes(home.hqDatabase), rowsBytes: databaseBytes(home.rowsDatabase),
            hubBytes: databaseBytes(home.hubDatabase), packagesBytes: folderBytes(home.packages),
            freeBytes: (try? DurableFile.freeBytes(at: home.path)) ?? 0)
        disk.stagingBytes = databaseBytes(home.stagingDatabase) + folderBytes(home.incoming)
        (disk.changesRows, disk.changesBytes, disk.reusableBytes) = try readingHQ(home) { db in
            let extent = try ChangeLog.extent(in: db)
            return (extent.rows, extent.bytes, try unusedBytes(in: db))
        }
        let (holds, unused) = try operations.read { (try Retention.firstNeeds(in: $0), try unusedBytes(in: $0)) }
        disk.reusableBytes += unused
        // Made by the publisher when it starts.
        guard FileManager.default.fileExists(atPath: home.rowsDatabase) else { return HubUsage(disk: disk) }
        let slowest = try reading(home.rowsDatabase, label: "rows") { db in
            (disk.historyRows, disk.historyBytes) = try PastUsage.extent(of: jobs, in: db)
            disk.reusableBytes += try unusedBytes(in: db)
            return try PastUsage.slowest(
                holds.map {
                    HistoryHold(store: $0.store, job: $0.job, base: Base(version: $0.version, token: $0.token))
                }, in: db)
        }
        return HubUsage(
            disk: disk,
            slowest: slowest.map { slowest in
                HubStatus.Slowest(
                    store: slowest.store, job: slowest.job, behindSince: slowest.behindSince.map(UTCTime.init),
                    fullLoadAfter: slowest.behindSince.map {
                        UTCTime($0 + Int64(policy.changesDays) * 86_400_000)
                    })
            })
    }

    static func readingHQ<T>(_ home: HubHome, _ body: (Database) throws -> T) throws -> T {
        try reading(home.hqDatabase, label: "hq", body)
    }

    private static func reading<T>(_ path: String, label: String, _ body: (Database) throws -> T) throws -> T {
        let queue = try OpenDatabase.queue(at: path, label: label, isReadOnly: true)
        defer { try? queue.close() }
        return try queue.read(body)
    }

    /// Bytes inside a database that hold nothing and will be filled before the file grows.
    private static func unusedBytes(in db: Database) throws -> Int64 {
        let pages = try Int64.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
        return pages * (try Int64.fetchOne(db, sql: "PRAGMA page_size") ?? 0)
    }

    /// About how many bytes a session and a delivery take in `hub.db`, with their entries in indexes.
    static func deliveryBytes(in db: Database) throws -> (session: Int64, delivery: Int64) {
        let message = try Double.fetchOne(
            db, sql: "SELECT avg(length(message) + length(told_message)) FROM (SELECT * FROM delivery LIMIT 200)")
        return (300, 320 + Int64(message ?? 0))
    }

    /// Bytes of a database with its write-ahead log.
    static func databaseBytes(_ path: String) -> Int64 {
        [path, path + "-wal"].reduce(0) { $0 + fileBytes($1) }
    }

    /// Bytes of all files below a folder.
    static func folderBytes(_ path: String) -> Int64 {
        guard let names = FileManager.default.enumerator(atPath: path) else { return 0 }
        var bytes: Int64 = 0
        for case let name as String in names { bytes += fileBytes(path + "/" + name) }
        return bytes
    }

    private static func fileBytes(_ path: String) -> Int64 {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return 0 }
        return Int64(status.st_size)
    }
}
