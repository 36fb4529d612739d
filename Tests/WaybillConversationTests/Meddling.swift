import WaybillAgent
import WaybillModel
import WaybillSessions

/// What people, machines and lines do to a hub and its stores.
extension Conversation {
    func meddle() {
        guard isRough else { return }
        agenda.add(.meddling, at: now + chance.number(100...4000))
        guard let job = chance.pick(jobs), let agent = chance.pick(agentsInOrder) else {
            return
        }
        switch chance.number(0...99) {
        case 0..<30:
            headquarters.change(job, &chance)
            publish(job)
        case 30..<35: headquarters.change(job, &chance)
        case 35..<40: publish(job, isFull: true, stores: chance.happens(0.5) ? [agent.store] : nil)
        case 40..<45: publish(job, stores: [agent.store])
        case 45..<60: cancelSomething(agent)
        case 60..<66: rerunSomething(agent)
        case 66..<70: retrySomething()
        case 70..<75: killHub()
        case 75..<81: kill(agent)
        case 81..<86: restore(agent)
        case 86..<88: agent.copies.append(agent.database)
        case 88: databaseCopies.append(database)
        case 89: restoreHub()
        default: cut(agent)
        }
    }

    private func recentSession() -> SessionID? {
        chance.pick(database.sessionsInOrder.suffix(4).map(\.id))
    }

    private func cancelSomething(_ agent: Agent) {
        guard let session = recentSession() else { return }
        note("cancel \(session)")
        post(.cancel(session, stores: chance.happens(0.5) ? [agent.store] : nil))
    }

    private func rerunSomething(_ agent: Agent) {
        guard let session = recentSession() else { return }
        let deliveries = (database.deliveries[session] ?? [:]).values
        let chosen = deliveries.filter { $0.status != .applied && $0.status != .noData }.map(\.store).sorted()
        let stores = chance.happens(0.4) ? [agent.store] : chosen
        note("rerun \(session) for \(stores)")
        post(.rerun(session, stores: stores))
    }

    private func retrySomething() {
        guard let session = recentSession() else { return }
        note("retry \(session)")
        post(.retry(session))
    }

    /// A backup of the store's database is put in place of it.
    private func restore(_ agent: Agent) {
        guard let copy = chance.pick(agent.copies) else { return agent.copies.append(agent.database) }
        note("\(agent.store) is restored to \(copy.watermarks.values.map(\.session))")
        kill(agent)
        agent.database = copy
    }

    /// A backup of `hub.db` is put in place of it. What the hub told anybody since then it does not know any more.
    private func restoreHub() {
        guard let copy = chance.pick(databaseCopies) else { return databaseCopies.append(database) }
        note("the hub is restored to \(copy.sessions.count) sessions")
        killHub()
        database = copy
        promised = []
        isForgetful = true
    }

    private func cut(_ agent: Agent) {
        let isNoticed = chance.happens(0.5)
        note("the line of \(agent.store) is cut\(isNoticed ? "" : ", silently")")
        if isNoticed { breakLine(of: agent, noticed: true) }
        agent.isCut = true
        agenda.add(.mended(agent.store), at: now + chance.number(100...20_000))
    }

    /// From now on nothing goes wrong any more.
    func heal() {
        note("healed")
        isRough = false
        for agent in agentsInOrder { agent.isCut = false }
    }
}
