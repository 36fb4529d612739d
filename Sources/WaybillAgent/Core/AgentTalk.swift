import WaybillModel
import WaybillTransfer
import WaybillWire

/// Hello, offers, cancels, acknowledgements: the conversation itself.
extension AgentCore {
    /// Reports are sent again when they are not acknowledged within this.
    static let reportPatience: Int64 = 10_000
    /// A request for a session is sent again when it is not answered within this.
    static let requestPatience: Int64 = 10_000
    /// Hellos missed by the hub before the connection counts as dead and is made anew.
    static let silentHellos: Int64 = 3
    /// Old outcomes are looked for once a day.
    static let forgettingInterval: Int64 = 24 * 3600 * 1000
    /// How long a refused agent stays quiet before it tries again.
    static let refusedPause: Int64 = 30_000

    mutating func connected(now: Timestamp) {
        isConnected = true
        heardAt = now
        helloDue = now + helloDelay()
        quietUntil = nil
        reportsSent = []
        ring.connected()
        task?.fetch?.lineChanged()
    }

    mutating func disconnected() {
        isConnected = false
        offers = []
    }

    /// Says Hello within so many milliseconds, unless that is due anyway.
    mutating func hurryHello(within spread: Int64, now: Timestamp) {
        let due = now + jitter.next(below: spread)
        helloDue = helloDue.map { min($0, due) } ?? due
    }

    mutating func receive(_ letter: HubLetter, now: Timestamp, _ effects: inout [AgentEffect]) {
        heardAt = now
        switch letter {
        case .welcome(let welcome): take(welcome, now: now, &effects)
        case .grant(let grant): granted(grant, now: now, &effects)
        case .notGranted(let session, let run, let reason):
            guard let task, task.name == RunName(session, run), case .requesting = task.phase else { return }
            effects.append(.log("session \(session) was not granted: \(reason)", isProblem: false))
            drop(discarding: false, &effects)
            offers.removeAll { $0.session == session }
        case .chunk(let package, let index, let data):
            guard let fetch = task?.fetch, fetch.package == package, fetch.wants(index) else { return }
            effects.append(.storeChunk(package, index: index, data: data))
        case .noChunk(let package, _, let reason):
            guard let task, task.fetch?.package == package, task.phase == .fetching else { return }
            refusedChunk(reason, now: now, &effects)
        case .acknowledgement(let names): acknowledged(names, &effects)
        case .cancel(let order): cancel(order, &effects)
        case .examine(let question): examine(question, &effects)
        case .refused(let reason):
            effects.append(.log("the hub refuses this store: \(reason)", isProblem: true))
            offers = []
            if task?.phase != .applying { drop(discarding: false, &effects) }
            // Our own silence must not be taken for the hub's.
            heardAt = now + AgentCore.refusedPause
            quietUntil = heardAt
            helloDue = heardAt
            ring.refused(until: now + AgentCore.refusedPause)
        case .keyAnswer(let answer): take(answer, now: now, &effects)
        case .regressed(let counter):
            guard counter >= stored.incarnation.counter else { return }
            effects.append(
                .log("the hub knows a later life of this store's database; starting a new incarnation", isProblem: true)
            )
            drop(discarding: false, &effects)
            offers = []
            effects.append(.raiseIncarnation(above: counter))
        case .quarantineOrder(let order): effects.append(.quarantine(order))
        }
    }

    /// The database was written. A new life says hello at once, and tells again what the last one was not thanked for.
    mutating func written(_ state: StoredState, now: Timestamp) {
        if state.incarnation != stored.incarnation {
            helloDue = now
            reportsSent = []
        }
        stored = state
        readingDue = nil
        // Only now are those that the hub has thanked for gone.
        reportsSent.formIntersection(state.outbox.map(\.name))
    }

    private mutating func take(_ welcome: HubLetter.Welcome, now: Timestamp, _ effects: inout [AgentEffect]) {
        if isPutOff(by: welcome, now: now) { return }
        // One that was overtaken would bring back what is superseded, and a grant of it may be on its way as well.
        if hubRun == welcome.hubRun, let welcomedAt, welcome.hubTime < welcomedAt { return }
        welcomedAt = welcome.hubTime
        helloSeconds = welcome.helloSeconds
        spreadStart(of: welcome, now: now)
        take(welcome.keys ?? KeyNews(), now: now, &effects)
        offers = welcome.offers
        // What was off offer and comes back was suspended: somebody wants it tried again now.
        notBefore = notBefore.filter { name, _ in offers.contains { RunName($0.session, $0.run) == name } }
        if hubRun != welcome.hubRun {
            // Another hub process: what the last one granted is void. Stored chunks stay; leave is asked for again.
            // A request that the last one did not live to answer is repeated too.
            if hubRun != nil, let task, task.phase != .applying {
                self.task?.phase = .requesting(now)
                sendRequest(&effects)
            }
            hubRun = welcome.hubRun
        }
        for order in welcome.cancels { cancel(order, &effects) }
        forgetOutcomes(welcome, now: now, &effects)
        guard let task, task.phase != .applying else { return }
        if welcome.held.contains(where: { RunName($0.session, $0.run) == task.name }) {
            effects.append(.log("session \(task.offer.session) waits for its window", isProblem: false))
            drop(discarding: false, &effects)
        } else if !offers.contains(where: { RunName($0.session, $0.run) == task.name }) {
            effects.append(.log("session \(task.offer.session) is no longer on offer; dropped", isProblem: false))
            drop(discarding: true, &effects)
        }
    }

