import Hummingbird
import WaybillAdmin

/// Dry runs and approvals.
extension AdminRoutes {
    func addPlans(to v1: RouterGroup<BasicRequestContext>) {
        v1.post("plan") { request, context in
            let plan = try await RequestParts(request, context)
                .body(PlanRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.plan(plan))
        }
        v1.post("sessions/:session/approve") { request, context in
            try jsonResponse(try await backend.approve(RequestParts(request, context).session()))
        }
    }
}
