import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillFaultDisk

@Suite("A disk that fails, fills up and is shared")
struct FailureTests {
    @Test(arguments: [DiskOperations.read, .write, .sync])
    func theNthOperationFailsOnceAndNoOther(_ operation: DiskOperations) throws {
        let ledger = try Ledger()
        let queue = try ledger.open()
        try Ledger.create(queue)
        try queue.close()
        var failures = 0
        for nth in 1...12 {
            try ledger.disk.fail(operation, at: nth)
            do {
                let again = try ledger.open()
                try Ledger.add(nth, to: again)
                try again.close()
            } catch let error as DatabaseError {
                #expect(error.resultCode == .SQLITE_IOERR || error.resultCode == .SQLITE_CANTOPEN)
                failures += 1
            }
            ledger.disk.heal()
            #expect(try ledger.examine().isSound)
        }
        #expect(failures > 0)
    }

    @Test func aFailureForEverLastsUntilTheDiskIsHealed() throws {
        let ledger = try Ledger()
        let queue = try ledger.open()
        try Ledger.create(queue)
        try ledger.disk.fail(.sync, forEver: true)
        for number in 0..<5 { #expect(throws: DatabaseError.self) { try Ledger.add(number, to: queue) } }
        #expect(ledger.disk.timesStruck >= 5)
        ledger.disk.heal()
        try Ledger.add(7, to: queue)
        try queue.close()
        #expect(try ledger.examine() == (true, 1))
    }

    @Test func whatAFailedSyncHasLostIsNeverPromised() throws {
        for seed in 0..<100 {
            let ledger = try Ledger(seed: UInt64(seed))
            let queue = try ledger.open()
            try Ledger.create(queue)
            ledger.disk.loseAtFailedSync()
            var promised = 0
            for number in 0..<20 {
                if number % 4 == 3 { try ledger.disk.fail(.sync, at: 1) }
                if (try? Ledger.add(number, to: queue)) != nil { promised += 1 }
            }
            ledger.disk.crash()
            try? queue.close()
            ledger.disk.restart()
            let (isSound, commits) = try ledger.examine()
            #expect(isSound && (promised...promised + 1).contains(commits), "seed \(seed): \(promised) \(commits)")
        }
    }

    @Test func aFullDiskRefusesAndForgetsNothing() throws {
        let ledger = try Ledger()
        let queue = try ledger.open()
        try Ledger.create(queue)
        for number in 0..<5 { try Ledger.add(number, to: queue) }
        ledger.disk.limit(toBytes: ledger.disk.usedBytes + 5_000)
        let refused = #expect(throws: DatabaseError.self) {
            for number in 5..<100 { try Ledger.add(number, to: queue) }
        }
        #expect(refused?.resultCode == .SQLITE_FULL)
        ledger.disk.limit(toBytes: nil)
        try Ledger.add(200, to: queue)
        try queue.close()
        #expect(try ledger.examine().isSound)
    }

