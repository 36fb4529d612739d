import Foundation
import Testing
import WaybillAdmin
import WaybillModel

@testable import WaybillHub

@Suite struct AdminRoutesTests {
    @Test func aSessionHasTheKeysThatOthersRelyOn() async throws {
        try await RunningAdminServer.with { server in
            let answer = try await server.get("/v1/sessions/1")
            #expect(answer.status == 200)
            let session = try #require(answer.object)
            #expect(session["id"] as? String == "1-00000000000a")
            #expect(session["created_at"] as? String == "2026-11-21T10:53:00.123Z")
            #expect(session["version"] as? Int == 17)
            #expect(session["epoch"] as? Int == 1)
            let delivery = try #require((session["deliveries"] as? [[String: Any]])?.last)
            #expect(
                Set(delivery.keys) == [
                    "store", "status", "kind", "rows", "bytes", "bytes_done", "requested_at", "downloaded_at",
                    "applied_at", "attempts", "longest_lock_ms", "message", "run", "cancel_requested",
                    "waits_for_window", "exceptions", "stalled",
                ])
            #expect(delivery["downloaded_at"] is NSNull)
        }
    }

    @Test func aSessionIsFoundByItsIdAndByItsNumber() async throws {
        try await RunningAdminServer.with { server in
            let byID = try await server.get("/v1/sessions/2-00000000000b/summary")
            let byNumber = try await server.get("/v1/sessions/2/summary")
            #expect(byID.status == 200)
            #expect(byID.text == byNumber.text)
            #expect(byID.object?["deliveries"] as? [String: Int] == ["Applied": 1])
        }
    }

    @Test func namesOfJobsStayAsTheyAreInTheWatermarks() async throws {
        try await RunningAdminServer.with { server in
            let stores = try AdminJSON.decode(
                [StoreSummary].self, from: Data(try await server.get("/v1/stores").text.utf8))
            #expect(stores.first?.watermarks.keys.sorted() == ["delivery-modes"])
        }
    }

    @Test func theListPassesItsFiltersOn() async throws {
        try await RunningAdminServer.with { server in
            let answer = try await server.get(
                "/v1/sessions?job=prices&status=NoData&since=2026-11-21T10:53:00%2B01:00&limit=5")
            #expect(answer.status == 200)
            let filter = try #require(await server.backend.filters.first)
            #expect(filter.job == JobID("prices"))
            #expect(filter.status == "NoData")
            #expect(filter.includesNoData)
            #expect(filter.limit == 5)
            #expect(filter.since?.description == "2026-11-21T09:53:00.000Z")
        }
    }

    @Test(arguments: [
        ("/v1/sessions?state=Applied", "there is no parameter 'state' here"),
        ("/v1/sessions?status=Fine", "'Fine' is no status"),
        ("/v1/sessions?limit=0", "limit is a number from 1"),
        ("/v1/sessions?since=yesterday", "since is an ISO 8601 time"),
        ("/v1/sessions/42-xyz", "'42-xyz' is no session"),
        ("/v1/sessions/007", "'007' is no session"),
        ("/v1/stores/a%00b", "'a?b' is no store's name"),
        ("/v1/jobs/%0A", "'?' is no job's name"),
    ])
    func aRequestThatMakesNoSenseIsRefusedWithItsReason(path: String, reason: String) async throws {
        try await RunningAdminServer.with { server in
            let answer = try await server.get(path)
            #expect(answer.status == 400)
            let error = try #require(answer.error)
            #expect(error.code == "invalid")
            #expect(error.message.contains(reason))
        }
    }

    @Test(arguments: [
        ("GET", "/v1/nothing", 404, "not_found"), ("GET", "/", 404, "not_found"),
        ("DELETE", "/v1/status", 404, "not_found"),
        ("GET", "/v1/sessions/99", 404, "not_found"), ("GET", "/v1/stores/unknown", 404, "not_found"),
        ("POST", "/v1/sessions/1/rerun", 409, "conflict"), ("POST", "/v1/stores/S1/retire", 500, "failed"),
    ])
    func everyErrorIsAnErrorReply(method: String, path: String, status: UInt, code: String) async throws {
        try await RunningAdminServer.with { server in
            let answer = try await server.send(method, path)
            #expect(answer.status == status)
            #expect(answer.error?.code == code)
            #expect(answer.contentType == "application/json; charset=utf-8")
        }
    }

    @Test(arguments: [
        ("/v1/publish", "{", "JSON is wrong"), ("/v1/publish", "[]", "is expected"),
        ("/v1/publish", #"{"jobs": "prices"}"#, "is expected"),
        ("/v1/publish", #"{"jobs": [""]}"#, "'' is not a job's name"),
        ("/v1/stores", "{}", "'store' is missing"), ("/v1/purge", #"{"older_than_seconds": -1}"#, "cannot be negative"),
        ("/v1/sessions/1/cancel", #"{"store": ["S1"]}"#, "'store' is no key"),
    ])
    func aBodyThatMakesNoSenseChangesNothing(path: String, body: String, reason: String) async throws {
        try await RunningAdminServer.with { server in
            let answer = try await server.post(path, body)
            #expect(answer.status == 400)
            let error = try #require(answer.error)
            #expect(error.message.contains(reason), "\(error.message)")
            #expect(await server.backend.published.isEmpty)
            #expect(await server.backend.canceled.isEmpty)
            #expect(await server.backend.purged.isEmpty)
        }
    }

    @Test func aBodyThatIsTooLargeIsRefused() async throws {
        var limits = AdminLimits()
        limits.requestBytesMax = 100
        try await RunningAdminServer.with(limits: limits) { server in
            let answer = try await server.post("/v1/publish", #"{"jobs": ["\#(String(repeating: "x", count: 200))"]}"#)
            #expect(answer.status == 413)
            #expect(answer.error?.code == "too_large")
            #expect(await server.backend.published.isEmpty)
        }
    }

    @Test func publishAnswersAtOnceWithTheSessions() async throws {
        try await RunningAdminServer.with { server in
            let answer = try await server.post("/v1/publish", #"{"jobs": ["prices"], "stores": ["S1"]}"#)
            #expect(answer.status == 202)
            let reply = try AdminJSON.decode(PublishReply.self, from: Data(answer.text.utf8))
            #expect(reply.sessions.map(\.status) == ["Started"])
            let request = try #require(await server.backend.published.first)
            #expect(request.jobs.map(\.rawValue) == ["prices"])
            #expect(request.stores.map(\.rawValue) == ["S1"])
            #expect(!request.full)
            #expect(try await server.post("/v1/publish").status == 202)
        }
    }

    @Test func onlyTheHubsUserMayUseTheSocket() async throws {
        try await RunningAdminServer.with { server in
            let attributes = try FileManager.default.attributesOfItem(atPath: AdminServer.socketPath(home: server.home))
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            #expect(attributes[.type] as? FileAttributeType == .typeSocket)
        }
    }

    @Test func aSocketThatADeadHubLeftBehindIsReplacedAndTakenAwayInTheEnd() async throws {
        let home = try await RunningAdminServer.with(prepare: { home in
            try Data().write(to: URL(fileURLWithPath: AdminServer.socketPath(home: home)))
        }) { server in
            let answer = try await server.get("/v1/status")
            #expect(answer.status == 200)
            return server.home
        }
        #expect(!FileManager.default.fileExists(atPath: AdminServer.socketPath(home: home)))
    }
}
