import WaybillModel
import WaybillSessions
import WaybillWire

extension Desk {
    mutating func receive(
        _ letter: AgentLetter, from routing: [UInt8], now: Timestamp, _ effects: inout [DeskEffect]
    ) {
        guard record.state == .active else {
            effects.append(.log("store \(record.id) is \(record.state.rawValue) and was refused", isProblem: true))
            effects.append(
                .send(routing, .refused(reason: "store \(record.id) is \(record.state.rawValue) at the hub")))
            return
        }
        guard letter.store == record.id else {
            effects.append(
                .log("store \(record.id) spoke for store \(letter.store) and was refused", isProblem: true))
            effects.append(
                .send(routing, .refused(reason: "your key is that of store \(record.id), not of \(letter.store)")))
            return
        }
        guard acceptIncarnation(letter.incarnation, from: routing, now: now, &effects) else { return }
        peer = Peer(routing: routing, lastHeard: now)
        record.lastSeen = now
        switch letter.body {
        case .hello(let hello): greet(hello, now: now, &effects)
        case .request(let session, let run, let attempt):
            request(session, run: run, attempt: attempt, now: now, &effects)
        case .chunkRequest(let package, let index):
            if granted.contains(package) {
                effects.append(.sendChunk(routing, package: package, index: index))
            } else {
                // After a restart of the hub: the agent asks for the session again and keeps the chunks it has.
                let reason = "ask for the session first"
                effects.append(.send(routing, .noChunk(package: package, index: index, reason: reason)))
            }
        case .reports(let reports): fold(reports, strange: letter.strangeReports, now: now, &effects)
        case .digests(let digests): effects.append(.proof(digests))
        case .quarantine(let report): take(report, &effects)
        case .keys(let notice): effects.append(.keyNotice(routing, notice))
        }
        if contactSavedAt.map({ now - $0 >= DeskSettings.contactSaveMilliseconds }) ?? true {
            saveContact(now, &effects)
        }
    }

    /// Lets the newest incarnation speak and tells any other to begin a newer one.
    ///
    /// An older counter is a late letter, a restored database or a second machine; the same counter with other random
    /// bits is one of the last two. None of them may move anything here. The agent decides what it was: it starts a
    /// new incarnation and says Hello again.
    private mutating func acceptIncarnation(
        _ incarnation: Incarnation, from routing: [UInt8], now: Timestamp, _ effects: inout [DeskEffect]
    ) -> Bool {
        if incarnation == record.incarnation { return true }
        if incarnation.counter > record.incarnation.counter {
            if record.incarnation.counter > 0 {
                effects.append(.log("store \(record.id) has restarted", isProblem: false))
            }
            record.incarnation = incarnation
            record.sequence = 0
            helloSequence = -1
            saveContact(now, &effects)
            return true
        }
        effects.append(.send(routing, .regressed(counter: record.incarnation.counter)))
        // Each life counts once, however many letters of it were on their way.
        regressions.removeAll { $0.life == incarnation || now - $0.at >= DeskSettings.twinWindowMilliseconds }
        regressions = regressions.suffix(DeskSettings.twinRegressions - 1) + [(incarnation, now)]
        if regressions.count >= DeskSettings.twinRegressions {
            record.message = "two machines seem to speak as store \(record.id): their incarnations alternate"
            effects.append(.log(record.message, isProblem: true))
            saveContact(now, &effects)
        }
        return false
    }

    mutating func saveContact(_ now: Timestamp, _ effects: inout [DeskEffect]) {
        contactSavedAt = now
        effects.append(.saveContact(record))
    }

    // MARK: hello

    private mutating func greet(_ hello: AgentLetter.Hello, now: Timestamp, _ effects: inout [DeskEffect]) {
        progress = hello.progress
        freeBytes = hello.freeBytes
        utcOffsetMinutes = hello.utcOffsetMinutes
        if record.agentVersion != hello.agentVersion {
            record.agentVersion = hello.agentVersion
            saveContact(now, &effects)
        }
        // An older hello of the same incarnation that was overtaken says nothing new.
        if hello.sequence >= record.sequence {
            helloSequence = hello.sequence
            let isNews = hello.sequence > record.sequence || positions != hello.watermarks
            if hello.sequence > record.sequence {
                record.sequence = hello.sequence
                saveContact(now, &effects)
            }
            if positions != hello.watermarks { takePositions(hello.watermarks, &effects) }
            if !isNews { believePositions(now: now, &effects) }
            greetQuarantine(hello.quarantineRevision, &effects)
        }
        welcome(now: now, &effects)
    }

