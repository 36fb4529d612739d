import Foundation
import GRDB
import Testing
import WaybillModel

@testable import WaybillApply

@Suite struct LedgerTests {
    private let shop: Shop

    init() throws { shop = try Shop() }

    private func cancel(_ number: Int64, run: Int = 1, at: Int64) throws -> StoreReport {
        try shop.ledger.cancel(
            session: Parcel.session(number), job: Parcel.job, run: run, at: Timestamp(milliseconds: at))
    }

    @Test func aForgottenWatermarkIsADurableChangeThatTheHubHearsOf() throws {
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        let before = try shop.ledger.state()
        try shop.ledger.forgetWatermark(of: Parcel.job)
        let after = try shop.ledger.state()
        #expect(after.watermarks.isEmpty)
        #expect(after.sequence == before.sequence + 1)
        // Everything may come again, as a full package.
        try shop.apply(.full(2, .price([[1, "A", 2]])))
        #expect(try shop.watermark == Parcel.watermark(2))
    }

    // MARK: cancel

    @Test func aCancelBeforeTheApplyWins() throws {
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        #expect(try cancel(2, at: 50).outcome == .canceled)
        guard case .canceled = shop.fault({ try shop.apply(.delta(1, 2, .price([[1, "A", 2]]))) }) else {
            Issue.record("not refused as canceled")
            return
        }
        #expect(try shop.rows("SELECT cents FROM price") == ["1"])
        #expect(try shop.watermark == Parcel.watermark(1))
    }

    @Test func aCancelAfterTheApplyIsAnsweredTooLateWithItsTime() throws {
        shop.clock = 3_333
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        let report = try cancel(1, at: 9_999)
        #expect(report.outcome == .applied)
        #expect(report.at == Timestamp(milliseconds: 3_333))
        #expect(report.rowsChanged == 1)
        #expect(report.watermark == Parcel.watermark(1))
    }

    @Test func aCancelThatCrossesTheApplyWinsInTheLastTransaction() throws {
        try shop.apply(.full(1, .prices(3_000)))
        // A shadow is being filled when the cancel comes.
        var answers: [StoreOutcome] = []
        defer { shop.onPause = {} }
        shop.onPause = { [self] in
            if answers.isEmpty { answers.append((try? cancel(2, at: 5))?.outcome ?? .requested) }
        }
        var changed = Parcel.full(2, .prices(30_000, cents: "x, 'new'"))
        changed.tables[0].shape.columns.append(ColumnShape("note", .text, nullable: true))
        guard case .canceled = shop.fault({ try shop.apply(changed) }) else {
            Issue.record("not refused as canceled")
            return
        }
        #expect(answers == [.canceled])
        #expect(try shop.count("price") == 3_000)
    }

    @Test func aRepeatedCancelGetsTheSameAnswer() throws {
        #expect(try cancel(2, at: 50).at == Timestamp(milliseconds: 50))
        let again = try cancel(2, at: 70)
        #expect(again.outcome == .canceled)
        #expect(again.at == Timestamp(milliseconds: 50))
    }

    @Test func anotherRunMayBeAppliedAfterACancel() throws {
        _ = try cancel(1, run: 1, at: 50)
        #expect(try shop.apply(.full(1, .price([[1, "A", 1]])), run: 2).rowsChanged == 1)
    }

    @Test func aSessionAppliedInAnotherRunIsAnsweredApplied() throws {
        shop.clock = 800
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        let report = try cancel(1, run: 2, at: 900)
        #expect(report.outcome == .applied)
        #expect(report.at == Timestamp(milliseconds: 800))
        // Once said, the answer stays, whatever the store has applied since.
        try shop.apply(.delta(1, 2, .price([[1, "A", 2]])))
        #expect(try cancel(1, run: 2, at: 950).outcome == .applied)
    }

    @Test func theWatermarkAnswersWhereNoOutcomeIsKept() throws {
        shop.clock = 800
        try shop.apply(.full(1, .price([[1, "A", 1]])))
        try shop.execute("DELETE FROM _waybill_outcome")
        let report = try cancel(1, at: 900)
        #expect(report.outcome == .applied)
        #expect(report.at == Timestamp(milliseconds: 800))
    }

