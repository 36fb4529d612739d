import WaybillModel
import WaybillSessions
import WaybillWire

/// Watching how far deliveries have come: for people to look at, no decision rests on it.
extension Desk {
    mutating func watchStages(_ event: DeskEvent, wasOnline: Bool, now: Timestamp) {
        // The most frequent letter by far, and it changes no stage.
        if case .letter(let letter, _, _) = event, case .chunkRequest = letter.body, wasOnline { return }
        if !wasOnline { stages.returned(now: now) }
        // Asked for only where something waits to begin.
        let mayBegin = deliveries.values.contains { $0.stage == .request }
        let chosen = mayBegin ? Set(targets().map(\.session)) : []
        let isHere = isOnline(at: now)
        stages.observe(deliveries.values.sorted { $0.session.number < $1.session.number }, now: now) { delivery in
            // A note tells of a reason to wait: a window, a job that comes before, a package that is not made.
            isHere && delivery.note.isEmpty && delivery.package != nil && preparing[delivery.session] == nil
                && chosen.contains(delivery.session)
        }
        guard case .letter(let letter, let routing, _) = event, case .hello(let hello) = letter.body,
            peer == Peer(routing: routing, lastHeard: now)
        else { return }
        stages.hear(
            hello.activity, downloading: hello.progress?.session, bytesDone: hello.progress?.bytesDone ?? 0, now: now)
    }

    /// What the store is told about its haste; nil in a chain so small that nobody has to wait for anybody.
    var pace: HubLetter.Pace? {
        guard settings.startSpreadMilliseconds >= HubLetter.Pace.spreadMin else { return nil }
        return HubLetter.Pace(startSpreadMilliseconds: Int64(settings.startSpreadMilliseconds))
    }
}
