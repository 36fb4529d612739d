import Foundation
import GRDB
import Logging
import WaybillDatabase
import WaybillJobs
import WaybillModel
import WaybillPackage
import WaybillPlan
import WaybillSessions
import WaybillWire

/// Builds sessions on the publisher's thread: derive, plan, fill, seal, offer.
final class SessionBuilder {
    let rows: Rows
    let home: HubHome
    let operations: Operations
    let keyring: HubKeyring
    let jobs: JobCatalogue
    let clock: HubClock
    /// Hands an order to the wire thread.
    let post: @Sendable (HubOrder) -> Void
    let queue: PublisherQueue
    let logger: Logger
    let random: @Sendable () -> UInt64
    /// By job; what this process has found out.
    var settled: [JobID: Settled] = [:]
    /// Built since the last rest.
    private var built: [Job] = []
    /// Something has written into `rows.db` since the last rest.
    private(set) var hasPutOff = false

    init(
        rows: Rows, home: HubHome, operations: Operations, keyring: HubKeyring, jobs: JobCatalogue, clock: HubClock,
        post: @escaping @Sendable (HubOrder) -> Void, queue: PublisherQueue, logger: Logger,
        random: @escaping @Sendable () -> UInt64 = { .random(in: .min ... .max) }
    ) {
        self.rows = rows
        self.home = home
        self.operations = operations
        self.keyring = keyring
        self.jobs = jobs
        self.clock = clock
        self.post = post
        self.queue = queue
        self.logger = logger
        self.random = random
    }

    func run(_ task: PublisherTask) {
        if task.writesRows { hasPutOff = true }
        switch task {
        case .build(let session): build(session)
        case .prepare(let session, let store, let base, let isRepair):
            prepare(session, for: store, base: base, isRepair: isRepair)
        case .use(let work): work(rows)
        case .plan(let request, let reply): reply(plan(request))
        case .look(let body): body(rows)
        case .rest: rest()
        }
    }

    /// What the next sessions gain by, and nobody has to wait for.
    private func rest() {
        hasPutOff = false
        do {
            for job in built { try rows.prepareNext(job) }
            try rows.checkpoint()
        } catch {
            // Those sessions do it then, and fail with it.
            logger.warning("the next sessions could not be prepared: \(error)")
        }
        built = []
    }

    // MARK: a session

    private func build(_ id: SessionID) {
        do {
            guard var session = try operations.read({ try SessionRecord.find(id, in: $0) }), session.status == .started
            else { return }
            try build(&session)
        } catch {
            let reason: any Error = (error as? DatabaseError)?.told(of: home.rowsDatabase) ?? error
            logger.error("session \(id) could not be built: \(reason)")
            // The wire thread goes on trying where hub.db cannot be written just now: else the session would stay
            // `Started` for as long as the hub runs.
            post(.createFailed(id, "\(reason)"))
        }
    }

    private func build(_ session: inout SessionRecord) throws {
        guard let job = jobs.current.job(session.job)?.at(clock.now()) else {
            throw HomeFault("there is no job \(session.job)")
        }
        if try buildRepair(&session, job) { return }
        let draft = try draft(job, session.request)
        session.version = draft.derivation.version
        session.token = draft.derivation.token
        var work = SessionWork(noData: draft.noData)
        let filled = try draft.packages.map { package in
            try makePackages(
                package, job: job, derivation: draft.derivation, session: session, draft.targets, &work)
        }
        let excesses = try excesses(of: draft, filled: filled)
        let coveredAfterAll = try takeBack(draft, session: session, &work)
        finish(&session, work, draft.covering(coveredAfterAll), excesses)
        built = built.filter { $0.id != job.id } + [job]
    }

    /// One package for each plan; more only when its stores stand at more watermarks than one manifest may name.
    ///
    /// - Returns: what was filled into it, or into each of them.
    @discardableResult
    private func makePackages(
        _ plan: PackagePlan, job: Job, derivation: Derivation, session: SessionRecord, _ targets: [SessionTarget],
        _ work: inout SessionWork
    ) throws -> [FilledTable] {
        let concerned = Set(plan.stores)
        let marks = Dictionary(
            targets.filter { concerned.contains($0.store) }.map { ($0.store, $0.watermark) },
            uniquingKeysWith: { a, _ in a })
        var bases: [Watermark] = []
        if plan.kind == .delta {
            bases = Array(Set(marks.values.compactMap { $0 })).sorted {
                ($0.version, $0.session.number) < ($1.version, $1.session.number)
            }
        }
        var filled: [FilledTable] = []
        for start in stride(from: 0, to: max(bases.count, 1), by: Limits.basesMax) {
            let slice = Array(bases.dropFirst(start).prefix(Limits.basesMax))
            let chosen = Set(slice)
            let stores = plan.stores.filter { plan.kind == .full || (marks[$0] ?? nil).map(chosen.contains) ?? false }
            let sealed: SealedRecord?
            (filled, sealed) = try seal(plan, bases: slice, job: job, derivation: derivation, session: session)
            guard let sealed else {
                work.noData += stores
                continue
            }
            work.sealed.append(sealed)
            for store in stores { work.packages[store] = sealed.package }
        }
        return filled
    }

