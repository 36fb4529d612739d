import AsyncHTTPClient
import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import WaybillHub
import WaybillModel

/// An answer, read whole.
struct Answer {
    var status: UInt
    var contentType: String?
    var text: String

    /// nil when the text is no JSON object.
    var object: [String: Any]? {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any]
    }

    /// `error.code` and `error.message` of an error reply.
    var error: (code: String, message: String)? {
        guard let error = object?["error"] as? [String: String], let code = error["code"],
            let message = error["message"]
        else { return nil }
        return (code, message)
    }
}

/// A server on a socket in a folder of its own, for the duration of `body`.
struct RunningAdminServer: Sendable {
    let home: String
    let backend: FakeBackend
    let http: HTTPClient

    static func with<Result: Sendable>(
        limits: AdminLimits = AdminLimits(), prepare: (String) throws -> Void = { _ in },
        now: @escaping @Sendable () -> Timestamp = { Timestamp(milliseconds: 0) },
        _ body: @Sendable (RunningAdminServer) async throws -> Result
    ) async throws -> Result {
        let home = NSTemporaryDirectory() + "admin-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: home) }
        try prepare(home)
        let backend = FakeBackend()
        let (listening, isListening) = AsyncStream.makeStream(of: Void.self)
        let server = AdminServer(
            home: home, backend: backend, limits: limits,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            now: now, onListening: { isListening.finish() })
        let group = ServiceGroup(
            configuration: .init(services: [server], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { isListening.finish() }
                try await group.run()
            }
            for await _ in listening {}
            let http = HTTPClient(eventLoopGroupProvider: .singleton)
            do {
                let result = try await body(RunningAdminServer(home: home, backend: backend, http: http))
                try await http.shutdown()
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
                return result
            } catch {
                try await http.shutdown()
                await group.triggerGracefulShutdown()
                throw error
            }
        }
    }

    func get(_ path: String) async throws -> Answer { try await send("GET", path) }
    func post(_ path: String, _ json: String = "") async throws -> Answer {
        try await send("POST", path, Array(json.utf8))
    }

    func send(_ method: String, _ path: String, _ body: [UInt8] = []) async throws -> Answer {
        guard let url = URL(httpURLWithSocketPath: AdminServer.socketPath(home: home), uri: path) else {
            throw CocoaError(.fileReadInvalidFileName)
        }
        var request = HTTPClientRequest(url: url.absoluteString)
        request.method = .RAW(value: method)
        if !body.isEmpty { request.body = .bytes(body) }
        let response = try await http.execute(request, timeout: .seconds(20))
        let data = try await response.body.collect(upTo: 1 << 20)
        return Answer(
            status: response.status.code, contentType: response.headers.first(name: "content-type"),
            text: String(decoding: data.readableBytesView, as: UTF8.self))
    }

    /// Posts, reads the beginning of the answer and closes the connection.
    func postAndHangUp(_ path: String) async throws {
        guard let url = URL(httpURLWithSocketPath: AdminServer.socketPath(home: home), uri: path) else {
            throw CocoaError(.fileReadInvalidFileName)
        }
        var request = HTTPClientRequest(url: url.absoluteString)
        request.method = .POST
        let response = try await http.execute(request, timeout: .seconds(20))
        for try await _ in response.body { break }
    }

    /// The names of the folders that uploads have.
    func importFolders() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: home + "/incoming/imports")
    }
}

/// A clock that a test moves.
final class Clock: Sendable {
    private let time = Mutex(Timestamp(milliseconds: 0))

    var now: Timestamp { time.withLock { $0 } }
    func advance(milliseconds: Int64) { time.withLock { $0 = $0 + milliseconds } }
}
