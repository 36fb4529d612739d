import WaybillModel
import WaybillWire

/// Telling the hub what is in quarantine. All of it each time it asks: a letter that is lost is asked for again.
extension AgentCore {
    mutating func quarantineRead(
        _ report: QuarantineReport, _ state: StoredState, now: Timestamp, _ effects: inout [AgentEffect]
    ) {
        written(state, now: now)
        guard isConnected else { return }
        effects.append(.send(letter(.quarantine(report))))
    }
}