    /// A store that has all of it already, while something else is on its way to it: without a delivery of this session
    /// that would still arrive, and stay. Its package leads on from there; a store that has not come so far yet asks for
    /// another, and is told that it has all of it.
    ///
    /// - Returns: stores whose pending session brings just this.
    private func takeBack(
        _ draft: SessionDraft, session: SessionRecord, _ work: inout SessionWork
    ) throws -> [StoreID: SessionID] {
        let turned = Set(draft.onTheirWay.flatMap(\.stores)).intersection(work.noData)
        guard !turned.isEmpty else { return [:] }
        work.noData.removeAll { turned.contains($0) }
        let arrived = draft.targets.map { target in
            var target = target
            if turned.contains(target.store) { target.watermark = draft.pending[target.store]?.watermark }
            return target
        }
        for package in draft.onTheirWay.compactMap({ $0.without(Set($0.stores).subtracting(turned)) }) {
            try makePackages(
                package, job: draft.job, derivation: draft.derivation, session: session, arrived, &work)
        }
        // No net difference after all: what is on its way is just this.
        let same = work.noData.filter(turned.contains)
        return same.reduce(into: [:]) { $0[$1] = draft.pending[$1]?.session }
    }

    /// Fills and seals one package; nothing is sealed when there is no net difference after all.
    private func seal(
        _ plan: PackagePlan, bases: [Watermark], job: Job, derivation: Derivation, session: SessionRecord
    ) throws -> (filled: [FilledTable], sealed: SealedRecord?) {
        let raw = home.packages + "/\(session.id)-\(random()).raw"
        defer { unlink(raw) }
        let filled = try rows.fill(plan, job: job, at: derivation, path: raw, uniqueness: Int32(random() >> 33) | 1) {
            shape, schema, db in try PackageTables.create(shape, schema: schema, in: db)
        }
        CrashPoint.filled.pass()
        if plan.kind == .delta, filled.allSatisfy(\.isEmpty) { return (filled, nil) }
        let contents = PackageContents(
            job: job.id, session: session.id, version: derivation.version, kind: plan.kind, bases: bases,
            tables: zip(job.subjobs, filled).map(PackageTable.init), created: clock.now(),
            lockBudgetMilliseconds: job.subjobs.compactMap(\.lockBudgetMilliseconds).min())
        let sealed = try PackageSealer.seal(
            rawPath: raw, folder: home.packages, contents: contents, signingKey: keyring.signing)
        CrashPoint.sealed.pass()
        let package = PackageRef(
            id: sealed.id, kind: plan.kind, bases: bases, rows: filled.reduce(0) { $0 + $1.rows + $1.removed },
            bytes: sealed.manifest.bytes)
        let record = SealedRecord(
            session: session.id, package: package, manifest: sealed.manifestBytes, signature: sealed.signature)
        return (filled, record)
    }

    private func finish(
        _ session: inout SessionRecord, _ work: SessionWork, _ draft: SessionDraft, _ excesses: [Excess]
    ) {
        session.rows = work.sealed.reduce(0) { $0 + $1.package.rows }
        session.bytes = work.sealed.reduce(0) { $0 + $1.package.bytes }
        session.kind = !work.sealed.isEmpty && work.sealed.allSatisfy { $0.package.kind == .full } ? .full : .delta
        session.status = work.sealed.isEmpty ? .noData : .available
        session.waitsFor = Set(draft.covered.values).sorted { $0.number < $1.number }
        if draft.targets.isEmpty, !draft.isSettled { session.message = "no store has enrolled" }
        if session.status == .available, !excesses.isEmpty {
            session.status = .awaitingApproval
            session.message = Excess.reason(excesses)
            logger.warning("session \(session.id) of job \(session.job) awaits approval: \(session.message)")
        }
        var deliveries: [Delivery] = []
        // A session without any package has no deliveries: nothing for anybody is one line, not one for each store.
        if !work.sealed.isEmpty {
            for target in draft.targets {
                var delivery = Delivery(
                    session: session.id, store: target.store, job: session.job, version: session.version,
                    package: work.packages[target.store], isNoData: work.packages[target.store] == nil,
                    tryCount: draft.job.tryCount)
                delivery.ignoresWindow = session.request.isUrgent
                if let other = draft.covered[target.store] { delivery.note = draft.place(of: other) }
                deliveries.append(delivery)
            }
        } else if let other = session.waitsFor.first(where: draft.awaiting.contains) ?? session.waitsFor.first {
            session.message = draft.place(of: other)
        }
        let id = session.id
        let logger = logger
        let text =
            "\(session.status.rawValue), \(work.sealed.count) packages for \(work.packages.count) stores, \(session.rows) rows, \(session.bytes) bytes"
        post(.offer(session, work.sealed, deliveries) { logger.info("session \(id): \(text)") })
    }

