import Hummingbird
import WaybillAdmin

/// Sessions, stores, jobs and the hub's state: each route calls one function of the backend.
struct AdminRoutes {
    let backend: any AdminBackend
    let limits: AdminLimits

    func add(to v1: RouterGroup<BasicRequestContext>) {
        v1.get("status") { _, _ in try jsonResponse(try await backend.status()) }
        addSessions(to: v1)
        addStores(to: v1)
        addRetention(to: v1)
        addPlans(to: v1)
        addVerifications(to: v1)
        v1.get("tables") { _, _ in try jsonResponse(try await backend.tables()) }
        v1.get("jobs") { _, _ in try jsonResponse(try await backend.jobs()) }
        v1.post("jobs/check") { request, context in
            let check = try await RequestParts(request, context)
                .body(JobCheckRequest.self, bytesMax: limits.jobFileBytesMax)
            return try jsonResponse(try await backend.checkJob(check))
        }
        v1.get("jobs/:job") { request, context in
            try jsonResponse(try await backend.job(RequestParts(request, context).job()))
        }
    }

    private func addSessions(to v1: RouterGroup<BasicRequestContext>) {
        v1.get("sessions") { request, context in
            try jsonResponse(try await backend.sessions(RequestParts(request, context).sessionFilter()))
        }
        v1.get("sessions/:session") { request, context in
            try jsonResponse(try await backend.session(RequestParts(request, context).session()))
        }
        v1.get("sessions/:session/summary") { request, context in
            try jsonResponse(try await backend.sessionSummary(RequestParts(request, context).session()))
        }
        v1.post("sessions/:session/cancel") { request, context in
            let parts = RequestParts(request, context)
            let cancel = try await parts.body(CancelRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.cancel(parts.session(), cancel))
        }
        v1.post("sessions/:session/rerun") { request, context in
            let parts = RequestParts(request, context)
            let rerun = try await parts.body(RerunRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.rerun(parts.session(), rerun))
        }
        v1.post("purge") { request, context in
            let purge = try await RequestParts(request, context)
                .body(PurgeRequest.self, bytesMax: limits.requestBytesMax)
            guard purge.olderThanSeconds >= 0 else {
                throw AdminError.invalid("older_than_seconds cannot be negative")
            }
            return try jsonResponse(try await backend.purge(purge))
        }
        v1.post("publish") { request, context in
            let publish = try await RequestParts(request, context)
                .body(PublishRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.publish(publish), status: .accepted)
        }
    }

    private func addStores(to v1: RouterGroup<BasicRequestContext>) {
        v1.get("stores") { _, _ in try jsonResponse(try await backend.stores()) }
        v1.post("stores") { request, context in
            let add = try await RequestParts(request, context)
                .body(StoreAddRequest.self, bytesMax: limits.requestBytesMax)
            guard add.validForSeconds.map(StoreAddRequest.validity.contains) ?? true else {
                throw AdminError.invalid("valid_for_seconds is from 60 to 31536000")
            }
            return try jsonResponse(try await backend.addStore(add), status: .created)
        }
        v1.get("stores/:store") { request, context in
            try jsonResponse(try await backend.store(RequestParts(request, context).store()))
        }
        v1.post("stores/:store/retire") { request, context in
            try jsonResponse(try await backend.retireStore(RequestParts(request, context).store()))
        }
    }
}
