import Hummingbird
import WaybillAdmin

extension AdminRoutes {
    func addRetention(to v1: RouterGroup<BasicRequestContext>) {
        v1.post("retention/run") { request, context in
            let forget = try await RequestParts(request, context)
                .body(RetentionRequest.self, bytesMax: limits.requestBytesMax)
            guard (0...RetentionRequest.secondsMax).contains(forget.olderThanSeconds ?? 0) else {
                throw AdminError.invalid("older_than_seconds is a number from 0 to \(RetentionRequest.secondsMax)")
            }
            return try jsonResponse(try await backend.forget(forget))
        }
    }
}
