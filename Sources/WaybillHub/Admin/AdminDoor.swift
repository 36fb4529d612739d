import Foundation
import Hummingbird
import NIOCore
import WaybillAdmin
import WaybillDatabase
import WaybillModel
import WaybillSessions

/// A request, and the connection by which it has come.
struct AdminContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

/// Stands before the routes: finds out who asks, and has everything that changes something written down.
///
/// An action is written down before it begins, or in its own transaction; when that fails it does not begin. What a new
/// route does is in the log without its doing anything for it.
struct AdminDoor<Routes: HTTPResponder>: HTTPResponder where Routes.Context == BasicRequestContext {
    typealias Context = AdminContext

    let routes: Routes
    /// nil in tests that are not about it.
    let clerk: AuditClerk?
    /// Whom TCP lets in; nil on the Unix-domain socket, where the file's permissions have decided.
    let gate: TokenGate?
    let limits: AdminLimits

    func respond(to request: Request, context: AdminContext) async throws -> Response {
        let who: AuditWho
        if let gate {
            switch await gate.judge(request.headers[.authorization], from: context.channel.remoteAddress) {
            case .admitted(let name): who = AuditWho(name: name, door: .tcp)
            case .refused(let refusal): return try refuse(request, refusal)
            }
        } else {
            who = await context.channel.peerUser()
        }
        let inner = BasicRequestContext(source: .init(channel: context.channel, logger: context.logger))
        guard let clerk, let action = AuditedAction(request.method, path: request.uri.path) else {
            return try await routes.respond(to: request, context: inner)
        }
        var request = request
        let arguments: String
        do {
            let body = try await AdminDoor.body(of: &request, limits)
            arguments = AdminDoor.arguments(body, query: request.uri.query)
        } catch let error as AdminError {
            return try answer(error)
        }
        // Only says what would go.
        if action.name == "purge", arguments.contains(#""dry_run":true"#) {
            return try await routes.respond(to: request, context: inner)
        }
        let entry = AuditEntry(
            at: clerk.now(), who: who, action: action.name, subject: action.subject, arguments: arguments,
            outcome: .asked)
        return try await carryOut(request, inner, AuditTicket(entry, now: clerk.now), action, clerk)
    }

    private func carryOut(
        _ request: Request, _ context: BasicRequestContext, _ ticket: AuditTicket, _ action: AuditedAction,
        _ clerk: AuditClerk
    ) async throws -> Response {
        var asked: Int64?
        if !action.isOneTransaction {
            do { asked = try await clerk.write(ticket.entry).sequence } catch {
                return try answer(
                    .failed("nothing was done, because the audit log cannot be written: \(error)"))
            }
        }
        let response: Response
        do {
            response = try await AuditTicket.$current.withValue(ticket) {
                try await routes.respond(to: request, context: context)
            }
        } catch {
            try await end(ticket, asked, failure: "\(error)", clerk)
            throw error
        }
        guard response.body.contentLength == nil else {
            let failure = response.status.code < 400 ? nil : ticket.failure ?? "status \(response.status.code)"
            try await end(ticket, asked, failure: failure, clerk)
            return response
        }
        // The work is done while the answer is written.
        var streamed = response
        let body = response.body
        let ended = asked
        streamed.body = ResponseBody { writer in
            do {
                // The administrator sees the end of the answer when the row stands.
                try await AuditTicket.$current.withValue(ticket) { [writer] in try await body.write(HeldEnd(writer)) }
            } catch {
                try await end(ticket, ended, failure: ticket.failure ?? "the administrator has hung up", clerk)
                throw error
            }
            try await end(ticket, ended, failure: ticket.failure, clerk)
            try await writer.finish(nil)
        }
        return streamed
    }

    /// The row that says how it ended, unless the effect has written it.
    private func end(_ ticket: AuditTicket, _ asked: Int64?, failure: String?, _ clerk: AuditClerk) async throws {
        if let row = ticket.row {
            clerk.tell(row)
            // What was done may have been nothing: somebody else was faster.
            guard failure != nil else { return }
        }
        let entry = ticket.entry.ended(
            failure == nil ? .done : .failed, failure ?? ticket.result, at: clerk.now(),
            asked: asked ?? ticket.row?.sequence)
        _ = try await clerk.write(entry)
    }

