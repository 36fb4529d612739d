import AsyncHTTPClient
import Foundation
import GRDB
import Logging
import ServiceLifecycle
import Testing
import WaybillAdmin
import WaybillDatabase
import WaybillModel
import WaybillSessions

@testable import WaybillHub

/// Who gets in, by which door, and what is written down of him.
@Suite struct AdminDoorTests {
    @Test func whatChangesSomethingIsWrittenDownWithItsUserAndWhatReadsIsNot() async throws {
        try await GuardedServer.with { server in
            #expect(try await server.socket("GET", "/v1/status").status == 200)
            #expect(try await server.socket("POST", "/v1/plan", "{}").status == 200)
            #expect(try server.rows().isEmpty)
            #expect(try await server.socket("POST", "/v1/sessions/1/cancel", #"{"reason": "wrong"}"#).status == 200)
            let row = try #require(try server.rows().first)
            #expect(row.entry.action == "session cancel" && row.entry.subject == "1")
            #expect(row.entry.arguments == #"{"reason":"wrong"}"# && row.entry.outcome == .done)
            #expect(row.entry.who.uid == Int64(getuid()) && row.entry.who.door == .socket)
        }
    }

    @Test func anActionIsWrittenDownBeforeItBeginsAndAgainWhenItHasEnded() async throws {
        try await GuardedServer.with { server in
            _ = try await server.socket("POST", "/v1/publish", #"{"jobs": ["prices"]}"#)
            let rows = try server.rows()
            #expect(rows.map(\.entry.outcome) == [.asked, .done])
            #expect(rows[1].entry.asked == rows[0].sequence)
            #expect(rows.allSatisfy { $0.entry.arguments == #"{"jobs":["prices"]}"# })
        }
    }

    @Test func aFailureIsWrittenDownWithItsReason() async throws {
        try await GuardedServer.with { server in
            #expect(try await server.socket("POST", "/v1/sessions/99/cancel", "{}").status == 404)
            #expect(try await server.socket("POST", "/v1/publish", "{not json").status == 400)
            #expect(try await server.socket("POST", "/v1/no/such/thing").status == 404)
            let ends = try server.rows().filter { $0.entry.outcome != .asked }
            #expect(ends.map(\.entry.outcome) == [.failed, .failed, .failed])
            #expect(ends[0].entry.message.contains("99"))
            #expect(ends[2].entry.action == "no such thing")
        }
    }

    @Test func nothingIsDoneWhenItCannotBeWrittenDown() async throws {
        try await GuardedServer.with { server in
            try server.operations.write { try $0.execute(sql: "DROP TABLE audit") }
            let answer = try await server.socket("POST", "/v1/publish", "{}")
            #expect(answer.status == 500)
            #expect(answer.text.contains("nothing was done, because the audit log cannot be written"))
            #expect(await server.backend.published.isEmpty)
        }
    }

    @Test func anImportIsWrittenDownByWhatCameOfIt() async throws {
        try await GuardedServer.with { server in
            let created = try await server.socket("POST", "/v1/imports")
            let id = try AdminJSON.decode(ImportCreated.self, from: Data(created.text.utf8)).id
            #expect(try await server.socket("PUT", "/v1/imports/\(id)/files/product.csv", "a\n1\n").status == 204)
            #expect(try server.rows().isEmpty, "uploads change nothing")
            #expect(try await server.socket("POST", "/v1/imports/\(id)/run?replace=true").status == 200)
            let rows = try server.rows()
            #expect(rows.map(\.entry.outcome) == [.asked, .done])
            #expect(rows[0].entry.action == "import" && rows[0].entry.arguments == "?replace=true")
        }
    }

    @Test func aTooLargeBodyIsRefusedBeforeAnythingIsDone() async throws {
        var limits = AdminLimits()
        limits.requestBytesMax = 1000
        try await GuardedServer.with(limits) { server in
            let jobs = String(repeating: "x", count: 2000)
            let answer = try await server.socket("POST", "/v1/publish", "{\"jobs\": [\"\(jobs)\"]}")
            #expect(answer.status == 413)
            #expect(await server.backend.published.isEmpty)
        }
    }

    // MARK: TCP

    @Test func byTCPOnlyAKnownTokenGetsInAndItsNameIsWrittenDown() async throws {
        try await GuardedServer.with { server in
            let token = try server.makeToken("ci")
            #expect(try await server.tcp("GET", "/v1/status", token: nil).status == 401)
            #expect(try await server.tcp("GET", "/v1/status", token: "waybill-admin-00").status == 401)
            #expect(try await server.tcp("GET", "/v1/status", token: token + "0").status == 401)
            #expect(try await server.tcp("GET", "/v1/status", token: token).status == 200)
            #expect(try await server.tcp("POST", "/v1/publish", "{}", token: "x").status == 401)
            #expect(await server.backend.published.isEmpty)
            #expect(try await server.tcp("POST", "/v1/publish", "{}", token: token).status == 202)
            try await eventually("those that were refused are written down") {
                try server.rows().filter { $0.entry.outcome == .denied }.count >= 2
            }
            let done = try #require(try server.rows().first { $0.entry.outcome == .done })
            #expect(done.entry.who == AuditWho(name: "ci", door: .tcp))
        }
    }

    @Test func aTokenThatIsTakenAwayIsNoGoodFromTheNextRequestOn() async throws {
        try await GuardedServer.with { server in
            let (token, other) = (try server.makeToken("ci"), try server.makeToken("other"))
            #expect(try await server.tcp("GET", "/v1/status", token: token).status == 200)
            var tokens = try AdminTokens(reading: server.tokens)
            try tokens.remove("ci", from: server.tokens)
            #expect(try await server.tcp("GET", "/v1/status", token: token).status == 401)
            #expect(try await server.tcp("GET", "/v1/status", token: other).status == 200)
        }
    }

    @Test func guessingIsSlowedDownAndShutsNobodyOut() async throws {
        try await GuardedServer.with { server in
            let token = try server.makeToken("ci")
            var statuses: [UInt] = []
            for number in 0..<30 {
                statuses.append(try await server.tcp("POST", "/v1/publish", "{}", token: "guess \(number)").status)
            }
            #expect(statuses.filter { $0 == 401 }.count == 10)
            #expect(statuses.filter { $0 == 429 }.count == 20)
            #expect(try await server.tcp("GET", "/v1/status", token: token).status == 200)
            #expect(try server.rows().filter { $0.entry.outcome == .denied }.count <= 10)
        }
    }

    @Test func aListOfTokensThatOthersMayReadLetsNobodyIn() async throws {
        try await GuardedServer.with { server in
            let token = try server.makeToken("ci")
            #expect(chmod(server.tokens, 0o644) == 0)
            let answer = try await server.tcp("GET", "/v1/status", token: token)
            #expect(answer.status == 401 && answer.text.contains("chmod 600"))
        }
    }

    @Test func theListHoldsNoToken() throws {
        let path = NSTemporaryDirectory() + "tokens-\(UInt32.random(in: .min ... .max))"
        defer { unlink(path) }
        var tokens = try AdminTokens(reading: path)
        let token = try tokens.add("ci", to: path)
        let text = String(decoding: try SecretFile.read(path), as: UTF8.self)
        #expect(!text.contains(token) && !text.contains(token.suffix(20)))
        #expect(token.utf8.count > 64)
        #expect(throws: HomeFault.self) { try tokens.add("ci", to: path) }
        #expect(throws: HomeFault.self) { try tokens.add("a b", to: path) }
        #expect(try AdminTokens(reading: path).holder(of: token) == "ci")
        #expect(try AdminTokens(reading: path).holder(of: String(repeating: "x", count: 100_000)) == nil)
    }

    @Test(arguments: ["0.0.0.0:7710", "10.1.2.3:7710", "[::]:7710", "192.168.0.1:1"])
    func anAddressForOthersWantsAnExplicitSetting(address: String) throws {
        #expect(throws: HomeFault.self) {
            try AdminListener.checked(address, allowsAnyAddress: false, tokens: "")
        }
        #expect(try AdminListener.checked(address, allowsAnyAddress: true, tokens: "").port > 0)
    }

