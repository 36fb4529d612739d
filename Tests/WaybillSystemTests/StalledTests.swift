import Foundation
import GRDB
import Testing

extension SystemTests {
    /// What does not get on is shown, with whose turn it is, and goes by itself.
    @Suite struct StalledTests {
        private struct Shown: Decodable {
            struct Stalled: Decodable {
                let stage: String, since: String, expectedBy: String, cause: String, message: String
            }
            struct Delivery: Decodable { let store: String, status: String, stalled: Stalled? }
            let stalled: Int, deliveries: [Delivery]
        }
        private struct Listed: Decodable { let id: String, stalled: Int }
        private struct Status: Decodable {
            struct Sessions: Decodable { let stalledDeliveries: Int }
            struct NotFolding: Decodable { let since: String, message: String }
            let sessions: Sessions, notFolding: NotFolding?
        }

        private static let amounts = "UPDATE trade_agreement SET amount = 99"

        private func stalled(_ hub: TestHub, _ session: String) async throws -> Shown.Stalled? {
            try await hub.done("session", "show", session, "--json").decoded(Shown.self).deliveries.first?.stalled
        }

        /// A till keeps the store's database locked; then the agent is stopped as by a debugger; then all goes on.
        @Test func aStoreThatDoesNotGetOnIsShownAndAnotherThatIsSilentToo() async throws {
            let settings = "stalled_after_seconds: 2"
            try await Chain.with([Chain.call], settings: settings, beginning: Self.amounts) { chain in
                let hub = chain.hub
                let agent = chain[Chain.call]
                let till = try HeldLock(agent.home + "/store.db")
                try hub.sql("UPDATE trade_agreement SET amount = 101 WHERE account_code <> 'table'")
                try till.take()
                let session = try await hub.done("publish", "prices", "--json").decoded(Published.self).sessions[0].id
                // What is usual for this store has not been learnt from one delivery; a minute is taken then.
                try hub.learnt(stage: "apply", seconds: 1)
                try hub.learnt(stage: "download", seconds: 1)
                try await eventually("it is shown as stalled", within: 90) { try await stalled(hub, session) != nil }
                let found = try #require(try await stalled(hub, session))
                #expect(found.cause == "agent_not_progressing" || found.cause == "agent_silent", "\(found.message)")
                #expect(found.since < found.expectedBy)
                let listed = try await hub.done("session", "list", "--stalled", "--json").decoded([Listed].self)
                #expect(listed.map(\.id) == [session] && listed.map(\.stalled) == [1])
                #expect(try await hub.done("status", "--json").decoded(Status.self).sessions.stalledDeliveries == 1)
                #expect(try await hub.done("session", "list").out.contains(", stalled"))

                try agent.running().send(SIGSTOP)
                try await eventually("the silence is told", within: 30) {
                    try await stalled(hub, session)?.cause == "agent_silent"
                }
                #expect(try await stalled(hub, session)?.message.contains("has not been heard since") == true)
                try agent.running().send(SIGCONT)
                try till.release()
                try await eventually("it is applied with no one's help", within: 60) {
                    try await hub.show(session).status == "Applied"
                }
                let after = try await hub.done("session", "show", session, "--json").decoded(Shown.self)
                #expect(after.stalled == 0 && after.deliveries[0].stalled == nil)
                #expect(try await hub.done("session", "list", "--stalled", "--json").decoded([Listed].self).isEmpty)
            }
        }

        /// Somebody holds the lock of `hub.db`: administrators are told although the thread that serves stores hangs.
        @Test func aHubThatCannotTakeInWhatStoresSayIsNamedAsTheCause() async throws {
            let settings = "stalled_after_seconds: 2"
            try await Chain.with([Chain.call], settings: settings, beginning: Self.amounts) { chain in
                let hub = chain.hub
                let other = try HeldLock(hub.home + "/hub.db")
                try other.take()
                // A new life of the agent is something to write down.
                try await chain[Chain.call].killAtOnce()
                try chain[Chain.call].start()
                try await eventually("status says that the hub does not fold", within: 40) {
                    try await hub.done("status", "--json").decoded(Status.self).notFolding != nil
                }
                #expect(try await hub.done("status").out.contains("has not taken in what stores say since"))
                _ = try await hub.done("session", "list", "--all", "--json")
                try other.release()
                try await eventually("all is well again", within: 40) {
                    try await hub.done("status", "--json").decoded(Status.self).notFolding == nil
                }
                try hub.sql("UPDATE trade_agreement SET amount = 101 WHERE account_code <> 'table'")
                #expect(try await hub.publish("prices").map(\.status) == ["Applied"])
            }
        }
    }
}

/// A program that keeps a database's write lock.
private final class HeldLock {
    private let queue: DatabaseQueue

    init(_ path: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(20)
        configuration.allowsUnsafeTransactions = true
        queue = try DatabaseQueue(path: path, configuration: configuration)
    }

    func take() throws { try queue.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") } }
    func release() throws { try queue.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") } }
}

extension TestHub {
    /// Puts a history into `hub.db`, as if all stores had always taken so long for a MiB or for 1,000 rows.
    fileprivate func learnt(stage: String, seconds: Int) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(20)
        let queue = try DatabaseQueue(path: home + "/hub.db", configuration: configuration)
        // Class 20 ends at 1,024 ms.
        let counts = Data((0..<48).map { $0 == 20 ? UInt8(60) : 0 })
        try queue.write {
            try $0.execute(
                sql: "INSERT OR REPLACE INTO stage_history (store_id, stage, counts) VALUES ('', ?, ?)",
                arguments: [stage, counts])
        }
        try queue.close()
    }
}
