import Foundation
import GRDB
import Logging
import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillSocket
import WaybillWire

/// A chain whose hub runs in this very thread, without sockets: what it says is counted and forgotten.
final class SteppedChain {
    let chain: BenchChain
    private let lines = CountingLines()
    let hub: SteppedHub

    init(_ chain: BenchChain) throws {
        self.chain = chain
        var logger = Logger(label: "hub")
        logger.logLevel = .error
        let begun = ContinuousClock.now
        let startedAt = Int64(Date().timeIntervalSince1970 * 1000)
        var surroundings = SteppedHub.Surroundings(
            now: { Timestamp(milliseconds: startedAt + Int64(begun.duration(to: .now).inSeconds * 1000)) },
            random: { .random(in: .min ... .max) }, utcOffsetMinutes: { 0 }, logger: logger)
        surroundings.hasWritingThread = true
        hub = try SteppedHub(
            at: chain.home, jobs: try BenchChain.jobs(), signingKey: SigningKey(),
            helloSeconds: BenchChain.helloSeconds, hubRun: .random(in: .min ... .max), surroundings: surroundings,
            lines: lines)
    }

    var framesSaid: Int { lines.frames }

    /// Begins a session and builds it.
    /// - Returns: the session and the seconds of the building.
    func publish(isFull: Bool) throws -> (session: SessionID, seconds: Double) {
        let session = try hub.publish(BenchChain.job, isFull: isFull, stores: nil)
        let time = seconds { while hub.work() {} }
        return (session, time)
    }

    /// Offers what was built; the seconds of it.
    func offer() -> Double { seconds { turn() } }

    func turn() {
        repeat { hub.step() } while hub.hasMail || hub.hasUnkeptOrders
    }

    /// The session as `hub.db` has it, which must be one that stores are offered.
    func offered(_ session: SessionID) throws -> SessionRecord {
        guard let record = try hub.operations.read({ try SessionRecord.find(session, in: $0) }) else {
            throw BenchFault("session \(session) is not in hub.db")
        }
        guard record.status == .available else {
            throw BenchFault("session \(session) is \(record.status.rawValue): \(record.message)")
        }
        return record
    }

    /// Every store has applied the session, as if all of them had said so.
    func settle(_ session: SessionID) throws {
        let record = try offered(session)
        let watermark = Watermark(version: record.version, session: session)
        try hub.operations.write { db in
            try db.execute(
                sql: """
                    UPDATE delivery SET status = 'Applied', told_outcome = 'applied', told_attempt = 1, is_granted = 1,
                        is_open = 0 WHERE session = ?
                    """, arguments: [session.number])
            for store in chain.stores {
                try StoreRecord.savePositions([BenchChain.job: watermark], of: store, in: db)
            }
        }
        for store in chain.stores { hub.forgetDesk(of: store) }
    }

    func packages(of session: SessionID) throws -> Int {
        try hub.operations.read { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM package WHERE session = ?", arguments: [session.number])
                ?? 0
        }
    }

    static func routing(_ store: Int) -> [UInt8] { [0] + withUnsafeBytes(of: UInt32(store).bigEndian, Array.init) }

    func key(of store: Int) throws -> String {
        let bytes = try hub.operations.read { try StoreRecord.find(chain.stores[store], in: $0)?.publicKey }
        guard let bytes else { throw BenchFault("store \(chain.stores[store]) has no key") }
        return try CurvePublicKey(bytes: bytes).z85
    }
}

private final class CountingLines: SteppedLines {
    var frames = 0

    func send(_ frame: [UInt8], to routing: [UInt8]) -> Bool {
        frames += 1
        return true
    }
    func announce(_ frame: [UInt8]) { frames += 1 }
    func answerEnrolment(_ frame: [UInt8], to routing: [UInt8]) {}
    func admit(key: String) {}
    func shutOut(key: String) {}
}
