import GRDB
import WaybillAgent
import WaybillHub
import WaybillModel
import WaybillSessions

/// What is remembered of a schedule to judge it by. It knows no rows.db and no job's SQL: what stores must hold comes
/// from the plain model of headquarters.
struct Checker {
    /// One run of one session at one store.
    struct Call: Hashable {
        var store: StoreID
        var session: SessionID
        var run: Int
    }

    struct StoreJob: Hashable {
        var store: StoreID
        var job: JobID
    }

    struct Derived: Hashable {
        var job: JobID
        var token: Int64
    }

    var violation: String?
    /// What each derivation had to give each store, computed when it was first seen.
    var truths: [Derived: [StoreID: StoreContent]] = [:]
    var derivations: [SessionID: Derived] = [:]
    /// The newest of each job by time: numbers of sessions come again when a hub is restored.
    var newest: [JobID: Derived] = [:]
    /// Runs that were called off with the answer that they will never be applied.
    var promised: Set<Call> = []
    /// Sessions of which a restored hub does not know what it had let out.
    var ambiguous: Set<SessionID> = []
    /// Stores as which two machines have spoken.
    var twinned: Set<StoreID> = []
    /// What any machine of a store has ever applied.
    var applied: Set<Call> = []
    /// How far each store has ever come, in this history of the hub.
    var reached: [StoreJob: Version] = [:]
    /// Sessions that somebody has asked for; all others the hub has begun by itself.
    var published: Set<SessionID> = []
    /// Packages whose file at the hub was damaged.
    var damaged: Set<String> = []
    /// The newest status seen of each run, in this history of the hub.
    var statuses: [Call: String] = [:]
    /// Sessions that nobody has approved yet.
    var approved: Set<SessionID> = []
    var appliedCount = 0
    /// Reports of which the hub has said that it has them.
    var acknowledged: Set<ReportName> = []

    mutating func violate(_ sentence: String) { if violation == nil { violation = sentence } }

    func truth(_ session: SessionID, _ store: StoreID) -> StoreContent? {
        derivations[session].flatMap { truths[$0]?[store] }
    }

    /// Whether a status may become another one within a run of a delivery.
    static func isBackwards(_ before: String, _ after: String) -> Bool {
        switch before {
        case "Applied": after != before
        // What the store says it has applied stands above what the hub had thought; whether it is true is looked at
        // besides.
        case "NoData", "Canceled": after != before && after != "Applied"
        case "Superseded": !["Superseded", "Applied", "Canceled"].contains(after)
        case "Requested", "Downloaded": after == "Available"
        default: false
        }
    }
}

extension World {
    // MARK: at the hub

    /// A session was derived: notes what each store must hold of it.
    func derived(_ session: SessionRecord) {
        guard session.status != .createFailed else { return }
        let derived = Checker.Derived(job: session.job, token: session.token)
        let truth = Dictionary(
            (1...World.storesMax).compactMap(World.storeID).map { ($0, hq.model.content(session.job, $0)) },
            uniquingKeysWith: { first, _ in first })
        checker.derivations[session.id] = derived
        checker.newest[session.job] = derived
        if let known = checker.truths[derived] {
            if known != truth {
                checker.violate("session \(session.id) was taken for unchanged although headquarters has changed")
            }
            return
        }
        checker.truths[derived] = truth
        note("derived \(session.id) of \(session.job) at \(session.version): \(session.status.rawValue)")
    }

    func canceled(_ session: SessionID, _ answers: [StoreID: CancelAnswer]) {
        note("cancel \(session): \(answers.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })")
        guard let hub, !checker.ambiguous.contains(session) else { return }
        for (store, answer) in answers where answer == .revoked {
            let run = try? hub.operations.read { try DeliveryRecord.find(session, store, in: $0)?.run }
            promise(Checker.Call(store: store, session: session, run: (run ?? nil) ?? 1))
        }
    }

    private func promise(_ call: Checker.Call) {
        if !checker.twinned.contains(call.store), !checker.ambiguous.contains(call.session) {
            checker.promised.insert(call)
        }
    }

