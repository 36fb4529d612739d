import Hummingbird
import WaybillAdmin
import WaybillModel

extension AdminRoutes {
    func addVerifications(to v1: RouterGroup<BasicRequestContext>) {
        v1.post("verifications") { request, context in
            let verify = try await RequestParts(request, context)
                .body(VerifyRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.verify(verify), status: .accepted)
        }
        v1.get("verifications") { request, context in
            let parts = RequestParts(request, context)
            try parts.allowQuery("store", "job", "since", "limit")
            var filter = VerificationFilter()
            if parts.query("store") != nil { filter.stores = [try parts.queryStore()] }
            if let text = parts.query("job") {
                guard let job = JobID(text) else { throw AdminError.invalid("'\(text.prefix(60))' is no job's name") }
                filter.jobs = [job]
            }
            if let text = parts.query("since") {
                guard let since = Int64(text), since >= 0 else {
                    throw AdminError.invalid("since is the number of a verification")
                }
                filter.since = since
            }
            if let text = parts.query("limit") {
                guard let limit = Int(text), (1...VerificationFilter.limitMax).contains(limit) else {
                    throw AdminError.invalid("limit is a number from 1 to \(VerificationFilter.limitMax)")
                }
                filter.limit = limit
            }
            return try jsonResponse(try await backend.verifications(filter))
        }
    }
}

/// Which verifications to list.
public struct VerificationFilter: Hashable, Sendable {
    public static let limitMax = 100_000
    /// Empty: all.
    public var stores: [StoreID] = []
    public var jobs: [JobID] = []
    /// From this number on.
    public var since: Int64 = 0
    public var limit = 100

    public init() {}
}
