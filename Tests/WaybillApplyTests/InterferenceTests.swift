import Foundation
import GRDB
import Synchronization
import Testing
import WaybillDatabase
import WaybillModel

@testable import WaybillApply

/// Others at the database while a package is applied: tills, and death.
@Suite struct InterferenceTests {
    @Test func aTillThatWritesAllTheTimeGetsItsTurns() throws {
        let shop = try Shop()
        try shop.execute("CREATE TABLE till_journal (id INTEGER PRIMARY KEY)")
        let till = try OpenDatabase.queue(at: shop.path, label: "till 2")
        let isDone = Atomic(false)
        let written = Atomic(0)
        let failed = Atomic(0)
        let stopped = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            while !isDone.load(ordering: .acquiring) {
                do {
                    try till.write { try $0.execute(sql: "INSERT INTO till_journal DEFAULT VALUES") }
                    written.add(1, ordering: .relaxed)
                } catch {
                    failed.add(1, ordering: .relaxed)
                }
                // A till rings up, it does not hammer.
                usleep(1_000)
            }
            stopped.signal()
        }
        var slices = 0
        var writtenInBetween = 0
        shop.onPause = { [unowned shop] in
            usleep(UInt32(shop.pauseMilliseconds) * 1_000)
            slices += 1
            if slices == 190 { writtenInBetween = written.load(ordering: .relaxed) }
        }
        let result = try shop.apply(.full(1, .prices(200_000)))
        isDone.store(true, ordering: .releasing)
        stopped.wait()
        #expect(result.rowsChanged == 200_000)
        #expect(slices >= 200)
        #expect(writtenInBetween > 10)
        #expect(failed.load(ordering: .relaxed) == 0)
        #expect(try shop.count("till_journal") == written.load(ordering: .relaxed))
    }

    @Test func everyPauseFindsTheLockFree() throws {
        let shop = try Shop()
        try shop.apply(.full(1, .prices(20_000, cents: "1")))
        try shop.execute("CREATE TABLE till_journal (id INTEGER PRIMARY KEY); PRAGMA busy_timeout = 0")
        var refused = 0
        var pauses = 0
        shop.onPause = { [unowned shop] in
            pauses += 1
            do { try shop.execute("INSERT INTO till_journal DEFAULT VALUES") } catch { refused += 1 }
        }
        try shop.apply(.full(2, .prices(20_000, cents: "2")))
        // Filling the shadow and freeing the old rows, both in slices.
        #expect(pauses >= 20_000 / ApplyLimits.sliceRows + 20_000 / ApplyLimits.freedSliceRows)
        #expect(refused == 0)
        #expect(try shop.count("till_journal") == pauses)
    }

    /// What lies on the disk at a pause is what a kill leaves there.
    @Test func aKillAtAnyPauseLeavesOldOrNewAndTheNextApplyFinishes() throws {
        // The large table goes by a shadow, the small one directly.
        let shop = try Shop(lockBudgetMilliseconds: 20)
        try shop.apply(.full(1, .prices(6_000, cents: "1"), .unit([["kg", "1"]])))
        let parcel = Parcel.full(2, .prices(6_000, cents: "2"), .unit([["kg", "2"]]))
        var images: [String] = []
        shop.onPause = { [unowned shop] in
            let image = shop.folder + "/image\(images.count)"
            for suffix in ["", "-wal"] {
                try? FileManager.default.copyItem(atPath: shop.path + suffix, toPath: image + suffix)
            }
            images.append(image)
        }
        try shop.apply(parcel)
        shop.onPause = {}
        // Making the shadow, six slices of it, freeing the old rows and their table.
        #expect(images.count >= 9)
        var seen: Set<String> = []
        for image in images {
            let ledger = try StoreDatabase(path: image, store: try #require(StoreID("S1")))
            let applier = try Applier(path: image)
            let reader = try OpenDatabase.queue(at: image, label: "reader")
            func state() throws -> String {
                try reader.read { db in
                    try String.fetchOne(
                        db,
                        sql: """
                            SELECT (SELECT version FROM _waybill_watermark)
                                || ' ' || (SELECT count(*) FROM _waybill_outbox)
                                || ' ' || (SELECT group_concat(DISTINCT cents) FROM price) || ' ' || count(*)
                                || ' ' || (SELECT name FROM unit)
                            FROM price
                            """) ?? ""
                }
            }
            seen.insert(try state())
            try ledger.startIncarnation(random: 5)
            let (raw, manifest) = try shop.pack(parcel)
            defer { unlink(raw) }
            let result = try applier.apply(
                rawPath: raw, manifest: manifest, run: 1, attempt: 2, at: { Timestamp(milliseconds: 1) },
                pause: { _ in },
                shouldStop: { false })
            #expect(result.watermark == Parcel.watermark(2))
            #expect(try state().hasSuffix(" 2 6000 2"))
            #expect(try ledger.outbox(limit: 10).last?.watermark == Parcel.watermark(2))
            #expect(try reader.read { try String.fetchAll($0, sql: "PRAGMA integrity_check") } == ["ok"])
            let leftOvers = try reader.read { db in
                try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_waybill_[so][hl]*'")
            }
            #expect(leftOvers == 0)
        }
        #expect(seen == ["1 1 1 6000 1", "2 2 2 6000 2"])
    }

    @Test func aFullDiskIsSaidBeforeAnythingIsWritten() throws {
        let shop = try Shop()
        let (raw, packed) = try shop.pack(.full(1, .price([[1, "A", 1]])))
        var manifest = packed
        manifest.rawBytes = Limits.rawBytesMax * 1_000
        let fault = shop.fault { _ = try shop.apply(raw, manifest) }
        guard case .noSpace = fault else {
            Issue.record("\(String(describing: fault))")
            return
        }
        #expect(fault?.isTransient == true)
        #expect(try shop.watermark == nil)
        #expect(try shop.apply(raw, packed).rowsChanged == 1)
    }

    @Test func aMissingPackageIsNoCrashAndTheNextOneIsApplied() throws {
        let shop = try Shop()
        let (raw, manifest) = try shop.pack(.full(1, .price([[1, "A", 1]])))
        let fault = shop.fault { _ = try shop.apply(raw + ".gone", manifest) }
        #expect(fault?.isTransient == true)
        #expect(try shop.apply(raw, manifest).rowsChanged == 1)
    }
}

@Suite struct LockBudgetTests {
    @Test func scatteredRowsOfALargeTableCostAPageEach() {
        let budget = LockBudget(milliseconds: 50)
        #expect(budget.scatteredRowsMax == 2_000)
        #expect(budget.rowsMax(tableBytes: 60_000_000) == 2_000)
    }

    @Test func aSmallTableHasFewPagesToChange() {
        let budget = LockBudget(milliseconds: 50)
        #expect(budget.rowsMax(tableBytes: 270_000) == 9_604)
    }

    @Test func allTablesOfASessionShareTheBudget() {
        var budget = LockBudget(milliseconds: 50)
        budget.spend(rows: 1_500, tableBytes: 60_000_000)
        #expect(budget.scatteredRowsMax == 500)
        budget.spend(rows: 5_000, tableBytes: 60_000_000)
        #expect(budget.scatteredRowsMax == 0)
        #expect(budget.rowsMax(tableBytes: 1) == 0)
    }
}
