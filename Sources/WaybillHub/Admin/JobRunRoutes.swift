import Hummingbird
import WaybillAdmin

/// Running, holding and resuming jobs, and what came of it.
struct JobRunRoutes {
    let backend: any AdminBackend
    let limits: AdminLimits

    func add(to v1: RouterGroup<BasicRequestContext>) {
        v1.get("jobs/:job/runs") { request, context in
            let parts = RequestParts(request, context)
            return try jsonResponse(try await backend.jobRuns(parts.job(), limit: parts.runLimit()))
        }
        v1.get("jobs/:job/runs/:run") { request, context in
            let parts = RequestParts(request, context)
            return try jsonResponse(try await backend.jobRun(parts.job(), parts.run()))
        }
        v1.post("jobs/:job/runs") { request, context in
            let parts = RequestParts(request, context)
            let run = try await parts.body(JobRunRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.run(parts.job(), run), status: .accepted)
        }
        v1.post("jobs/:job/hold") { request, context in
            let parts = RequestParts(request, context)
            let hold = try await parts.body(JobHoldRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.hold(parts.job(), hold))
        }
        v1.post("jobs/:job/resume") { request, context in
            try jsonResponse(try await backend.resume(RequestParts(request, context).job()))
        }
    }
}

extension RequestParts {
    fileprivate func run() throws(AdminError) -> Int64 {
        let text = try pathPart("run")
        guard let number = Int64(text), number > 0 else { throw .invalid("a run is a number, as in its job's history") }
        return number
    }

    fileprivate func runLimit() throws(AdminError) -> Int {
        try allowQuery("limit")
        guard let text = query("limit") else { return 20 }
        guard let limit = Int(text), (1...SessionFilter.limitMax).contains(limit) else {
            throw .invalid("limit is a number from 1 to \(SessionFilter.limitMax)")
        }
        return limit
    }
}
