import WaybillAdmin
import WaybillModel
import WaybillPlan
import WaybillSessions

/// The sentences of an answer.
struct WhyWords {
    let store: StoreID
    let job: JobID
    let table: String
    let standing: WhyStanding
    /// A schedule or a change at HQ starts the job.
    let hasTrigger: Bool

    /// `product (TEA-ASSAM)`
    func name(_ key: [String]) -> String { "\(table) (\(key.joined(separator: ", ")))" }

    func answer(_ state: WhyState, _ facts: WhyFacts) -> String {
        let row = name(facts.finding.key.map(\.plainText))
        let reason = facts.finding.reasons.first.map { ": " + $0.reason } ?? ""
        switch state {
        case .present: return "store \(store) has \(row)\(reason)\(brought(facts.broughtBy))"
        case .changing:
            return "store \(store) has \(row), with other values than HQ: the change \(coming(facts))\(reason.further)"
        case .leaving:
            return "store \(store) has \(row), but not for long: its removal \(coming(facts))\(reason.further)"
        case .kept: return "store \(store) keeps \(row), which HQ does not give any more\(reason)"
        case .onItsWay: return "store \(store) does not have \(row) yet: it \(coming(facts))\(reason.further)"
        case .notRun: return "store \(store) does not have \(row) yet: it \(coming(facts))\(reason.further)"
        case .unknown:
            return "HQ gives store \(store) the row \(row), but what the store has cannot be told: \(untold)"
        case .absent: return "store \(store) does not have \(row)\(reason)\(removed(facts.removedBy))"
        case .inQuarantine: return quarantined(row, facts) + reason.further
        }
    }

    /// For a question that no row answers.
    func nothing(_ asked: [String], _ reasons: [RowReason]) -> String {
        let reason = reasons.first.map { ": " + $0.reason } ?? ""
        return "store \(store) has no row of table \(table) with \(asked.joined(separator: ", "))\(reason)"
    }

    /// For several rows.
    func several(_ states: [WhyState], asked: [String], hasMore: Bool) -> String {
        let counts = WhyState.allCases.compactMap { state -> String? in
            let count = states.count { $0 == state }
            return count == 0 ? nil : "\(count) \(words(state))"
        }
        let rows = hasMore ? "more than \(states.count) rows" : "\(states.count) rows"
        return
            "\(rows) of table \(table) at store \(store) with \(asked.joined(separator: ", ")): \(counts.joined(separator: ", "))\(hasMore ? ", …" : "")"
    }

    private func words(_ state: WhyState) -> String {
        switch state {
        case .present: "there"
        case .changing: "there and changing"
        case .leaving: "there and leaving"
        case .kept: "kept"
        case .onItsWay: "on the way"
        case .notRun: "to come with the next run"
        case .absent: "not there"
        case .unknown: "that cannot be told"
        case .inQuarantine: "in quarantine"
        }
    }

    /// Not what HQ has for the store, but what the store has told of it.
    private func quarantined(_ row: String, _ facts: WhyFacts) -> String {
        guard let entry = facts.quarantine else { return "store \(store) has \(row) in quarantine" }
        let what =
            switch entry.kind {
            case .refused: "refuses \(row)"
            case .depends: "cannot use \(row)"
            case .kept: "does not let \(row) go"
            }
        return "store \(store) \(what): \(entry.detail); it is in quarantine since \(WhyWords.moment(entry.since)), "
            + "and \(entry.consequence)"
    }

    private var untold: String {
        let session = standing.watermark.map { "session \($0.session)" } ?? "no session"
        return "it stands at \(session), whose rows are not kept; the next session brings it all of them"
    }

    private func brought(_ session: RowDelivery?) -> String {
        guard let session, let at = session.delivery?.told.appliedAt else { return "" }
        let which = session.isExact ? "session \(session.session)" : "session \(session.session) or one before it"
        return "; \(which) brought it, applied \(WhyWords.moment(at))"
    }

    private func removed(_ session: RowDelivery?) -> String {
        guard let session, let at = session.delivery?.told.appliedAt else { return "" }
        return "; it was there until session \(session.session) removed it, applied \(WhyWords.moment(at))"
    }

    /// What the store waits for, after "it" or "its removal".
    private func coming(_ facts: WhyFacts) -> String {
        switch standing.state {
        case .pending: return "will come when the store has enrolled"
        case .retired: return "will not come, for the store is retired"
        case .active: break
        }
        guard let session = facts.pending else {
            return
                "comes with the next run of job \(job), for HQ has changed since the last one (\(start))"
        }
        guard let delivery = session.delivery else {
            if session.sessionStatus == SessionStatus.available.rawValue {
                return "was not for this store in session \(session.session) (waybill publish \(job))"
            }
            let message = session.sessionMessage.isEmpty ? "" : ": \(session.sessionMessage)"
            return "waits for session \(session.session), which is \(session.sessionStatus)\(message)"
        }
        let quarantine = standing.message.isEmpty ? "" : "; about the store: \(standing.message)"
        let message = delivery.message.isEmpty ? "" : ": \(delivery.message)"
        if delivery.status == .applied {
            return "came with session \(session.session), but the store stands at an older one since: it was restored"
        }
        if delivery.status.isFinal {
            return
                "was to come with session \(session.session), which is \(delivery.status.rawValue)\(message) (waybill publish \(job))"
        }
        return
            "is on its way in session \(session.session), which is \(delivery.status.rawValue)\(message)\(quarantine)"
    }

    /// What has the job run.
    private var start: String { (hasTrigger ? "by its trigger, or: " : "") + "waybill publish \(job)" }

    private static func moment(_ time: Timestamp) -> String {
        let text = UTCTime(time).description
        return text.prefix(10) + " " + text.dropFirst(11).prefix(8) + "Z"
    }
}

extension String {
    /// A reason in a sentence that has a colon already.
    fileprivate var further: String { isEmpty ? "" : "; \(dropFirst(2))" }
}
