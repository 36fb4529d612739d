import Foundation
import GRDB
import Testing
import WaybillDatabase
import WaybillJobs
import WaybillModel

@testable import WaybillPlan

/// Names cannot lie: restored, lost and changed pasts of headquarters.
@Suite struct HistoryTests {
    private let store = LittleChain.stores[0]

    private func filledChain() throws -> LittleChain {
        let chain = try LittleChain()
        try chain.sql("INSERT INTO seen VALUES ('A', 'x'); INSERT INTO item VALUES ('i', 'x', 1)")
        return chain
    }

    private func plan(_ chain: LittleChain, from first: Derivation, to second: Derivation) throws -> SessionPlan {
        let base = Base(version: first.version.number, token: first.token)
        return try chain.rows.plan(LittleChain.job(), at: second, for: [PlanTarget(store: store, base: base)])
    }

    @Test func nothingIsDerivedAnewWhileNothingChanges() throws {
        let chain = try filledChain()
        let first = try chain.rows.derive(LittleChain.job())
        let again = try chain.rows.derive(LittleChain.job())
        #expect(again.token == first.token)
        #expect(!again.hasChanges)
        try chain.reopenRows()
        #expect(try chain.rows.derive(LittleChain.job()).token == first.token)
    }

    /// They had rows of the past among those that stand.
    @Test func whatAnOlderProgramKeptIsGivenUpAndStoresGetTheirTablesWholeOnce() throws {
        let chain = try filledChain()
        let first = try chain.rows.derive(LittleChain.job())
        try chain.rows.queue.write { db in
            try db.execute(
                sql: """
                    DROP TABLE rows_thing;
                    CREATE TABLE rows_thing (
                        _scope TEXT NOT NULL, item_id TEXT NOT NULL, value INTEGER, _born INTEGER NOT NULL,
                        _died INTEGER NOT NULL, PRIMARY KEY (_scope, item_id, _born)
                    ) WITHOUT ROWID, STRICT;
                    INSERT INTO rows_thing VALUES ('x', 'old', 1, 1, 9223372036854775807)
                    """)
        }
        try chain.reopenRows()
        let second = try chain.rows.derive(LittleChain.job())
        #expect(second.version > first.version)
        let package = try #require(try plan(chain, from: first, to: second).packages.first)
        #expect(package.kind == .full)
        #expect(try chain.fill(package, at: second).written == chain.truth(for: store))
        try chain.sql("UPDATE item SET value = 2")
        let third = try chain.rows.derive(LittleChain.job())
        #expect(try plan(chain, from: second, to: third).packages.map(\.kind) == [.delta])
    }

    @Test func aChangeThatMakesNoOtherRowsIsToldApartFromOneThatDoes() throws {
        let chain = try filledChain()
        let first = try chain.rows.derive(LittleChain.job())
        #expect(first.sameRowsAs == nil)
        // Written, with the value that stood there.
        try chain.sql("UPDATE item SET value = 1")
        let second = try chain.rows.derive(LittleChain.job())
        #expect(second.token != first.token)
        #expect(second.sameRowsAs == first.token)
        #expect(try plan(chain, from: first, to: second).packages.isEmpty)
        // No row has changed, yet another store sees some.
        try chain.sql("INSERT INTO seen VALUES ('B', 'x')")
        #expect(try chain.rows.derive(LittleChain.job()).sameRowsAs == nil)
        try chain.sql("UPDATE item SET value = 2")
        #expect(try chain.rows.derive(LittleChain.job()).sameRowsAs == nil)
        // Of another epoch: what was said of the history before does not count.
        try chain.sql("UPDATE item SET value = 2")
        try chain.reopenRows(newest: Version(epoch: 4, number: 1))
        #expect(try chain.rows.derive(LittleChain.job()).sameRowsAs == nil)
    }

    @Test func aRestoredHeadquartersBeginsAnEpochAndStoresStillGetDeltas() throws {
        let chain = try filledChain()
        let copy = chain.folder + "/backup.db"
        try chain.hq.writeWithoutTransaction { try $0.execute(sql: "VACUUM INTO '\(copy)'") }
        try chain.sql("UPDATE item SET value = 2")
        let late = try chain.rows.derive(LittleChain.job())
        // Back to the older state; then written to until its own numbers have passed those of the lost history.
        try restore(chain, from: copy)
        for value in 10..<30 { try chain.sql("UPDATE item SET value = \(value)") }
        let restored = try chain.rows.derive(LittleChain.job())
        #expect(restored.version.epoch > late.version.epoch)
        #expect(restored.version.number > late.version.number)
        let package = try #require(try plan(chain, from: late, to: restored).packages.first)
        #expect(package.kind == .delta)
        #expect(try chain.fill(package, at: restored).written["thing"] == ["i": "Optional(29)"])
    }

