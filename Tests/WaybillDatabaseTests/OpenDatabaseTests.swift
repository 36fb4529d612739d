import Foundation
import GRDB
import Testing
import WaybillDatabase

@Suite struct OpenDatabaseTests {
    private func temporaryPath() -> String {
        NSTemporaryDirectory() + "waybill-\(UInt64.random(in: .min ... .max)).db"
    }

    private func remove(_ path: String) {
        for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
    }

    /// What is acknowledged after a commit must survive a power cut; 2 is FULL.
    @Test func everyWriterSyncsItsCommits() throws {
        let path = temporaryPath()
        defer { remove(path) }
        let queue = try OpenDatabase.queue(at: path, label: "test")
        #expect(try queue.read { try Int.fetchOne($0, sql: "PRAGMA synchronous") } == 2)
        #expect(try queue.read { try String.fetchOne($0, sql: "PRAGMA journal_mode") } == "wal")
        try queue.close()
        let pool = try OpenDatabase.pool(at: path, label: "test")
        #expect(try pool.writeWithoutTransaction { try Int.fetchOne($0, sql: "PRAGMA synchronous") } == 2)
        try pool.close()
    }

    @Test func namesAreQuotedWhateverTheyHold() {
        #expect(quoted("plain") == "\"plain\"")
        #expect(quoted("a\"; DROP TABLE b --") == "\"a\"\"; DROP TABLE b --\"")
    }
}
