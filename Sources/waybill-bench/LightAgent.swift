import Crypto
import Foundation
import WaybillModel
import WaybillSocket
import WaybillTransfer
import WaybillWire

/// What a store says to a hub, without a database or a disk: it asks, fetches with credit, checks every chunk, and says
/// that it has applied what it threw away. A value, so that thousands fit into one process.
struct LightAgent {
    let store: StoreID
    private let incarnation: Incarnation
    private var sequence: Int64 = 0
    private var watermarks: [JobID: Watermark] = [:]
    private(set) var isWelcome = false
    private var task: Task?
    private var helloDue: Timestamp
    private var helloSeconds = BenchChain.helloSeconds

    private struct Task {
        var offer: HubLetter.Offer
        var askedAt: Timestamp
        var manifest: Manifest?
        var fetch: Fetch?
        var appliedReport: Int64?
    }

    /// What the swarm counts.
    enum Event {
        case welcomed
        case offered
        case chunk(bytes: Int)
        case applied
        case fault(String)
    }

    /// Milliseconds after which a request or a report is said again.
    private static let patience: Int64 = 10_000

    init(store: StoreID, number: Int) {
        self.store = store
        incarnation = Incarnation(counter: 1, random: .random(in: 1 ... .max))
        helloDue = Timestamp(milliseconds: 0)
    }

    private func letter(_ body: AgentLetter.Body) -> AgentLetter {
        AgentLetter(store: store, incarnation: incarnation, body: body)
    }

    mutating func connected(now: Timestamp) -> [AgentLetter] { [hello(now)] }

    private mutating func hello(_ now: Timestamp) -> AgentLetter {
        let interval = Int64(helloSeconds) * 1000
        helloDue = now + (interval - interval / 5 + Int64.random(in: 0...(2 * interval / 5)))
        return letter(
            .hello(
                AgentLetter.Hello(
                    agentVersion: "bench", sequence: sequence, watermarks: watermarks, freeBytes: 1 << 40,
                    progress: nil,
                    utcOffsetMinutes: 0, quarantineRevision: 0,
                    activity: AgentActivity(phase: .idle, idleMilliseconds: 0))))
    }

    /// What time makes due.
    mutating func tick(now: Timestamp) -> [AgentLetter] {
        var letters: [AgentLetter] = []
        if helloDue <= now { letters.append(hello(now)) }
        guard let task, now - task.askedAt >= LightAgent.patience else { return letters }
        self.task?.askedAt = now
        if task.appliedReport != nil {
            letters.append(reports(of: task, now: now))
        } else if task.fetch == nil {
            letters.append(request(task.offer))
        } else {
            letters += pull(now)
        }
        return letters
    }

    private func request(_ offer: HubLetter.Offer) -> AgentLetter {
        letter(.request(session: offer.session, run: offer.run, attempt: offer.attempt))
    }

    private mutating func pull(_ now: Timestamp) -> [AgentLetter] {
        guard var fetch = task?.fetch else { return [] }
        let due = fetch.due(now: now)
        task?.fetch = fetch
        if !due.isEmpty { task?.askedAt = now }
        return due.map { letter(.chunkRequest(package: fetch.package, index: $0)) }
    }

    /// - Parameter manifests: those that were opened already: thousands of stores get the same.
    mutating func hear(
        _ letter: HubLetter, now: Timestamp, manifests: inout OpenManifests, _ events: inout [Event]
    ) -> [AgentLetter] {
        switch letter {
        case .welcome(let welcome):
            if let wait = welcome.pace?.retryAfterMilliseconds, wait > 0 {
                helloDue = now + wait
                return []
            }
            helloSeconds = welcome.helloSeconds
            if !isWelcome { events.append(.welcomed) }
            isWelcome = true
            guard let offer = welcome.offers.first, task?.offer.session != offer.session,
                watermarks[offer.job]?.session != offer.session
            else { return [] }
            events.append(.offered)
            task = Task(offer: offer, askedAt: now)
            return [request(offer)]
        case .grant(let grant):
            guard let task, task.offer.session == grant.session, task.fetch == nil else { return [] }
            do {
                let manifest = try manifests.open(grant)
                self.task?.manifest = manifest
                self.task?.fetch = Fetch(
                    package: manifest.id, totalBytes: manifest.bytes, chunkBytes: manifest.chunkBytes,
                    chunkCount: manifest.chunkHashes.count, held: [], bytesPerSecond: 0)
                return pull(now)
            } catch {
                events.append(.fault("the manifest of session \(grant.session) was refused: \(error)"))
                return []
            }
        case .chunk(let package, let index, let data): return take(data, index, of: package, now: now, &events)
        case .acknowledgement(let names):
            guard let report = task?.appliedReport, names.contains(where: { $0.id == report }) else { return [] }
            task = nil
            events.append(.applied)
            return []
        case .notGranted(_, _, let reason), .noChunk(_, _, let reason), .refused(let reason):
            events.append(.fault(reason))
            return []
        case .regressed, .cancel, .examine, .quarantineOrder, .keyAnswer: return []
        }
    }

    private mutating func take(
        _ data: [UInt8], _ index: Int, of package: PackageID, now: Timestamp, _ events: inout [Event]
    ) -> [AgentLetter] {
        guard let manifest = task?.manifest, let fetch = task?.fetch, fetch.package == package, fetch.wants(index)
        else {
            return []
        }
        guard SHA256.hash(data: data) == manifest.chunkHashes[index].bytes else {
            events.append(.fault("chunk \(index) of package \(package) arrived damaged"))
            return []
        }
        events.append(.chunk(bytes: data.count))
        task?.fetch?.stored(index, now: now)
        guard task?.fetch?.isComplete == true else { return pull(now) }
        sequence += 2
        task?.appliedReport = sequence
        task?.askedAt = now
        watermarks[manifest.job] = Watermark(version: manifest.version, session: manifest.session)
        guard let task else { return [] }
        // A store says so as soon as it has it, and again when it has applied it.
        return [report(.downloaded, of: task, now: now), report(.applied, of: task, now: now)].map {
            letter(.reports([$0]))
        }
    }

    private func reports(of task: Task, now: Timestamp) -> AgentLetter {
        letter(.reports([report(.downloaded, of: task, now: now), report(.applied, of: task, now: now)]))
    }

    private func report(_ outcome: StoreOutcome, of task: Task, now: Timestamp) -> StoreReport {
        let id = outcome == .applied ? sequence : sequence - 1
        return StoreReport(
            id: id, incarnation: incarnation, sequence: id, session: task.offer.session, job: task.offer.job,
            run: task.offer.run, attempt: task.offer.attempt, outcome: outcome, at: now,
            watermark: outcome == .applied ? watermarks[task.offer.job] : nil)
    }
}

/// Manifests whose signature was checked. Thousands of agents in one process are given the same, and the checking is
/// to be the stores' work, not that of the machine on which the hub is measured.
struct OpenManifests {
    let key: VerifyingKey
    private var last: (bytes: [UInt8], manifest: Manifest)?

    init(key: VerifyingKey) { self.key = key }

    mutating func open(_ grant: HubLetter.Grant) throws -> Manifest {
        if let last, last.bytes == grant.manifest { return last.manifest }
        let manifest = try key.openManifest(grant.manifest, signature: grant.signature)
        last = (grant.manifest, manifest)
        return manifest
    }
}

extension SHA256Digest {
    fileprivate static func == (digest: SHA256Digest, bytes: [UInt8]) -> Bool { digest.elementsEqual(bytes) }
}