    /// What the store says it has, is what it has. Where that is less than it had, somebody has to send it again.
    private mutating func takePositions(_ told: [JobID: Watermark], _ effects: inout [DeskEffect]) {
        for (job, before) in positions.sorted(by: { $0.key < $1.key }) {
            noteFall(of: job, from: before, to: told[job], &effects)
        }
        for (job, mark) in told.sorted(by: { $0.key < $1.key })
        where positions[job] != mark && deliveries[mark.session] == nil {
            // Of another history: this hub was restored or made anew, or the store's database comes from elsewhere.
            // What the store has is unknown, so it is not left with it until somebody publishes.
            effects.append(
                .log(
                    "store \(record.id) stands at session \(mark.session) of job \(job), which this hub does not know",
                    isProblem: true))
            if !effects.contains(.catchUp(job)) { effects.append(.catchUp(job)) }
            supersede(job, by: mark.session, &effects)
        }
        positions = told
        effects.append(.savePositions(told))
    }

    /// What was on its way from before the store's other history must not arrive now, for it may be older.
    private mutating func supersede(_ job: JobID, by session: SessionID, _ effects: inout [DeskEffect]) {
        for var delivery in deliveries.values.sorted(by: { $0.session.number < $1.session.number })
        where delivery.job == job && delivery.isOnOffer {
            delivery.supersededBy = session
            deliveries[delivery.session] = delivery
            effects.append(.saveDelivery(delivery))
        }
    }

    /// A store that stands at a session has applied it, and tells so in a report. When the report does not come, a hub
    /// that was restored since had taken it: the watermark says as much.
    private mutating func believePositions(now: Timestamp, _ effects: inout [DeskEffect]) {
        for (job, mark) in positions.sorted(by: { $0.key < $1.key }) {
            guard var delivery = deliveries[mark.session], delivery.isOnOffer, delivery.run == 1 else { continue }
            let report = StoreReport(
                id: 0, incarnation: record.incarnation, sequence: record.sequence, session: mark.session, job: job,
                run: delivery.run, attempt: max(1, delivery.told.attempts), outcome: .applied, at: now, watermark: mark)
            delivery.fold(report)
            deliveries[mark.session] = delivery
            effects.append(.saveDelivery(delivery))
            effects.append(log(delivery, report))
        }
    }

    private func noteFall(of job: JobID, from before: Watermark, to after: Watermark?, _ effects: inout [DeskEffect]) {
        if let after, after.version >= before.version { return }
        let what = after.map { "is back at version \($0.version)" } ?? "has lost all it had"
        effects.append(
            .log("store \(record.id) \(what) of job \(job), after version \(before.version)", isProblem: true))
        effects.append(.catchUp(job))
    }

    /// Tells the store, if it is connected, what there is for it; asks for packages where none fits.
    mutating func welcome(now: Timestamp, _ effects: inout [DeskEffect]) {
        guard let peer else { return }
        let (offers, held) = choose(now: now, &effects)
        let cancels = deliveries.values.filter(\.awaitsCancelAnswer)
            .sorted { $0.session.number < $1.session.number }
            .map { HubLetter.CancelOrder(session: $0.session, job: $0.job, run: $0.run) }
        var welcome = HubLetter.Welcome(
            hubRun: settings.hubRun, hubTime: now, offers: offers, cancels: cancels,
            helloSeconds: settings.helloSeconds, held: held, pace: pace)
        welcome.keys = keyNews
        effects.append(.send(peer.routing, .welcome(welcome)))
    }

    /// For each job the newest delivery the store may have and has not; each after those of the jobs that it follows,
    /// else oldest session first.
    func targets() -> [Delivery] {
        var newest: [JobID: Delivery] = [:]
        for delivery in deliveries.values where delivery.isOnOffer {
            if let other = newest[delivery.job], other.session.number > delivery.session.number { continue }
            newest[delivery.job] = delivery
        }
        return newest.values
            // A store that stands at the session has applied it; its report is under way. A rerun says otherwise.
            .filter { $0.run > 1 || positions[$0.job]?.session != $0.session }
            .sorted {
                (settings.rules.rank(of: $0.job), $0.session.number)
                    < (settings.rules.rank(of: $1.job), $1.session.number)
            }
    }

    mutating func fittingPackage(of delivery: Delivery, _ effects: inout [DeskEffect]) -> PackageRef? {
        let start = Start(position: positions[delivery.job])
        if let package = delivery.package, package.fits(start.position),
            !hasNewer(than: delivery) || made[delivery.session] == start
        {
            return package
        }
        prepare(delivery, &effects)
        return nil
    }

    /// Asks for a package that leads the store from where it stands to the session, unless that is under way.
    mutating func prepare(_ delivery: Delivery, _ effects: inout [DeskEffect]) {
        guard preparing[delivery.session] == nil else { return }
        let position = positions[delivery.job]
        preparing[delivery.session] = Start(position: position)
        let isRepair = position?.session == delivery.session
        effects.append(.prepare(delivery.session, base: position, isRepair: isRepair))
    }

