import GRDB
import Synchronization
import Testing
import WaybillModel
import WaybillSessions

/// What folding costs in statements, and that nothing is lost by writing each row once.
@Suite struct FoldCountTests {
    private let chain: SteppedChain

    init() throws { chain = try SteppedChain(stores: 100, groups: 1) }

    private func written(_ body: () throws -> Void) throws -> (writes: Int, transactions: Int) {
        try FoldCountTests.written(to: chain, body)
    }

    /// Statements that write to `hub.db`, and transactions, while `body` runs; those of triggers are not counted.
    private static func written(
        to chain: SteppedChain, _ body: () throws -> Void
    ) throws -> (writes: Int, transactions: Int) {
        let texts = Texts()
        chain.hub.operations.pool.writeWithoutTransaction { db in
            db.trace { if case .statement(let statement) = $0 { texts.add(statement.sql) } }
        }
        try body()
        chain.hub.operations.pool.writeWithoutTransaction { $0.trace(options: []) }
        let all = texts.all.filter { !$0.hasPrefix("--") }
        return (
            all.count { text in ["INSERT", "UPDATE", "DELETE"].contains { text.hasPrefix($0) } },
            all.count { $0.hasPrefix("COMMIT") }
        )
    }

    private final class Texts: Sendable {
        private let texts = Mutex<[String]>([])
        var all: [String] { texts.withLock { $0 } }
        func add(_ text: String) { texts.withLock { $0.append(text) } }
    }

    private func granted() throws -> SessionRecord {
        let session = try #require(try chain.publish())
        try chain.sayRequests(session)
        chain.hub.step()
        return session
    }

    @Test func aBatchOfReportsIsOneTransactionAndOneUpdateForEachRow() throws {
        let session = try granted()
        try chain.sayReports(.downloaded, session)
        let downloaded = try written { chain.hub.step() }
        #expect(downloaded.transactions == 1 && downloaded.writes == 100)
        try chain.sayReports(.applied, session)
        let applied = try written { chain.hub.step() }
        // Delivery, contact, position.
        #expect(applied.transactions == 1 && applied.writes == 300)
        #expect(try chain.hub.operations.read { try SessionList.rollUp(session.id, in: $0) } == [.applied: 100])
    }

    @Test func whatATurnOvertakesItselfIsNotWritten() throws {
        let session = try granted()
        try chain.sayReports(.downloaded, session)
        try chain.sayReports(.applied, session)
        // Once more, as after a lost acknowledgement.
        try chain.sayReports(.applied, session)
        let before = chain.framesSaid
        let both = try written { chain.hub.step() }
        #expect(both.transactions == 1 && both.writes == 300)
        #expect(chain.framesSaid - before == 300)
        let deliveries = try chain.hub.operations.read { try DeliveryRecord.all(of: session.id, in: $0) }
        #expect(
            deliveries.allSatisfy { $0.status == .applied && $0.told.downloadedAt != nil && $0.told.appliedAt != nil })
    }

    @Test func turnsThatAThreadWritesBesideTheNextOneAreOneTransactionEachAndLoseNothing() throws {
        let chain = try SteppedChain(stores: 100, groups: 1, batchMax: 16)
        func turn() { repeat { chain.hub.step() } while chain.hub.hasMail }
        let session = try #require(try chain.publish())
        try chain.sayRequests(session)
        turn()
        try chain.sayReports(.downloaded, session)
        try chain.sayReports(.applied, session)
        let before = chain.framesSaid
        // 200 letters: twelve turns with 16 each, and one with the rest. A store's two letters come in different turns.
        let all = try FoldCountTests.written(to: chain, turn)
        #expect(all.transactions == 13 && all.writes == 400)
        #expect(chain.framesSaid - before == 200, "each was acknowledged once")
        #expect(try chain.hub.operations.read { try SessionList.rollUp(session.id, in: $0) } == [.applied: 100])
        let positions = try chain.count("SELECT count(*) FROM position WHERE version = \(session.version.number)")
        #expect(positions == 100)
    }
}
