import WaybillModel
import WaybillTransfer
import WaybillWire

/// One delivery after the other: request, fetch, unpack, apply.
extension AgentCore {
    /// Longest wait between two attempts.
    static let retryMax: Int64 = 15 * 60 * 1000

    /// Ended runs that are remembered: offers that cross their reports on the line, not history.
    static let endedMax = 64

    /// Whether the store has applied or promised away an offer already, and the hub does not know yet.
    private func isEnded(_ offer: HubLetter.Offer) -> Bool {
        let name = RunName(offer.session, offer.run)
        if ended.contains(name) || cancelsRecorded.contains(name) { return true }
        return offer.run == 1 && stored.watermarks[offer.job]?.session == offer.session
    }

    /// Attempts after which a job no longer holds back those that follow it: it may fail for ever.
    static let attemptsThatHoldBack = 3

    /// Whether a job that comes before is on offer and still to be applied. What is not on offer holds nothing back: it
    /// is suspended, called off or outside of its window, and nobody knows for how long.
    private func isHeldBack(_ offer: HubLetter.Offer, by open: [HubLetter.Offer]) -> Bool {
        open.contains {
            $0.job != offer.job && offer.follows.contains($0.job) && $0.attempt <= AgentCore.attemptsThatHoldBack
        }
    }

    mutating func startNextTask(now: Timestamp, _ effects: inout [AgentEffect]) {
        guard task == nil, isDownloadWindowOpen, startDue.map({ $0 <= now }) ?? true else { return }
        let open = offers.filter { !isEnded($0) }
        // Offers that all wait for one another are a hub's mistake, and must not stay where they are for ever.
        let isCircle = open.allSatisfy { isHeldBack($0, by: open) }
        let ready = open.first { offer in
            (notBefore[RunName(offer.session, offer.run)].map { $0 <= now } ?? true)
                && (isCircle || !isHeldBack(offer, by: open))
        }
        guard let offer = ready else { return }
        task = Task(offer: offer, phase: .requesting(now))
        sendRequest(&effects)
    }

    mutating func continueTask(now: Timestamp, _ effects: inout [AgentEffect]) {
        guard let task else { return }
        switch task.phase {
        case .requesting(let since):
            guard now - since >= AgentCore.requestPatience else { return }
            self.task?.phase = .requesting(now)
            sendRequest(&effects)
        case .fetching:
            guard var fetch = task.fetch else { return }
            if fetch.isComplete { return finishFetch(&effects) }
            guard isDownloadWindowOpen else { return }
            for index in fetch.due(now: now) {
                effects.append(.send(letter(.chunkRequest(package: fetch.package, index: index))))
            }
            self.task?.fetch = fetch
        case .opening, .unpacking, .applying: break
        }
    }

    func sendRequest(_ effects: inout [AgentEffect]) {
        guard let offer = task?.offer else { return }
        effects.append(
            .send(letter(.request(session: offer.session, run: offer.run, attempt: offer.attempt))))
    }

    /// Ends the task without a report.
    mutating func drop(discarding: Bool, _ effects: inout [AgentEffect]) {
        if discarding, let manifest = task?.manifest { effects.append(.discard(manifest.id)) }
        task = nil
    }

    // MARK: grant

    mutating func granted(_ grant: HubLetter.Grant, now: Timestamp, _ effects: inout [AgentEffect]) {
        guard let task, task.name == RunName(grant.session, grant.run), case .requesting = task.phase else { return }
        let manifest: Manifest
        do {
            manifest = try verifyingKey.openManifest(grant.manifest, signature: grant.signature)
        } catch {
            let fault = AgentFault(stage: .download, message: "the package's description was refused: \(error)")
            return fail(fault, now: now, &effects)
        }
        guard manifest.session == grant.session, manifest.job == task.offer.job else {
            let fault = AgentFault(stage: .download, message: "the package is of another session than was granted")
            return fail(fault, now: now, &effects)
        }
        if manifest.kind == .delta, !fits(manifest) {
            // The store has moved on since the offer; the hub makes another package when it knows.
            drop(discarding: true, &effects)
            offers.removeAll { $0.session == grant.session }
            return hurryHello(within: 1, now: now)
        }
        self.task?.manifest = manifest
        if let fetch = task.fetch, fetch.package == manifest.id {
            // The same package as before the hub restarted: go on where it stopped.
            self.task?.fetch?.lineChanged()
            self.task?.phase = .fetching
            return
        }
        self.task?.fetch = nil
        self.task?.phase = .opening
        effects.append(.open(manifest))
    }