    /// The store stands at a newer session, to all appearances. A full package would fit nevertheless, and take it
    /// back; whether the newer session is one of this hub's, only the publisher can say.
    func hasNewer(than delivery: Delivery) -> Bool {
        guard let position = positions[delivery.job], position.session != delivery.session else { return false }
        return position.session.number > delivery.session.number && position.version >= delivery.version
    }

    // MARK: request

    private mutating func request(
        _ session: SessionID, run: Int, attempt: Int, now: Timestamp, _ effects: inout [DeskEffect]
    ) {
        guard let peer else { return }
        func refuse(_ reason: String) {
            effects.append(.send(peer.routing, .notGranted(session: session, run: run, reason: reason)))
        }
        guard var delivery = deliveries[session] else { return refuse("there is no such session for this store") }
        guard delivery.run == run else { return refuse("run \(run) of the session is over") }
        guard delivery.isOnOffer else { return refuse("the session is \(delivery.status.rawValue) for this store") }
        guard targets().contains(where: { $0.session == session }) else { return refuse("a newer session is on offer") }
        if let why = hold(on: delivery, now: now) { return refuse("the session \(why)") }
        guard let package = fittingPackage(of: delivery, &effects) else {
            return refuse("a package that fits the store is being made")
        }
        delivery.isGranted = true
        delivery.fold(
            StoreReport(
                id: 0, incarnation: record.incarnation, sequence: record.sequence, session: session, job: delivery.job,
                run: run, attempt: attempt, outcome: .requested, at: now, message: delivery.wordsForNextAttempt))
        deliveries[session] = delivery
        granted.insert(package.id)
        // The grant goes out only after this is on disk: from then on only the store can say it never applied it.
        effects.append(.saveDelivery(delivery))
        effects.append(
            .sendGrant(peer.routing, session: session, run: run, attempt: attempt, package: package.id))
    }

    // MARK: reports

    private mutating func fold(
        _ reports: [StoreReport], strange: [AgentLetter.StrangeReport], now: Timestamp, _ effects: inout [DeskEffect]
    ) {
        guard let peer else { return }
        for report in strange {
            effects.append(
                .log("store \(record.id) sent a report that is not understood: \(report.fault)", isProblem: true))
        }
        var changed: Set<SessionID> = []
        for report in reports {
            noteWatermark(of: report, &effects)
            guard var delivery = deliveries[report.session] else {
                effects.append(
                    .log(
                        "store \(record.id) reports on session \(report.session), which this hub does not know",
                        isProblem: true))
                continue
            }
            let before = delivery
            delivery.fold(report)
            guard delivery != before else { continue }
            deliveries[report.session] = delivery
            if delivery.status.isFinal, let package = delivery.package { granted.remove(package.id) }
            changed.insert(report.session)
            if delivery.status != before.status { effects.append(log(delivery, report)) }
        }
        for session in changed.sorted(by: { $0.number < $1.number }) {
            if let delivery = deliveries[session] { effects.append(.saveDelivery(delivery)) }
        }
        effects.append(.send(peer.routing, .acknowledgement(reports.map(\.name) + strange.map(\.name))))
    }

    /// An applied report of the running incarnation moves the position; a hello tells all of it anyway, and is what
    /// shows that a session is of another history.
    private mutating func noteWatermark(of report: StoreReport, _ effects: inout [DeskEffect]) {
        guard let watermark = report.watermark, report.incarnation == record.incarnation,
            deliveries[watermark.session] != nil
        else { return }
        let before = positions[report.job]
        if report.sequence > record.sequence {
            record.sequence = report.sequence
            // A restored store may tell of its next step before it has said hello.
            if let before { noteFall(of: report.job, from: before, to: watermark, &effects) }
            effects.append(.saveContact(record))
        } else {
            // Overtaken, by a hello that tells of it as well or by a report on another job that does not. Within one life a
            // store only goes forward in a job, or forgets it, which its next hello says.
            guard report.sequence > helloSequence, before.map({ $0.version < watermark.version }) ?? true else {
                return
            }
        }
        positions[report.job] = watermark
        effects.append(.savePosition(report.job, watermark))
    }

    private func log(_ delivery: Delivery, _ report: StoreReport) -> DeskEffect {
        let status = delivery.status
        let detail = report.message.isEmpty ? "" : ": \(report.message)"
        return .log(
            "store \(record.id), session \(delivery.session) of \(delivery.job): \(status.rawValue)\(detail)",
            isProblem: status.isFailure)
    }
}
