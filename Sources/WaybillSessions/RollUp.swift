import WaybillModel

/// The one status of a session in the list.
public enum RollUp {
    /// The header's own status while that says it all; else the worst failure, else the least advanced delivery, else
    /// what all of them came to. `Applied` only if nobody waits and at least one store has it (reference A9).
    public static func status(_ header: SessionStatus, _ deliveries: [DeliveryStatus: Int]) -> String {
        guard header == .available || header == .canceled else { return header.rawValue }
        for status in [DeliveryStatus.suspended, .applyFailed, .downloadFailed, .available, .requested, .downloaded]
        where deliveries[status, default: 0] > 0 {
            return header == .canceled ? header.rawValue : status.rawValue
        }
        if header == .canceled { return header.rawValue }
        for status in [DeliveryStatus.applied, .superseded, .canceled, .noData] where deliveries[status, default: 0] > 0
        {
            return status.rawValue
        }
        return header.rawValue
    }
}