    @Test(arguments: ["127.0.0.1:7710", "[::1]:7710", "127.1.2.3:1"])
    func thisMachineIsAllowed(address: String) throws {
        #expect(try AdminListener.checked(address, allowsAnyAddress: false, tokens: "").port > 0)
    }

    @Test(arguments: ["7710", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "localhost:7710", ":7710", ""])
    func whatIsNoAddressIsRefused(address: String) {
        #expect(throws: HomeFault.self) { try AdminListener.checked(address, allowsAnyAddress: true, tokens: "") }
    }

    // MARK: those who take their time

    private static var impatient: AdminLimits {
        var limits = AdminLimits()
        limits.idleSeconds = 1
        limits.bodySeconds = 1
        return limits
    }

    @Test(arguments: [true, false]) func whoSendsAHeadByteByByteIsCutOff(byTCP: Bool) async throws {
        try await GuardedServer.with(AdminDoorTests.impatient) { server in
            let line = try byTCP ? RawLine(port: server.port) : RawLine(path: server.home + "/admin.sock")
            defer { line.close() }
            line.send("GET /v1/status HTTP/1.1\r\n")
            var sent = 0
            try await eventually("it is cut off, though it goes on sending") {
                sent += 1
                line.send("x")
                return line.isEnded
            }
            #expect(sent > 1)
        }
    }

    @Test func whoSendsABodyByteByByteGetsAnAnswerAndNothingIsDone() async throws {
        try await GuardedServer.with(AdminDoorTests.impatient) { server in
            let line = try RawLine(path: server.home + "/admin.sock")
            defer { line.close() }
            line.send("POST /v1/publish HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{")
            try await eventually("an answer, though it goes on sending") {
                line.send(" ")
                return line.isEnded || line.received.contains("HTTP/1.1 400")
            }
            #expect(await server.backend.published.isEmpty)
        }
    }