    @Test func aPoolReadsAndWritesFromManyThreads() throws {
        let ledger = try Ledger()
        let pool = try OpenDatabase.pool(at: ledger.path, label: "pool")
        try pool.write { try $0.execute(sql: "CREATE TABLE line (number INTEGER PRIMARY KEY)") }
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for step in 0..<50 {
                do {
                    try pool.write {
                        try $0.execute(sql: "INSERT INTO line VALUES (?)", arguments: [thread * 50 + step])
                    }
                    let count = try pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM line") }
                    #expect(count ?? 0 > 0)
                } catch {
                    Issue.record("\(error)")
                }
            }
        }
        #expect(try pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM line") } == 400)
        try pool.close()
        #expect(ledger.disk.openHandles == 0)
    }

    @Test func locksHoldBetweenConnections() throws {
        let ledger = try Ledger()
        let one = try ledger.open()
        try Ledger.create(one)
        let other = try ledger.open()
        try one.writeWithoutTransaction { db in
            try db.execute(sql: "BEGIN IMMEDIATE")
            let refused = #expect(throws: DatabaseError.self) { try Ledger.add(1, to: other) }
            #expect(refused?.resultCode == .SQLITE_BUSY)
            #expect(try other.read { try Int.fetchOne($0, sql: "SELECT lines FROM total") } == 0)
            try db.execute(sql: "COMMIT")
        }
        try Ledger.add(1, to: other)
        #expect(try one.read { try Int.fetchOne($0, sql: "SELECT lines FROM total") } == 3)
    }

    @Test func anImageIsTheDatabaseAsItWas() throws {
        let ledger = try Ledger()
        let queue = try ledger.open()
        try Ledger.create(queue)
        try Ledger.add(0, to: queue)
        let image = ledger.disk.image(of: ledger.path)
        try Ledger.add(1, to: queue)
        let twin = try Ledger()
        try twin.disk.install(image, at: twin.path)
        #expect(try twin.examine() == (true, 1))
        try queue.close()
        #expect(try ledger.examine() == (true, 2))
        let file = FileManager.default.temporaryDirectory.appending(
            path: "waybill-image-\(UInt32.random(in: .min ... .max))"
        ).path
        defer {
            for end in ["", "-wal", "-shm", "-journal"] { try? FileManager.default.removeItem(atPath: file + end) }
        }
        try image.write(toFileAt: file)
        let real = try DatabaseQueue(path: file)
        #expect(try real.read { try Int.fetchOne($0, sql: "SELECT lines FROM total") } == 3)
        try real.close()
        try twin.disk.install(DiskImage(ofFileAt: file), at: twin.path)
        #expect(try twin.examine() == (true, 1))
    }

    @Test func aFlippedBitIsFound() throws {
        let ledger = try Ledger()
        let queue = try ledger.open()
        try Ledger.create(queue)
        for number in 0..<50 { try Ledger.add(number, to: queue) }
        try queue.close()
        try ledger.disk.flip(0x40, at: 4096 + 3, of: ledger.path)
        let isSound = (try? ledger.examine().isSound) ?? false
        #expect(!isSound)
    }

    @Test func filesThatNobodyClaimedAreWhereTheyAlwaysWere() throws {
        try FaultDisk.install()
        let path = FileManager.default.temporaryDirectory.appending(
            path: "waybill-plain-\(UInt32.random(in: .min ... .max))"
        ).path
        defer { for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + end) } }
        let queue = try DatabaseQueue(path: path)
        try queue.write { try $0.execute(sql: "CREATE TABLE t (a)") }
        try queue.close()
        #expect((FileManager.default.contents(atPath: path)?.count ?? 0) > 0)
    }

    @Test func filesBelowAPathFailButStayInTheFileSystem() throws {
        try FaultDisk.install()
        let path = FileManager.default.temporaryDirectory.appending(
            path: "waybill-below-\(UInt32.random(in: .min ... .max))"
        ).path
        defer { for end in ["", "-journal"] { try? FileManager.default.removeItem(atPath: path + end) } }
        let disk = FaultDisk()
        try disk.claimFiles(below: path)
        let queue = try DatabaseQueue(path: path)
        try queue.write { try $0.execute(sql: "CREATE TABLE t (a)") }
        #expect(disk.count(of: .write) > 0)
        try disk.fail(.write)
        #expect(throws: DatabaseError.self) { try queue.write { try $0.execute(sql: "INSERT INTO t VALUES (1)") } }
        try queue.write { try $0.execute(sql: "INSERT INTO t VALUES (2)") }
        disk.crash(.killed)
        #expect(throws: DatabaseError.self) { try queue.write { try $0.execute(sql: "INSERT INTO t VALUES (3)") } }
        try? queue.close()
        disk.restart()
        let again = try DatabaseQueue(path: path)
        #expect(try again.read { try Int.fetchAll($0, sql: "SELECT a FROM t") } == [2])
    }
}
