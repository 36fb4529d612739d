import Foundation
import Testing
import WaybillAdmin
import WaybillModel

/// `waybill quarantine` against a running server.
@Suite struct QuarantineCommandTests {
    @Test func theListSaysWhyAndWhatIsStillToBeDone() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "quarantine", "list")
            #expect(run.status == 0, "\(run.err)")
            #expect(run.out.contains("UNIQUE constraint failed: product.name; the store has no such row"))
            #expect(run.out.contains("store S1 has yet to retry product"))
            let json = try await waybill("--hub", server.home, "quarantine", "list", "--json", "--store", "S1")
            #expect(try AdminJSON.decode([StoreQuarantine].self, from: Data(json.out.utf8)).map(\.rows) == [1])
            let none = try await waybill("--hub", server.home, "quarantine", "list", "--store", "S2")
            #expect(none.out == "nothing is in quarantine\n")
        }
    }

    @Test func anOrderNamesItsRowsAndTellsByItsStatusWhoRefused() async throws {
        try await RunningAdminServer.with { server in
            #expect(try await waybill("--hub", server.home, "quarantine", "drop").status == 64)
            let all = try await waybill("--hub", server.home, "quarantine", "drop", "--all", "--wait")
            #expect(all.status == 0, "\(all.err)")
            #expect(all.out.contains("done"))
            let some = try await waybill(
                "--hub", server.home, "quarantine", "retry", "--store", "S1", "--store", "S2", "--table", "product",
                "--key", "P1")
            #expect(some.status == 3)
            #expect(some.out.contains("store S2 is retired"))
            #expect(
                try await waybill("--hub", server.home, "quarantine", "retry", "--store", "S2").status == 1)
            let requests = await server.backend.quarantineOrders
            #expect(requests.first == QuarantineRequest(action: .drop))
            #expect(
                requests.dropFirst().first
                    == QuarantineRequest(
                        action: .retry, stores: ["S1", "S2"].compactMap(StoreID.init), table: "product", key: "P1"))
        }
    }

    @Test func waitingHasAnEnd() async throws {
        try await RunningAdminServer.with { server in
            await server.backend.leaveOrdersOpen()
            let run = try await waybill(
                "--hub", server.home, "quarantine", "retry", "--all", "--wait", "--timeout", "1")
            #expect(run.status == 3)
            #expect(run.err.contains("time is up"))
        }
    }
}
