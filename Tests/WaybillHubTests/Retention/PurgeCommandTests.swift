import Foundation
import Testing
import WaybillAdmin

/// `waybill purge` against a running server.
@Suite struct PurgeCommandTests {
    @Test func aDryRunAsksForOneAndShowsWhoLosesWhat() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "purge", "--older-than", "14d", "--dry-run")
            #expect(run.status == 0, "\(run.err)")
            #expect(run.out.contains("change log  12,000  ~500.0 kB"))
            #expect(run.out.contains("store S2 would get all of delivery-modes when it is back"))
            #expect(run.out.contains("nothing was removed"))
            let asked = await server.backend.forgotten
            #expect(asked == [RetentionRequest(olderThanSeconds: 14 * 86_400, dryRun: true)])
        }
    }

    @Test func whatCouldNotBeDoneIsNamedWithAnExitStatus() async throws {
        try await RunningAdminServer.with { server in
            await server.backend.failToForget()
            let run = try await waybill("--hub", server.home, "purge", "--json")
            #expect(run.status == 3)
            #expect(run.err == "waybill: the history could not be shortened: hq.db is locked\n")
            #expect(try AdminJSON.decode(RetentionReply.self, from: Data(run.out.utf8)).kinds.count == 2)
            #expect(await server.backend.forgotten == [RetentionRequest()])
            #expect(try await waybill("--hub", server.home, "purge", "--older-than", "soon").status == 64)
        }
    }

    @Test func statusTellsTheSlowestStore() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "status")
            #expect(run.out.contains("slowest   store S2 has got nothing of delivery-modes since 2026-11-21 10:53:00Z"))
        }
    }
}
