import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillModel

@testable import WaybillApply

/// Whether anybody is there who could be kept waiting.
@Suite struct NeighboursTests {
    /// A program of somebody else's with a connection to the database, until it is told to end.
    private final class Till {
        private let program = Process()
        private let input = Pipe()
        private let output = Pipe()

        init(_ path: String) throws {
            program.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            program.arguments = ["sqlite3", path]
            program.standardInput = input
            program.standardOutput = output
            try program.run()
            // Its answer says that it has opened the file.
            try input.fileHandleForWriting.write(contentsOf: Data("SELECT count(*) FROM sqlite_schema;\n".utf8))
            _ = try output.fileHandleForReading.read(upToCount: 1)
        }

        func end() throws {
            try input.fileHandleForWriting.close()
            program.waitUntilExit()
        }
    }

    @Test func anotherProgramIsSeenForAsLongAsItHasTheDatabaseOpen() throws {
        let shop = try Shop()
        let neighbours = Neighbours(path: shop.path)
        #expect(!neighbours.arePresent(), "connections of this program are no others")
        let till = try Till(shop.path)
        #expect(neighbours.arePresent())
        try till.end()
        #expect(!neighbours.arePresent())
        // Looking has taken no lock away: the database is still known to be in use.
        let second = try Till(shop.path)
        #expect(neighbours.arePresent())
        try second.end()
    }

    @Test func theDatabaseMayBeReachedByALink() throws {
        let shop = try Shop()
        let link = shop.folder + "/link.db"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: shop.path)
        #expect(!Neighbours(path: link).arePresent())
        let till = try Till(link)
        #expect(Neighbours(path: link).arePresent())
        try till.end()
    }

    @Test func whoeverCannotTellSaysThatSomebodyIsThere() throws {
        #expect(Neighbours(path: "/nowhere/store.db").arePresent())
        let folder = NSTemporaryDirectory() + "waybill-\(UUID().uuidString)"
        try DurableFile.createFolder(folder)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // Not opened by this program.
        _ = FileManager.default.createFile(atPath: folder + "/store.db-shm", contents: Data())
        #expect(Neighbours(path: folder + "/store.db").arePresent())
    }

    @Test func nobodyIsWaitedForWhereNobodyIs() throws {
        let shop = try Shop(lockBudgetMilliseconds: 0)
        var areOthersThere = false
        let applier = try Applier(
            path: shop.path, lockBudgetMilliseconds: 0, company: Company(others: { areOthersThere }))
        try shop.apply(.full(1, .prices(100_000, cents: "1")), by: applier)
        #expect(shop.pauses == 0)
        areOthersThere = true
        try shop.apply(.full(2, .prices(100_000, cents: "2")), by: applier)
        #expect(shop.pauses > 100_000 / ApplyLimits.sliceRows)
        #expect(try shop.rows("SELECT count(*), min(cents), max(cents) FROM price") == ["100000|2|2"])
    }

    @Test func whereNobodyIsMoreRowsAreWrittenInOneTransaction() throws {
        let shop = try Shop(lockBudgetMilliseconds: 0)
        try shop.apply(.full(1, .prices(20_000, cents: "1")))
        let applier = try Applier(path: shop.path, lockBudgetMilliseconds: 0, company: Company(others: { false }))
        let root = try shop.rootPage(of: "price")
        let result = try shop.apply(.full(2, .prices(20_000, cents: "2")), by: applier)
        #expect(try shop.rootPage(of: "price") == root, "the table is the same, not another of that name")
        #expect(result.allowedLockMilliseconds == ApplyLimits.loneLockBudgetMilliseconds)
        #expect(try shop.rows("SELECT count(*), min(cents), max(cents) FROM price") == ["20000|2|2"])
    }

    @Test(arguments: 1...4) func whoComesMeanwhileDoesNotWaitForThatTransaction(looks: Int) throws {
        let shop = try Shop(lockBudgetMilliseconds: 0)
        try shop.apply(.full(1, .prices(20_000, cents: "1")))
        let root = try shop.rootPage(of: "price")
        var looked = 0
        let company = Company(others: {
            if (try? shop.isWriteLocked()) == true { looked += 1 }
            return looked >= looks
        })
        let applier = try Applier(path: shop.path, lockBudgetMilliseconds: 0, company: company)
        let result = try shop.apply(.full(2, .prices(20_000, cents: "2")), by: applier)
        #expect(looked >= looks, "the transaction was long enough to be looked around in")
        #expect(try shop.rootPage(of: "price") != root, "it went by a shadow")
        #expect(result.allowedLockMilliseconds == 0)
        #expect(try shop.rows("SELECT count(*), min(cents), max(cents) FROM price") == ["20000|2|2"])
        #expect(try shop.rows("SELECT count(*) FROM _waybill_outbox") == ["2"], "one report for each session")
    }

    @Test func whoWaitsForTheLockInThisProgramIsNotForgotten() throws {
        let shop = try Shop()
        #expect(!shop.ledger.isWriting)
        var wasWriting = false
        try shop.till.inDatabase { db in
            try db.execute(sql: "BEGIN IMMEDIATE")
            let thread = Thread { [ledger = shop.ledger] in _ = try? ledger.startIncarnation(random: 3) }
            thread.start()
            let deadline = ContinuousClock.now + .seconds(20)
            while !wasWriting, ContinuousClock.now < deadline { wasWriting = shop.ledger.isWriting }
            try db.execute(sql: "ROLLBACK")
        }
        #expect(wasWriting)
    }
}
