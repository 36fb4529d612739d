import Foundation
import Testing
import WaybillAdmin
import WaybillHub
import WaybillModel

/// The built `waybill` against a running server.
@Suite struct WaybillCommandTests {
    @Test func theHomeMayStandBeforeOrAfterTheCommand() async throws {
        try await RunningAdminServer.with { server in
            let before = try await waybill("--hub", server.home, "status", "--json")
            let after = try await waybill("status", "--json", "--hub", server.home)
            #expect(before.status == 0)
            #expect(before.out == after.out)
            let status = try AdminJSON.decode(HubStatus.self, from: Data(before.out.utf8))
            #expect(status.stores.behind == 1)
            let fromEnvironment = try await waybill("status", "--json", environment: ["WAYBILL_HOME": server.home])
            #expect(fromEnvironment.out == before.out)
        }
    }

    @Test func aJobIsRunHeldAndResumedByTheCommand() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill(
                "--hub", server.home, "job", "run", "prices", "--full", "--store", "S1", "--json")
            #expect(run.status == 0)
            #expect(try AdminJSON.decode(JobRunLine.self, from: Data(run.out.utf8)).state == "Waiting")
            let requests = await server.backend.runRequests
            #expect(requests == [JobRunRequest(full: true, stores: ["S1"].compactMap(StoreID.init))])
            let held = try await waybill("--hub", server.home, "job", "hold", "prices", "--reason", "stocktaking")
            #expect(held.out == "job prices is on hold\n")
            #expect(await server.backend.holds == ["stocktaking"])
            #expect(try await waybill("--hub", server.home, "job", "resume", "prices").status == 0)
            let history = try await waybill("--hub", server.home, "job", "history", "prices", "--limit", "1")
            #expect(history.out.contains("retry") && history.out.contains("no disk"))
            #expect(try await waybill("--hub", server.home, "job", "history", "prices", "--limit", "0").status == 64)
        }
    }

    @Test func textOfAgentsCannotSteerTheTerminal() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "status")
            #expect(run.out.contains("disk [31mfull"))
            #expect(!run.out.contains("\u{1b}"))
        }
    }

    @Test func aListingIsOneJSONDocumentWithTheKeysOfTheAPI() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "session", "list", "--json", "--all", "--since", "2h")
            #expect(run.status == 0)
            let sessions = try AdminJSON.decode([SessionSummary].self, from: Data(run.out.utf8))
            #expect(sessions.map(\.id.number) == [2, 1])
            let filter = try #require(await server.backend.filters.first)
            #expect(filter.includesNoData)
            #expect(filter.since != nil)
            let stores = try await waybill("store", "list", "--json", "--hub", server.home)
            #expect(try AdminJSON.decode([StoreSummary].self, from: Data(stores.out.utf8)).count == 2)
            let detail = try await waybill("session", "show", "2", "--json", "--hub", server.home)
            #expect(try AdminJSON.decode(SessionDetail.self, from: Data(detail.out.utf8)).deliveries.count == 1)
            let job = try await waybill("job", "show", "delivery-modes", "--json", "--hub", server.home)
            #expect(try AdminJSON.decode(JobDetail.self, from: Data(job.out.utf8)).subjobs.count == 1)
        }
    }

    @Test func whyPassesTheKeyOnAsItWasTypedAndSaysTheAnswerFirst() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill(
                "--hub", server.home, "why", "--store", "S1", "--table", "price", "--key", "a,b&c", "--key", "id=1 é")
            #expect(run.status == 0)
            #expect(run.out.hasPrefix("store S1 has price (1): it costs 1\n"))
            #expect(run.out.contains("id 1, amount 1.5, note null"))
            #expect(run.out.contains("trade_agreement L1"))
            let request = try #require(await server.backend.asked.first)
            #expect(request.store == StoreID("S1") && request.table == "price" && request.key == ["a,b&c", "id=1 é"])
            let json = try await waybill(
                "--hub", server.home, "why", "--store", "S1", "--table", "price", "--key", "1", "--json")
            let reply = try AdminJSON.decode(WhyReply.self, from: Data(json.out.utf8))
            #expect(reply.rows.first?.values == [.integer(1), .real(1.5), .null])
            let unknown = try await waybill("--hub", server.home, "why", "--store", "S1", "--table", "x", "--key", "1")
            #expect(unknown.status == 1)
            #expect(unknown.err.contains("no job fills a store table 'x'"))
            #expect(try await waybill("--hub", server.home, "why", "--store", "S1", "--table", "x").status == 64)
        }
    }

    @Test func aRetryTellsByItsStatusWhereItIsNotPossible() async throws {
        try await RunningAdminServer.with { server in
            let some = try await waybill("--hub", server.home, "session", "retry", "2")
            #expect(some.status == 3)
            #expect(some.out.contains("tries again"))
            #expect(some.out.contains("it is Applied"))
            #expect(try await waybill("--hub", server.home, "session", "retry", "2", "--store", "S2").status == 0)
            #expect(try await waybill("--hub", server.home, "session", "retry", "1").status == 1)
            #expect(await server.backend.retried.map { $0.stores.map(\.rawValue) } == [[], ["S2"], []])
        }
    }

    @Test func publishPrintsIdJobAndStatusOnceBuilt() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "publish", "prices", "--full", "--store", "S1", "--json")
            #expect(run.status == 0)
            let reply = try AdminJSON.decode(PublishReply.self, from: Data(run.out.utf8))
            #expect(reply.sessions.map(\.status) == ["Applied"])
            let request = try #require(await server.backend.published.first)
            #expect(request.full)
            #expect(request.stores.map(\.rawValue) == ["S1"])
            let waited = try await waybill("--hub", server.home, "publish", "--wait")
            #expect(waited.status == 0)
            #expect(waited.out.contains("2-00000000000b"))
            #expect(waited.err.contains("1 Applied"))
        }
    }

    @Test func aPlanIsShownAndSaysByItsStatusThatApprovalWouldBeNeeded() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "plan", "prices", "--full", "--store", "S1")
            #expect(run.status == 3)
            #expect(run.out.contains("would lose 412 of 500 rows of price_base (82.4 %, limit 30 %)"))
            #expect(run.out.contains("S1, S2, S3 and 1 more"))
            let request = try #require(await server.backend.planned.first)
            #expect(request.jobs.map(\.rawValue) == ["prices"] && request.full)
            #expect(request.stores.map(\.rawValue) == ["S1"])
            let json = try await waybill("--hub", server.home, "plan", "--json")
            #expect(try AdminJSON.decode(PlanReply.self, from: Data(json.out.utf8)) == FakeBackend.plan)
            #expect(try await waybill("--hub", server.home, "plan", "--stores").out.contains("S1, S2, S3, S4"))
        }
    }

    @Test func anApprovalSaysWhoIsOfferedTheSessionOrWhyNobodyIs() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "session", "approve", "1")
            #expect(run.status == 0)
            #expect(run.out == "session 1-00000000000a is approved and offered to 2 stores\n")
            let refused = try await waybill("--hub", server.home, "session", "approve", "2")
            #expect(refused.status == 1)
            #expect(refused.err.contains("does not await approval: it was canceled"))
        }
    }

    @Test func aCancelWaitsForTheAnswersAndTellsThemTruly() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "session", "cancel", "1", "--reason", "a test")
            #expect(run.status == 3)
            #expect(run.out.contains("too late, applied at 2026-11-21 10:53:00Z"))
            #expect(run.out.contains("revoked"))
            #expect(await server.backend.canceled == [CancelRequest(stores: [], reason: "a test")])
            let one = try await waybill("--hub", server.home, "session", "cancel", "1", "--store", "S2")
            #expect(one.status == 0)
        }
    }

    @Test func aWatchEndsWhenEveryDeliveryIsFinal() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "session", "watch", "1")
            #expect(run.status == 0)
            #expect(run.out.contains("1 Applied, 1 Canceled"))
        }
    }

    @Test func importSendsTheFilesOfAFolder() async throws {
        try await RunningAdminServer.with { server in
            let folder = server.home + "/csv"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Data(repeating: 0x61, count: 700_000).write(to: URL(fileURLWithPath: folder + "/product.csv"))
            try Data().write(to: URL(fileURLWithPath: folder + "/category.csv"))
            try Data().write(to: URL(fileURLWithPath: folder + "/notes.txt"))
            let run = try await waybill("--hub", server.home, "import", folder, "--replace", "--json")
            #expect(run.status == 0, "\(run.err)")
            #expect(try AdminJSON.decode(ImportReply.self, from: Data(run.out.utf8)) == FakeBackend.reply)
            let imported = await server.backend.imported
            #expect(imported == [.init(names: ["category.csv", "product.csv"], bytes: [0, 700_000], replace: true)])
        }
    }

    @Test func aFileThatTheHubRefusesIsNamedAndTheImportGivenUp() async throws {
        var limits = AdminLimits()
        limits.fileBytesMax = 1000
        try await RunningAdminServer.with(limits: limits) { server in
            let file = server.home + "/product.csv"
            try Data(repeating: 0x61, count: 5_000_000).write(to: URL(fileURLWithPath: file))
            let run = try await waybill("--hub", server.home, "import", file)
            #expect(run.status == 1)
            #expect(run.err == "waybill: product.csv has more than 1000 bytes, which is all that one file may have\n")
            #expect(try server.importFolders().isEmpty)
        }
    }

    @Test func everyBadRowOfAnImportIsNamed() async throws {
        try await RunningAdminServer.with { server in
            await server.backend.answerImports(
                .failure(
                    ImportFaults(
                        faults: [.init(file: "product.csv", line: 17, column: "name", reason: "is empty")], total: 1)))
            let file = server.home + "/product.csv"
            try Data([1]).write(to: URL(fileURLWithPath: file))
            let run = try await waybill("--hub", server.home, "import", file)
            #expect(run.status == 1)
            #expect(run.err.contains("product.csv:17: column name: is empty\n"))
            #expect(run.err.hasSuffix("waybill: nothing was imported: 1 fault in the files\n"))
            #expect(run.out.isEmpty)
        }
    }

    @Test func whatTheHubRefusesIsOneSentence() async throws {
        try await RunningAdminServer.with { server in
            let run = try await waybill("--hub", server.home, "session", "show", "99")
            #expect(run.status == 1)
            #expect(run.err == "waybill: there is no session 99\n")
            let rerun = try await waybill("--hub", server.home, "session", "rerun", "1")
            #expect(rerun.status == 1)
            let purge = try await waybill("--hub", server.home, "session", "purge", "--older-than", "30d")
            #expect(purge.out == "3 sessions forgotten, 2 packages removed, 1.5 MB freed\n")
            #expect(await server.backend.purged == [30 * 86_400])
            let added = try await waybill("--hub", server.home, "store", "add", "S9")
            #expect(added.out == "waybill1.abc\n")
        }
    }

    @Test func whoeverCannotReachAHubIsToldWhatToDo() async throws {
        let home = NSTemporaryDirectory() + "home-\(UInt32.random(in: .min ... .max))"
        let missing = try await waybill("--hub", home, "status")
        #expect(missing.status == 1)
        #expect(missing.err == "waybill: \(home) is not a hub's home: make one with waybill-hub init \(home)\n")
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: home) }
        try Data().write(to: URL(fileURLWithPath: home + "/hub.db"))
        let stopped = try await waybill("--hub", home, "status")
        #expect(stopped.status == 1)
        #expect(stopped.err == "waybill: no hub is running on \(home): start it with waybill-hub run \(home)\n")
        let nameless = try await waybill("status", environment: ["WAYBILL_HOME": ""])
        #expect(nameless.status == 64)
    }

    @Test(arguments: [
        ["session", "list", "--since", "soon"], ["session", "list", "--status", "Fine"],
        ["session", "list", "--limit", "0"],
        ["session", "purge", "--older-than", "30"], ["session", "show", "x"], ["publish", "--timeout", "0"], ["import"],
        ["import", "--replace", "--skip-bad-rows", "x"], ["import", "--watch", "d", "x"],
        ["import", "--settle", "-1", "x"], ["staging", "show", "x"], ["staging", "show", "7", "--state", "Bad"],
    ])
    func wrongUsageIsSaidWithoutAskingTheHub(arguments: [String]) async throws {
        let run = try await waybill(arguments + ["--hub", "/nonexistent"])
        #expect(run.status == 64)
        #expect(run.err.contains("Usage: waybill"))
    }
}

struct CommandRun: Sendable {
    var status: Int32
    var out: String
    var err: String
}

func waybill(_ arguments: String..., environment: [String: String] = [:]) async throws -> CommandRun {
    try await waybill(arguments, environment: environment)
}

/// Runs the program that was built together with these tests.
func waybill(_ arguments: [String], environment: [String: String] = [:]) async throws -> CommandRun {
    let process = Process()
    let tests = URL(fileURLWithPath: CommandLine.arguments.first ?? "").resolvingSymlinksInPath()
    process.executableURL = tests.deletingLastPathComponent().appendingPathComponent("waybill")
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let out = Pipe()
    let err = Pipe()
    process.standardOutput = out
    process.standardError = err
    // The outputs are small: they fit into the pipes, so they can be read afterwards.
    let status = try await withCheckedThrowingContinuation { (done: CheckedContinuation<Int32, any Error>) in
        process.terminationHandler = { done.resume(returning: $0.terminationStatus) }
        do { try process.run() } catch { done.resume(throwing: error) }
    }
    return CommandRun(
        status: status, out: String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self),
        err: String(decoding: err.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self))
}
