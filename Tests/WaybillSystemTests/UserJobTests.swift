import Foundation
import GRDB
import Testing

/// A chain's own table and job, through the real programs.
@Suite struct UserJobTests {
    private static let job = """
        job: promotions
        title: Promotions of each store
        follows: [assortments]
        triggers:
          online: true
        subjobs:
          - table: promotion
            key: [promotion_id]
            columns:
              promotion_id: text
              percent: integer
            rows: SELECT promotion_id, percent, store_id FROM promotion
            stores: {column: store_id}
        """

    private static let table = """
        CREATE TABLE promotion (
            promotion_id TEXT, store_id TEXT, percent INTEGER, PRIMARY KEY (promotion_id, store_id));
        INSERT INTO promotion VALUES ('summer', '\(Chain.shop)', 10), ('summer', '\(Chain.otherShop)', 20);
        """

    private func write(_ text: String, _ chain: Chain) throws {
        try Data(text.utf8).write(to: URL(filePath: chain.hub.home + "/jobs/promotions.yaml"))
    }

    private func promotions(_ agent: TestAgent, _ columns: String) throws -> [String] {
        try agent.rows("SELECT \(columns) FROM promotion ORDER BY promotion_id").map { $0.first?.flatMap { $0 } ?? "" }
    }

    @Test func aFileAndATableAreAllThatANewJobNeeds() async throws {
        try await Chain.with([Chain.shop, Chain.otherShop], automatic: true) { chain in
            try chain.hub.sql(UserJobTests.table)
            try write(UserJobTests.job, chain)
            let agents = chain.agents
            // The job starts by itself: for one that is new, what is in HQ's tables has not been sent.
            _ = try await chain.hub.done("publish", "promotions", "--wait")
            #expect(try promotions(agents[0], "promotion_id || percent") == ["summer10"])
            #expect(try promotions(agents[1], "promotion_id || percent") == ["summer20"])

            // A change by whichever program reaches the store without anybody's help.
            try chain.hub.sql("UPDATE promotion SET percent = 15 WHERE store_id = '\(Chain.shop)'")
            try await eventually("the store has the new percentage") {
                try promotions(agents[0], "promotion_id || percent") == ["summer15"]
            }

            // A renamed and an added column: the till's own index follows.
            var configuration = Configuration()
            configuration.busyMode = .timeout(10)
            let till = try DatabaseQueue(path: agents[0].home + "/store.db", configuration: configuration)
            try await till.write { try $0.execute(sql: "CREATE INDEX till_percent ON promotion (percent)") }
            try till.close()
            try write(
                UserJobTests.job.replacing(
                    "percent: integer",
                    with: "discount: {type: integer, was: percent}\n      note: text null"
                ).replacing("percent, store_id FROM", with: "percent AS discount, 'x' AS note, store_id FROM"), chain)
            _ = try await chain.hub.done("publish", "promotions", "--wait")
            #expect(try promotions(agents[0], "promotion_id || discount || note") == ["summer15x"])
            let index = try agents[0].rows("SELECT sql FROM sqlite_schema WHERE name = 'till_percent'")
            #expect(index.first?.first??.contains("discount") == true, "\(index)")
        }
    }

    @Test func aBadFileIsToldAndStopsNothing() async throws {
        try await Chain.with([Chain.shop]) { chain in
            try write(UserJobTests.job.replacing("percent, store_id", with: "percnt, store_id"), chain)
            let check = try await chain.hub.waybill("job", "check", chain.hub.home + "/jobs/promotions.yaml")
            #expect(check.ending == .status(1))
            #expect(check.out.contains("promotions.yaml:12: rows of table promotion: no such table: promotion"))
            try chain.hub.sql(UserJobTests.table)
            let again = try await chain.hub.waybill("job", "check", chain.hub.home + "/jobs/promotions.yaml")
            #expect(again.out.contains("no such column: percnt (did you mean 'percent'?)"), "\(again.out)")
            let publish = try await chain.hub.waybill("publish", "promotions", "--wait")
            #expect(publish.ending == .status(1))
            _ = try await chain.hub.done("publish", "prices", "--wait")
            try write("job: promotions\nsubjobs: 7\n", chain)
            let list = try await chain.hub.waybill("job", "list")
            #expect(list.ending == .status(0) && list.out.contains("promotions.yaml:2"), "\(list.out)")
            _ = try await chain.hub.done("publish", "prices", "--wait")
        }
    }

    /// What a store cannot hold is found before anything is sent.
    @Test func aColumnThatTheDataViolatesFailsTheSessionAndNamesTheRow() async throws {
        try await Chain.with([Chain.shop]) { chain in
            try chain.hub.sql(
                UserJobTests.table + "UPDATE promotion SET percent = NULL WHERE store_id = '\(Chain.shop)';")
            try write(UserJobTests.job, chain)
            let publish = try await chain.hub.waybill("publish", "promotions", "--wait")
            #expect(publish.ending == .status(1))
            let shown = try await chain.hub.waybill("session", "list")
            #expect(shown.out.contains("CreateFailed"))
            #expect((publish.out + publish.err).contains("column percent is NULL"), "\(publish)")
        }
    }

    /// The file of a job goes while a store still waits for one of its sessions.
    @Test func aSessionWhoseJobIsGoneSaysSoAndGoesOnWhenTheJobIsBack() async throws {
        try await Chain.with([Chain.shop]) { chain in
            try chain.hub.sql(UserJobTests.table)
            try write(UserJobTests.job.replacing("online: true", with: "online: false"), chain)
            let agent = chain.agents[0]
            try await agent.killAtOnce()
            let published = try await chain.hub.done("publish", "promotions", "--json").decoded(Published.self)
            let session = try #require(published.sessions.first).id
            try await eventually("it is made") { try await chain.hub.show(session).status == "Available" }
            _ = try await chain.hub.done("session", "cancel", session)
            try FileManager.default.removeItem(atPath: chain.hub.home + "/jobs/promotions.yaml")
            _ = try await chain.hub.done("session", "rerun", session)
            try agent.start()
            try await eventually("it is told") {
                try await chain.hub.show(session).delivery(agent.store).message?.contains("no job promotions") == true
            }
            try write(UserJobTests.job.replacing("online: true", with: "online: false"), chain)
            try await eventually("the store has it after its next hello") {
                try await chain.hub.show(session).delivery(agent.store).status == "Applied"
            }
        }
    }
}
