import GRDB
import Testing
import WaybillModel

@testable import WaybillSessions

/// Who did what stays as it was written down, and it shows when it does not.
@Suite struct AuditLogTests {
    private let hub: HubDatabase

    init() throws { hub = try HubDatabase() }

    private func entry(_ action: String, at time: Int64 = 0, who: String = "anna", uid: Int64? = 1000) -> AuditEntry {
        AuditEntry(
            at: at(time), who: AuditWho(name: who, uid: uid, door: .socket), action: action, subject: "S1",
            arguments: #"{"reason":"x"}"#, outcome: .done)
    }

    private func fill(_ count: Int) throws {
        for number in 1...count {
            _ = try hub.write { try AuditLog.append(entry("a\(number)", at: Int64(number)), in: $0) }
        }
    }

    private func verdict(_ witness: (Int64, [UInt8])? = nil) throws -> AuditVerdict {
        try hub.read { try AuditLog.verify(witness: witness.map { (sequence: $0.0, hash: $0.1) }, in: $0) }
    }

    @Test func rowsComeBackAsTheyWereWrittenNewestFirst() throws {
        try fill(3)
        let rows = try hub.read { try AuditLog.rows(limit: 2, in: $0) }
        #expect(rows.map(\.sequence) == [3, 2])
        #expect(rows[0].entry == entry("a3", at: 3))
        #expect(rows[0].previousHash == rows[1].hash)
    }

    @Test func rowsAreFoundByTimeNameAndNumber() throws {
        try fill(3)
        _ = try hub.write { try AuditLog.append(entry("b", at: 9, who: "ben", uid: 7), in: $0) }
        #expect(try hub.read { try AuditLog.rows(since: at(3), limit: 9, in: $0) }.map(\.sequence) == [4, 3])
        #expect(try hub.read { try AuditLog.rows(who: "ben", limit: 9, in: $0) }.map(\.sequence) == [4])
        #expect(try hub.read { try AuditLog.rows(who: "1000", limit: 9, in: $0) }.map(\.sequence) == [3, 2, 1])
        #expect(try hub.read { try AuditLog.rows(who: "nobody", limit: 9, in: $0) }.isEmpty)
    }

    @Test func anUntouchedLogIsWhole() throws {
        #expect(try verdict() == AuditVerdict())
        try fill(5)
        let head = try hub.read { try AuditLog.head(in: $0) }.orThrow()
        #expect(try verdict() == AuditVerdict(rows: 5, first: 1, head: 5, headHash: head.hash, firstBreak: nil))
    }

    @Test(arguments: [
        "UPDATE audit SET who = 'eve'", "DELETE FROM audit", "DELETE FROM audit WHERE sequence = 3",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE sequence = 2",
        "INSERT INTO audit SELECT 9, at, who, uid, door, action, subject, arguments, outcome, message, asked, through, prev_hash, hash FROM audit WHERE sequence = 3",
        "INSERT INTO audit SELECT 4, at, who, uid, door, action, subject, arguments, outcome, message, asked, through, prev_hash, hash FROM audit WHERE sequence = 3",
    ]) func noStatementChangesTheLog(sql: String) throws {
        try fill(3)
        #expect(throws: DatabaseError.self) { try hub.write { try $0.execute(sql: sql) } }
        #expect(try verdict().rows == 3)
    }

    /// Whoever may write the file can take the triggers away.
    private func forge(_ sql: String) throws {
        try hub.write { db in
            for trigger in ["audit_grows_at_its_end", "audit_stays_as_it_is", "audit_stays"] {
                try db.execute(sql: "DROP TRIGGER \(trigger)")
            }
            try db.execute(sql: sql)
        }
    }

    @Test(arguments: [
        "at = at + 1", "who = 'eve'", "uid = 0", "uid = NULL", "door = 'tcp'", "action = 'b'", "subject = ''",
        "arguments = ''", "outcome = 'failed'", "message = 'x'", "asked = 1", "through = 1",
    ]) func aChangedValueIsFoundInItsRow(change: String) throws {
        try fill(5)
        try forge("UPDATE audit SET \(change) WHERE sequence = 3")
        #expect(try verdict().firstBreak == .init(sequence: 3, fault: "it was changed"))
        #expect(try verdict().rows == 2)
    }

    @Test func aRowTakenOutShowsAtTheNext() throws {
        try fill(5)
        try forge("DELETE FROM audit WHERE sequence = 3")
        #expect(try verdict().firstBreak == .init(sequence: 4, fault: "rows 3 to 3 before it are missing"))
    }

    @Test func aBeginningTakenOutShows() throws {
        try fill(5)
        try forge("DELETE FROM audit WHERE sequence < 3")
        #expect(try verdict().firstBreak == .init(sequence: 3, fault: "the rows before it are missing"))
    }

    @Test func aTailCutOffShowsToWhoeverHasSeenItsHash() throws {
        try fill(5)
        let head = try hub.read { try AuditLog.head(in: $0) }.orThrow()
        let seen = (head.sequence, Array(head.hash.prefix(8)))
        #expect(try verdict(seen).firstBreak == nil)
        try forge("DELETE FROM audit WHERE sequence > 3")
        #expect(try verdict().firstBreak == nil, "by itself it looks whole")
        #expect(
            try verdict(seen).firstBreak
                == .init(sequence: 4, fault: "the log ends before row 5, which has been there"))
        // Written anew, whole in itself, with another content.
        try hub.write { db in for _ in 1...2 { _ = try AuditLog.append(entry("innocent"), in: db) } }
        #expect(try verdict().firstBreak == nil)
        #expect(
            try verdict(seen).firstBreak
                == .init(sequence: 5, fault: "it has another hash than the one that was noted"))
    }

    @Test func whatACheckpointCarriesOnMayGoAndTheRestIsStillWhole() throws {
        try fill(10)
        #expect(try hub.read { try AuditLog.countForgettable(before: at(5), in: $0) } == 4)
        #expect(try hub.write { try AuditLog.forget(before: at(5), at: at(20), in: $0) } == 4)
        let after = try verdict()
        #expect(after.firstBreak == nil)
        #expect([after.first, after.head, after.rows] == [5, 11, 7])
        #expect(throws: DatabaseError.self) {
            try hub.write { try $0.execute(sql: "DELETE FROM audit WHERE sequence = 5") }
        }
        // And once more, over the checkpoint before.
        #expect(try hub.write { try AuditLog.forget(before: at(21), at: at(30), in: $0) } == 6)
        #expect(try verdict().firstBreak == nil)
        #expect(try verdict().first == 11)
        try forge("UPDATE audit SET message = 'ff' WHERE through IS NOT NULL AND sequence = 12")
        #expect(try verdict().firstBreak?.sequence == 11)
    }

    @Test func theLastRowStaysWhateverItsAge() throws {
        try fill(1)
        #expect(try hub.write { try AuditLog.forget(before: at(99), at: at(99), in: $0) } == 0)
        #expect(try verdict().rows == 1)
    }

    @Test func valuesAreBoundedAndOneLine() throws {
        let long = String(repeating: "x", count: 100_000)
        let entry = AuditEntry(
            at: at(0), who: AuditWho(name: "a\u{1b}[2J\0b", door: .tcp), action: long, arguments: long,
            outcome: .denied, message: "line\nbreak")
        #expect(entry.who.name == "a [2J b")
        #expect(entry.message == "line break")
        #expect(entry.arguments.utf8.count < 4200 && entry.arguments.hasSuffix("…"))
        _ = try hub.write { try AuditLog.append(entry, in: $0) }
        #expect(try hub.read { try AuditLog.head(in: $0) }?.entry == entry)
        #expect(try verdict().firstBreak == nil)
    }

    @Test func noTwoRowsHaveTheSameEncoding() {
        // What moves from one field into the next is another row.
        let rows = [("ab", ""), ("a", "b"), ("", "ab")].map { action, subject in
            AuditEntry(
                at: at(0), who: AuditWho(name: "x", door: .hub), action: action, subject: subject, outcome: .done)
        }
        #expect(Set(rows.map { $0.hash(sequence: 1, after: AuditLog.origin) }).count == 3)
    }
}
