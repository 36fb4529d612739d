import WaybillAdmin
import WaybillConsole
import WaybillModel

/// Watches sessions until nothing more will happen to them.
struct SessionWait {
    /// An agent that lost its line just now gets this long to come back before its store counts as offline.
    private static let offlineGrace = Duration.seconds(5)
    private static let pollInterval = Duration.milliseconds(200)
    /// Deliveries one by one are a large answer: they are asked for less often.
    private static let detailInterval = Duration.seconds(1)

    let client: AdminClient
    /// Grows by the sessions that these wait for in turn.
    private var sessions: [SessionID]
    /// nil: no limit.
    let timeout: Duration?
    private var block = LiveBlock()
    private var meters: [SessionID: RateMeter] = [:]

    init(client: AdminClient, sessions: [SessionID], timeout: Duration?) {
        self.client = client
        self.sessions = sessions
        self.timeout = timeout
    }

    struct Outcome {
        var sessions: [SessionSummary]
        var missing: [Waiting.Missing] = []
        var failed: [SessionID] = []
        var isTimeUp = false
    }

    /// Until every session has left `Started`.
    mutating func untilBuilt() async throws -> Outcome {
        let start = ContinuousClock.now
        while true {
            let summaries = try await summaries()
            let isBuilt = !summaries.contains { $0.status == SessionStatus.started.rawValue }
            let isTimeUp = timeout.map { ContinuousClock.now - start >= $0 } ?? false
            if isBuilt || isTimeUp {
                block.clear()
                let failed = summaries.filter { $0.status == SessionStatus.createFailed.rawValue }.map(\.id)
                return Outcome(sessions: summaries, failed: failed, isTimeUp: !isBuilt)
            }
            // Most sessions are built before somebody could read a line about it.
            if ContinuousClock.now - start > .seconds(1) { show(summaries) }
            try await Task.sleep(for: SessionWait.pollInterval)
        }
    }

    /// Until every delivery is final, or `rule` says that waiting is no use.
    mutating func untilOver(_ rule: Waiting) async throws -> Outcome {
        let start = ContinuousClock.now
        var detailsAt: ContinuousClock.Instant?
        while true {
            let summaries = try await summariesWithAwaited()
            let now = ContinuousClock.now
            let isTimeUp = timeout.map { now - start >= $0 } ?? false
            let looksOver = summaries.allSatisfy {
                $0.status != SessionStatus.started.rawValue && $0.deliveriesFinal == $0.deliveriesCount
            }
            show(summaries, isLast: looksOver || isTimeUp)
            if looksOver || isTimeUp || detailsAt.map({ now - $0 >= SessionWait.detailInterval }) ?? true {
                detailsAt = now
                let details = try await details()
                let isGraceOver = now - start >= SessionWait.offlineGrace
                let online = isGraceOver && !looksOver ? try await onlineStores() : nil
                if case .over(let missing, let failed) = rule.verdict(details, online: online) {
                    show(details.map(\.summary), isLast: true)
                    return Outcome(sessions: details.map(\.summary), missing: missing, failed: failed)
                }
                if isTimeUp {
                    return Outcome(
                        sessions: details.map(\.summary), missing: Waiting.unfinished(details), isTimeUp: true)
                }
            }
            try await Task.sleep(for: SessionWait.pollInterval)
        }
    }

    private func summaries() async throws -> [SessionSummary] {
        var result: [SessionSummary] = []
        for session in sessions {
            result.append(try await client.get(SessionSummary.self, "sessions/\(session)/summary"))
        }
        return result
    }

    /// The sessions, and those on their way that spare them from sending the same rows again.
    private mutating func summariesWithAwaited() async throws -> [SessionSummary] {
        var result = try await summaries()
        let awaited = Set(result.flatMap(\.waitsFor)).subtracting(sessions).sorted { $0.number < $1.number }
        if !awaited.isEmpty {
            sessions += awaited
            result = try await summaries()
        }
        return result
    }

    private func details() async throws -> [SessionDetail] {
        var result: [SessionDetail] = []
        for session in sessions {
            result.append(try await client.get(SessionDetail.self, "sessions/\(session)"))
        }
        return result
    }

    private func onlineStores() async throws -> Set<StoreID> {
        Set(try await client.get([StoreSummary].self, "stores").filter(\.online).map(\.store))
    }

    private mutating func show(_ summaries: [SessionSummary], isLast: Bool = false) {
        let now = Output.now
        for summary in summaries { meters[summary.id, default: RateMeter()].add(summary.bytesDone, at: now) }
        let screen = block.screen
        let rates = meters.mapValues(\.bytesPerSecond)
        block.show(
            live: summaries.map {
                ProgressViews.session($0, bytesPerSecond: rates[$0.id] ?? 0, screen)
            },
            plain: summaries.map(ProgressViews.plainSession), isLast: isLast)
    }
}

extension SessionWait.Outcome {
    /// Says on stderr what is missing, and ends with the status that the help promises.
    func finish() throws {
        for line in Waiting.lines(missing) { Output.note(line) }
        for session in sessions where failed.contains(session.id) {
            Output.note(
                "session \(session.id) of job \(session.job) could not be made"
                    + (session.message.map { ": \($0)" } ?? ""))
        }
        for line in Waiting.heldLines(sessions) { Output.note(line) }
        for line in QuarantineViews.notes(sessions) { Output.note(line) }
        let held = Humane.count(Waiting.held(sessions).count, "session")
        let lacking = Humane.count(Set(missing.map(\.store)).count, "store")
        if !failed.isEmpty { throw Complaint("\(Humane.count(failed.count, "session")) could not be made") }
        if isTimeUp {
            let what = missing.isEmpty ? "sessions are still being made" : "\(lacking) not finished"
            throw Complaint("time is up, \(what); the hub goes on", status: Complaint.someStoresMissing)
        }
        if !missing.isEmpty {
            throw Complaint("done, but not at \(lacking)", status: Complaint.someStoresMissing)
        }
        if !Waiting.held(sessions).isEmpty {
            throw Complaint("done, but \(held) not offered: approval is needed", status: Complaint.someStoresMissing)
        }
    }
}