    @Test func aHeadWithoutAnEndIsCutOff() async throws {
        try await GuardedServer.with { server in
            let line = try RawLine(path: server.home + "/admin.sock")
            defer { line.close() }
            line.send("GET /v1/status HTTP/1.1\r\n")
            let header = "x-long: " + String(repeating: "y", count: 8000) + "\r\n"
            try await eventually("it is cut off") {
                line.send(header)
                return line.isEnded || line.received.contains("HTTP/1.1 4")
            }
        }
    }

    @Test func silentConnectionsDoNotKeepAdministratorsOut() async throws {
        var limits = AdminDoorTests.impatient
        limits.connectionsMax = 20
        try await GuardedServer.with(limits) { server in
            let lines = try (0..<60).map { _ in try RawLine(path: server.home + "/admin.sock") }
            defer { lines.forEach { $0.close() } }
            #expect(try await server.socket("GET", "/v1/status").status == 200)
        }
    }
}

/// An administrators' server with an audit log and TCP, for the duration of `body`.
struct GuardedServer: Sendable {
    let home: String
    let port: Int
    let backend: FakeBackend
    let operations: Operations
    let http: HTTPClient

    var tokens: String { home + "/admin-tokens" }

    static func with(
        _ limits: AdminLimits = AdminLimits(), _ body: @Sendable (GuardedServer) async throws -> Void
    ) async throws {
        let home = NSTemporaryDirectory() + "door-\(UInt32.random(in: .min ... .max))"
        try DurableFile.createFolder(home, mode: 0o700)
        defer { try? FileManager.default.removeItem(atPath: home) }
        let operations = try Operations(path: home + "/hub.db")
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let backend = FakeBackend()
        let now: @Sendable () -> Timestamp = { Timestamp(milliseconds: 1_795_258_380_123) }
        let port = Int.random(in: 20_000...32_000)
        let (listening, isListening) = AsyncStream.makeStream(of: Void.self)
        let server = AdminServer(
            home: home, backend: backend, clerk: AuditClerk(operations: operations, logger: quiet, now: now),
            listener: AdminListener(host: "127.0.0.1", port: port, tokens: home + "/admin-tokens"), limits: limits,
            logger: quiet, now: now, onListening: { isListening.finish() })
        let group = ServiceGroup(configuration: .init(services: [server], logger: quiet))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { isListening.finish() }
                try await group.run()
            }
            for await _ in listening {}
            let http = HTTPClient(eventLoopGroupProvider: .singleton)
            let guarded = GuardedServer(
                home: home, port: port, backend: backend, operations: operations, http: http)
            do {
                try await eventually("TCP is served") { (try? RawLine(port: port)).map { $0.close() } != nil }
                try await body(guarded)
            } catch {
                try await http.shutdown()
                await group.triggerGracefulShutdown()
                throw error
            }
            try await http.shutdown()
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        try operations.pool.close()
    }

    /// Oldest first.
    func rows() throws -> [AuditRow] {
        try operations.read { try AuditLog.rows(limit: 1000, in: $0) }.reversed()
    }

    func makeToken(_ name: String) throws -> String {
        var list = try AdminTokens(reading: tokens)
        return try list.add(name, to: tokens)
    }

    func socket(_ method: String, _ path: String, _ body: String = "") async throws -> Answer {
        guard let url = URL(httpURLWithSocketPath: home + "/admin.sock", uri: path) else {
            throw CocoaError(.fileReadInvalidFileName)
        }
        return try await send(HTTPClientRequest(url: url.absoluteString), method, body)
    }

    func tcp(_ method: String, _ path: String, _ body: String = "", token: String?) async throws -> Answer {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
        if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
        return try await send(request, method, body)
    }

    private func send(_ request: HTTPClientRequest, _ method: String, _ body: String) async throws -> Answer {
        var request = request
        request.method = .RAW(value: method)
        if !body.isEmpty { request.body = .bytes(Array(body.utf8)) }
        let response = try await http.execute(request, timeout: .seconds(30))
        let data = try await response.body.collect(upTo: 1 << 20)
        return Answer(
            status: response.status.code, contentType: response.headers.first(name: "content-type"),
            text: String(decoding: data.readableBytesView, as: UTF8.self))
    }
}

/// A connection on which a test says whatever it likes.
private final class RawLine {
    private let descriptor: Int32
    private(set) var received = ""
    private(set) var isEnded = false

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        try connect(&address, MemoryLayout<sockaddr_in>.size)
    }

    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        try connect(&address, MemoryLayout<sockaddr_un>.size)
    }

    private func connect<Address>(_ address: inout Address, _ size: Int) throws {
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(descriptor, $0, socklen_t(size))
            }
        }
        guard result == 0 else {
            close()
            throw CocoaError(.fileReadUnknown)
        }
    }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        if Foundation.send(descriptor, bytes, bytes.count, flags) < 0, errno != EAGAIN { isEnded = true }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count == 0 { isEnded = true }
        if count > 0 { received += String(decoding: buffer.prefix(count), as: UTF8.self) }
    }

    func close() { Foundation.close(descriptor) }
}

/// Asks again until the answer is yes, for at most twenty seconds.
private func eventually(_ what: String, _ isTrue: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while ContinuousClock.now < deadline {
        if try await isTrue() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("not within 20 s: \(what)")
}
