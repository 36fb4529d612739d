import Foundation
import WaybillAdmin
import WaybillModel

/// Forgetting, as administrators ask for it.
extension HubBackend {
    func forget(_ request: RetentionRequest) async throws -> RetentionReply {
        await withCheckedContinuation { continuation in
            retention.post(request) { continuation.resume(returning: $0) }
        }
    }
}
