import Hummingbird
import WaybillAdmin

/// Why a store has a row, or has not.
struct WhyRoutes {
    let backend: any AdminBackend

    func add(to v1: RouterGroup<BasicRequestContext>) {
        v1.get("why") { request, context in
            try jsonResponse(try await backend.why(RequestParts(request, context).whyRequest()))
        }
    }
}

extension RequestParts {
    func whyRequest() throws(AdminError) -> WhyRequest {
        try allowQuery("store", "table", "key")
        return WhyRequest(
            store: try queryStore(), table: try required("table"),
            key: request.uri.queryParameters[values: "key"].map { String($0) })
    }
}
