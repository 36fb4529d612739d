import WaybillModel

/// What the agent is at and when it last came forward, for the hub's session list.
extension AgentCore {
    /// Whatever differs from this is a step forward.
    struct Movement: Hashable, Sendable {
        var phase = AgentActivity.Phase.idle
        var session: SessionID?
        var bytesDone: Int64 = 0
        /// The oldest report that is not acknowledged.
        var report: Int64?
        var at: Timestamp?
    }

    /// Looks, after each event, whether it was a step forward.
    mutating func noteMovement(now: Timestamp) {
        var next = Movement(
            phase: phase, session: task?.offer.session, bytesDone: task?.fetch?.bytesDone ?? 0,
            report: stored.outbox.first?.id, at: movement.at)
        // While something is under way, reports come and go beside it.
        if task != nil { next.report = movement.report }
        guard next != movement || next.at == nil else { return }
        next.at = now
        movement = next
    }

    /// The worker's slices are not events of their own.
    mutating func noteWork(idleMilliseconds: Int64?, now: Timestamp) {
        guard let idleMilliseconds, task?.phase == .applying, let at = movement.at else { return }
        movement.at = max(at, now + -max(0, idleMilliseconds))
    }

    /// As it is in the middle of a step: what the step has begun is a step forward already.
    func activity(now: Timestamp) -> AgentActivity {
        var here = self
        here.noteMovement(now: now)
        return AgentActivity(phase: phase, idleMilliseconds: max(0, now - (here.movement.at ?? now)))
    }

    private var phase: AgentActivity.Phase {
        switch task?.phase {
        case .requesting: .requesting
        case .opening: .downloading
        case .fetching: isDownloadWindowOpen ? .downloading : .waiting
        case .unpacking: .unpacking
        case .applying: .applying
        case nil:
            if !stored.outbox.isEmpty {
                .reporting
            } else {
                !offers.isEmpty && !isDownloadWindowOpen ? .waiting : .idle
            }
        }
    }
}
