import Foundation
import GRDB
import GRDBSQLite
import Testing
import WaybillDatabase

@Suite struct AllocationTests {
    /// The count is kept under a lock that all threads share.
    @Test func memoryIsNotCounted() throws {
        let path = NSTemporaryDirectory() + "waybill-\(UUID().uuidString).db"
        defer { for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) } }
        let queue = try OpenDatabase.queue(at: path, label: "test")
        try queue.write { try $0.execute(sql: "CREATE TABLE t (x); INSERT INTO t VALUES (1)") }
        #expect(sqlite3_memory_used() == 0)
        try queue.close()
    }
}
