import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillWire

/// One verification: does a store have what a job defines for it, and where not. Pure; the hub's half of
/// PROTOCOL.md, "Proof".
///
/// The store says where it stands and what its tables add up to; HQ says what they must add up to there. Where they
/// differ, the parts that differ are asked for until single rows are known. When the store's watermark moves meanwhile,
/// all begins again at the new one.
public struct Proof: Sendable {
    public let id: Int64
    public let store: StoreID
    public let job: JobID
    /// Tables of the job, and whether rows that HQ does not have any more stay there.
    let tables: [(name: String, keeps: Bool)]

    private var stage = Stage.beginning
    private var step = 0
    private var question: HubLetter.Examine?
    private var mark: Watermark?
    private var told: [AgentLetter.Digests.Table] = []
    private var narrowing: Narrowing?
    private var restarts = 0
    /// When the stage ends without an answer, and when the question is repeated.
    private var deadline = Timestamp(milliseconds: 0)
    private var repeatAt = Timestamp(milliseconds: 0)
    /// Since when the store is away; nil when the newest question has gone out.
    private var awaySince: Timestamp?

    private enum Stage { case beginning, asking, summing, narrowing, ended }

    /// Until the first answer: a weak till's machine may need minutes to sum up a million rows.
    static let firstPatience: Int64 = 10 * 60_000
    /// Until each later one, which is about few rows.
    static let laterPatience: Int64 = 2 * 60_000
    /// A question that is not answered is asked again: a letter may have been lost.
    static let repeatAfter: Int64 = 10_000
    static let repeatWhenAway: Int64 = 1_000
    /// A store that is away for as long is not waited for.
    static let awayPatience: Int64 = 10_000
    /// How often a store may move, or say something else than before, until it is left for the next time.
    static let restartsMax = 5

    public init(id: Int64, store: StoreID, job: Job) {
        self.id = id
        self.store = store
        self.job = job.id
        tables = job.subjobs.map { ($0.table.name, $0.removal == .keep) }
    }

    public enum Event: Sendable {
        case begin
        /// Whether the question has gone out.
        case asked(step: Int, isSent: Bool)
        case digests(AgentLetter.Digests)
        /// What HQ has at the watermark, by table; nil when that can no longer be told.
        case summed([String: TableDigest]?)
        case expected([Expectation]?)
        /// HQ's side could not be worked out.
        case failed(String)
        case tick
    }

    public enum Effect: Hashable, Sendable {
        case ask(HubLetter.Examine)
        /// Answered by `.summed`.
        case sum(Watermark)
        /// Answered by `.expected`.
        case expect(Watermark, [Suspect])
        case end(Verdict)
    }

    /// What a verification has come to.
    public struct Verdict: Hashable, Sendable {
        public enum Outcome: String, Sendable { case ok, diverged, unknown }
        public var outcome: Outcome
        /// Where the store stood; nil when it did not say.
        public var mark: Watermark?
        public var counts: [RowDifference.Kind: Int64] = [:]
        public var named: [RowDifference] = []
        public var ranges: [String: [KeyRange]] = [:]
        /// Tables with more differences than were looked for.
        public var unfinished: [String] = []
        /// Tables that are missing or altered: only a full load helps.
        public var needsFullLoad = false
        public var message = ""
    }

    public mutating func step(_ event: Event, now: Timestamp) -> [Effect] {
        switch (event, stage) {
        case (_, .ended): return []
        case (.begin, _): return begin(now)
        case (.asked(let step, let isSent), .asking), (.asked(let step, let isSent), .narrowing):
            guard step == self.step, question != nil else { return [] }
            awaySince = isSent ? nil : awaySince ?? now
            repeatAt = now + (isSent ? Proof.repeatAfter : Proof.repeatWhenAway)
            return []
        case (.digests(let digests), .asking), (.digests(let digests), .narrowing):
            // A late or repeated answer to an earlier question says nothing here.
            guard digests.id == id, digests.step == step, question != nil else { return [] }
            return take(digests, now)
        case (.summed(let sums), .summing): return compare(sums, now)
        case (.expected(let expectations), .narrowing): return ask(expectations, now)
        case (.failed(let why), _): return end("what store \(store) must have could not be worked out: \(why)")
        case (.tick, .asking), (.tick, .narrowing): return tick(now)
        default: return []
        }
    }

    // MARK: asking

    private mutating func begin(_ now: Timestamp) -> [Effect] {
        stage = .asking
        mark = nil
        narrowing = nil
        return ask(tables.map { HubLetter.Examine.Table(name: $0.name) }, patience: Proof.firstPatience, now)
    }

    private mutating func ask(_ tables: [HubLetter.Examine.Table], patience: Int64, _ now: Timestamp) -> [Effect] {
        step += 1
        let examine = HubLetter.Examine(id: id, step: step, job: job, tables: tables)
        question = examine
        deadline = now + patience
        repeatAt = now + Proof.repeatAfter
        return [.ask(examine)]
    }