    private func refuse(_ request: Request, _ refusal: TokenGate.Refusal) throws -> Response {
        if refusal.isNews {
            clerk?.note(
                denied: AuditedAction(request.method, path: request.uri.path)?.name ?? "read",
                by: AuditWho(name: refusal.address, door: .tcp), refusal.reason)
        }
        var response = try jsonResponse(
            ErrorReply(AdminError(.denied, refusal.reason)),
            status: refusal.isTooMany ? .tooManyRequests : .unauthorized)
        if !refusal.isTooMany { response.headers[.wwwAuthenticate] = "Bearer" }
        // What else he sends is not read.
        response.headers[.connection] = "close"
        return response
    }

    private func answer(_ error: AdminError) throws -> Response {
        try jsonResponse(ErrorReply(error), status: error.code.httpStatus)
    }

    /// The whole body, within its bounds: whoever sends it byte by byte is not waited for.
    private static func body(of request: inout Request, _ limits: AdminLimits) async throws -> ByteBuffer {
        let arriving = request
        let (body, whole) = try await withThrowingTaskGroup(of: (ByteBuffer, Request)?.self) { tasks in
            tasks.addTask {
                var request = arriving
                do { return (try await request.collectBody(upTo: limits.requestBytesMax), request) } catch let error
                    as any HTTPResponseError where error.status == .contentTooLarge
                {
                    throw AdminError(.tooLarge, "the request has more than \(limits.requestBytesMax) bytes")
                }
            }
            tasks.addTask {
                try await Task.sleep(for: .seconds(limits.bodySeconds))
                return nil
            }
            defer { tasks.cancelAll() }
            guard let first = try await tasks.next(), let first else {
                throw AdminError.invalid("the request's body was not there after \(limits.bodySeconds) s")
            }
            return first
        }
        request = whole
        return body
    }

    /// The body, with blanks between its parts taken out where it is JSON, and the query.
    private static func arguments(_ body: ByteBuffer, query: String?) -> String {
        let text = String(decoding: body.readableBytesView.prefix(64 * 1024), as: UTF8.self)
        var arguments = text
        if let value = try? JSONSerialization.jsonObject(with: Data(text.utf8)),
            let data = try? JSONSerialization.data(
                withJSONObject: value, options: [.sortedKeys, .withoutEscapingSlashes])
        {
            arguments = String(decoding: data, as: UTF8.self)
        }
        if arguments == "{}" { arguments = "" }
        guard let query, !query.isEmpty else { return arguments }
        return arguments.isEmpty ? "?" + query : "?\(query) \(arguments)"
    }
}

/// `struct ucred` of unix(7).
private struct PeerCredentials {
    var pid: Int32 = 0
    var uid: UInt32 = 0
    var gid: UInt32 = 0
}

extension Channel {
    /// The user of the process at the other end of a Unix-domain socket, as the system says.
    fileprivate func peerUser() async -> AuditWho {
        guard let provider = self as? any SocketOptionProvider,
            let found = try? await provider.unsafeGetSocketOption(
                level: .socket, name: .init(rawValue: SO_PEERCRED), of: PeerCredentials.self)
        else { return AuditWho(name: "unknown", door: .socket) }
        return AuditWho(name: userName(found.uid), uid: Int64(found.uid), door: .socket)
    }
}

extension SocketOptionProvider {
    fileprivate func unsafeGetSocketOption<Value: Sendable>(
        level: NIOBSDSocket.OptionLevel, name: NIOBSDSocket.Option, of type: Value.Type
    ) async throws -> Value {
        try await (unsafeGetSocketOption(level: level, name: name) as EventLoopFuture<Value>).get()
    }
}

/// The name of a user, or `uid 1000` for one that the system does not know.
func userName(_ uid: UInt32) -> String {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var space = [CChar](repeating: 0, count: 4096)
    guard getpwuid_r(uid, &entry, &space, space.count, &found) == 0, found != nil, let name = entry.pw_name else {
        return "uid \(uid)"
    }
    return String(cString: name)
}

/// Writes on, and leaves the end to whoever made it.
private struct HeldEnd: ResponseBodyWriter {
    private var writer: any ResponseBodyWriter

    init(_ writer: any ResponseBodyWriter) { self.writer = writer }

    mutating func write(_ buffer: ByteBuffer) async throws { try await writer.write(buffer) }
    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
