import GRDB
import WaybillCapture
import WaybillDatabase
import WaybillSchedule

/// Sees commits to `hq.db`, whoever made them, without reading anything while there are none.
final class HeadquartersWatch {
    private let queue: DatabaseQueue
    /// SQLite's own count of others' commits, as this connection saw it last.
    private var dataVersion: Int64?
    /// Up to where the change log has been read.
    private var position: Int64

    /// - Parameter position: from where the change log is to be read.
    init(path: String, position: Int64) throws {
        // Looking ten times a second, nobody may be waited for; a look that meets a lock is made again.
        queue = try OpenDatabase.queue(at: path, label: "hq-watch", busyMilliseconds: 50, isReadOnly: true)
        self.position = position
    }

    deinit { try? queue.close() }

    /// The newest version of HQ's change log.
    func head() throws -> Int64 { try queue.read { try ChangeLog.head(in: $0) } }

    /// What has changed since the last look; nil for nothing.
    func look() throws -> JobEvent? {
        // Outside of a transaction: within one, the count stands still.
        let newest = try queue.inDatabase {
            try Int64.fetchOne($0.cachedStatement(sql: "PRAGMA data_version"))
        }
        guard newest != dataVersion else { return nil }
        let event = try queue.read { db -> JobEvent? in
            let head = try ChangeLog.head(in: db)
            if head < position {
                position = head
                return .logRestarted(head: head)
            }
            guard head > position else { return nil }
            let versions = try ChangeLog.newestChanges(after: position, in: db)
            position = head
            return .changed(versions, head: head)
        }
        dataVersion = newest
        return event
    }
}
