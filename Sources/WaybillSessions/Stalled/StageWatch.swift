import WaybillModel

/// Since when each open delivery of a store has been in its stage, and when it last came forward there.
///
/// By the hub's clock alone, so a store's wrong clock does not matter; and in memory alone: a hub that starts anew gives
/// everybody the whole time again. Nothing is decided by it.
public struct StageWatch: Sendable {
    /// A delivery in a stage.
    public struct Entry: Hashable, Sendable {
        public var stage: DeliveryStage
        /// When it last came forward; the stage's beginning if it has not since.
        public var since: Timestamp
        /// nil when this hub has not seen the beginning, or when it had a reason to wait: nothing is learnt from it.
        var enteredAt: Timestamp?
        /// Of the package.
        public var bytes: Int64
        public var rows: Int64
        /// The store tries again by itself after a failure, and pauses before.
        public var isRetry: Bool
        var bytesDone: Int64 = 0
        var run: Int
        /// Reports of the store have not been taken in since; nil when it does not say so.
        public var unreportedSince: Timestamp?

        /// A delivery of which nothing but its place is known.
        public init(stage: DeliveryStage, since: Timestamp, bytes: Int64, rows: Int64) {
            self.stage = stage
            self.since = since
            self.bytes = bytes
            self.rows = rows
            isRetry = false
            run = 1
        }
    }

    public private(set) var entries: [SessionID: Entry] = [:]
    private var samples: [StageSample] = []
    private var hasSeenAny = false

    public init() {}

    /// Durations that were noticed since the last call.
    public mutating func takeSamples() -> [StageSample] {
        defer { samples = [] }
        return samples
    }

    /// Looks at the deliveries after each event, those that have just come to an end among them.
    /// - Parameter mayStart: whether the store could ask for this one now, for all that the hub knows.
    public mutating func observe(
        _ deliveries: some Sequence<Delivery>, now: Timestamp, mayStart: (Delivery) -> Bool
    ) {
        let isFirst = !hasSeenAny
        hasSeenAny = true
        var next: [SessionID: Entry] = [:]
        var isBusy = false
        for delivery in deliveries {
            let before = entries[delivery.session]
            let stage = delivery.stage
            if let before, before.stage == stage, before.run == delivery.run {
                next[delivery.session] = before
            } else {
                if let before { learn(before, delivery, now: now) }
                next[delivery.session] = stage.map { entry($0, delivery, isFirst: isFirst, now: now) }
            }
            next[delivery.session]?.isRetry = delivery.status.isFailure
            if stage == .download || stage == .apply { isBusy = true }
        }
        // A store does one thing at a time: what is only offered waits for its turn without a fault.
        for delivery in deliveries where delivery.stage == .request {
            guard isBusy || !mayStart(delivery) else { continue }
            next[delivery.session]?.since = now
            next[delivery.session]?.enteredAt = now
        }
        entries = next
    }

    private func entry(_ stage: DeliveryStage, _ delivery: Delivery, isFirst: Bool, now: Timestamp) -> Entry {
        let begun = stage == .cancel ? delivery.cancelAskedAt ?? now : isFirst ? nil : now
        var entry = Entry(
            stage: stage, since: isFirst ? now : begun ?? now, bytes: delivery.package?.bytes ?? 0,
            rows: delivery.package?.rows ?? 0)
        entry.enteredAt = begun
        entry.run = delivery.run
        return entry
    }

    /// A stage has ended as it should: how long it took is worth knowing.
    private mutating func learn(_ entry: Entry, _ delivery: Delivery, now: Timestamp) {
        guard let begun = entry.enteredAt, !entry.isRetry, entry.run == delivery.run else { return }
        let isGood =
            switch entry.stage {
            case .request: [.requested, .downloaded, .applied].contains(delivery.status)
            case .download: [.downloaded, .applied].contains(delivery.status)
            case .apply: delivery.status == .applied
            case .cancel: [.canceled, .applied].contains(delivery.status)
            case .report: false
            }
        guard isGood else { return }
        samples.append(
            StageSample(stage: entry.stage, milliseconds: max(0, now - begun), bytes: entry.bytes, rows: entry.rows))
    }

    /// Takes in what the agent says of itself. An agent that says nothing of its phase still tells its bytes.
    public mutating func hear(
        _ activity: AgentActivity?, downloading session: SessionID?, bytesDone: Int64, now: Timestamp
    ) {
        let movedAt = now + -max(0, activity?.idleMilliseconds ?? 0)
        if let session, let entry = entries[session], bytesDone > entry.bytesDone {
            entries[session]?.bytesDone = bytesDone
            entries[session]?.since = max(entry.since, entry.stage == .download ? movedAt : entry.since)
        }
        for (session, entry) in entries {
            entries[session]?.unreportedSince = nil
            switch (activity?.phase, entry.stage) {
            case (.waiting, .request), (.waiting, .download):
                // Its own window: it takes as long as it takes.
                entries[session]?.since = now
                entries[session]?.enteredAt = nil
            case (.unpacking, .download), (.applying, .download), (.applying, .apply), (.unpacking, .apply):
                entries[session]?.since = max(entry.since, movedAt)
            case (.reporting, .download), (.reporting, .apply), (.reporting, .cancel):
                entries[session]?.unreportedSince = movedAt
            default: break
            }
        }
    }

    /// The store was away: the time in which it could not ask for anything does not count.
    public mutating func returned(now: Timestamp) {
        for (session, entry) in entries where entry.stage == .request {
            entries[session]?.since = now
            entries[session]?.enteredAt = now
        }
    }
}
