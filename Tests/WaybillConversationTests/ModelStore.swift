import WaybillAgent
import WaybillModel
import WaybillWire

/// A store's database as a value: what ``WaybillApply`` keeps in `store.db`, with one number for the rows of a job.
///
/// Each method is one transaction, and decides as the real one does.
struct ModelStore {
    struct Outcome: Hashable {
        var isApplied: Bool
        var at: Timestamp
    }

    private(set) var incarnation = Incarnation(counter: 0, random: 0)
    private(set) var sequence: Int64 = 0
    private(set) var watermarks: [JobID: Watermark] = [:]
    /// The rows of each job.
    private(set) var content: [JobID: Int] = [:]
    private(set) var outcomes: [AgentCore.RunName: Outcome] = [:]
    private(set) var outbox: [StoreReport] = []
    private var lastReport: Int64 = 0

    var state: StoredState {
        StoredState(
            incarnation: incarnation, sequence: sequence, watermarks: watermarks,
            outbox: Array(outbox.prefix(Limits.reportsMax)))
    }

    mutating func begin(above counter: Int64 = 0, random: UInt64) {
        incarnation = Incarnation(counter: max(incarnation.counter, counter) + 1, random: random)
        sequence = 0
    }

    mutating func report(
        _ name: AgentCore.RunName, job: JobID, attempt: Int, _ outcome: StoreOutcome, at: Timestamp,
        message: String = "", isTransient: Bool = false, watermark: Watermark? = nil
    ) {
        sequence += 1
        lastReport += 1
        outbox.append(
            StoreReport(
                id: lastReport, incarnation: incarnation, sequence: sequence, session: name.session, job: job,
                run: name.run, attempt: attempt, outcome: outcome, at: at, message: message, isTransient: isTransient,
                watermark: watermark))
    }

    mutating func acknowledge(_ names: [ReportName]) { outbox.removeAll { names.contains($0.name) } }

    mutating func cancel(_ order: HubLetter.CancelOrder, at: Timestamp) {
        let name = AgentCore.RunName(order.session, order.run)
        if let known = outcomes[name], known.isApplied {
            return report(
                name, job: order.job, attempt: 1, .applied, at: known.at, watermark: watermarks[order.job])
        }
        if outcomes[name] == nil { outcomes[name] = Outcome(isApplied: false, at: at) }
        report(name, job: order.job, attempt: 1, .canceled, at: outcomes[name]?.at ?? at)
    }

    // MARK: applying

    enum Leave: Equatable {
        case apply
        case isApplied(Watermark)
        /// Promised never to be applied, at this time.
        case isPromised(Timestamp)
        case refused(String)
    }

    func leave(_ manifest: Manifest, run: Int, life: Incarnation) -> Leave {
        guard incarnation == life else { return .refused("another life") }
        let outcome = outcomes[AgentCore.RunName(manifest.session, run)]
        if let outcome, !outcome.isApplied { return .isPromised(outcome.at) }
        let watermark = watermarks[manifest.job]
        if outcome != nil, let watermark { return .isApplied(watermark) }
        if manifest.kind == .delta {
            if let watermark, watermark.session == manifest.session { return .isApplied(watermark) }
            guard let watermark, manifest.bases.contains(watermark) else { return .refused("another base") }
        }
        return .apply
    }

    mutating func reportAgain(_ manifest: Manifest, run: Int, attempt: Int, watermark: Watermark, at: Timestamp) {
        let name = AgentCore.RunName(manifest.session, run)
        report(
            name, job: manifest.job, attempt: attempt, .applied, at: outcomes[name]?.at ?? at, watermark: watermark)
    }

    /// Rows, watermark, outcome and report at once.
    mutating func apply(_ manifest: Manifest, rows: Int, run: Int, attempt: Int, at: Timestamp) {
        let name = AgentCore.RunName(manifest.session, run)
        let watermark = Watermark(version: manifest.version, session: manifest.session)
        content[manifest.job] = rows
        watermarks[manifest.job] = watermark
        outcomes[name] = Outcome(isApplied: true, at: at)
        report(name, job: manifest.job, attempt: attempt, .applied, at: at, watermark: watermark)
    }
}