    /// Looks at every delivery: nothing moves backwards, nothing is shown that is not so.
    func inspectHub() {
        guard let hub, !isHubDying else { return }
        let rows = try? hub.operations.read {
            try Row.fetchAll(
                $0, sql: "SELECT session_id, store_id, run, status, is_granted FROM delivery ORDER BY session, store_id"
            )
        }
        for row in rows ?? [] {
            guard let session = SessionID(row["session_id"]), let store = StoreID(row["store_id"]) else { continue }
            let call = Checker.Call(store: store, session: session, run: row["run"])
            let status: String = row["status"]
            if let before = checker.statuses[call], before != status, Checker.isBackwards(before, status) {
                checker.violate(
                    "run \(call.run) of session \(session) at store \(store) went from \(before) to \(status)")
            }
            if status == "Canceled", row["is_granted"], checker.statuses[call] != status { inspectPromise(call) }
            checker.statuses[call] = status
            if status == "Applied", !isKnownAsApplied(session, store) {
                checker.violate("session \(session) is shown as applied at store \(store), where it never was")
            }
            if status == "Canceled" { promise(call) }
        }
    }

    // MARK: at a store

    private func isKnownAsApplied(_ session: SessionID, _ store: StoreID) -> Bool {
        func isKnown() -> Bool { checker.applied.contains { $0.store == store && $0.session == session } }
        if isKnown() { return true }
        // An apply after which the disk could not be read was not looked at. While it still cannot, nobody knows; what is
        // shown is looked at again with every turn of the hub.
        let areRead = machines.filter { $0.store == store }.map(inspectOutcomes)
        return isKnown() || areRead.contains(false)
    }

    struct Before {
        var outcome: String?
        var watermark: Watermark?
    }

    func beforePiece(_ machine: Machine, _ piece: SteppedAgent.WorkPiece?) -> Before? {
        guard case .apply(let manifest, let run)? = piece, let agent = machine.agent else { return nil }
        return try? agent.ledger.read { db in
            let outcome = try String.fetchOne(
                db, sql: "SELECT outcome FROM _waybill_outcome WHERE session = ? AND run = ?",
                arguments: [manifest.session.rawValue, run])
            return Before(outcome: outcome, watermark: try World.watermarks(db)[manifest.job])
        }
    }

    /// Looks at what an apply has done.
    func afterPiece(_ machine: Machine, _ piece: SteppedAgent.WorkPiece?, _ before: Before?) {
        guard case .apply(let manifest, let run)? = piece, let before, let agent = machine.agent else { return }
        inspect(machine)
        guard let after = try? agent.ledger.read({ try World.watermarks($0)[manifest.job] }),
            after.session == manifest.session
        else { return }
        let call = Checker.Call(store: machine.store, session: manifest.session, run: run)
        checker.applied.insert(call)
        guard after != before.watermark else { return }
        checker.appliedCount += 1
        mark("applied \(manifest.kind.rawValue)")
        note("m\(machine.number) applied \(manifest.session) run \(run), \(manifest.kind), \(after.version)")
        mix(20, machine.number)
        if before.outcome == "applied" {
            checker.violate("store \(machine.store) applied run \(run) of session \(manifest.session) twice")
        }
        guard isRightful(machine) else { return }
        if before.outcome == "canceled" || checker.promised.contains(call) {
            checker.violate("store \(machine.store) applied session \(manifest.session) after it was revoked")
        }
        inspectOrder(machine, manifest.session, before.watermark, after)
        let place = Checker.StoreJob(store: machine.store, job: manifest.job)
        checker.reached[place] = max(checker.reached[place] ?? after.version, after.version)
    }

    /// A store that has lost what it had is brought back without anybody's help. What people called off, or have not
    /// approved, nobody brings.
    func inspectReached(by store: StoreID) {
        guard injected[Trouble.canceled.rawValue] == nil, mixture.strength(.held) == 0,
            let agent = newest(store)?.agent,
            let (marks, contents) = try? agent.ledger.read({ (try World.watermarks($0), try World.contents($0)) })
        else { return }
        for job in jobIDs {
            guard let reached = checker.reached[.init(store: store, job: job)] else { continue }
            // Headquarters may have gone back, too, to just what the store has: then there is nothing to bring.
            if let truth = checker.newest[job].flatMap({ checker.truths[$0]?[store] }),
                (LittleChain.tables[job] ?? []).allSatisfy({ table, _ in contents[table] ?? [] == truth[table] ?? [] })
            {
                continue
            }
            if marks[job].map({ $0.version < reached }) ?? true {
                checker.violate(
                    "store \(store) had reached version \(reached) of job \(job) and was left at "
                        + (marks[job].map { "\($0.version)" } ?? "nothing"))
            }
        }
    }

