import Foundation
import Hummingbird
import WaybillAdmin
import WaybillModel

/// The checked parts of a request. Every fault is one sentence with the offending text.
struct RequestParts {
    let request: Request
    let parameters: Parameters

    init(_ request: Request, _ context: some RequestContext) {
        self.request = request
        parameters = context.parameters
    }

    /// A part of the path, decoded.
    func pathPart(_ name: String) throws(AdminError) -> String {
        // The decoding comes after the path was taken apart: a %2F stays within its part.
        guard let raw = parameters.get(name), let text = raw.removingPercentEncoding else {
            throw .invalid("the path's \(name) is not readable")
        }
        return text
    }

    func session() throws(AdminError) -> SessionReference {
        let text = try pathPart("session")
        guard let reference = SessionReference(text) else {
            throw .invalid("'\(shown(text))' is no session: give its id (42-9f3c1b2e55aa) or its number (42)")
        }
        return reference
    }

    func store() throws(AdminError) -> StoreID {
        let text = try pathPart("store")
        guard let store = StoreID(text) else { throw .invalid("'\(shown(text))' is no store's name") }
        return store
    }

    func job() throws(AdminError) -> JobID {
        let text = try pathPart("job")
        guard let job = JobID(text) else { throw .invalid("'\(shown(text))' is no job's name") }
        return job
    }

    func query(_ name: String) -> String? {
        request.uri.queryParameters[name[...]].map(String.init)
    }

    /// A parameter that must be there.
    func required(_ name: String) throws(AdminError) -> String {
        guard let text = query(name), !text.isEmpty else { throw .invalid("the parameter '\(name)' is missing") }
        return text
    }

    func queryStore() throws(AdminError) -> StoreID {
        let text = try required("store")
        guard let store = StoreID(text) else { throw .invalid("'\(shown(text))' is no store's name") }
        return store
    }

    func flag(_ name: String) throws(AdminError) -> Bool {
        switch query(name) {
        case nil, "false": return false
        case "true", "": return true
        case .some(let text): throw .invalid("\(name) is true or false, not '\(shown(text))'")
        }
    }

    /// Refuses query parameters that the route does not have: a misspelt filter must not list everything.
    func allowQuery(_ names: String...) throws(AdminError) {
        for (name, _) in request.uri.queryParameters where !names.contains(String(name)) {
            throw .invalid("there is no parameter '\(shown(String(name)))' here")
        }
    }

    func sessionFilter() throws(AdminError) -> SessionFilter {
        try allowQuery("job", "status", "since", "all", "limit", "stalled")
        var filter = SessionFilter(includesNoData: try flag("all"))
        filter.isStalled = try flag("stalled")
        if let text = query("job") {
            guard let job = JobID(text) else { throw .invalid("'\(shown(text))' is no job's name") }
            filter.job = job
        }
        if let text = query("status") {
            guard SessionFilter.statuses.contains(text) else {
                throw .invalid(
                    "'\(shown(text))' is no status: \(SessionFilter.statuses.joined(separator: ", "))")
            }
            filter.status = text
            // Who asks for NoData wants to see it.
            if text == SessionStatus.noData.rawValue { filter.includesNoData = true }
        }
        if let text = query("since") {
            guard let since = UTCTime(text) else {
                throw .invalid("since is an ISO 8601 time such as 2026-11-21T10:53:00Z, not '\(shown(text))'")
            }
            filter.since = since
        }
        if let text = query("limit") {
            guard let limit = Int(text), (1...SessionFilter.limitMax).contains(limit) else {
                throw .invalid("limit is a number from 1 to \(SessionFilter.limitMax), not '\(shown(text))'")
            }
            filter.limit = limit
        }
        return filter
    }

    /// The JSON body; an empty one is read as `{}`.
    func body<Value: Decodable>(_ type: Value.Type, bytesMax: Int) async throws -> Value {
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: bytesMax)
        } catch let error as any HTTPResponseError where error.status == .contentTooLarge {
            throw AdminError(.tooLarge, "the request has more than \(bytesMax) bytes")
        }
        let data = buffer.readableBytes == 0 ? Data("{}".utf8) : Data(buffer.readableBytesView)
        do {
            return try AdminJSON.decode(type, from: data)
        } catch let error as DecodingError {
            throw AdminError.invalid("the request's JSON is wrong: \(sentence(error))")
        }
    }
}

/// Text from outside as a message may show it: one line, not too long.
private func shown(_ text: String) -> String {
    let printable = text.unicodeScalars.prefix(60).map { $0.value < 0x20 || $0.value == 0x7f ? "?" : Character($0) }
    return String(printable) + (text.unicodeScalars.count > 60 ? "…" : "")
}

private func sentence(_ error: DecodingError) -> String {
    func place(_ context: DecodingError.Context) -> String {
        let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        return path.isEmpty ? "" : " at \(path)"
    }
    switch error {
    case .keyNotFound(let key, _): return "'\(key.stringValue)' is missing"
    case .typeMismatch(let type, let context): return "a \(type) is expected\(place(context))"
    case .valueNotFound(let type, let context): return "a \(type) is expected\(place(context)), not null"
    case .dataCorrupted(let context): return shown(context.debugDescription) + place(context)
    @unknown default: return "it cannot be read"
    }
}
