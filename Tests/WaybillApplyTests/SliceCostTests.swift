import GRDB
import GRDBSQLite
import Testing

@testable import WaybillApply

/// What a slice of a shadow costs, counted in steps of SQLite's machine. A slice that reads on to the table's end holds
/// the lock for as long as that takes, and all slices together take as long as the table's square.
@Suite struct SliceCostTests {
    private static let rows = 20_000
    /// A row that is read, looked up and written takes some fifty.
    private static let stepsMax = 100 * ApplyLimits.sliceRows

    private let shop: Shop

    init() throws {
        shop = try Shop(lockBudgetMilliseconds: 0)
        try shop.apply(.full(1, .prices(SliceCostTests.rows)))
    }

    @Test func aSliceStopsAtItsEndWhenTheDeltaHasEveryRow() throws {
        let steps = try StepCounter.most(shop) {
            try shop.apply(.delta(1, 2, .prices(SliceCostTests.rows, cents: "-x")))
        }
        #expect(steps > 0 && steps < SliceCostTests.stepsMax)
        #expect(try shop.rows("SELECT count(*), max(cents) FROM price") == ["\(SliceCostTests.rows)|0"])
    }

    @Test func aSliceStopsAtItsEndWhenTheDeltaRemovesAlmostEveryRow() throws {
        let removed = (0..<SliceCostTests.rows).filter { $0 / 2 != 7 }.map { number -> TestRow in
            let digits = String(number / 2)
            return [number % 2, "P" + String(repeating: "0", count: 7 - digits.count) + digits]
        }
        let steps = try StepCounter.most(shop) {
            try shop.apply(.delta(1, 2, .price([[0, "new", 1]], removed: removed)))
        }
        #expect(steps > 0 && steps < SliceCostTests.stepsMax)
        #expect(
            try shop.rows("SELECT * FROM price ORDER BY 1, 2") == ["0|P0000007|14", "0|new|1", "1|P0000007|15"])
    }
}

/// Listens to the statements of an apply that fill a shadow.
private final class StepCounter {
    private var most = 0

    static func most(_ shop: Shop, during body: () throws -> Void) throws -> Int {
        let counter = StepCounter()
        let context = Unmanaged.passUnretained(counter).toOpaque()
        func listen(_ events: Int32) {
            let code = shop.applier.queue.writeWithoutTransaction { db in
                sqlite3_trace_v2(
                    db.sqliteConnection, UInt32(events),
                    { _, context, statement, _ in
                        guard let context, let statement else { return 0 }
                        Unmanaged<StepCounter>.fromOpaque(context).takeUnretainedValue().note(OpaquePointer(statement))
                        return 0
                    }, context)
            }
            #expect(code == SQLITE_OK)
        }
        listen(SQLITE_TRACE_PROFILE)
        try body()
        listen(0)
        return withExtendedLifetime(counter) { counter.most }
    }

    private func note(_ statement: OpaquePointer) {
        let sql = sqlite3_sql(statement).map { String(cString: $0) } ?? ""
        guard sql.hasPrefix("INSERT INTO main.\"\(Shadows.shadowPrefix)") else { return }
        most = max(most, Int(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1)))
    }
}
