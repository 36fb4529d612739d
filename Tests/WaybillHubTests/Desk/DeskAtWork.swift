import Foundation
import GRDB
import Testing
import WaybillHub
import WaybillModel
import WaybillWire

@testable import WaybillSessions

/// A desk as a test talks to it: one store, one connection, a clock that the test moves.
struct DeskAtWork {
    static let line: [UInt8] = [1, 1, 1, 1, 1]
    static let settings = DeskSettings(hubRun: 77, helloSeconds: 30, offlineAfterMilliseconds: 90_000)

    var desk: Desk
    var now = Timestamp(milliseconds: 1_000_000)
    /// The life that speaks, unless the test names another.
    var incarnation = Incarnation(counter: 1, random: 11)
    var sequence: Int64 = 0

    /// What the store says of its clock; nil for nothing.
    var utcOffsetMinutes: Int?

    init(
        state: StoreState = .active, positions: [JobID: Watermark] = [:], deliveries: [Delivery] = [],
        rules: [JobID: DeliveryRules] = [:]
    ) throws {
        desk = Desk(
            record: try DeskAtWork.record(state: state), positions: positions, open: deliveries,
            settings: DeskAtWork.settings)
        desk.settings.rules = rules
    }

    static func record(state: StoreState = .active, key: UInt8 = 7) throws -> StoreRecord {
        try #require(
            StoreRecord(
                Row([
                    "store_id": Sample.store.rawValue, "state": state.rawValue, "public_key": [key].databaseValueBytes,
                    "machine": "", "agent_version": "1.0", "counter": 0, "random": 0, "sequence": 0, "last_seen": nil,
                    "message": "",
                ])))
    }

    mutating func hear(
        _ body: AgentLetter.Body, as speaker: Incarnation? = nil, store: StoreID = Sample.store,
        on line: [UInt8] = DeskAtWork.line, known: [Delivery] = []
    ) -> [DeskEffect] {
        let letter = AgentLetter(store: store, incarnation: speaker ?? incarnation, body: body)
        return desk.step(.letter(letter, routing: line, known: known), now: now)
    }

    mutating func hello(
        _ positions: [JobID: Watermark] = [:], sequence: Int64? = nil, as speaker: Incarnation? = nil,
        ofAnotherHistory: Bool = false
    ) -> [DeskEffect] {
        // Sessions of this hub are found in its database; those of another history are not.
        let known = positions.map { job, mark in
            Delivery(
                session: mark.session, store: Sample.store, job: job, version: mark.version, package: nil,
                isNoData: true)
        }
        let hello = AgentLetter.Hello(
            agentVersion: "1.0", sequence: sequence ?? self.sequence, watermarks: positions, freeBytes: 1 << 30,
            progress: nil, utcOffsetMinutes: utcOffsetMinutes)
        return hear(.hello(hello), as: speaker, known: ofAnotherHistory ? [] : known)
    }

    mutating func request(_ delivery: Delivery, attempt: Int = 1) -> [DeskEffect] {
        hear(.request(session: delivery.session, run: delivery.run, attempt: attempt))
    }

    /// Tells one outcome of a delivery, as a store that has just written it down.
    mutating func report(
        _ delivery: Delivery, _ outcome: StoreOutcome, attempt: Int = 1, run: Int? = nil, message: String = "",
        isTransient: Bool = false, known: [Delivery] = []
    ) -> [DeskEffect] {
        sequence += 1
        let report = Sample.report(
            delivery, outcome, id: sequence, of: incarnation, attempt: attempt, run: run, message: message,
            isTransient: isTransient)
        return hear(.reports([report]), known: known)
    }

    mutating func step(_ event: DeskEvent) -> [DeskEffect] { desk.step(event, now: now) }

    func delivery(_ session: SessionID) -> Delivery? { desk.deliveries[session] }
}

extension [UInt8] {
    fileprivate var databaseValueBytes: DatabaseValue { Data(self).databaseValue }
}

/// Values that tests of the desk share.
enum Sample {
    static let store = StoreID("S1")!
    static let other = StoreID("S2")!
    static let prices = JobID("prices")!
    static let assortments = JobID("assortments")!

