import Foundation
import Hummingbird
import WaybillAdmin
import WaybillDatabase

extension AdminError.Code {
    var httpStatus: HTTPResponse.Status {
        switch self {
        case .notFound: .notFound
        case .conflict: .conflict
        case .invalid: .badRequest
        case .tooLarge: .contentTooLarge
        case .noSpace: .init(code: 507, reasonPhrase: "Insufficient Storage")
        case .denied: .unauthorized
        case .failed: .internalServerError
        }
    }
}

extension AdminError {
    /// What an administrator is told of any error.
    init(describing error: any Error) {
        switch error {
        case let error as AdminError:
            self = error
        case let fault as FileFault:
            self = AdminError(fault.isNoSpace ? .noSpace : .failed, fault.description)
        case let faults as ImportFaults:
            self = .invalid(faults.description)
        default:
            self = .failed("the hub failed: \(error)")
        }
    }
}

/// Turns whatever a route throws, and routes that do not exist, into an ``ErrorReply``.
struct ErrorReplies<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError where error.status == .notFound {
            return try reply(.notFound("there is no \(request.method.rawValue) \(request.uri.path)"))
        } catch let error as HTTPError where error.status.code < 500 {
            return try reply(AdminError(.invalid, error.body ?? error.status.reasonPhrase), status: error.status)
        } catch {
            let answer = AdminError(describing: error)
            if answer.code == .failed {
                context.logger.error(
                    "administrator's request failed",
                    metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            }
            return try reply(answer)
        }
    }

    private func reply(_ error: AdminError, status: HTTPResponse.Status? = nil) throws -> Response {
        AuditTicket.current?.failed(error.message)
        return try jsonResponse(ErrorReply(error), status: status ?? error.code.httpStatus)
    }
}

func jsonResponse(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    let body = ByteBuffer(data: try AdminJSON.encode(value))
    return Response(
        status: status, headers: [.contentType: "application/json; charset=utf-8"], body: ResponseBody(byteBuffer: body)
    )
}
