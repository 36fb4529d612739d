import Hummingbird
import WaybillAdmin
import WaybillModel

/// Rows that stores could not take.
struct QuarantineRoutes {
    let backend: any AdminBackend
    let limits: AdminLimits

    func add(to v1: RouterGroup<BasicRequestContext>) {
        v1.get("quarantine") { request, context in
            try jsonResponse(try await backend.quarantine(RequestParts(request, context).quarantineFilter()))
        }
        v1.post("quarantine/orders") { request, context in
            let order = try await RequestParts(request, context)
                .body(QuarantineRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.orderQuarantine(order), status: .accepted)
        }
    }
}

extension RequestParts {
    func quarantineFilter() throws(AdminError) -> QuarantineFilter {
        try allowQuery("store", "job")
        var filter = QuarantineFilter()
        if query("store") != nil { filter.store = try queryStore() }
        if let text = query("job") {
            guard let job = JobID(text) else { throw .invalid("'\(text.prefix(60))' is no job's name") }
            filter.job = job
        }
        return filter
    }
}