    private func restore(_ chain: LittleChain, from copy: String) throws {
        try chain.hq.writeWithoutTransaction { db in
            try db.execute(sql: "ATTACH DATABASE '\(copy)' AS copy")
            defer { try? db.execute(sql: "DETACH DATABASE copy") }
            for table in ["item", "seen", "_waybill_change", "_waybill_meta"] {
                // Without the triggers: a restored file brings its log as it was.
                let triggers = try String.fetchAll(
                    db, sql: "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", arguments: [table]
                )
                let names = try String.fetchAll(
                    db, sql: "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?",
                    arguments: [table])
                for name in names { try db.execute(sql: "DROP TRIGGER main.\(quoted(name))") }
                try db.execute(sql: "DELETE FROM main.\(table); INSERT INTO main.\(table) SELECT * FROM copy.\(table)")
                for trigger in triggers { try db.execute(sql: trigger) }
            }
        }
    }

    /// A job that gets another name leaves its tables to it, and finds them in the other's hands when it comes back.
    @Test func aJobWhoseTableWasInTheHandsOfAnotherStartsAnew() throws {
        let chain = try filledChain()
        let first = try chain.rows.derive(LittleChain.job())
        var other = LittleChain.job()
        other.id = try #require(JobID("other"))
        for index in other.subjobs.indices { other.subjobs[index].query.text += " WHERE false" }
        #expect(try chain.rows.derive(other).rowsWorkedOut == 0)
        let back = try chain.rows.derive(LittleChain.job())
        #expect(back.token != first.token)
        let package = try #require(try plan(chain, from: first, to: back).packages.first)
        #expect(package.kind == .full, "the store has the other's rows")
        #expect(try chain.fill(package, at: back).written == chain.truth(for: store))
        let again = Base(version: back.version.number, token: back.token)
        let none = try chain.rows.plan(
            LittleChain.job(), at: try chain.rows.derive(LittleChain.job()),
            for: [PlanTarget(store: store, base: again)])
        #expect(none.noData == [store])
    }

    @Test func anOldCopyOfTheRowsGoesOnAboveEveryEpochThatSessionsUsed() throws {
        let chain = try filledChain()
        #expect(try chain.rows.derive(LittleChain.job()).version.epoch == 1)
        // The hub's sessions have come to epoch 4 meanwhile; the copy knows of 1.
        try chain.reopenRows(newest: Version(epoch: 4, number: 1))
        #expect(try chain.rows.derive(LittleChain.job()).version.epoch == 5)
        // In step with its sessions nothing is lifted.
        try chain.reopenRows(newest: Version(epoch: 5, number: 1))
        #expect(try chain.rows.derive(LittleChain.job()).version.epoch == 5)
    }

    /// Seed 98360: both databases came from one backup, the hub's sessions did not; numbers were given out twice.
    @Test func oldCopiesOfTheRowsAndOfHeadquartersThatFitEachOtherBeginAnEpochToo() throws {
        let chain = try filledChain()
        let version = try chain.rows.derive(LittleChain.job()).version
        // As far as the hub's newest session: nothing was lost.
        try chain.reopenRows(newest: version)
        #expect(try chain.rows.derive(LittleChain.job()).version == version)
        try chain.reopenRows(newest: Version(epoch: version.epoch, number: version.number + 1))
        let after = try chain.rows.derive(LittleChain.job()).version
        #expect(after.epoch == version.epoch + 1)
        // Once only.
        try chain.reopenRows(newest: after)
        #expect(try chain.rows.derive(LittleChain.job()).version == after)
    }

    @Test func storesGetEverythingWhenTheRowsWereLost() throws {
        let chain = try filledChain()
        let before = try chain.rows.derive(LittleChain.job())
        try chain.reopenRows(losing: true)
        let after = try chain.rows.derive(LittleChain.job())
        #expect(try plan(chain, from: before, to: after).packages.map(\.kind) == [.full])
    }

    @Test func aChangedShapeSendsEverythingAndAChangedQueryOnlyWhatDiffers() throws {
        let chain = try filledChain()
        let before = try chain.rows.derive(LittleChain.job())
        var other = LittleChain.job()
        other.subjobs[0].query = "SELECT scope, item_id, value + 1 AS value FROM item"
        let queried = try chain.rows.derive(other)
        #expect(queried.version > before.version)
        #expect(try plan(chain, from: before, to: queried).packages.map(\.kind) == [.delta])
        let reshaped = try chain.rows.derive(LittleChain.job(.real))
        #expect(try plan(chain, from: queried, to: reshaped).packages.map(\.kind) == [.full])
    }

    @Test func aQueryThatGivesAKeyTwiceIsNamedAndChangesNothing() throws {
        let chain = try filledChain()
        let before = try chain.rows.derive(LittleChain.job())
        var broken = LittleChain.job()
        broken.subjobs[0].query = "SELECT scope, item_id, value FROM item UNION ALL SELECT scope, item_id, 7 FROM item"
        let fault = #expect(throws: DerivationFault.self) { try chain.rows.derive(broken) }
        #expect(
            fault?.description
                == "job little: table thing, row item_id = 'i' in scope 'x' comes 2 times, and a key can stand only once"
        )
        #expect(try chain.rows.derive(LittleChain.job()).token == before.token)
    }
}
