import GRDB
import Testing
import WaybillModel
import WaybillSessions

/// Of a delivery that is known, only what differs is written: the row must be none the worse for it.
@Suite struct DeliveryWriterTests {
    private let hub: HubDatabase

    init() throws {
        hub = try HubDatabase()
        try hub.addFullPackages()
    }

    /// Writes the delivery; the statements that this took.
    @discardableResult
    private func save(_ delivery: Delivery, over stored: Delivery?) throws -> [String] {
        try hub.write { db in
            let writer = try DeliveryWriter(in: db)
            var statements: [String] = []
            db.trace { if case .statement(let statement) = $0 { statements.append(statement.sql) } }
            defer { db.trace(options: []) }
            try writer.save(delivery, over: stored)
            return statements.filter { !$0.hasPrefix("--") }
        }
    }

    private func stored(_ delivery: Delivery) throws -> Delivery? {
        try hub.read { db in try DeliveryRecord.find(delivery.session, delivery.store, in: db) }
    }

    private func fresh() throws -> Delivery {
        var fresh = try delivery()
        fresh.package = try fullPackage(1)
        return fresh
    }

    /// Any delivery in any state; most steps are those of the ordinary course.
    private func change(_ delivery: inout Delivery, _ random: inout SplitMix) throws {
        let attempt = Int(random.next() % 3) + 1
        switch random.next() % 20 {
        case 0...3:
            delivery.isGranted = true
            delivery.note = ""
            delivery.fold(try report(.requested, attempt: attempt, run: delivery.run, at: 5))
        case 4...7: delivery.fold(try report(.downloaded, attempt: attempt, run: delivery.run, at: 6))
        case 8...10:
            delivery.fold(try report(.applied, attempt: attempt, run: delivery.run, at: 7, rows: 3, lock: 4))
        case 11: delivery.fold(try report(.applyFailed, attempt: attempt, run: delivery.run, message: "it's no\nü"))
        case 12: delivery.fold(try report(.downloadFailed, attempt: attempt, run: delivery.run, isTransient: true))
        case 13: delivery.isNoData.toggle()
        case 14: delivery.note = "waits for \(attempt)"
        case 15: delivery.package = attempt == 3 ? nil : try fullPackage(UInt8(attempt))
        case 16: delivery.supersededBy = delivery.supersededBy == nil ? session(9) : nil
        case 17: _ = delivery.cancel(reason: "", at: at(1))
        case 18: delivery.retry()
        default: delivery.rerun(package: try fullPackage(2))
        }
    }

    @Test func writingWhatDiffersGivesWhatWritingEverythingGives() throws {
        var random = SplitMix(seed: 11)
        var now = try fresh()
        var before: Delivery?
        var (narrow, wide) = (0, 0)
        for _ in 0..<1500 {
            let statements = try save(now, over: before)
            if statements.allSatisfy({ $0.hasPrefix("UPDATE") }) { narrow += 1 } else { wide += 1 }
            #expect(try stored(now) == now)
            before = now
            try change(&now, &random)
        }
        #expect(narrow > 300 && wide > 300, "\(narrow) and \(wide)")
    }

    @Test func theOrdinaryCourseIsWrittenWithoutTouchingTheRest() throws {
        var now = try fresh()
        now.note = "waits for its window"
        try save(now, over: nil)
        func next(_ body: (inout Delivery) throws -> Void) throws {
            let before = now
            try body(&now)
            let statements = try save(now, over: before)
            #expect(statements.count == 1 && statements.allSatisfy { $0.hasPrefix("UPDATE delivery SET status") })
            #expect(statements.allSatisfy { !$0.contains("package") && !$0.contains("superseded_by") })
            #expect(try stored(now) == now)
        }
        try next {
            $0.isGranted = true
            $0.note = ""
            $0.fold(try report(.requested, at: 1))
        }
        try next { $0.fold(try report(.downloaded, at: 2)) }
        try next { $0.fold(try report(.applied, at: 3, rows: 4, lock: 5)) }
        // Both at once, as after a bad line.
        now.rerun(package: now.package)
        now.isGranted = true
        now.fold(try report(.requested, run: 2, at: 6))
        try save(now, over: nil)
        try next {
            $0.fold(try report(.downloaded, run: 2, at: 7))
            $0.fold(try report(.applied, run: 2, at: 8))
        }
    }

    @Test func aRowThatIsNotWhatItWasThoughtToBeIsWrittenWhole() throws {
        let thought = try fresh()
        var other = thought
        other.note = "an older hub's words"
        _ = other.cancel(reason: "wrong prices", at: at(1))
        try save(other, over: nil)
        var now = thought
        now.isGranted = true
        now.fold(try report(.requested, at: 2))
        try save(now, over: thought)
        #expect(try stored(now) == now)
    }

    @Test func aRowThatIsGoneIsWrittenAnew() throws {
        let before = try fresh()
        var now = before
        now.isGranted = true
        now.fold(try report(.requested, at: 2))
        try save(now, over: before)
        #expect(try stored(now) == now)
    }
}