    /// Once a day, and only when the hub has just said what it still has open here.
    private mutating func forgetOutcomes(
        _ welcome: HubLetter.Welcome, now: Timestamp, _ effects: inout [AgentEffect]
    ) {
        guard forgettingDue.map({ $0 <= now }) ?? true else { return }
        forgettingDue = now + AgentCore.forgettingInterval
        let open = welcome.offers.map(\.session) + welcome.cancels.map(\.session)
        effects.append(.forgetOutcomes(oldest: open.map(\.number).min()))
    }

    private mutating func acknowledged(_ names: [ReportName], _ effects: inout [AgentEffect]) {
        for report in stored.outbox where names.contains(report.name) {
            let name = RunName(report.session, report.run)
            cancelsRecorded.remove(name)
            // The hub knows. If it offers the run all the same it has forgotten, and is told again when it is asked for.
            if report.outcome == .applied { ended.removeAll { $0 == name } }
        }
        // They stay among those that were sent until the outbox is without them: else this very step sent them again.
        let kept = names.filter { $0.id != AgentCore.unkeptReport }
        if !kept.isEmpty { effects.append(.acknowledge(kept)) }
    }

    private mutating func cancel(_ order: HubLetter.CancelOrder, _ effects: inout [AgentEffect]) {
        let name = RunName(order.session, order.run)
        offers.removeAll { $0.session == order.session && $0.run == order.run }
        if let task, task.name == name {
            if task.phase == .applying {
                // The store's transaction decides: either it commits first, or the promise does.
                effects.append(.stopApplying)
            } else {
                drop(discarding: true, &effects)
            }
        }
        guard cancelsRecorded.insert(name).inserted else { return }
        effects.append(.recordCancel(order))
    }

    // MARK: what is due

    /// Everything that time or the newest event makes due.
    mutating func proceed(now: Timestamp, _ effects: inout [AgentEffect]) {
        if tryOtherKeys(now: now, &effects) { return }
        guard isConnected, quietUntil.map({ $0 <= now }) ?? true else { return }
        if let heardAt, now - heardAt > AgentCore.silentHellos * Int64(helloSeconds) * 1000 {
            effects.append(
                .log("nothing heard from the hub for \((now - heardAt) / 1000) s; connecting anew", isProblem: true))
            self.heardAt = now
            lineFellSilent(now: now, &effects)
            effects.append(.reconnect)
            return
        }
        offerKey(now: now, &effects)
        // What was done goes before what is asked for: the hub shall decide knowing it.
        sendReports(now: now, &effects)
        startNextTask(now: now, &effects)
        continueTask(now: now, &effects)
        sendHello(now: now, &effects)
    }

    private mutating func sendHello(now: Timestamp, _ effects: inout [AgentEffect]) {
        guard let due = helloDue, due <= now else { return }
        let interval = Int64(helloSeconds) * 1000
        // ±20 %, so that stores which started together do not stay together.
        helloDue = now + (interval - interval / 5 + jitter.next(below: 2 * interval / 5 + 1))
        var progress: AgentLetter.Progress?
        if let task, let fetch = task.fetch {
            progress = AgentLetter.Progress(
                session: task.offer.session, bytesDone: fetch.bytesDone, bytesTotal: fetch.totalBytes)
        }
        let hello = AgentLetter.Hello(
            agentVersion: settings.agentVersion, sequence: stored.sequence, watermarks: stored.watermarks,
            freeBytes: freeBytes, progress: progress, utcOffsetMinutes: utcOffsetMinutes,
            quarantineRevision: stored.quarantineRevision, activity: activity(now: now))
        effects.append(.send(letter(.hello(hello))))
    }

    private mutating func sendReports(now: Timestamp, _ effects: inout [AgentEffect]) {
        guard !stored.outbox.isEmpty else { return }
        let isOverdue = reportsSentAt.map { now - $0 >= AgentCore.reportPatience } ?? true
        if isOverdue { reportsSent = [] }
        let unsent = stored.outbox.filter { !reportsSent.contains($0.name) }.prefix(Limits.reportsMax)
        guard !unsent.isEmpty else { return }
        reportsSentAt = now
        reportsSent.formUnion(unsent.map(\.name))
        effects.append(.send(letter(.reports(Array(unsent)))))
    }

    func letter(_ body: AgentLetter.Body) -> AgentLetter {
        AgentLetter(store: store, incarnation: stored.incarnation, body: body)
    }
}