    /// A process that died right after a commit could not be looked at: what it had applied is found at its next start.
    func inspectStart(_ machine: Machine) {
        inspect(machine)
        inspectOutcomes(of: machine)
    }

    /// - Returns: whether they could be read, or there was nothing to read.
    @discardableResult
    private func inspectOutcomes(of machine: Machine) -> Bool {
        guard let agent = machine.agent else { return true }
        let rows = try? agent.ledger.read {
            try Row.fetchAll($0, sql: "SELECT session, run FROM _waybill_outcome WHERE outcome = 'applied'")
        }
        for row in rows ?? [] {
            guard let session = SessionID(row["session"]) else { continue }
            let call = Checker.Call(store: machine.store, session: session, run: row["run"])
            guard checker.applied.insert(call).inserted else { continue }
            checker.appliedCount += 1
            if isRightful(machine), checker.promised.contains(call) {
                checker.violate("store \(machine.store) applied session \(session) after it was revoked")
            }
        }
        return rows != nil
    }

    /// A store is never taken back within one history, and gets nothing that awaits approval.
    private func inspectOrder(_ machine: Machine, _ session: SessionID, _ before: Watermark?, _ after: Watermark) {
        guard let hub, !isHubDying else { return }
        let looked = try? hub.operations.read { db in
            let former = try before.flatMap { try SessionRecord.find($0.session, in: db) }
            let held = try HeldSession.find(session, in: db)
            return (former, held)
        }
        guard let (former, held) = looked else { return }
        if let before, let former, former.version == before.version, after.version < before.version {
            checker.violate(
                "store \(machine.store) was taken back from version \(before.version) to \(after.version)")
        }
        if held != nil, !checker.approved.contains(session) {
            checker.violate("store \(machine.store) applied session \(session), which nobody has approved")
        }
    }

    static func watermarks(_ db: Database) throws -> [JobID: Watermark] {
        var found: [JobID: Watermark] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT job, epoch, version, session FROM _waybill_watermark") {
            guard let job = JobID(row["job"]), let session = SessionID(row["session"]) else { continue }
            found[job] = Watermark(version: Version(epoch: row["epoch"], number: row["version"]), session: session)
        }
        return found
    }

    /// What the tills see is what the watermark says, whenever anybody looks.
    func inspect(_ machine: Machine) {
        guard let agent = machine.agent, !machine.disk.isDown else { return }
        let found = try? agent.ledger.read { db in
            (try World.watermarks(db), try World.contents(db))
        }
        guard let (watermarks, contents) = found else { return }
        for job in jobIDs {
            guard let mark = watermarks[job] else { continue }
            guard let truth = checker.truth(mark.session, machine.store) else {
                checker.violate(
                    "store \(machine.store) stands at session \(mark.session), which headquarters never derived")
                continue
            }
            for (table, _) in LittleChain.tables[job] ?? [] where contents[table] != truth[table] {
                checker.violate(
                    "store \(machine.store) at \(mark.version) of session \(mark.session) holds other rows in table "
                        + "\(table) than headquarters had: \(World.difference(contents[table] ?? [], truth[table] ?? []))"
                )
            }
        }
    }

    static func contents(_ db: Database) throws -> StoreContent {
        var contents: StoreContent = [:]
        // Asked of SQLite: GRDB remembers what this connection saw, and another one makes the tables.
        let there = try String.fetchSet(db, sql: "SELECT name FROM sqlite_schema WHERE type = 'table'")
        for tables in LittleChain.tables.values {
            for (table, columns) in tables where there.contains(table) {
                let text = columns.split(separator: ", ").map { "CAST(\($0) AS TEXT)" }.joined(separator: ", ")
                contents[table] = try Row.fetchAll(db, sql: "SELECT \(text) FROM \(table)").map { row in
                    RowText.of(row.databaseValues.map { String.fromDatabaseValue($0) })
                }.sorted()
            }
        }
        return contents
    }

    static func difference(_ found: [String], _ expected: [String]) -> String {
        let shown = { (rows: [String]) in
            rows.prefix(4).map { $0.replacing("\u{1f}", with: "|") }.joined(separator: ", ")
        }
        let (extra, missing) = (Set(found).subtracting(expected).sorted(), Set(expected).subtracting(found).sorted())
        return "too many: [\(shown(extra))], missing: [\(shown(missing))]"
    }
}
