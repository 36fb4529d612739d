import WaybillAgent
import WaybillModel
import WaybillSessions
import WaybillWire

/// What must be true: always, and once all is quiet.
extension Conversation {
    /// Just before rows are written.
    func inspect(_ manifest: Manifest, _ run: Int, _ agent: Agent) {
        let call = Call(agent.store, manifest.session, run)
        let store = agent.database
        if store.outcomes[AgentCore.RunName(manifest.session, run)] != nil { faults.append("\(call) is applied twice") }
        if promised.contains(call) { faults.append("\(call) is applied although it was revoked") }
        if let mark = store.watermarks[manifest.job], manifest.version < mark.version {
            faults.append("\(call) takes the store back from \(mark.version) to \(manifest.version)")
        }
        if manifest.kind == .delta {
            let here = store.watermarks[manifest.job].flatMap { headquarters.rows(of: manifest.job, at: $0.version) }
            if store.content[manifest.job] != here { faults.append("\(call) is a delta over other rows") }
        }
    }

    /// Nobody has anything left to do.
    var isQuiet: Bool {
        guard let hub, hub.tasks.isEmpty, hub.orders.isEmpty, hub.inbox.isEmpty, !hub.isPublishing else { return false }
        guard database.sessions.values.allSatisfy({ $0.status != .started }), openDeliveries.isEmpty else {
            return false
        }
        return agents.values.allSatisfy {
            $0.core != nil && $0.core?.task == nil && $0.database.outbox.isEmpty && $0.line != nil
                && (database.positions[$0.store] ?? [:]) == $0.database.watermarks
        }
    }

    var openDeliveries: [Delivery] {
        database.deliveries.values.flatMap(\.values).filter { $0.isOpen && $0.status != .suspended }
    }

    /// Why it does not become quiet.
    var unrest: String {
        var lines = openDeliveries.map {
            "session \($0.session) stays \($0.status.rawValue) for \($0.store), run \($0.run)\($0.awaitsCancelAnswer ? ", cancel unanswered" : "")"
        }
        for session in database.sessions.values where session.status == .started {
            lines.append("session \(session.id) is never built")
        }
        for agent in agentsInOrder {
            if !agent.database.outbox.isEmpty {
                lines.append("\(agent.store) keeps \(agent.database.outbox.count) reports")
            }
            if let task = agent.core?.task {
                lines.append("\(agent.store) stays in \(task.phase) with \(task.offer.session)")
            }
            if (database.positions[agent.store] ?? [:]) != agent.database.watermarks {
                lines.append("the hub believes \(agent.store) at another place than it is")
            }
        }
        return lines.sorted().joined(separator: "; ")
    }

    /// What the hub shows is what the stores have.
    func compare() {
        for (session, deliveries) in database.deliveries {
            for (store, delivery) in deliveries {
                guard let here = agents[store]?.database else { continue }
                let call = Call(store, session, delivery.run)
                let isApplied = here.outcomes[AgentCore.RunName(session, delivery.run)]?.isApplied
                // A hub that was restored may know of a session, but not of the run in which the store has applied it.
                let isTrue =
                    isForgetful
                    ? appliedEver.contains { $0.store == store && $0.session == session }
                    : appliedEver.contains(call)
                if delivery.status == .applied, !isTrue {
                    faults.append("\(call) is shown as applied and never was")
                }
                if isApplied == true, delivery.status != .applied, !(isForgetful && delivery.status.isFinal) {
                    faults.append("\(call) is applied and shown as \(delivery.status.rawValue)")
                }
            }
        }
        for (store, agent) in agents { for job in jobs { comparePosition(of: store, agent.database, job) } }
    }

    private func comparePosition(of store: StoreID, _ here: ModelStore, _ job: JobID) {
        let mark = here.watermarks[job]
        if here.content[job] != mark.flatMap({ headquarters.rows(of: job, at: $0.version) }) {
            faults.append("\(store) has other rows of \(job) than its watermark says")
        }
        let newest = database.deliveries.values.compactMap { $0[store] }
            .filter { $0.job == job && $0.status == .applied }.max { $0.session.number < $1.session.number }
        guard let newest, mark.map({ $0.version < newest.version }) ?? true else { return }
        // A later session may have found that the store has the same rows anyway; or it was called off, and then the
        // next publication brings what is missing.
        let isExcused = database.sessions.values.contains {
            guard $0.job == job, $0.id.number >= newest.session.number else { return false }
            let status = database.deliveries[$0.id]?[store]?.status
            return $0.status == .canceled || status == .canceled || status == .suspended
                || headquarters.rows(of: job, at: $0.version) == here.content[job]
        }
        if !isExcused {
            faults.append("\(store) has fallen behind session \(newest.session) of \(job), and nobody has noticed")
        }
    }

    /// After one more publication every store has headquarters' rows.
    func compareWithHeadquarters() {
        for (store, agent) in agents {
            for job in jobs
            where agent.database.content[job] != headquarters.rows(of: job, at: headquarters.version(of: job)) {
                faults.append("\(store) has not got headquarters' rows of \(job)")
            }
        }
    }

    /// The whole story of a seed; nil when all was as it should be, else what was not.
    func verdict() -> String? {
        _ = run(milliseconds: 90_000)
        heal()
        if !run(milliseconds: 1_800_000, until: { isQuiet }) { return (faults + [unrest]).joined(separator: "\n") }
        compare()
        for job in jobs {
            headquarters.change(job, &chance)
            publish(job)
        }
        if !run(milliseconds: 600_000, until: { isQuiet }) {
            return (faults + ["at last: " + unrest]).joined(separator: "\n")
        }
        compare()
        compareWithHeadquarters()
        return faults.isEmpty ? nil : Array(Set(faults)).sorted().joined(separator: "\n")
    }
}
