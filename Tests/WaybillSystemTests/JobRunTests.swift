import Foundation
import Testing

extension SystemTests {
    /// Jobs that start by themselves, held, resumed and asked for, through real processes.
    @Suite struct JobRunTests {
        @Test func aChangeByAnotherProgramReachesTheStoreByItselfAndASecondHubRepeatsNothing() async throws {
            try await Chain.with([Chain.call, Chain.shop], automatic: true, publish: false) { chain in
                let hub = chain.hub
                // Nobody publishes: a store that has enrolled is given everything.
                try await eventually("both stores have all jobs", within: 30) {
                    try await hub.stores().allSatisfy { $0.state != "active" || $0.watermarks.count == 3 }
                }
                try await quiet(hub)
                let before = try chain.contents()
                let runs = try runs(hub).count
                let begun = Date().timeIntervalSince1970
                try hub.sql("UPDATE assortment SET status = 'draft' WHERE assortment_id = 'A11'")
                try await eventually("the shop has lost the assortment's products", within: 20) {
                    try chain.contents()[Chain.shop] != before[Chain.shop]
                }
                try await quiet(hub)
                let history = try await history(hub, "assortments")
                #expect(history.first?.cause == "online" && history.first?.state == "Finished")
                let started = try #require(
                    try hub.operationsRows("SELECT max(started_at) FROM job_run WHERE cause = 'online'")[0][0]
                        .flatMap(Double.init))
                #expect(started / 1000 - begun < 1, "a committed change starts the job within a second")
                // Publishing it brings everything back, by itself as well.
                try hub.sql("UPDATE assortment SET status = 'published' WHERE assortment_id = 'A11'")
                try await eventually("the shop has them again", within: 20) { try chain.contents() == before }
                try await quiet(hub)
                #expect(try self.runs(hub).count == runs + 2)

                // A hub that is started again has nothing to make up for.
                #expect(try await hub.running().stop() == .status(0))
                try await hub.start()
                try await hub.done("job", "run", "prices", "--wait")
                try await quiet(hub)
                #expect(try self.runs(hub).count == runs + 3)

                // What was changed while no hub ran, is seen by the next one.
                #expect(try await hub.running().stop() == .status(0))
                try hub.sql("UPDATE assortment SET status = 'draft' WHERE assortment_id = 'A11'")
                try await hub.start()
                try await eventually("the shop has lost them", within: 20) {
                    try chain.contents()[Chain.shop] != before[Chain.shop]
                }
                try await quiet(hub)
                #expect(try self.runs(hub).count == runs + 4)
            }
        }

        @Test func aHubThatDiesInTheMiddleOfARunEndsItOnce() async throws {
            try await Chain.with([Chain.shop], automatic: true, publish: false) { chain in
                let hub = chain.hub
                try await eventually("the store has all jobs", within: 30) {
                    try await hub.stores().first?.watermarks.count == 3
                }
                try await quiet(hub)
                let runs = try runs(hub).count
                for (number, point) in ["derived:1", "filled:1", "sealed:1", "offered:1"].enumerated() {
                    #expect(try await hub.running().stop() == .status(0))
                    try await hub.start(crashAt: point)
                    let status = number.isMultiple(of: 2) ? "draft" : "published"
                    try hub.sql("UPDATE assortment SET status = '\(status)' WHERE assortment_id = 'A11'")
                    #expect(try await hub.running().ending(within: 20) == .signal(SIGKILL), "at \(point)")
                    try await hub.start()
                    try await eventually("the run is over", within: 20) {
                        try self.runs(hub).filter { $0[1] == "Finished" }.count == runs + number + 1
                    }
                    #expect(try self.runs(hub).count == runs + number + 1, "at \(point)")
                    try await eventually("the store has it", within: 20) {
                        let final: Set = ["Applied", "NoData", "Superseded"]
                        return try await hub.sessions().allSatisfy { final.isSuperset(of: $0.counts.keys) }
                    }
                }
                try await chain.expectNothingIsMissing("assortments")
            }
        }

