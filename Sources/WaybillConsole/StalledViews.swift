import WaybillAdmin
import WaybillModel

/// What does not come forward, in words.
public enum StalledViews {
    /// `Downloaded, stalled`
    static func status(_ status: String, isStalled: Bool) -> String { isStalled ? status + ", stalled" : status }

    /// `the hub has not taken in what stores say since 12:03 UTC: …`
    public static func notFolding(_ fault: HubStatus.NotFolding, now: Timestamp) -> String {
        let since = StalledDetail.clock(fault.since.timestamp, near: now)
        return "the hub has not taken in what stores say since \(since): \(TerminalText.plain(fault.message))"
    }

    /// The message of a delivery: why it is stalled, else what it says itself.
    static func message(_ delivery: DeliveryDetail) -> String { delivery.stalled?.message ?? delivery.message ?? "" }
}
