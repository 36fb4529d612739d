import WaybillModel
import WaybillWire

/// What could not be done here, and lines that open and then carry nothing.
extension AgentCore {
    /// Times in a row that asking for a package may bring no piece of it, before that counts as a failed download and
    /// is told at headquarters.
    static let fruitlessMax = 3
    /// The number of a report that the outbox does not have: there they begin at 1.
    static let unkeptReport: Int64 = 0

    /// Milliseconds between two attempts to read what the database holds: each that fails is a line in the log.
    static let readingMilliseconds: Int64 = 10_000

    /// After a failure the database may hold more than we know: an apply is committed, and then what it has left cannot
    /// be read. Its report would wait for the next apply, which may never come.
    mutating func readAgain(now: Timestamp, _ effects: inout [AgentEffect]) {
        guard let due = readingDue, due <= now else { return }
        readingDue = now + AgentCore.readingMilliseconds
        effects.append(.readStored)
    }

    /// The store's database could not be written or read: its disk is full or failing, or a till holds its lock. Nothing
    /// that was to be kept may be taken for kept.
    mutating func notDone(_ effect: AgentEffect, now: Timestamp, _ effects: inout [AgentEffect]) {
        if effect.isOfTheDatabase { readingDue = readingDue ?? now + AgentCore.readingMilliseconds }
        switch effect {
        case .recordCancel(let order):
            // The hub asks again with every Welcome until it is answered.
            cancelsRecorded.remove(RunName(order.session, order.run))
        case .record(let session, let job, let run, let attempt, let outcome, let message, let isTransient)
        where outcome.isFailure:
            // Nothing hangs on a report of a failure, and the reason for it is the same as for not keeping it: told
            // once, under a name that no report in the outbox has.
            guard isConnected else { return }
            let report = StoreReport(
                id: AgentCore.unkeptReport, incarnation: stored.incarnation, sequence: stored.sequence,
                session: session, job: job, run: run,
                attempt: attempt, outcome: outcome, at: now, message: message, isTransient: isTransient)
            effects.append(.send(letter(.reports([report]))))
        default: break
        }
    }

    /// The hub answers that it has no piece of the package for us. After its restart that is one step on the way; again
    /// and again it is a package that it cannot read, and asking at the line's speed would help nobody.
    mutating func refusedChunk(_ reason: String, now: Timestamp, _ effects: inout [AgentEffect]) {
        guard isFruitful() else {
            let fault = AgentFault(
                stage: .download, message: "the hub cannot hand out the package (\(reason))", isTransient: true)
            return fail(fault, now: now, &effects)
        }
        effects.append(
            .log("the hub has no chunk for us (\(reason)); asking for the session again", isProblem: false))
        task?.phase = .requesting(now)
        sendRequest(&effects)
    }

    /// The line has fallen silent and is about to be made anew. When that happens again and again while a package is on
    /// its way, and hellos get through in between, it is the large packets that do not.
    mutating func lineFellSilent(now: Timestamp, _ effects: inout [AgentEffect]) {
        switch task?.phase {
        case .requesting, .fetching: break
        case .opening, .unpacking, .applying, nil: return
        }
        guard !isFruitful() else { return }
        let fault = AgentFault(
            stage: .download,
            message: "the hub answers, but over \(AgentCore.fruitlessMax) connections no piece of the package has "
                + "arrived: something on the way may drop large packets (path MTU); have the line looked at",
            isTransient: true)
        fail(fault, now: now, &effects)
    }

    /// Counts one more time that nothing came. Whether it may go on like this.
    private mutating func isFruitful() -> Bool {
        task?.fruitless += 1
        return (task?.fruitless ?? 0) < AgentCore.fruitlessMax
    }
}

extension AgentEffect {
    /// Answered with what the database holds, when it succeeds.
    fileprivate var isOfTheDatabase: Bool {
        switch self {
        case .record, .recordCancel, .acknowledge, .raiseIncarnation, .quarantine, .readStored: true
        case .send, .reconnect, .keys, .open, .storeChunk, .unpack, .apply, .stopApplying, .discard, .forgetOutcomes,
            .examine, .log:
            false
        }
    }
}

extension StoreOutcome {
    /// It tells that something did not work, and no more.
    var isFailure: Bool { self == .downloadFailed || self == .applyFailed }
}