        @Test func aJobOnHoldWaitsForSomebodyAndSaysSo() async throws {
            try await Chain.with([Chain.shop], automatic: true, publish: false) { chain in
                let hub = chain.hub
                try await eventually("the store has all jobs", within: 30) {
                    try await hub.stores().first?.watermarks.count == 3
                }
                try await quiet(hub)
                let held = try await hub.done("job", "hold", "assortments", "--reason", "stocktaking", "--json")
                #expect(try held.decoded(JobLine.self).state == "OnHold")
                let runs = try runs(hub).count
                try hub.sql("UPDATE assortment SET status = 'draft' WHERE assortment_id = 'A11'")
                // What is asked for is done, and the other job's run shows that the hub has seen the change.
                let published = try await hub.done("publish", "delivery-modes", "prices", "--wait")
                #expect(!published.err.contains("on hold"))
                #expect(try self.runs(hub).count == runs + 2)
                let list = try await hub.done("job", "list")
                #expect(list.out.contains("job assortments is on hold: stocktaking"))
                let forced = try await hub.done("publish", "assortments", "--wait")
                #expect(
                    forced.err.contains("job assortments is on hold, which does not keep this session: stocktaking"))
                try hub.sql("UPDATE assortment SET status = 'published' WHERE assortment_id = 'A11'")
                try await hub.done("job", "resume", "assortments")
                #expect(try await hub.waybill("job", "resume", "assortments").ending == .status(1))
                try await eventually("it has made up for it", within: 20) {
                    try await history(hub, "assortments").first?.cause == "online"
                }
                try await quiet(hub)
                #expect(try self.runs(hub).count == runs + 4)
                try await chain.expectNothingIsMissing("assortments")
            }
        }

        @Test func whatIsAskedForWhileNothingIsRunningIsDoneForTheStoresNamed() async throws {
            try await Chain.with([Chain.call, Chain.shop]) { chain in
                let hub = chain.hub
                let run = try await hub.done(
                    "job", "run", "prices", "--full", "--store", Chain.shop, "--wait", "--json"
                )
                .decoded(RunLine.self)
                #expect(run.cause == "manual" && run.state == "Finished" && run.full)
                let session = try await hub.show(try #require(run.session))
                #expect(session.deliveries.each.map(\.store) == [Chain.shop])
                #expect(try await history(hub, "prices").first?.run == run.run)
                let unknown = try await hub.waybill("job", "run", "nothing")
                #expect(unknown.ending == .status(1) && unknown.err.contains("there is no job 'nothing'"))
                let nowhere = try await hub.waybill("job", "run", "prices", "--store", "nowhere")
                #expect(nowhere.ending == .status(1) && nowhere.err.contains("there is no store nowhere"))
            }
        }

        private func runs(_ hub: TestHub) throws -> [[String?]] {
            try hub.operationsRows("SELECT job, state, cause FROM job_run ORDER BY number")
        }

        private func history(_ hub: TestHub, _ job: String) async throws -> [RunLine] {
            try await hub.done("job", "history", job, "--json").decoded([RunLine].self)
        }

        /// Nothing runs, waits or settles any more.
        private func quiet(_ hub: TestHub) async throws {
            var since = ContinuousClock.now
            var count = -1
            try await eventually("nothing starts any more", within: 30) {
                let rows = try hub.operationsRows("SELECT state FROM job_run")
                let isOver = rows.allSatisfy { ["Finished", "Failed", "Canceled"].contains($0[0]) }
                if rows.count != count || !isOver { since = .now }
                count = rows.count
                // Longer than a burst may take to settle.
                return ContinuousClock.now - since > .milliseconds(1300)
            }
        }
    }
}

private struct RunLine: Decodable {
    let run: Int, job: String, cause: String, full: Bool, state: String, session: String?
}

private struct JobLine: Decodable { let state: String, holdReason: String? }
