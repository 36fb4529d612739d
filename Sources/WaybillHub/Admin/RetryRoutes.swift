import Hummingbird
import WaybillAdmin

/// Tries for deliveries that have used up theirs.
struct RetryRoutes {
    let backend: any AdminBackend
    let limits: AdminLimits

    func add(to v1: RouterGroup<BasicRequestContext>) {
        v1.post("sessions/:session/retry") { request, context in
            let parts = RequestParts(request, context)
            let retry = try await parts.body(RetryRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.retry(parts.session(), retry))
        }
    }
}
