import Hummingbird
import WaybillAdmin

/// Reading and checking the audit log.
struct AuditRoutes {
    let backend: any AdminBackend

    func add(to v1: RouterGroup<BasicRequestContext>) {
        v1.get("audit") { request, context in
            try jsonResponse(try await backend.audit(RequestParts(request, context).auditFilter()))
        }
        v1.get("audit/verification") { request, context in
            let parts = RequestParts(request, context)
            try parts.allowQuery("witness")
            return try jsonResponse(try await backend.verifyAudit(parts.auditWitness()))
        }
    }
}

extension RequestParts {
    fileprivate func auditFilter() throws(AdminError) -> AuditFilter {
        try allowQuery("since", "who", "limit")
        var filter = AuditFilter(who: query("who").flatMap(\.removingPercentEncoding))
        filter.limit = try limit(default: filter.limit, max: AuditFilter.limitMax)
        if let text = query("since") {
            guard let since = UTCTime(text) else {
                throw .invalid("since is an ISO 8601 time such as 2026-11-21T10:53:00Z")
            }
            filter.since = since
        }
        return filter
    }

    fileprivate func auditWitness() throws(AdminError) -> AuditWitness? {
        guard let text = query("witness") else { return nil }
        guard let witness = AuditWitness(text) else {
            throw .invalid("witness is a row and its hash, such as 118:9a0c61e1f7d2b34c")
        }
        return witness
    }
}
