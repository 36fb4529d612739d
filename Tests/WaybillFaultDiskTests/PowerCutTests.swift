import GRDB
import Testing
import WaybillFaultDisk

@Suite("Power cuts on a disk in memory")
struct PowerCutTests {
    /// Commits until the power goes at a random moment; gives back what was promised and what is there.
    private func cut(seed: UInt64, synchronous: String? = nil, lying: Bool = false) throws -> (
        promised: Int, found: Int, isSound: Bool
    ) {
        let ledger = try Ledger(seed: seed)
        var queue: DatabaseQueue? = try ledger.open(synchronous: synchronous)
        if let queue { try Ledger.create(queue) }
        ledger.disk.lie(lying)
        ledger.disk.crash(at: 1 + Int(seed % 211))
        var promised = 0
        do {
            while let queue, promised < 200 {
                try Ledger.add(promised, to: queue)
                promised += 1
                if promised % 20 == 0 { _ = try queue.writeWithoutTransaction { try $0.checkpoint(.passive) } }
            }
        } catch is DatabaseError {}
        #expect(ledger.disk.isDown)
        try? queue?.close()
        queue = nil
        ledger.disk.heal()
        ledger.disk.restart()
        let (isSound, commits) = try ledger.examine()
        return (promised, commits, isSound)
    }

    @Test func aCommitThatWasSyncedSurvivesAThousandCuts() throws {
        var unpromised = 0
        for seed in 0..<1_000 {
            let result = try cut(seed: UInt64(seed))
            #expect(result.isSound, "seed \(seed)")
            // One more may be there: the one that was being committed.
            #expect((result.promised...result.promised + 1).contains(result.found), "seed \(seed): \(result)")
            unpromised += result.found - result.promised
        }
        #expect(unpromised > 0, "no cut ever left what was not promised: pending writes are never kept")
    }

    @Test func withoutASyncAtEveryCommitSomeAreLostAndNoneTorn() throws {
        var lost = 0
        for seed in 0..<200 {
            let result = try cut(seed: UInt64(seed), synchronous: "NORMAL")
            #expect(result.isSound, "seed \(seed)")
            #expect(result.found <= result.promised + 1)
            if result.found < result.promised { lost += 1 }
        }
        #expect(lost > 50, "synchronous = NORMAL lost commits in \(lost) of 200 cuts")
    }

    @Test func aDiskThatLiesLosesCommitsAndCanTearTheDatabase() throws {
        var lost = 0
        var torn = 0
        for seed in 0..<200 {
            do {
                let result = try cut(seed: UInt64(seed), lying: true)
                if !result.isSound { torn += 1 } else if result.found < result.promised { lost += 1 }
            } catch let error as DatabaseError {
                // So broken that it cannot even be opened.
                #expect([.SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR, .SQLITE_IOERR].contains(error.resultCode))
                torn += 1
            }
        }
        #expect(lost > 0)
        #expect(torn > 0, "checkpoints order writes by syncs; a lie must break that")
    }

    @Test func rollbackJournalsSurviveCutsAsWell() throws {
        for seed in 0..<200 {
            let ledger = try Ledger(seed: UInt64(seed))
            var configuration = Configuration()
            configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            var queue: DatabaseQueue? = try DatabaseQueue(path: ledger.path, configuration: configuration)
            if let queue { try Ledger.create(queue) }
            ledger.disk.crash(at: 1 + seed)
            var promised = 0
            do {
                while let queue, promised < 100 {
                    try Ledger.add(promised, to: queue)
                    promised += 1
                }
            } catch is DatabaseError {}
            try? queue?.close()
            queue = nil
            ledger.disk.restart()
            let reopened = try DatabaseQueue(path: ledger.path)
            let (check, lines) = try reopened.read { db in
                (
                    try String.fetchOne(db, sql: "PRAGMA integrity_check"),
                    try db.tableExists("line") ? try Int.fetchOne(db, sql: "SELECT count(*) FROM line") ?? -1 : -3
                )
            }
            #expect(check == "ok", "seed \(seed)")
            // The delete of a journal that was not synced may be undone: then the last commit is rolled back.
            #expect((promised - 1...promised + 1).contains(lines / 3), "seed \(seed): \(promised) \(lines)")
        }
    }

    @Test func aKilledProcessLosesNothingThatWasWritten() throws {
        let ledger = try Ledger()
        let queue = try ledger.open(synchronous: "OFF")
        try Ledger.create(queue)
        for number in 0..<10 { try Ledger.add(number, to: queue) }
        ledger.disk.crash(.killed)
        #expect(throws: DatabaseError.self) { try Ledger.add(10, to: queue) }
        ledger.disk.restart()
        #expect(throws: DatabaseError.self) { try Ledger.add(10, to: queue) }
        #expect(try ledger.examine() == (true, 10))
        try? queue.close()
        #expect(try ledger.examine() == (true, 10))
    }

    @Test func theSameSeedGivesTheSameDamage() throws {
        func remains(_ seed: UInt64) throws -> [String: [UInt8]] {
            DiskWorld.seedRandomness(7)
            let ledger = try Ledger(seed: seed)
            let queue = try ledger.open(synchronous: "OFF")
            try Ledger.create(queue)
            for number in 0..<30 { try Ledger.add(number, to: queue) }
            ledger.disk.crash()
            try? queue.close()
            return ledger.disk.image(of: ledger.path).files.mapValues {
                [UInt8($0.count % 251)] + $0.prefix(32).suffix(8)
            }
        }
        defer { DiskWorld.seedRandomness(nil) }
        // Other tests share SQLite's random numbers, so only sizes and what does not hang on them are compared.
        let sizes = try (0..<20).map { try remains(UInt64($0)).mapValues { $0[0] } }
        let again = try (0..<20).map { try remains(UInt64($0)).mapValues { $0[0] } }
        #expect(sizes == again)
        #expect(Set(sizes).count > 3)
    }
}
