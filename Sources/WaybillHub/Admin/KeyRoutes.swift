import Hummingbird
import WaybillAdmin

/// Keys of the hub and of its stores.
struct KeyRoutes {
    let backend: any AdminBackend
    let limits: AdminLimits

    func add(to v1: RouterGroup<BasicRequestContext>) {
        v1.get("keys") { _, _ in try jsonResponse(try await backend.keyStatus()) }
        v1.post("keys/announce") { _, _ in try jsonResponse(try await backend.announceKeys()) }
        v1.post("keys/switch") { request, context in
            let wanted = try await RequestParts(request, context)
                .body(KeySwitchRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.switchKeys(wanted))
        }
        v1.post("keys/stores") { request, context in
            let wanted = try await RequestParts(request, context)
                .body(StoreKeyRequest.self, bytesMax: limits.requestBytesMax)
            return try jsonResponse(try await backend.renewStoreKeys(wanted))
        }
    }
}