    // MARK: outbox and incarnations

    @Test func reportsWaitInOrderUntilTheyAreAcknowledged() throws {
        for attempt in 1...3 {
            try shop.ledger.record(
                session: Parcel.session(1), job: Parcel.job, run: 1, attempt: attempt, outcome: .downloadFailed,
                at: Timestamp(milliseconds: 5), message: "the line went dead", isTransient: true)
        }
        let reports = try shop.ledger.outbox(limit: 2)
        #expect(reports.map(\.attempt) == [1, 2])
        #expect(reports.map(\.sequence) == [1, 2])
        #expect(reports.allSatisfy { $0.isTransient && $0.message == "the line went dead" })
        try shop.ledger.acknowledge(reports.map(\.name))
        #expect(try shop.ledger.outbox(limit: 10).map(\.attempt) == [3])
    }

    @Test func anAcknowledgementOfAnotherLifeForgetsNothing() throws {
        _ = try cancel(1, at: 1)
        let report = try #require(try shop.ledger.outbox(limit: 1).first)
        var other = report.name
        other.incarnation.random += 1
        try shop.ledger.acknowledge([other])
        other = report.name
        other.incarnation.counter += 1
        try shop.ledger.acknowledge([other])
        #expect(try shop.ledger.outbox(limit: 10) == [report])
    }

    @Test func idsAreNotUsedTwice() throws {
        _ = try cancel(1, at: 1)
        let first = try #require(try shop.ledger.outbox(limit: 1).first)
        try shop.ledger.acknowledge([first.name])
        #expect(try cancel(2, at: 1).id > first.id)
    }

    @Test func aLongMessageIsCutAndStaysReadable() throws {
        try shop.ledger.record(
            session: Parcel.session(1), job: Parcel.job, run: 1, attempt: 1, outcome: .applyFailed,
            at: Timestamp(milliseconds: 5), message: String(repeating: "é", count: 5_000))
        let message = try #require(try shop.ledger.outbox(limit: 1).first).message
        #expect(message.utf8.count <= Limits.reportTextBytesMax)
        #expect(message.hasPrefix("éé"))
    }

    @Test func eachStartIsALifeOfItsOwn() throws {
        _ = try cancel(1, at: 1)
        #expect(try shop.ledger.state().incarnation == Incarnation(counter: 1, random: 11))
        #expect(try shop.ledger.startIncarnation(random: .max) == Incarnation(counter: 2, random: .max))
        let state = try shop.ledger.state()
        #expect(state.incarnation == Incarnation(counter: 2, random: .max))
        #expect(state.sequence == 0)
        // The outbox survives its life, with its name.
        #expect(try shop.ledger.outbox(limit: 1).first?.incarnation.counter == 1)
        #expect(try shop.ledger.raiseIncarnation(above: 40, random: 3).counter == 41)
        #expect(try shop.ledger.raiseIncarnation(above: 7, random: 4).counter == 42)
    }

    @Test func anApplyOfAFormerLifeEndsWithoutATrace() throws {
        try shop.apply(.full(1, .prices(3_000)))
        var changed = Parcel.full(2, .prices(30_000))
        changed.tables[0].shape.columns[2].isNullable = false
        defer { shop.onPause = {} }
        shop.onPause = { [self] in _ = try? shop.ledger.startIncarnation(random: 99) }
        guard case .anotherLife = shop.fault({ try shop.apply(changed) }) else {
            Issue.record("not refused as another life's")
            return
        }
        #expect(try shop.count("price") == 3_000)
        #expect(try shop.watermark == Parcel.watermark(1))
    }

    @Test func theDatabaseOfAnotherStoreIsNotTaken() throws {
        let other = try #require(StoreID("S2"))
        #expect(throws: ForeignStore.self) { try StoreDatabase(path: shop.path, store: other) }
    }

    @Test func whatPromisesHangOnIsSet() throws {
        let settings = try shop.applier.queue.writeWithoutTransaction { db in
            try ["journal_mode", "synchronous", "trusted_schema", "secure_delete", "foreign_keys"].map { name in
                try String.fetchOne(db, sql: "PRAGMA \(name)") ?? ""
            }
        }
        #expect(settings == ["wal", "2", "0", "0", "0"])
    }
}
