import AsyncHTTPClient
import Foundation
import WaybillAdmin

/// A piece of a body, in the words of the HTTP client.
typealias BodyPart = HTTPClientResponse.Body.Element

/// The hub's administrator's interface, as seen from a command.
struct AdminClient: Sendable {
    /// What a hub under full load may take to answer; imports have no such bound.
    private static let answerSeconds: Int64 = 60
    /// Bytes of an answer: deliveries of ten thousand stores take a tenth of it.
    private static let answerBytesMax = 64 * 1024 * 1024
    private static let lineBytesMax = 16 * 1024 * 1024

    private let http: HTTPClient
    private let home: String
    private let way: Way

    /// How the hub is reached.
    private enum Way {
        case socket(String)
        case tcp(RemoteHub)
    }

    /// - Parameter home: a home folder, or the address of a hub that listens for administrators by TCP.
    /// - Throws: ``Complaint`` when there is nobody to talk to on `home`.
    init(home: String, token: @autoclosure () throws -> String) throws {
        self.home = home
        if RemoteHub.isAddress(home) {
            way = .tcp(try RemoteHub(home, token: try token()))
        } else {
            let folder = home.hasPrefix("/") ? home : FileManager.default.currentDirectoryPath + "/" + home
            let socket = folder + "/admin.sock"
            way = .socket(socket)
            try HubProbe.check(home: home, folder: folder, socket: socket)
        }
        var configuration = HTTPClient.Configuration()
        configuration.decompression = .disabled
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.connect = .seconds(10)
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    func close() async {
        // It fails only when it was shut down before.
        try? await http.shutdown()
    }

    func get<Value: Decodable>(_ type: Value.Type, _ path: APIPath) async throws -> Value {
        try read(type, await data(path, "GET"))
    }

    /// - Parameter seconds: to wait for the answer; nil for as long as it takes.
    func post<Value: Decodable>(
        _ type: Value.Type, _ path: APIPath, _ body: some Encodable, seconds: Int64? = AdminClient.answerSeconds
    ) async throws -> Value {
        try read(type, await data(path, "POST", body: .bytes(AdminJSON.encode(body)), seconds: seconds))
    }

    func post<Value: Decodable>(_ type: Value.Type, _ path: APIPath) async throws -> Value {
        try read(type, await data(path, "POST"))
    }

    /// Posts what has no answer.
    func tell(_ path: APIPath, _ body: some Encodable) async throws {
        _ = try await data(path, "POST", body: .bytes(AdminJSON.encode(body)))
    }

    func delete(_ path: APIPath) async throws {
        _ = try await data(path, "DELETE")
    }

    /// Sends a file as it is, in parts.
    func put<Parts: AsyncSequence & Sendable>(_ path: APIPath, _ parts: Parts, bytes: Int64) async throws
    where Parts.Element == BodyPart {
        _ = try await data(path, "PUT", body: .stream(parts, length: .known(bytes)), seconds: nil)
    }

    /// Posts without a body and hands each line of the answer to `take`, as it comes.
    func postForLines(_ path: APIPath, take: (Data) throws -> Void) async throws {
        let response = try await send(path, "POST", body: nil, seconds: nil)
        guard response.status.code < 400 else { throw try await complaint(of: response) }
        var pending = Data()
        do {
            for try await part in response.body {
                pending.append(contentsOf: part.readableBytesView)
                while let end = pending.firstIndex(of: 0x0a) {
                    try take(Data(pending[pending.startIndex..<end]))
                    pending = Data(pending[pending.index(after: end)...])
                }
                guard pending.count <= AdminClient.lineBytesMax else {
                    throw Complaint("the hub's answer makes no sense: a line without an end")
                }
            }
        } catch {
            throw brokenOff(error)
        }
    }

    private func data(
        _ path: APIPath, _ method: String, body: HTTPClientRequest.Body? = nil,
        seconds: Int64? = AdminClient.answerSeconds
    ) async throws -> Data {
        let response = try await send(path, method, body: body, seconds: seconds)
        guard response.status.code < 400 else { throw try await complaint(of: response) }
        return try await collect(response)
    }

    private func send(
        _ path: APIPath, _ method: String, body: HTTPClientRequest.Body?, seconds: Int64?
    ) async throws -> HTTPClientResponse {
        var request: HTTPClientRequest
        switch way {
        case .socket(let socket):
            guard let url = URL(httpURLWithSocketPath: socket, uri: path.text) else {
                throw Complaint("\(home) cannot be used as a hub's home: its path cannot be written as an address")
            }
            request = HTTPClientRequest(url: url.absoluteString)
        case .tcp(let remote):
            request = HTTPClientRequest(url: remote.base + path.text)
            request.headers.add(name: "authorization", value: "Bearer \(remote.token)")
        }
        request.method = .RAW(value: method)
        request.body = body
        do {
            guard let seconds else { return try await http.execute(request, deadline: .distantFuture) }
            return try await http.execute(request, timeout: .seconds(seconds))
        } catch let error as HTTPClientError where error == .deadlineExceeded {
            throw Complaint("the hub on \(home) did not answer within \(seconds ?? 0) seconds")
        } catch {
            throw brokenOff(error)
        }
    }

    private func collect(_ response: HTTPClientResponse) async throws -> Data {
        do {
            let body = try await response.body.collect(upTo: AdminClient.answerBytesMax)
            return Data(body.readableBytesView)
        } catch {
            throw brokenOff(error)
        }
    }

    private func read<Value: Decodable>(_ type: Value.Type, _ data: Data) throws -> Value {
        do {
            return try AdminJSON.decode(type, from: data)
        } catch {
            throw Complaint("the answer of the hub on \(home) cannot be read; are hub and waybill of one release?")
        }
    }

    /// What ended the connection, unless it was one of our own complaints about a file.
    private func brokenOff(_ error: any Error) -> Complaint {
        if let complaint = error as? Complaint { return complaint }
        let reason = (error as? HTTPClientError)?.shortDescription ?? String(describing: error)
        return Complaint("the hub on \(home) broke off: \(reason)")
    }

    private func complaint(of response: HTTPClientResponse) async throws -> Complaint {
        let data = try await collect(response)
        guard let reply = try? AdminJSON.decode(ErrorReply.self, from: data) else {
            return Complaint("the hub on \(home) answered \(response.status.code) and did not say why")
        }
        return Complaint(reply.error.message, code: reply.error.code)
    }
}

/// A path under `/v1`, put together from parts that may hold anything.
struct APIPath: ExpressibleByStringInterpolation {
    struct StringInterpolation: StringInterpolationProtocol {
        var text = ""

        init(literalCapacity: Int, interpolationCount: Int) {}
        mutating func appendLiteral(_ literal: String) { text += literal }
        mutating func appendInterpolation(_ value: some CustomStringConvertible) {
            text += APIPath.escaped(value.description)
        }
    }

    private(set) var text: String

    init(stringLiteral value: String) { text = "/v1/" + value }
    init(stringInterpolation: StringInterpolation) { text = "/v1/" + stringInterpolation.text }

    /// The same path with `name=value` behind it; nil leaves it as it is.
    func with(_ name: String, _ value: String?) -> APIPath {
        guard let value else { return self }
        var path = self
        path.text += (text.contains("?") ? "&" : "?") + name + "=" + APIPath.escaped(value)
        return path
    }

    private static func escaped(_ text: String) -> String {
        var allowed = CharacterSet(charactersIn: "-._~")
        allowed.insert(charactersIn: "a"..."z")
        allowed.insert(charactersIn: "A"..."Z")
        allowed.insert(charactersIn: "0"..."9")
        return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
    }
}
