import GRDB
import GRDBSQLite
import Testing
import WaybillModel

@testable import WaybillHub
@testable import WaybillPlan

/// Verifying stores that are behind a change of nearly everything: what they must have has ended at headquarters.
@Suite struct VerifyBehindTests {
    /// Few enough to be read through for each range, and so many that they are put in order first.
    static let sizes = [300, 3_000]

    /// A store that stands before everything changed, and in which some rows are not as they were sent.
    private func streetBehind(_ rows: Int) throws -> (VerifyStreet, Watermark) {
        let street = try VerifyStreet()
        try street.fill(rows)
        let mark = try street.publish()
        try street.sql("UPDATE item SET price = 99; DELETE FROM item WHERE unit = 1")
        _ = try street.rows.derive(street.job)
        _ = try street.edit("UPDATE thing SET note = 'by hand' WHERE item_id IN ('i5', 'i51')", at: VerifyStreet.store)
        _ = try street.edit("DELETE FROM thing WHERE item_id = 'i23' AND unit = 0")
        _ = try street.edit("INSERT INTO thing (item_id, unit) VALUES ('i31', 7)")
        return (street, mark)
    }

    @Test(arguments: sizes) func whatDiffersIsFoundWhereTheStoreStands(rows: Int) throws {
        let (street, mark) = try streetBehind(rows)
        let verdict = try #require(try street.verify().verdict)
        #expect(verdict.outcome == .diverged && verdict.mark == mark)
        #expect(verdict.counts == [.changed: 6, .missing: 1, .extra: 1])
        #expect(street.audit.ended.stagings == (rows > EndedByKey.rowsMax ? 1 : 0), "once, for all the parts of it")
        // The repair takes the store to nowhere but where it stands.
        try street.repair(verdict.ranges)
        let again = try #require(try street.verify().verdict)
        #expect(again.outcome == .ok && again.mark?.version == mark.version)
    }

    @Test func moreMayEndWhileItIsLookedInto() throws {
        let (street, _) = try streetBehind(3_000)
        let run = try street.verify(before: { number in
            guard number == 3 else { return }
            try street.sql("DELETE FROM item WHERE unit = 0")
            _ = try street.rows.derive(street.job)
        })
        #expect(run.verdict?.counts == [.changed: 6, .missing: 1, .extra: 1])
        #expect(street.audit.ended.stagings == 2)
    }

    @Test func whatWasPutInOrderIsGivenBack() throws {
        let (street, _) = try streetBehind(3_000)
        _ = try street.verify()
        func tables() throws -> Int? {
            try street.audit.queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_temp_master") }
        }
        #expect(try tables() == 1)
        try street.audit.rest()
        #expect(try tables() == 0)
        #expect(try street.verify().verdict?.outcome == .diverged)
    }

    /// A store at the newest version reads what it looks for; one that is behind reads it and puts it in order first, and
    /// not all that has ended for each of some hundred ranges.
    @Test func beingBehindCostsAFewTimesAsMuchAsBeingUpToDate() throws {
        func steps(_ street: VerifyStreet) throws -> Int {
            let counter = VirtualSteps()
            try counter.count(on: street.audit.queue) { _ = try street.verify() }
            return counter.steps
        }
        let upToDate = try VerifyStreet()
        try upToDate.fill(3_000)
        try upToDate.publish()
        _ = try upToDate.edit("UPDATE thing SET note = 'by hand' WHERE item_id IN ('i5', 'i51')")
        let usual = try steps(upToDate)
        let behind = try steps(try streetBehind(3_000).0)
        #expect(behind < 6 * usual, "\(behind) and \(usual)")
    }
}

/// Counts what SQLite itself counts: the steps of its virtual machine.
private final class VirtualSteps {
    private(set) var steps = 0

    func count(on queue: DatabaseQueue, _ body: () throws -> Void) throws {
        let context = Unmanaged.passUnretained(self).toOpaque()
        func listen(_ events: Int32) {
            let code = queue.writeWithoutTransaction { db in
                sqlite3_trace_v2(
                    db.sqliteConnection, UInt32(events),
                    { _, context, statement, _ in
                        guard let context, let statement else { return 0 }
                        let counter = Unmanaged<VirtualSteps>.fromOpaque(context).takeUnretainedValue()
                        counter.steps += Int(
                            sqlite3_stmt_status(OpaquePointer(statement), SQLITE_STMTSTATUS_VM_STEP, 1))
                        return 0
                    }, context)
            }
            #expect(code == SQLITE_OK)
        }
        listen(SQLITE_TRACE_PROFILE)
        try body()
        listen(0)
        withExtendedLifetime(self) {}
    }
}
