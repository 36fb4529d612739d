import WaybillAdmin
import WaybillConsole

extension SessionListCommand {
    /// Says beside the list that it is old because the hub does not take in what stores say.
    func noteNotFolding(_ sessions: [SessionSummary]) async throws {
        guard sessions.contains(where: { $0.stalled > 0 }) else { return }
        let status = try await hub.connected { try await $0.get(HubStatus.self, "status") }
        if let fault = status.notFolding { Output.note(StalledViews.notFolding(fault, now: Output.now)) }
    }
}