    // MARK: one store

    /// The store does not stand where its package begins: makes one that does, from the same derivation.
    private func prepare(_ id: SessionID, for store: StoreID, base: Watermark?, isRepair: Bool) {
        do {
            guard let session = try operations.read({ try SessionRecord.find(id, in: $0) }) else {
                return post(.prepared(id, store, .covered("the session is no longer kept"), nil))
            }
            guard let job = jobs.current.job(session.job)?.at(clock.now()) else {
                let why = "there is no job \(session.job) any more, so its package cannot be made"
                return post(.prepared(id, store, .failed(why), nil))
            }
            let derivation = Derivation(
                job: job.id, version: session.version, token: session.token, hasChanges: true)
            var target = SessionTarget(store: store, watermark: isRepair ? nil : base, base: nil)
            if let base, !isRepair {
                guard let known = try operations.read({ try SessionRecord.find(base.session, in: $0) }) else {
                    logger.warning(
                        "store \(store) stands at session \(base.session), which this hub does not know: full load")
                    return try prepare(target, job, derivation, session)
                }
                if known.version > session.version, known.status != .started {
                    let why = "the store stands at session \(base.session) already, which is newer"
                    return post(.prepared(id, store, .covered(why), nil))
                }
                target.base = Base(version: known.version.number, token: known.token)
            }
            try prepare(target, job, derivation, session)
        } catch {
            post(.prepared(id, store, .failed("its package could not be made: \(error)"), nil))
        }
    }

    private func prepare(
        _ target: SessionTarget, _ job: Job, _ derivation: Derivation, _ session: SessionRecord
    ) throws {
        guard try rows.canTell(derivation) else {
            return try replace(session, for: target.store)
        }
        let plan = try rows.plan(job, at: derivation, for: [target.planned])
        guard let package = plan.packages.first else {
            return post(.prepared(session.id, target.store, .covered("the store has all of it already"), nil))
        }
        let bases = package.kind == .delta ? [target.watermark].compactMap { $0 } : []
        let (_, sealed) = try seal(package, bases: bases, job: job, derivation: derivation, session: session)
        guard let sealed else {
            return post(.prepared(session.id, target.store, .covered("the store has all of it already"), nil))
        }
        post(.prepared(session.id, target.store, .package(sealed.package), sealed))
    }
}

extension SessionBuilder {
    /// What the session was to bring can no longer be told, so a session of today's rows takes its place.
    private func replace(_ session: SessionRecord, for store: StoreID) throws {
        let replacement = try operations.write { db in
            try Replacement.find(
                for: session, store, at: clock.now(), random: random(), in: db)
        }
        if replacement.isNew {
            logger.info(
                "the rows of session \(session.id) are no longer kept; session \(replacement.session) brings them to store \(store)"
            )
            queue.add(.build(replacement.session))
        }
        let why = "its rows are no longer kept; session \(replacement.session) brings those of today"
        post(.prepared(session.id, store, .failed(why), nil))
    }
}

/// What building a session has come to so far.
private struct SessionWork {
    var noData: [StoreID]
    var sealed: [SealedRecord] = []
    var packages: [StoreID: PackageRef] = [:]
}

extension PackageTable {
    /// What stands in the package, and what the job says about how it travels.
    fileprivate init(_ subjob: Subjob, _ filled: FilledTable) {
        self.init(
            shape: filled.shape, rows: filled.rows, removed: filled.removed, isWhole: filled.isWhole,
            keepsRows: subjob.removal == .keep, formerNames: subjob.formerNames,
            references: subjob.references)
    }
}
