import Testing
import WaybillAgent
import WaybillModel
import WaybillSessions

/// Stores that were away for long, and stores that are new.
@Suite struct AwayTests {
    /// Two jobs, nothing goes wrong, and every store has the first session of each.
    private static func calm() throws -> Conversation {
        for seed in UInt64(1)... {
            let conversation = try Conversation(seed: seed, isTold: true, hasRules: false)
            guard conversation.jobs.count == 2 else { continue }
            conversation.heal()
            conversation.publishAll()
            #expect(conversation.run(milliseconds: 60_000) { conversation.isQuiet })
            return conversation
        }
        preconditionFailure("no seed has two jobs")
    }

    @Test func aStoreThatWasAwayForAHundredPublicationsFetchesOnePackageOfEachJob() throws {
        let conversation = try Self.calm()
        let away = try #require(conversation.agentsInOrder.first)
        away.isCut = true
        conversation.breakLine(of: away, noticed: true)
        for _ in 0..<100 {
            conversation.publishAll()
            _ = conversation.run(milliseconds: 10_000)
        }
        let before = conversation.story.count
        away.isCut = false
        #expect(conversation.run(milliseconds: 60_000) { conversation.isQuiet })
        let since = conversation.story.dropFirst(before)
        #expect(since.filter { $0.contains(" \(away.store) is granted ") }.count == 2)
        #expect(since.filter { $0.contains(" \(away.store) applies ") }.count == 2)
        for job in conversation.jobs {
            let version = conversation.headquarters.version(of: job)
            #expect(version.number == 101)
            #expect(away.database.content[job] == conversation.headquarters.rows(of: job, at: version))
            #expect(away.database.watermarks[job]?.version == version)
            let statuses = conversation.database.deliveries.values.compactMap { $0[away.store] }
                .filter { $0.job == job && !$0.isNoData }.sorted { $0.session.number < $1.session.number }.map(\.status)
            #expect(statuses.filter { $0 == .applied }.count == 2, "the first, and the one after the time away")
            #expect(statuses.filter { $0 == .superseded }.count == statuses.count - 2)
            #expect(statuses.last == .applied)
        }
        conversation.compare()
        #expect(conversation.faults == [])
    }

    @Test func aNewStoreInheritsNoOldSession() throws {
        let conversation = try Self.calm()
        for _ in 0..<10 {
            conversation.publishAll()
            _ = conversation.run(milliseconds: 10_000)
        }
        let new = try conversation.addStore("S9")
        // Also not by a rerun of what was published before it came.
        for session in conversation.database.sessionsInOrder {
            conversation.post(.rerun(session.id, stores: [new.store]))
            conversation.post(.retry(session.id))
        }
        _ = conversation.run(milliseconds: 60_000)
        #expect(new.database.watermarks.isEmpty)
        #expect(conversation.database.deliveries.values.allSatisfy { $0[new.store] == nil })
        conversation.publishAll()
        #expect(conversation.run(milliseconds: 60_000) { conversation.isQuiet })
        #expect(conversation.story.filter { $0.contains(" S9 is granted ") }.count == 2)
        conversation.compareWithHeadquarters()
        #expect(conversation.faults == [])
    }
}

extension Conversation {
    /// Other rows for each job, and a session of it.
    func publishAll() {
        for job in jobs {
            headquarters.change(job, &chance)
            publish(job)
        }
    }

    func addStore(_ name: String) throws -> Agent {
        let store = try #require(StoreID(name))
        database.stores[store] = try Conversation.record(store)
        let agent = Agent(store: store)
        agents[store] = agent
        start(agent)
        return agent
    }
}
