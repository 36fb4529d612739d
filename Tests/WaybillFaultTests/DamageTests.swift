import GRDB
import Testing
import WaybillDatabase
import WaybillFaultDisk
import WaybillModel
import WaybillSessions

/// Bytes of `hub.db` that are other than were written.
@Suite("A damaged hub.db")
struct DamageTests {
    @Test func whatIsSoundIsServed() throws {
        let (disk, path) = try hubDatabase()
        try Operations(path: path).pool.close()
        #expect(disk.openHandles == 0)
    }

    /// Every byte of a page's header but those that do not say where anything is.
    @Test func aFlippedHeaderOfAnyPageIsNoticedOrHarmless() throws {
        let (disk, path) = try hubDatabase()
        let image = disk.image(of: path)
        let pages = try #require(disk.contents(of: path)).count / 4096
        var noticed = 0
        for page in 0..<pages {
            for offset in page == 0 ? 100..<108 : 0..<8 {
                try disk.install(image, at: path)
                try disk.flip(0x55, at: Int64(page * 4096 + offset), of: path)
                do {
                    try Operations(path: path).pool.close()
                } catch let damage as DamagedOperations {
                    #expect("\(damage)".contains("restore it from a backup"))
                    noticed += 1
                } catch let error as DatabaseError {
                    #expect("\(error)".contains("is damaged"), "page \(page), byte \(offset): \(error)")
                    noticed += 1
                }
            }
        }
        // The free block's place, two bytes of eight, is zero nearly everywhere and points to nothing when it is not.
        #expect(noticed >= pages * 8 * 3 / 4, "\(noticed) of \(pages * 8)")
    }

    private func hubDatabase() throws -> (FaultDisk, String) {
        try FaultDisk.install()
        let disk = FaultDisk()
        let path = "/no-such-folder-\(UInt64.random(in: .min ... .max))/hub.db"
        try disk.claim(path)
        let operations = try Operations(path: path)
        try operations.write { db in try OperationsScene.offer(try OperationsScene.newSession(in: db), in: db) }
        // SQLite's false alarm about this table must not keep a sound hub from serving.
        try operations.write { db in
            try db.execute(
                sql: "INSERT INTO package_base (package, epoch, version, session) VALUES ('p', 1, 10, '1-000000000001')"
            )
        }
        try operations.pool.close()
        return (disk, path)
    }
}