    static func session(_ number: Int64) -> SessionID { SessionID(number: number, random: UInt64(number) &* 7919) }
    static func version(_ number: Int64) -> Version { Version(epoch: 1, number: number) }

    /// Where a store stands after session `number`; its version is ten times that.
    static func mark(_ number: Int64) -> Watermark {
        Watermark(version: version(number * 10), session: session(number))
    }

    static func package(_ tag: UInt8, over bases: [Watermark] = []) -> PackageRef {
        PackageRef(
            id: PackageID([UInt8](repeating: tag, count: 32))!, kind: bases.isEmpty ? .full : .delta, bases: bases,
            rows: 5, bytes: 1000)
    }

    /// A delivery of session `number` with a package over `bases`; without any the package is full.
    static func delivery(_ number: Int64, over bases: [Watermark] = [], job: JobID = prices) -> Delivery {
        Delivery(
            session: session(number), store: store, job: job, version: version(number * 10),
            package: package(UInt8(number), over: bases))
    }

    static func report(
        _ delivery: Delivery, _ outcome: StoreOutcome, id: Int64 = 1,
        of incarnation: Incarnation = Incarnation(counter: 1, random: 11), attempt: Int = 1, run: Int? = nil,
        message: String = "", isTransient: Bool = false
    ) -> StoreReport {
        let mark = Watermark(version: delivery.version, session: delivery.session)
        return StoreReport(
            id: id, incarnation: incarnation, sequence: id, session: delivery.session, job: delivery.job,
            run: run ?? delivery.run, attempt: attempt, outcome: outcome, at: Timestamp(milliseconds: 500 + id),
            rowsChanged: outcome == .applied ? 5 : 0, message: message, isTransient: isTransient,
            watermark: outcome == .applied ? mark : nil)
    }
}

extension [DeskEffect] {
    var letters: [HubLetter] { compactMap { if case .send(_, let letter) = $0 { letter } else { nil } } }
    var welcome: HubLetter.Welcome? {
        letters.compactMap { if case .welcome(let welcome) = $0 { welcome } else { nil } }.first
    }
    var offered: [SessionID] { welcome?.offers.map(\.session) ?? [] }
    var refusals: [String] { letters.compactMap { if case .refused(let reason) = $0 { reason } else { nil } } }
    var regressed: [Int64] { letters.compactMap { if case .regressed(let counter) = $0 { counter } else { nil } } }
    var acknowledged: [ReportName] {
        letters.compactMap { if case .acknowledgement(let names) = $0 { names } else { nil } }.flatMap { $0 }
    }
    var notGranted: [String] {
        letters.compactMap { if case .notGranted(_, _, let reason) = $0 { reason } else { nil } }
    }
    var cancelOrders: [SessionID] {
        letters.compactMap { if case .cancel(let order) = $0 { order.session } else { nil } }
    }
    var saved: [Delivery] { compactMap { if case .saveDelivery(let delivery) = $0 { delivery } else { nil } } }
    var savedPositions: [[JobID: Watermark]] {
        compactMap {
            switch $0 {
            case .savePositions(let positions): positions
            case .savePosition(let job, let position): [job: position]
            default: nil
            }
        }
    }
    var granted: [PackageID] {
        compactMap { if case .sendGrant(_, _, _, _, let package) = $0 { package } else { nil } }
    }
    var chunks: [Int] { compactMap { if case .sendChunk(_, _, let index) = $0 { index } else { nil } } }
    var prepared: [SessionID] { compactMap { if case .prepare(let session, _, _) = $0 { session } else { nil } } }
    var caughtUp: [JobID] { compactMap { if case .catchUp(let job) = $0 { job } else { nil } } }
    var cancelAnswers: [CancelAnswer] { compactMap { if case .answerCancel(let answer) = $0 { answer } else { nil } } }
    /// One entry for each answer to a rerun; nil in it: accepted.
    var rerunAnswers: [String?] {
        compactMap { if case .answerRerun(let refusal) = $0 { .some(refusal) } else { nil } }
    }
    /// The same for a retry.
    var retryAnswers: [String?] {
        compactMap { if case .answerRetry(let refusal) = $0 { .some(refusal) } else { nil } }
    }
    var problems: [String] { compactMap { if case .log(let text, true) = $0 { text } else { nil } } }
}