    private mutating func tick(_ now: Timestamp) -> [Effect] {
        guard let question else { return [] }
        if let awaySince, now - awaySince >= Proof.awayPatience {
            return end("not reached: store \(store) is not connected")
        }
        if now >= deadline {
            return end("not reached: store \(store) did not answer; its agent may be too old to prove what it has")
        }
        guard now >= repeatAt else { return [] }
        repeatAt = now + Proof.repeatAfter
        return [.ask(question)]
    }

    // MARK: answers

    private mutating func take(_ digests: AgentLetter.Digests, _ now: Timestamp) -> [Effect] {
        question = nil
        awaySince = nil
        let faults = digests.tables.compactMap(\.fault)
        guard let told = digests.watermark, digests.job == job else {
            return end(faults.first.map { "store \(store): \($0)" } ?? "store \(store) has nothing of job \(job) yet")
        }
        if stage == .narrowing {
            guard told == mark else { return beginAgain("store \(store) moved on while it was examined", now) }
            if let fault = narrowing?.take(digests.tables) { return beginAgain("store \(store): \(fault)", now) }
            return goOn(now)
        }
        mark = told
        guard faults.isEmpty else { return endAltered(faults) }
        guard digests.tables.map(\.name) == tables.map(\.name), digests.tables.allSatisfy({ $0.ranges.count == 1 })
        else { return end("store \(store) answered something else than was asked") }
        self.told = digests.tables
        stage = .summing
        return [.sum(told)]
    }

    private mutating func compare(_ sums: [String: TableDigest]?, _ now: Timestamp) -> [Effect] {
        guard let sums else { return endUntold() }
        var suspects: [Suspect] = []
        for table in told {
            guard let sum = sums[table.name], let answer = table.ranges.first else { return endUntold() }
            if answer.digest != sum { suspects.append(Suspect(table: table.name, range: .all, count: sum.count)) }
        }
        guard !suspects.isEmpty else { return finish(Verdict(outcome: .ok, mark: mark)) }
        stage = .narrowing
        narrowing = Narrowing(suspects, keeps: Set(tables.filter(\.keeps).map(\.name)))
        return goOn(now)
    }

    private mutating func goOn(_ now: Timestamp) -> [Effect] {
        guard let mark, var narrowing else { return [] }
        let suspects = narrowing.next()
        self.narrowing = narrowing
        if !suspects.isEmpty { return [.expect(mark, suspects)] }
        return conclude(narrowing, now)
    }

    private mutating func ask(_ expectations: [Expectation]?, _ now: Timestamp) -> [Effect] {
        guard question == nil else { return [] }
        guard let expectations else { return endUntold() }
        return ask(narrowing?.ask(expectations) ?? [], patience: Proof.laterPatience, now)
    }

    // MARK: ending

    private mutating func conclude(_ narrowing: Narrowing, _ now: Timestamp) -> [Effect] {
        let kept = narrowing.unfinished.filter { name in tables.contains { $0.name == name && $0.keeps } }
        if narrowing.counts.isEmpty, let table = kept.min() {
            return end(
                "table \(table) keeps so many rows that HQ does not have any more that it cannot be compared")
        }
        if narrowing.isEmpty {
            // Nothing but rows that are to stay; or what differed has been put right meanwhile.
            if tables.contains(where: \.keeps) { return finish(Verdict(outcome: .ok, mark: mark)) }
            return beginAgain("store \(store) says something else each time", now)
        }
        return finish(
            Verdict(
                outcome: .diverged, mark: mark, counts: narrowing.counts, named: narrowing.named,
                ranges: narrowing.ranges.mapValues { $0.joined(limit: ProofLimits.repairRangesMax) },
                unfinished: narrowing.unfinished.sorted()))
    }

    private mutating func beginAgain(_ why: String, _ now: Timestamp) -> [Effect] {
        restarts += 1
        guard restarts <= Proof.restartsMax else { return end("\(why); it is verified again later") }
        return begin(now)
    }

    private mutating func endAltered(_ faults: [String]) -> [Effect] {
        var verdict = Verdict(outcome: .diverged, mark: mark)
        verdict.needsFullLoad = true
        verdict.message =
            faults.joined(separator: "; ") + "; send all of it with: waybill publish \(job) --full --store \(store)"
        return finish(verdict)
    }

    private mutating func endUntold() -> [Effect] {
        end(
            "what store \(store) must have of job \(job) where it stands is no longer kept; bring it up to date with: "
                + "waybill publish \(job), and verify then")
    }

    private mutating func end(_ message: String) -> [Effect] {
        var verdict = Verdict(outcome: .unknown, mark: mark)
        verdict.message = message
        return finish(verdict)
    }

    private mutating func finish(_ verdict: Verdict) -> [Effect] {
        stage = .ended
        return [.end(verdict)]
    }
}
