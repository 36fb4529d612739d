import WaybillAdmin
import WaybillJobs
import WaybillModel
import WaybillPlan
import WaybillSessions

/// What the hub knows of a store for one job, when somebody asks why.
struct WhyStanding: Sendable, Equatable {
    var state: WaybillSessions.StoreState
    /// What the store last said it has applied.
    var watermark: Watermark?
    /// The same in terms of `rows.db`; nil when its session is not of this hub's history.
    var base: Base?
    /// What the hub says about the store, as a quarantine.
    var message: String
}

/// What is known about one row: from `rows.db`, and from `hub.db` about the sessions.
struct WhyFacts: Equatable {
    var finding: RowFinding
    var broughtBy: RowDelivery?
    var pending: RowDelivery?
    var removedBy: RowDelivery?
    /// When the store has said that it lies in quarantine.
    var quarantine: QuarantineEntry?

    init(
        _ finding: RowFinding, broughtBy: RowDelivery? = nil, pending: RowDelivery? = nil,
        removedBy: RowDelivery? = nil, quarantine: QuarantineEntry? = nil
    ) {
        self.finding = finding
        self.broughtBy = broughtBy
        self.pending = pending
        self.removedBy = removedBy
        self.quarantine = quarantine
    }

    /// Finds the sessions of a row.
    init(
        _ finding: RowFinding, _ deliveries: RowDeliveries, state: WhyState, quarantine: QuarantineEntry? = nil
    ) throws {
        self.init(finding, quarantine: quarantine)
        if let held = finding.held { broughtBy = try deliveries.applied(since: held.from) }
        switch state {
        case .onItsWay, .changing:
            if let derived = finding.derived, derived != finding.held {
                pending = try deliveries.pending(since: derived.from)
            }
        case .leaving:
            if finding.derived == nil, let held = finding.held { pending = try deliveries.pending(since: held.to) }
        case .absent, .unknown, .notRun:
            // It was there only if the store applied a session of that time.
            if let before = finding.before, try deliveries.applied(since: before.from, before: before.to) != nil {
                removedBy = try deliveries.applied(since: before.to)
            }
        case .present, .kept, .inQuarantine: break
        }
    }
}

extension WhyState {
    /// - Parameters:
    ///   - quarantine: what the store says of the row, if it is not as `rows.db` has it.
    ///   - isHeldKnown: whether it can be told what the store has; also when that is nothing.
    ///   - isNextKnown: whether it is known what the next run would give.
    init(
        _ finding: RowFinding, _ quarantine: QuarantineEntry? = nil, isHeldKnown: Bool, isNextKnown: Bool,
        removal: Subjob.Removal
    ) {
        guard quarantine == nil else {
            self = .inQuarantine
            return
        }
        let next = isNextKnown ? finding.next : finding.derived?.values
        guard isHeldKnown else {
            self = next == nil ? .absent : .unknown
            return
        }
        switch (finding.held?.values, next) {
        case (nil, nil): self = .absent
        case (nil, let next?): self = finding.derived?.values == next ? .onItsWay : .notRun
        case (_?, nil): self = removal == .keep ? .kept : .leaving
        case (let held?, let next?): self = held == next ? .present : .changing
        }
    }
}
