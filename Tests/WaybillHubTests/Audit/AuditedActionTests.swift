import Hummingbird
import Testing
import WaybillModel

@testable import WaybillHub

extension HTTPRequest.Method {
    /// One that exists.
    init(_ text: String) { self = HTTPRequest.Method(rawValue: text) ?? .trace }
}

@Suite struct AuditedActionTests {
    @Test(arguments: [
        ("POST", "/v1/sessions/42/cancel", "session cancel", "42", true),
        ("POST", "/v1/sessions/42/approve", "session approve", "42", true),
        ("POST", "/v1/sessions/42/rerun", "session rerun", "42", true),
        ("POST", "/v1/sessions/42/retry", "session retry", "42", true),
        ("POST", "/v1/stores", "store add", "", true), ("POST", "/v1/stores/S%201/retire", "store retire", "S 1", true),
        ("POST", "/v1/publish", "publish", "", false), ("POST", "/v1/purge", "purge", "", false),
        ("POST", "/v1/retention/run", "purge", "", false), ("POST", "/v1/imports/ab12/run", "import", "ab12", false),
        ("POST", "/v1/staging/clean", "staging clean", "", false),
        ("POST", "/v1/jobs/prices/hold", "job hold", "prices", false),
        ("POST", "/v1/jobs/prices/runs", "job run", "prices", false),
        ("POST", "/v1/keys/announce", "key rotate", "", false), ("POST", "/v1/keys/switch", "key switch", "", false),
        ("POST", "/v1/keys/stores", "store rotate-key", "", true),
    ]) func whatChangesSomethingHasTheWordsOfTheCommand(
        method: String, path: String, name: String, subject: String, isOneTransaction: Bool
    ) throws {
        let action = try #require(AuditedAction(HTTPRequest.Method(method), path: path))
        #expect(action.name == name)
        #expect(action.subject == subject)
        #expect(action.isOneTransaction == isOneTransaction)
    }

    @Test(arguments: [
        ("GET", "/v1/status"), ("POST", "/v1/plan"), ("POST", "/v1/jobs/check"), ("POST", "/v1/imports"),
        ("PUT", "/v1/imports/ab/files/a.csv"), ("POST", "/v1/imports/ab/preview"), ("DELETE", "/v1/imports/ab"),
    ]) func whatOnlyReadsIsNotWrittenDown(method: String, path: String) {
        #expect(AuditedAction(HTTPRequest.Method(method), path: path) == nil)
    }

    /// A route that is added later is in the log, known here or not.
    @Test func everyRouteThatIsNotReadingIsWrittenDown() {
        let folders = ImportFolders(root: "/", limits: AdminLimits(), now: { Timestamp(milliseconds: 0) })
        let reading = ["/plan", "/jobs/check", "/imports", "/preview", "/files/{name}", "/imports/{id}"]
        for route in AdminServer.router(FakeBackend(), folders, AdminLimits()).routes
        where route.method != .get && !reading.contains(where: { "\(route.path)".hasSuffix($0) }) {
            #expect(AuditedAction(route.method, path: "\(route.path)") != nil, "\(route.method) \(route.path)")
        }
        #expect(AuditedAction(.post, path: "/v1/some/new/thing")?.name == "some new thing")
    }
}

@Suite struct StrangerBudgetTests {
    private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test func theSameStrangerIsWrittenDownOnceAnHourAndCounted() {
        var budget = StrangerBudget()
        #expect(budget.take("a", at: at(0)) == 0)
        for second in 1...50 { #expect(budget.take("a", at: at(Int64(second) * 1000)) == nil) }
        #expect(budget.take("b", at: at(60_000)) == 50)
        #expect(budget.take("a", at: at(3_600_000)) == 0)
    }

    @Test func manyStrangersCauseABoundedNumberOfRows() {
        var budget = StrangerBudget()
        let written = (0..<100_000).compactMap { budget.take("stranger \($0)", at: at(Int64($0))) }
        #expect(written.count == StrangerBudget.perHour)
    }
}