    private func fits(_ manifest: Manifest) -> Bool {
        stored.watermarks[manifest.job].map(manifest.bases.contains) ?? false
    }

    // MARK: fetching

    mutating func opened(_ package: PackageID, held: [Bool]) {
        guard let task, task.phase == .opening, let manifest = task.manifest, manifest.id == package else { return }
        self.task?.fetch = Fetch(
            package: package, totalBytes: manifest.bytes, chunkBytes: manifest.chunkBytes,
            chunkCount: manifest.chunkHashes.count, held: held, bytesPerSecond: settings.bytesPerSecond)
        self.task?.phase = .fetching
    }

    mutating func chunkStored(_ package: PackageID, _ index: Int, now: Timestamp, _ effects: inout [AgentEffect]) {
        guard task?.fetch?.package == package else { return }
        task?.fetch?.stored(index, now: now)
        task?.fruitless = 0
    }

    mutating func chunkRejected(_ package: PackageID, _ index: Int, now: Timestamp, _ effects: inout [AgentEffect]) {
        guard task?.fetch?.package == package else { return }
        effects.append(.log("chunk \(index) of package \(package) arrived damaged; asking again", isProblem: true))
        task?.fetch?.rejected(index)
        if task?.fetch?.isHopeless == true {
            let fault = AgentFault(
                stage: .download, message: "\(FetchLimits.rejectionsMax) chunks in a row arrived damaged")
            fail(fault, now: now, &effects)
        }
    }

    private mutating func finishFetch(_ effects: inout [AgentEffect]) {
        guard let manifest = task?.manifest else { return }
        task?.phase = .unpacking
        effects.append(.unpack(manifest))
    }

    // MARK: applying

    mutating func unpacked(_ package: PackageID, now: Timestamp, _ effects: inout [AgentEffect]) {
        guard let task, task.phase == .unpacking, let manifest = task.manifest, manifest.id == package else { return }
        record(.downloaded, &effects)
        self.task?.phase = .applying
        effects.append(.apply(manifest, run: task.offer.run, attempt: task.offer.attempt))
    }

    mutating func applied(
        _ name: RunName, _ state: StoredState, now: Timestamp, _ effects: inout [AgentEffect]
    ) {
        stored = state
        readingDue = nil
        notBefore[name] = nil
        ended = ended.suffix(AgentCore.endedMax - 1) + [name]
        offers.removeAll { $0.session == name.session && $0.run == name.run }
        if task?.name == name { drop(discarding: true, &effects) }
        hurryHello(within: 1, now: now)
    }

    mutating func failed(_ package: PackageID, _ fault: AgentFault, now: Timestamp, _ effects: inout [AgentEffect]) {
        guard task?.manifest?.id == package else { return }
        fail(fault, now: now, &effects)
    }

    /// Ends the task with a report, and waits before the next attempt; or, when it only was out of date, asks again.
    mutating func fail(_ fault: AgentFault, now: Timestamp, _ effects: inout [AgentEffect]) {
        guard let task else { return }
        let offer = task.offer
        if fault.isStale {
            effects.append(.log("session \(offer.session): \(fault.message); asking the hub again", isProblem: false))
        } else {
            effects.append(
                .log(
                    "session \(offer.session) of job \(offer.job), attempt \(offer.attempt): \(fault.message)",
                    isProblem: true))
            record(
                fault.stage == .download ? .downloadFailed : .applyFailed, message: fault.message,
                isTransient: fault.isTransient, &effects)
            let doubled = settings.retryMilliseconds << Int64(min(offer.attempt - 1, 20))
            let wait = min(max(doubled, settings.retryMilliseconds), AgentCore.retryMax)
            notBefore[task.name] = now + (wait + jitter.next(below: wait / 4 + 1))
        }
        // What is damaged must not be found again; what merely could not be stored or applied is kept.
        drop(discarding: !fault.isTransient, &effects)
        offers.removeAll { $0.session == offer.session }
        // The next Welcome brings the offer back with the next attempt's number.
        let wait = notBefore[RunName(offer.session, offer.run)].map { max(1, $0 - now) } ?? 1000
        let due = now + wait
        helloDue = helloDue.map { min($0, due) } ?? due
    }

    private func record(
        _ outcome: StoreOutcome, message: String = "", isTransient: Bool = false, _ effects: inout [AgentEffect]
    ) {
        guard let offer = task?.offer else { return }
        effects.append(
            .record(
                session: offer.session, job: offer.job, run: offer.run, attempt: offer.attempt, outcome,
                message: message, isTransient: isTransient))
    }
}
